import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { suite, test } from 'node:test';
import { type Bundle, type BundleRules, readBundle } from '../../../src/bundle/bundle.ts';
import { compiledKey } from '../../../src/bundle/compile.ts';
import type { CompiledCache } from '../../../src/bundle/compiled-cache.ts';
import { type BundleRefusal, PolicyRefused } from '../../../src/bundle/refusal.ts';
import { OPA_DEFAULTS } from '../../../src/opa/opa.ts';
import { keepOpa } from '../../support/kept-opa.ts';
import { bundleRules, fixtureBundle, type Member, packBundle } from '../support/bundles.ts';

keepOpa(OPA_DEFAULTS);

const wasm: Member = { name: 'policy.wasm', content: '\0asm' };
const manifest: Member = { name: '.manifest', content: '{"revision":"r1"}' };
const inbound: Member = { name: 'in.rego', content: 'package mcp.inbound\n\ndecision := {"allow": true, "reason": "allowed"}\n' };
const outbound: Member = { name: 'out/out.rego', content: 'package mcp.outbound\n\ndecision := {"allow": true}\n' };
const plain = [manifest, inbound, outbound];

const data = (content: string, name = 'data.json'): Member => ({ name, content });
const manifestOf = (rest: object): Member => ({ name: '.manifest', content: JSON.stringify({ revision: 'r1', ...rest }) });

async function read(members: readonly Member[], rules: Partial<BundleRules> = {}, cache?: CompiledCache): Promise<Bundle> {
  return readBundle(await packBundle(members), { ...bundleRules, ...rules }, cache);
}

async function refused(
  members: readonly Member[],
  code: BundleRefusal,
  why: RegExp,
  rules?: Partial<BundleRules>,
): Promise<void> {
  await assert.rejects(read(members, rules), (error) => {
    assert.ok(error instanceof PolicyRefused, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, why);
    return true;
  });
}

suite('a bundle', () => {
  test('as opa writes it is read', async () => {
    const archive = fixtureBundle('echo');
    const bundle = await readBundle(archive, bundleRules);
    assert.equal(Buffer.from(bundle.wasm).subarray(0, 4).toString('latin1'), '\0asm');
    assert.deepEqual(Object.keys(JSON.parse(bundle.data)), ['answers']);
    assert.equal(bundle.revision, 'echo-1');
    assert.equal(bundle.digest, createHash('sha256').update(archive).digest('hex'));
    assert.equal(bundle.signedBy, null);
    assert.ok(Object.keys(bundle.modules).length > 0, 'opa keeps the Rego beside the wasm');
  });

  test('may have folders, members that are not read, and no data', async () => {
    const { modules, data } = await read([
      { name: 'mcp/', type: 'directory' },
      { name: 'mcp/a.json', content: 'x' },
      inbound,
      wasm,
      manifest,
    ]);
    assert.deepEqual([modules, data], [{ 'in.rego': inbound.content }, '{}']);
  });

  test('has its data in files at any depth, each below its folder', async () => {
    const members = [wasm, manifest, data('{"a":{"x":1}}'), data('{"y":2}', 'a/data.json'), data('[1,1e3]', '.b/c/data.json')];
    assert.equal((await read(members)).data, '{"a":{"x":1,"y":2},"b":{"c":[1,1e3]}}');
  });

  test('may name its files by the way to them: what leads up counts for nothing', async () => {
    const old = { name: '../policy/old.rego', content: 'package old\n\np { input.x }\n' };
    const members = [
      manifestOf({ file_rego_versions: { '/../policy/old.rego': 0 } }),
      ...[inbound, outbound].map((member) => ({ ...member, name: `/../policy/${member.name}` })),
      old,
      data('{"b":1}', '../../a/data.json'),
      data('{"c":1}', '../data.json'),
    ];
    const bundle = await read(members);
    assert.deepEqual(Object.keys(bundle.modules), ['policy/in.rego', 'policy/out/out.rego', 'policy/old.rego']);
    assert.equal(bundle.data, '{"a":{"b":1},"c":1}');
    const [, ...others] = members;
    assert.equal((await read([manifestOf({ file_rego_versions: { '/policy/old.rego': 0 } }), ...others])).revision, 'r1');
    await refused([manifest, ...others], 'rego_invalid', /policy\/old\.rego:3/);
  });

  test('may have YAML, read as OPA reads it, and JSON that is called YAML', async () => {
    const yaml = 'a: yes\nb: 010\nc: &x {d: 1.50}\ne: *x\nf: 1.5e300\n"g": ~\n';
    const members = [wasm, manifest, data(yaml, 'y/data.yaml'), data('{"n": 1.0, "m": 1e3}', 'j/data.yml')];
    assert.equal(
      (await read(members)).data,
      '{"j":{"m":1e3,"n":1.0},"y":{"a":"yes","b":8,"c":{"d":1.5},"e":{"d":1.5},"f":1.5e+300,"g":null}}',
    );
  });

  test('has a digest of what is in it, however it is packed, and of no less', async () => {
    const some = [wasm, manifestOf({ roots: ['a'] }), data('{"a":{"x":1,"y":[2]}}'), data('z: 1', 'a/data.yaml')];
    const digestOf = async (members: readonly Member[]) => (await read(members)).contentDigest;
    const digest = await digestOf(some);
    const [, , , ...rest] = some;
    const respelled = data('{ "a": {"y": [2], "x": 1}\n}');
    const remade = { name: '.manifest', content: '{"roots": ["a"], "revision": "r1"}' };
    const signed = { name: '.signatures.json', content: '{"signatures":["x"]}' };
    const moved = { ...wasm, name: '../../policy.wasm' };
    for (const same of [[...some].reverse(), [moved, remade, respelled, ...rest], [...some, signed]])
      assert.equal(await digestOf(same), digest);
    for (const other of [
      [...some, { name: 'README', content: '' }],
      [{ ...wasm, content: '\0asm.' }, ...some.slice(1)],
      [{ ...wasm, name: 'a/policy.wasm' }, ...some.slice(1)],
      [wasm, manifestOf({ roots: ['a', 'b'] }), ...some.slice(2)],
      [...some.slice(0, 2), data('{"a":{"x":1.0,"y":[2]}}'), ...rest],
      [...some.slice(0, 3), data('z: 2', 'a/data.yaml')],
    ])
      assert.notEqual(await digestOf(other), digest);
  });

  test('may tell keys apart by case alone', async () => {
    assert.equal((await read([wasm, manifest, data('{"Bob":1,"bob":2}')])).data, '{"Bob":1,"bob":2}');
  });

  test('has a member called __proto__ like others', async () => {
    const content = '{"__proto__":{"polluted":true},"a":1}';
    assert.equal((await read([wasm, manifest, data(content)])).data, content);
  });

  test('may have a manifest with what OPA knows besides, and with what nobody knows', async () => {
    const rest = { rego_version: 1, file_rego_versions: { '/a.rego': 0 }, metadata: { n: 1 }, note: 'x', roots: ['mcp/', '/a'] };
    const resolver = { entrypoint: 'mcp/inbound/decision', module: '/policy.wasm', annotations: [] };
    assert.equal((await read([wasm, manifestOf({ ...rest, wasm: [resolver] })])).revision, 'r1');
  });
});

suite('a bundle of plain Rego', () => {
  test('is compiled, once for the same Rego, whatever its data', async () => {
    const kept = new Map<string, Uint8Array>();
    const cache: CompiledCache = {
      read: async (key) => kept.get(key) ?? null,
      write: async (key, compiled) => void kept.set(key, compiled),
    };
    const first = await read([...plain, data('{"a":1}')], {}, cache);
    assert.equal(Buffer.from(first.wasm).subarray(0, 4).toString('latin1'), '\0asm');
    assert.deepEqual(first.modules, { 'in.rego': inbound.content, 'out/out.rego': outbound.content });
    const starved = { compile: { timeoutMs: 1, maxMemoryBytes: 1 } };
    const second = await read([...plain, data('{"a":2}')], starved, cache);
    assert.equal(second.data, '{"a":2}');
    assert.deepEqual(second.wasm, first.wasm);
    assert.equal(kept.size, 1);
    await assert.rejects(read([manifestOf({ rego_version: 0 }), inbound, outbound], starved, cache), PolicyRefused);
    const other = { name: 'in.rego', content: `${inbound.content}# other\n` };
    await assert.rejects(read([manifest, other, outbound], starved, cache), PolicyRefused);
  });

  test('has the rules of the decision log as entry points where it has such rules', async () => {
    const log = { name: 'log.rego', content: 'package system.log\n\nmask contains "/input/x"\n' };
    const { wasm: compiled } = await read([...plain, log]);
    const names = Buffer.from(compiled).toString('latin1');
    assert.ok(names.includes('system/log/mask') && names.includes('mcp/inbound/decision'));
    assert.ok(!names.includes('system/log/drop'));
  });

  test('is of the version that its manifest names, those rules too', async () => {
    const log = { name: 'log.rego', content: 'package system.log\n\nmask["/input/x"] { true }\n' };
    const old = { name: 'old.rego', content: 'package old\n\np { input.x }\n' };
    const { wasm: compiled } = await read([manifestOf({ rego_version: 0 }), inbound, outbound, log, old]);
    assert.ok(Buffer.from(compiled).toString('latin1').includes('system/log/mask'));
    await refused([...plain, log], 'rego_invalid', /log\.rego:3/);
    const mixed = manifestOf({ file_rego_versions: { '/log.rego': 0 } });
    assert.ok(Buffer.from((await read([mixed, inbound, outbound, log])).wasm).includes('system/log/mask'));
  });

  test('has a key by all that decides what is compiled, in whatever order', () => {
    const rules = { roots: [''], rego: {} };
    const key = compiledKey({ a: '1', b: '2' }, rules);
    assert.equal(compiledKey({ b: '2', a: '1' }, rules), key);
    for (const other of [
      compiledKey({ a: '1', b: '3' }, rules),
      compiledKey({ a: '12', b: '' }, rules),
      compiledKey({ a: '1', b: '2' }, { ...rules, roots: ['mcp'] }),
      compiledKey({ a: '1', b: '2' }, { ...rules, rego: { rego_version: 0 } }),
    ])
      assert.notEqual(other, key);
  });

  test('is refused where OPA refuses it', async () => {
    await refused([manifest, inbound], 'entrypoint_missing', /mcp\/outbound\/decision/);
    await refused([manifest, data('{}')], 'entrypoint_missing', /neither Rego nor/);
    await refused([...plain, { name: 'x.rego', content: 'package x\n\np := ' }], 'rego_invalid', /x\.rego:3/);
    await refused(
      [...plain, { name: 'x.rego', content: 'package x\n\np := nowhere.call(1)\n' }],
      'rego_invalid',
      /undefined function nowhere\.call/,
    );
    await refused([...plain, { name: 'x.rego', content: 'package x\n\np if q\n\nq if p\n' }], 'rego_invalid', /recursive/);
    await refused([...plain, { name: 'x.rego', content: Buffer.from([0xff]) }], 'rego_invalid', /x\.rego is not UTF-8/);
    const rooted = [manifestOf({ roots: ['mcp/inbound', 'mcp/other'] }), inbound, outbound];
    await refused(rooted, 'roots_invalid', /do not permit .*mcp\.outbound/);
  });

  test('is refused where it compiles for too long or with too much memory', async () => {
    await refused(plain, 'compile_timeout', /longer than 1 ms/, { compile: { timeoutMs: 1, maxMemoryBytes: 2 ** 30 } });
    const strings = Array.from({ length: 60_000 }, (_, at) => `p contains "${'x'.repeat(50)}${at}"`);
    const large = { name: 'x.rego', content: `package x\n\n${strings.join('\n')}\n` };
    await refused([...plain, large], 'compile_memory', /needs more than/, {
      compile: { timeoutMs: 60_000, maxMemoryBytes: 96 * 2 ** 20 },
    });
  });
});

suite('a bundle is refused', () => {
  test('where it is a delta', async () => {
    for (const name of ['patch.json', 'a/patch.json'])
      await refused([wasm, manifest, data('{"data":[]}', name)], 'delta_refused', /delta/);
  });

  test('where there are several policies', async () => {
    await refused([wasm, manifest, { ...wasm, name: 'a/policy.wasm' }], 'wasm_invalid', /several/);
  });

  test('where there is no revision that can be told', async () => {
    for (const revision of ['', ' ', 'a b', 'a\n', 'a'.repeat(129), 'ä', 1, null, ['r1'], { toString: 'r1' }])
      await refused([wasm, manifestOf({ revision })], 'revision_missing', /no revision .* `opa build --revision`/);
    await refused([wasm], 'revision_missing', /no revision/);
    await refused([wasm, { name: '.manifest', content: '{}' }], 'revision_missing', /no revision/);
  });

  test('where the manifest is not one that OPA would accept, or would read otherwise', async () => {
    const resolver = { entrypoint: 'mcp/inbound/decision', module: '/policy.wasm' };
    for (const [rest, why] of [
      [{ roots: 'mcp' }, /no array/],
      [{ roots: [1] }, /no array/],
      [{ rego_version: 2 }, /neither 0 nor 1/],
      [{ file_rego_versions: { a: 'v1' } }, /neither 0 nor 1/],
      [{ wasm: {} }, /no array/],
      [{ wasm: [1] }, /no list/],
      [{ wasm: [{ ...resolver, module: '/other.wasm' }] }, /\/other\.wasm is not there/],
      [{ wasm: [resolver, resolver] }, /there twice/],
      [{ Roots: ['mcp'] }, /differs .* in its spelling/],
      [{ REVISION: 'r2' }, /differs .* in its spelling/],
    ] as const)
      await refused([wasm, manifestOf(rest)], 'manifest_invalid', why);
    for (const [content, why] of [
      ['', /not JSON/],
      ['[]', /no JSON object/],
      ['{"revision":"r1","revision":"r2"}', /twice/],
      ['\ufeff{}', /not JSON/],
      [`{"revision":"r1"}${' '.repeat(2 * 1024 * 1024)}`, /larger than 2097152 bytes/],
    ] as const)
      await refused([wasm, { name: '.manifest', content }], 'manifest_invalid', why);
    await refused([wasm, manifest, { ...manifest, name: 'a/b.manifest' }], 'manifest_invalid', /several/);
    await refused([wasm, { ...manifest, name: '.manifest.pb' }], 'manifest_invalid', /protocol buffer/);
  });

  test('where roots overlap, or something lies outside of them', async () => {
    for (const roots of [
      ['a', 'a'],
      ['a', 'a/b'],
      ['', 'a'],
      ['/a/', 'a'],
    ])
      await refused([wasm, manifestOf({ roots })], 'roots_invalid', /overlap/);
    await refused([wasm, manifestOf({ roots: ['a'] }), data('{"b":1}')], 'roots_invalid', /data at \/b/);
    await refused([wasm, manifestOf({ roots: ['a/b'] }), data('{"a":{"c":1}}')], 'roots_invalid', /data at \/a\/c/);
    await refused([wasm, manifestOf({ roots: ['a/b'] }), data('{"a":1}')], 'roots_invalid', /data at \/a/);
    await refused([wasm, manifestOf({ roots: [] })], 'roots_invalid', /data at \//);
    await refused([wasm, manifestOf({ roots: ['a'] }), data('{"ab":1}')], 'roots_invalid', /data at \/ab/);
    const outside = { entrypoint: 'mcp/inbound/decision', module: 'policy.wasm' };
    await refused([wasm, manifestOf({ roots: ['a'], wasm: [outside] })], 'roots_invalid', /entry point mcp/);
    assert.equal((await read([wasm, manifestOf({ roots: ['a/b', 'c'] }), data('{"a":{"b":{"x":1}},"c":1}')])).revision, 'r1');
  });

  test('where data cannot be read, or two files say different things', async () => {
    for (const content of ['[]', 'null', '"x"', '1'])
      await refused([wasm, manifest, data(content)], 'data_invalid', /data\.json is not a JSON object/);
    for (const [content, why] of [
      ['', /not JSON/],
      ['{', /not JSON/],
      ['{"a":1,"a":2}', /twice/],
      [`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`, /deeper/],
    ] as const)
      await refused([wasm, manifest, data(content)], 'data_invalid', new RegExp(`data\\.json cannot be read: .*${why.source}`));
    await refused([wasm, manifest, data('{"a":{"b":1}}'), data('{"b":1}', 'a/data.json')], 'data_invalid', /\/a\/b/);
    await refused([wasm, manifest, data('{"a":1}'), data('{"b":1}', 'a/data.json')], 'data_invalid', /\/a /);
    await refused(
      [wasm, manifest, data('{"b":1}', 'a/data.json'), data('b: 2', 'a/data.yaml')],
      'data_invalid',
      /a\/data\.yaml .*\/a\/b/,
    );
    await refused([wasm, manifest, data('{"b":1}', 'a/data.json'), data('{"b":1}', '.a/data.json')], 'data_invalid', /\/a\/b/);
    await refused([wasm, manifest, data('a: [', 'x/data.yaml')], 'data_invalid', /YAML data cannot be read.*x\/data\.yaml/);
  });
});
