import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { suite, type TestContext, test } from 'node:test';
import { lockDirectory } from '../../src/directory-lock.ts';

const STARTERS = 4;
const ROUNDS = 10;

/** Tries once for every line that it is told. */
const STARTER = `
  import { createInterface } from 'node:readline';
  import { lockDirectory } from ${JSON.stringify(new URL('../../src/directory-lock.ts', import.meta.url).href)};
  console.log('ready');
  for await (const directory of createInterface({ input: process.stdin }))
    console.log(await lockDirectory(directory).then(() => 'holds', ({ message }) => message));
`;

interface Starter {
  readonly child: ChildProcess;
  readonly tell: (line: string) => void;
  readonly hear: () => Promise<string | undefined>;
}

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'lock-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function begin(t: TestContext): Promise<Starter> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', STARTER], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const hear = async (): Promise<string | undefined> => (await lines.next()).value;
  assert.equal(await hear(), 'ready');
  return { child, tell: (line) => void child.stdin.write(`${line}\n`), hear };
}

async function kill({ child }: Starter): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

suite('a locked directory', () => {
  test('is of one caller until it is given up', async (t) => {
    const directory = directoryOf(t);
    const unlock = await lockDirectory(directory);
    await assert.rejects(lockDirectory(directory), { message: `${directory} is used by another process` });
    await unlock();
    await unlock();
    await (await lockDirectory(directory))();
  });

  test('is told from one that cannot be locked', async (t) => {
    const directory = directoryOf(t);
    const nowhere = join(directory, 'nowhere');
    await assert.rejects(lockDirectory(nowhere), { message: `${nowhere} cannot be locked` });
    writeFileSync(join(directory, 'lock'), 'what somebody else put there, long enough to be no empty file'.repeat(20));
    await assert.rejects(lockDirectory(directory), { message: `${directory} cannot be locked` });
  });

  test('has one holder however often that is killed and several begin at once', { timeout: 300_000 }, async (t) => {
    const directory = directoryOf(t);
    let starters = await Promise.all(Array.from({ length: STARTERS }, () => begin(t)));
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const { tell } of starters) tell(directory);
      const said = await Promise.all(starters.map(({ hear }) => hear()));
      const expected = said.map((one) => (one === 'holds' ? one : `${directory} is used by another process`));
      assert.deepEqual(said, expected);
      const holders = starters.filter((_, index) => said[index] === 'holds');
      assert.equal(holders.length, 1, `round ${round}`);
      await Promise.all(holders.map(kill));
      starters = [...starters.filter((one) => !holders.includes(one)), await begin(t)];
    }
  });
});
