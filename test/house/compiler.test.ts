/** compiler/opa.wasm.zst is what compiler/ gives, byte for byte. Without Go this is skipped, and says so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compile, hashOf, missingGo, readCommitted } from '../../scripts/compiler.ts';
import { OPA_VERSION } from '../../scripts/opa.ts';
import { read } from './tree.ts';

const withoutGo = missingGo() ?? false;

suite('the compiled OPA', { timeout: 600_000 }, () => {
  test('is what the sources give; `node scripts/compiler.ts build` writes it', { skip: withoutGo }, () => {
    const [fresh, committed] = [compile(), readCommitted()];
    assert.equal(hashOf(committed.wasm), hashOf(fresh.wasm));
    assert.ok(committed.licenses === fresh.licenses, 'compiler/LICENSES.md is not what go.mod gives');
  });

  test('its sources are formatted', { skip: withoutGo }, () => {
    const folder = fileURLToPath(new URL('../../compiler', import.meta.url));
    const { status, stdout } = spawnSync('gofmt', ['-l', '.'], { cwd: folder, encoding: 'utf8' });
    assert.deepEqual([status, stdout], [0, '']);
  });

  test('is the version that the tests compare with', () => {
    assert.ok(read('compiler/go.mod').includes(`github.com/open-policy-agent/opa v${OPA_VERSION}\n`));
  });

  test('names the licence of every module, its own version of Go among them', () => {
    const licenses = read('compiler/LICENSES.md');
    const toolchain = /^toolchain go(\S+)$/m.exec(read('compiler/go.mod'))?.[1];
    assert.ok(licenses.includes(`| Go | ${toolchain} | BSD-3-Clause |`));
    assert.ok(licenses.includes(`| github.com/open-policy-agent/opa | v${OPA_VERSION} | Apache-2.0 |`));
    const listed = [...licenses.matchAll(/^\| ([\w./-]+) \| v?\d\S* \| \S.* \|$/gm)].map(([, name]) => name);
    const told = [...licenses.matchAll(/^## (\S+)$/gm)].map(([, name]) => name);
    assert.ok(listed.length > 15);
    assert.deepEqual(told, listed);
  });
});
