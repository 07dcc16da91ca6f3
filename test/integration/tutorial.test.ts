/** docs/tutorial.md as a reader would go through it: in an empty folder, block by block, with a lab of its own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
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
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
});
