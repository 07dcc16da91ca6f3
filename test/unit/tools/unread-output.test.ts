/** The tools as processes whose output nobody reads, or which cannot be written: no finding, no stack trace. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { suite, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createFolder, LEAST } from './support.ts';

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));

/** Every line flips: all were refused, and the policy allows everything. */
const LINE = JSON.stringify({
  type: 'decision',
  timestamp: '2026-11-20T09:00:00Z',
  decision_id: 'd-1',
  decision: 'deny',
  reason: 'role_missing',
  bundles: { policy: { revision: 'r1' } },
  input: { version: 1, mcp: { backend: 'ledger', tool: 'pay', arguments: null }, principal: {} },
  result: { allow: false, reason: 'role_missing' },
});
const FILES = {
  ...LEAST,
  'mcp/inbound_test.rego': 'package mcp.inbound_test\n\ntest_it if true\n',
  log: `${LINE}\n`.repeat(5000),
};

const VERBS = [
  '--help',
  '--version',
  'policy --help',
  'policy test -v FOLDER',
  'policy replay --json --bundle FOLDER FOLDER/log',
  'policy eval FOLDER --as a --client c --backend b --tool t --expect allow',
];

async function endOf(t: TestContext, args: string[], stdout: 'pipe' | number) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', stdout, 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  const said = text(child.stderr as NonNullable<typeof child.stderr>);
  return { child, end: once(child, 'close').then(async ([code]) => ({ code, said: await said })) };
}

suite('a tool whose output is not read', { timeout: 300_000 }, () => {
  for (const verb of VERBS) {
    test(`ends with 141: ${verb}`, async (t) => {
      const args = verb.replaceAll('FOLDER', await createFolder(t, FILES)).split(' ');
      const { child, end } = await endOf(t, args, 'pipe');
      child.stdout?.destroy();
      assert.deepEqual(await end, { code: 141, said: '' });
    });
  }

  test('any more: it is not waited for', async (t) => {
    const folder = await createFolder(t, FILES);
    const { child, end } = await endOf(t, ['policy', 'replay', '--json', '--bundle', folder, join(folder, 'log')], 'pipe');
    await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
    child.stdout?.destroy();
    assert.deepEqual(await end, { code: 141, said: '' });
  });

  test('because it cannot be written: that is said', { skip: !existsSync('/dev/full') }, async (t) => {
    const full = await open('/dev/full', 'w');
    t.after(() => full.close());
    const { end } = await endOf(t, ['--help'], full.fd);
    const { code, said } = await end;
    assert.match(said, /^standard output: .*ENOSPC.*\n$/);
    assert.equal(code, 2);
  });
});
