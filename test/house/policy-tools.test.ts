/** docs/policy-tools.md, command by command, in a folder of its own: what it shows is what comes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { read, root } from './tree.ts';

interface Block {
  readonly language: string;
  readonly file: string;
  readonly text: string;
}

const blocks: Block[] = [...read('docs/policy-tools.md').matchAll(/^```(\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm)].map(
  ([, language = '', file = '', text = '']) => ({ language, file, text }),
);
const scratch = mkdtempSync(join(tmpdir(), 'policy-tools-'));
after(() => rmSync(scratch, { recursive: true }));

/** What is measured, or made of the time, is another each time. */
const settle = (text: string) =>
  text
    .replace(/ in \d+\.\d s$/gm, ' in … s')
    .replace(/revision \d{8}T\d{6}Z/g, 'revision …')
    .replace(/\b\d+(\.\d+)? (bytes|of data|ms|µs|a second)/g, '… $2');

suite('docs/policy-tools.md', { timeout: 300_000 }, () => {
  let ran = 0;
  let cwd = scratch;

  for (const [index, { language, file, text }] of blocks.entries()) {
    if (file !== '') test(`${index}. writes ${file}`, () => writeFileSync(join(cwd, file), text));
    if (language !== 'sh') continue;
    test(`${index}. ${text.trim().split('\n').at(-1)}`, () => {
      const script = text.replaceAll(/^mcp-ext-authz/gm, `'${process.execPath}' '${join(root, 'src/main.ts')}'`);
      const { stdout, stderr } = spawnSync('sh', ['-c', script], { cwd, encoding: 'utf8' });
      const shown = blocks[index + 1];
      assert.equal(shown?.language, 'text');
      assert.equal(settle(stdout), settle(shown?.text ?? ''), stderr);
      if (text.includes('policy init')) cwd = join(scratch, 'orders-policy');
      ran += 1;
    });
  }

  test('all of the verbs were run', () => assert.ok(ran >= 7, `${ran}`));
});
