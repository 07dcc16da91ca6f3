/** Against an `opa` on this machine: what it signs and builds of data that nobody wrote by hand, and what it refuses. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import fc from 'fast-check';
import { searchOpa } from '../../../scripts/opa.ts';
import { readBundle } from '../../../src/bundle/bundle.ts';
import { readTreeText, writeTree } from '../../../src/bundle/json-tree.ts';
import { PolicyRefused } from '../../../src/bundle/refusal.ts';
import { OPA_DEFAULTS } from '../../../src/opa/opa.ts';
import { keepOpa } from '../../support/kept-opa.ts';
import { bundleRules, type Member, packBundle, unpackBundle } from '../support/bundles.ts';
import { signedRules } from '../support/signing.ts';

keepOpa(OPA_DEFAULTS);

const opa = searchOpa();
const rego: Record<string, string> = {
  'in.rego': 'package mcp.inbound\n\ndecision := {"allow": data.table[input.x], "reason": "allowed"}\n',
  'deep/out.rego': 'package mcp.outbound\n\nimport data.mcp.inbound\n\ndecision := {"allow": inbound.decision.allow}\n',
};
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = (id: string) => ({ id, algorithm: 'RS256', key: String(publicKey.export({ type: 'spki', format: 'pem' })) }) as const;

suite('beside opa', { skip: opa.problem ?? false }, () => {
  let folder = '';
  let signingKey = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bundle-'));
    signingKey = join(folder, 'key.pem');
    await writeFile(signingKey, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  });
  after(() => rm(folder, { recursive: true }));

  function run(args: readonly string[], cwd: string): { readonly ok: boolean; readonly said: string } {
    const { status, stderr, stdout } = spawnSync(opa.path ?? 'opa', args, { cwd, encoding: 'utf8' });
    return { ok: status === 0, said: stderr + stdout };
  }

  async function write(name: string, files: Readonly<Record<string, string>>): Promise<string> {
    const place = join(folder, name);
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(place, path)), { recursive: true });
      await writeFile(join(place, path), text);
    }
    return place;
  }

  async function membersOf(place: string): Promise<Member[]> {
    const entries = await readdir(place, { recursive: true, withFileTypes: true });
    const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    return Promise.all(paths.map(async (path) => ({ name: path.slice(place.length + 1), content: await readFile(path) })));
  }

  test('data of every kind has the hashes that it signs, file by file and merged', async () => {
    const numbers = fc.sample(number, 120);
    const files = Object.fromEntries(
      fc.sample(fc.json({ stringUnit: 'binary', maxDepth: 4 }), 80).map((text, at) => [`f${at}/data.json`, text]),
    );
    // Half a surrogate pair is refused here, and U+FFFD there.
    const whole = Object.fromEntries(Object.entries(files).filter(([, text]) => !/\\ud[89a-f]/i.test(text)));
    const place = await write('signed', {
      ...whole,
      ...rego,
      'numbers/data.json': `[${numbers.join(',')}]`,
      'y/data.yaml': numbers.map((one) => `- ${one}`).join('\n'),
      '.manifest': `{"revision":"odd-1","metadata":{"n":${numbers[0]},"s":"<\\u2028>"}}`,
    });
    const out = join(folder, 'odd.tar.gz');
    assert.deepEqual(run(['build', '-b', '.', '--signing-key', signingKey, '-o', out], place), { ok: true, said: '' });
    const built = await readBundle(await readFile(out), signedRules(key('default')));
    const merged = (await unpackBundle(await readFile(out))).get('data.json');
    assert.equal(built.data, writeTree(readTreeText(String(merged))));

    const signing = run(['sign', '--signing-key', signingKey, '--bundle', '.'], place);
    assert.ok(signing.ok, signing.said);
    const members = await membersOf(place);
    assert.ok(members.length > 50);
    const signed = await readBundle(await packBundle(members), signedRules(key('mine'), { keyId: 'mine' }));
    assert.equal(signed.data, built.data);
    assert.deepEqual(signed.wasm, built.wasm);
  });

  test('a folder beside the one it builds in is read, and its data lies where it lies for OPA', async () => {
    await write('beside/policy', { ...rego, 'table/data.json': '{"x":true}' });
    const place = await write('beside/ci', { empty: '' });
    const flags = ['--revision', 'beside-1', '--signing-key', signingKey];
    assert.deepEqual(run(['build', '-b', '../policy', ...flags, '-o', 'built.tar.gz'], place), { ok: true, said: '' });
    const archive = await readFile(join(place, 'built.tar.gz'));
    assert.ok((await unpackBundle(archive)).has('../policy/in.rego'));
    const built = await readBundle(archive, signedRules(key('default')));
    assert.deepEqual(
      [built.revision, built.data, Object.keys(built.modules).sort()],
      ['beside-1', '{"table":{"x":true}}', ['policy/deep/out.rego', 'policy/in.rego']],
    );

    const names = ['../policy/table/data.json', '../../ci/.x/data.json', '../data.json'];
    const data = names.map((name, at) => ({ name, content: `{"at${at}":${at}}` }));
    const modules = Object.entries(rego).map(([name, content]) => ({ name: `../policy/${name}`, content }));
    const packed = await packBundle([...data, ...modules, { name: '.manifest', content: '{"revision":"beside-2"}' }]);
    await writeFile(join(place, 'packed.tar.gz'), packed);
    const { ok, said } = run(['eval', '-b', 'packed.tar.gz', 'data', '--format', 'raw'], place);
    assert.ok(ok, said);
    const { mcp: _, ...merged } = JSON.parse(said);
    assert.deepEqual(JSON.parse((await readBundle(packed, bundleRules)).data), merged);
    assert.equal(Object.keys(merged).length, 3);
  });

  test('Rego becomes the module that it builds', async () => {
    const place = await write('same', { ...rego, '.manifest': '{"revision":"same-1","roots":["mcp","table"]}' });
    const out = join(folder, 'same.tar.gz');
    const entrypoints = ['-e', 'mcp/inbound/decision', '-e', 'mcp/outbound/decision'];
    assert.deepEqual(run(['build', '-t', 'wasm', ...entrypoints, '-b', '.', '-o', out], place), { ok: true, said: '' });
    const { wasm } = await readBundle(await packBundle(await membersOf(place)), bundleRules);
    assert.ok(Buffer.from(wasm).equals((await unpackBundle(await readFile(out))).get('policy.wasm') ?? Buffer.alloc(0)));
  });

  const cases: readonly (readonly [name: string, files: Readonly<Record<string, string>>])[] = [
    ['two-values', { 'a/data.json': '{"b":1}', 'data.json': '{"a":{"b":2}}' }],
    ['one-value-twice', { 'a/data.json': '{"b":1}', 'data.json': '{"a":{"b":1}}' }],
    ['merged', { 'a/data.json': '{"b":1}', 'data.json': '{"a":{"c":1}}' }],
    ['array-at-the-root', { 'data.json': '[]' }],
    ['array-below', { 'a/data.json': '[1]' }],
    ['not-json', { 'data.json': '{' }],
    ['not-yaml', { 'data.yaml': 'a: [' }],
    ['outside', { 'data.json': '{"x":1}', '.manifest': '{"revision":"r","roots":["mcp"]}' }],
    ['inside', { 'data.json': '{"x":{"y":1}}', '.manifest': '{"revision":"r","roots":["mcp","x/y"]}' }],
    ['beside', { 'data.json': '{"x":{"z":1}}', '.manifest': '{"revision":"r","roots":["mcp","x/y"]}' }],
    ['like-a-root', { 'data.json': '{"xy":1}', '.manifest': '{"revision":"r","roots":["mcp","x"]}' }],
    ['overlap', { '.manifest': '{"revision":"r","roots":["mcp","mcp/inbound"]}' }],
    ['slashes', { '.manifest': '{"revision":"r","roots":["/mcp/"]}' }],
    ['no-roots', { '.manifest': '{"revision":"r","roots":[]}' }],
    ['null-roots', { '.manifest': '{"revision":"r","roots":null}' }],
    ['package-outside', { '.manifest': '{"revision":"r","roots":["mcp/inbound"]}' }],
    ['version', { '.manifest': '{"revision":"r","rego_version":7}' }],
    ['version-of-a-file', { '.manifest': '{"revision":"r","file_rego_versions":{"/x.rego":7}}' }],
    [
      'older-rego',
      { 'x.rego': 'package x\n\np { input.q }\n', '.manifest': '{"revision":"r","file_rego_versions":{"/x.rego":0}}' },
    ],
    ['older-rego-untold', { 'x.rego': 'package x\n\np { input.q }\n' }],
    [
      'no-such-module',
      { '.manifest': '{"revision":"r","wasm":[{"entrypoint":"mcp/inbound/decision","module":"/policy.wasm"}]}' },
    ],
    ['two-manifests', { 'a/.manifest': '{}' }],
    ['manifest-of-another-name', { 'a/b.manifest': '{}' }],
    ['hidden-folder', { '.h/data.json': '{"a":1}', 'h/data.json': '{"a":1}' }],
  ];
  for (const [name, files] of cases) {
    test(`the same is refused: ${name}`, async () => {
      const place = await write(`case-${name}`, { '.manifest': '{"revision":"r"}', ...rego, ...files });
      const built = run(['build', '-b', '.', '-o', join(folder, 'case.tar.gz')], place);
      const archive = await packBundle(await membersOf(place));
      const read = await readBundle(archive, bundleRules).then(
        () => ({ ok: true, said: '' }),
        (error) => ({ ok: false, said: error instanceof PolicyRefused ? `${error.code}: ${error.message}` : String(error) }),
      );
      assert.equal(read.ok, built.ok, `opa: ${built.said} here: ${read.said}`);
    });
  }
});

/** A number as JSON may write it. */
const number = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.bigInt({ min: 0n, max: 10n ** 25n }),
    fc.constantFrom('', '.0', '.5', '.10', '.25'),
    fc.constantFrom('', 'e3', 'E+7', 'e-9', 'e0'),
  )
  .map((parts) => parts.join(''));
