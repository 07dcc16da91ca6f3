/** docs/tutorial.md as a reader would go through it: in an empty folder, block by block, with a lab of its own; and then CI. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { read, root } from '../house/tree.ts';
import { stepsOf, walkThrough } from '../support/document.ts';

test('the tutorial, from an empty folder to an enforced rule', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tutorial-'));
  const lab = join(folder, '.lab');
  // Beside other labs: where the page has the clone's folder, a folder of its own.
  const steps = stepsOf(read('docs/tutorial.md').replaceAll('$GATEWAY/.lab/', `${lab}/`));
  const began = performance.now();
  try {
    await walkThrough(steps, folder, { ...process.env, GATEWAY: root.replace(/\/$/, ''), LAB_DIR: lab });
    t.diagnostic(
      `${steps.filter(({ language }) => language === 'sh').length} blocks in ${Math.round(performance.now() - began)} ms`,
    );
    await runWorkflow(t, join(folder, 'ledger-policy'));
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
});

/** What the workflow of the starter would run on what the reader has then, but for how the tool gets there. */
async function runWorkflow(t: TestContext, policy: string): Promise<void> {
  const { jobs } = parse(await readFile(join(policy, '.github/workflows/policy.yaml'), 'utf8'));
  const [, ...commands] = jobs.policy.steps.flatMap(({ run }: { run?: string }) => run ?? []) as string[];
  assert.equal(commands.length, 3);
  for (const command of commands) {
    const here = command.replace('node .mcp-ext-authz/dist/main.js', `'${process.execPath}' '${root}src/main.ts'`);
    const { status, stdout, stderr } = spawnSync('bash', ['-e', '-c', here], { cwd: policy, encoding: 'utf8' });
    assert.equal(status, 0, `$ ${command}\n${stdout}${stderr}`);
    t.diagnostic(`${command}: passes`);
  }
}
