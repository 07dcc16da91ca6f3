import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { suite, test } from 'node:test';
import { readBundle } from '../../../src/bundle/bundle.ts';
import { runVerb } from '../../../src/tools/policy-command.ts';
import { createFolder, INBOUND, LEAST, runPolicyVerb } from './support.ts';

const RULES = { maxBytes: 1 << 24, signing: null, compile: { timeoutMs: 60_000, maxMemoryBytes: 1 << 30 } };
const read = (path: string) => readBundle(readFileSync(path), RULES);

suite('policy build', { timeout: 300_000 }, () => {
  test('a data file that cannot be read is named', async (t) => {
    const folder = await createFolder(t, { ...LEAST, 'access/data.yaml': 'a: [b\n c: d\n' });
    const { code, errors } = await runPolicyVerb('build', folder, '-o', join(folder, 'b.tgz'));
    assert.equal(code, 1);
    assert.match(errors, /access\/data\.yaml:1: yaml: line 1: /);
  });

  test('takes Rego and data, and leaves tests and other files outside', async (t) => {
    const folder = await createFolder(t, {
      ...LEAST,
      'mcp/inbound_test.rego': 'package mcp.inbound_test\n\ntest_x if true\n',
      'access/data.yaml': 'level: 3\n',
      'schemas/x.json': '{}',
      'package.json': '{"name": "x"}',
      '.hidden/x.rego': 'package mcp.inbound\n\nno rego',
      'node_modules/x.rego': 'no rego',
    });
    const output = join(folder, 'bundle.tar.gz');
    const { code, output: said, errors } = await runPolicyVerb('build', folder, '-o', output, '--revision', 'r1');
    assert.deepEqual([code, errors], [0, '']);
    assert.match(said, /bundle\.tar\.gz: revision r1, 2 Rego files, \d+ bytes\n$/);
    const bundle = await read(output);
    assert.deepEqual(Object.keys(bundle.modules).sort(), ['mcp/inbound.rego', 'mcp/outbound.rego']);
    assert.deepEqual(JSON.parse(bundle.data), { access: { level: 3 } });
    const again = join(folder, 'again.tar.gz');
    await runPolicyVerb('build', folder, '-o', again, '--revision', 'r1');
    assert.ok(readFileSync(again).equals(readFileSync(output)), 'the same sources give the same bytes');
  });

  test('gives it to standard output, and says so elsewhere', async (t) => {
    const folder = await createFolder(t, LEAST);
    const [out, err] = [new PassThrough(), new PassThrough()];
    const told = Promise.all([buffer(out), text(err)]);
    assert.equal(await runVerb('policy', 'build', [folder, '-o', '-', '--revision', 'r1'], { out, err }), 0);
    out.end();
    err.end();
    const [archive, said] = await told;
    assert.equal((await readBundle(archive, RULES)).revision, 'r1');
    assert.match(said, /^-: revision r1, /);
    assert.ok(!existsSync('-'));
    const terminal = Object.assign(new PassThrough(), { isTTY: true });
    assert.equal(await runVerb('policy', 'build', [folder, '-o', '-'], { out: terminal, err: new PassThrough() }), 2);
    assert.equal(terminal.read(), null);
  });

  test('names a revision by the time and the commit, so that later ones are greater', async (t) => {
    const folder = await createFolder(t, LEAST);
    const revision = async (): Promise<string> => {
      const output = join(folder, 'bundle.tar.gz');
      assert.equal((await runPolicyVerb('build', folder, '-o', output)).code, 0);
      return (await read(output)).revision;
    };
    const first = await revision();
    assert.match(first, /^\d{8}T\d{6}Z$/);
    const git = (...args: string[]) => execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t', ...args]);
    git('init', '--quiet');
    git('add', 'mcp');
    git('commit', '--quiet', '--no-gpg-sign', '-m', 'x');
    const second = await revision();
    assert.match(second, /^\d{8}T\d{6}Z\.[0-9a-f]{12}$/);
    assert.ok(second > first);
    await writeFile(join(folder, 'mcp/new.rego'), 'package mcp.other\n\nx := 1\n');
    assert.match(await revision(), /\.[0-9a-f]{12}-changed$/);
    await writeFile(join(folder, '.manifest'), '{"revision": "mine"}');
    assert.equal(await revision(), 'mine');
  });

  test('writes nothing that the sidecar would refuse when it is asked on trial', async (t) => {
    const bad: readonly (readonly [Record<string, string>, RegExp])[] = [
      [
        { 'data.json': '{"mcp": {"arguments": {"orders": ["amount"]}}}' },
        /would not load this: data\.mcp\.arguments is not lists/,
      ],
      [
        { 'mcp/inbound.rego': INBOUND.replace('true', '"yes"') },
        /would not load this: mcp\/inbound\/decision was asked on trial/,
      ],
    ];
    for (const [files, said] of bad) {
      const folder = await createFolder(t, { ...LEAST, ...files });
      const output = join(folder, 'bundle.tar.gz');
      const { code, errors } = await runPolicyVerb('build', folder, '-o', output);
      assert.match(errors, said);
      assert.deepEqual([code, existsSync(output)], [1, false]);
    }
  });

  test('compiles where it is asked to', async (t) => {
    const folder = await createFolder(t, {
      ...LEAST,
      'log.rego': 'package system.log\n\nmask contains "/input" if input.result == null\n',
    });
    const output = join(folder, 'bundle.tar.gz');
    assert.equal((await runPolicyVerb('build', folder, '-o', output, '--revision', 'r', '--target', 'wasm')).code, 0);
    const { wasm } = await read(output);
    const exported = Buffer.from(wasm).toString('latin1');
    for (const entrypoint of ['mcp/inbound/decision', 'mcp/outbound/decision', 'system/log/mask'])
      assert.ok(exported.includes(entrypoint), entrypoint);
  });

  const WRONG: readonly [string, Record<string, string>, RegExp][] = [
    [
      'does not compile',
      { 'mcp/inbound.rego': `${INBOUND}\nx := y\n` },
      /mcp\/inbound\.rego:5:6: var y is unsafe\n {4}x := y\n {9}\^/,
    ],
    [
      'has no rule to ask',
      { 'mcp/outbound.rego': 'package mcp.outbound\n\nx := 1\n' },
      /the sidecar would not load this: .*mcp\/outbound\/decision/,
    ],
    [
      'needs what the sidecar lacks',
      { 'mcp/inbound.rego': `${INBOUND.replace('}\n', '} if http.send(input).x == 1\n')}` },
      /the sidecar would not load this: .*http\.send/,
    ],
    ['has data that is none', { 'data.yaml': 'a: [' }, /yaml/i],
  ];
  for (const [name, files, complaint] of WRONG) {
    test(`writes nothing where the policy ${name}`, async (t) => {
      const folder = await createFolder(t, { ...LEAST, ...files, 'bundle.tar.gz': 'the one before' });
      const output = join(folder, 'bundle.tar.gz');
      const { code, output: said, errors } = await runPolicyVerb('build', folder, '-o', output, '--revision', 'r');
      assert.deepEqual([code, said], [1, '']);
      assert.match(errors, complaint);
      assert.equal(readFileSync(output, 'utf8'), 'the one before');
      assert.ok(!existsSync(`${output}.new`));
    });
  }

  test('signs, and says what is wrong with a key', async (t) => {
    const folder = await createFolder(t, LEAST);
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = (key: typeof privateKey) =>
      key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' }).toString();
    await writeFile(join(folder, 'key.pem'), pem(privateKey));
    await writeFile(join(folder, 'public.pem'), pem(publicKey));
    const output = join(folder, 'bundle.tar.gz');
    const build = (...args: string[]) => runPolicyVerb('build', folder, '-o', output, '--revision', 'r', ...args);
    const key = ['--signing-key', join(folder, 'key.pem')];
    const signed = await build(...key, '--signing-keyid', 'prod', '--scope', 'orders');
    assert.match(signed.output, /signed with RS256 by prod\n$/);
    const keys = [{ id: 'prod', algorithm: 'RS256' as const, key: pem(publicKey) }];
    const bundle = await readBundle(readFileSync(output), { ...RULES, signing: { keys, scope: 'orders' } });
    assert.equal(bundle.signedBy, 'prod');
    const wrong: readonly [string[], RegExp][] = [
      [key, /--signing-keyid/],
      [['--signing-keyid', 'prod'], /go with --signing-key/],
      [[...key, '--signing-keyid', 'prod', '--signing-alg', 'ES256'], /a key for ES256 is ec, this is rsa/],
      [[...key, '--signing-keyid', 'prod', '--signing-alg', 'none'], /--signing-alg none: give one of RS256/],
      [['--signing-key', join(folder, 'public.pem'), '--signing-keyid', 'prod'], /a public key/],
      [['--signing-key', join(folder, 'mcp/inbound.rego'), '--signing-keyid', 'prod'], /no private key/],
      [['--signing-key', join(folder, 'nothing'), '--signing-keyid', 'prod'], /there is no such file/],
      [['--target', 'plan'], /give rego or wasm/],
      [['--revision', 'a b'], /visible ASCII/],
    ];
    for (const [args, complaint] of wrong) {
      const { code, errors } = await build(...args);
      assert.equal(code, 2, args.join(' '));
      assert.match(errors, complaint);
      assert.ok(!errors.includes('PRIVATE KEY'));
    }
    assert.match((await runPolicyVerb('build', folder)).errors, /say with -o where/);
  });
});
