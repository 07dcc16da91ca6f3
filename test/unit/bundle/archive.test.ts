import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { resolveName, unpackArchive } from '../../../src/bundle/archive.ts';
import { type BundleRefusal, PolicyRefused } from '../../../src/bundle/refusal.ts';
import { fixtureBundle, type Member, packBundle, packTar } from '../support/bundles.ts';
import { cpuMs } from '../support/cpu.ts';

const MIB = 1024 * 1024;
const MAX_BYTES = 4 * MIB;
const good: readonly Member[] = [
  { name: 'policy.wasm', content: '\0asm' },
  { name: '.manifest', content: '{"revision":"r1"}' },
  { name: 'data.json', content: '{"a":1}' },
];

async function refused(archive: Uint8Array | Promise<Uint8Array>, code: BundleRefusal, why: RegExp, about = ''): Promise<void> {
  const unpacked = unpackArchive(await archive, MAX_BYTES);
  await assert.rejects(
    unpacked,
    (error) => error instanceof PolicyRefused && error.code === code && why.test(error.message),
    about,
  );
}

/** Takes back what POSIX added to a header. */
function asOfV7(tar: Buffer, at: number): void {
  tar.fill(0, at + 257, at + 512);
  tar.fill(' ', at + 148, at + 156);
  const sum = tar.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
}

suite('an archive', () => {
  for (const prefix of ['', '/', './']) {
    test(`may name its members with ${prefix || 'nothing'} in front`, async () => {
      const archive = await packBundle(good.map((member) => ({ ...member, name: prefix + member.name })));
      const members = await unpackArchive(archive, MAX_BYTES);
      assert.deepEqual([...members.keys()], ['policy.wasm', '.manifest', 'data.json']);
      assert.equal(String(members.get('data.json')), '{"a":1}');
    });
  }

  test('may name its members by the way to them, as `opa build -b ../policy` does', async () => {
    const names = ['/../policy/inbound.rego', '../../other/data.json', './../.manifest'];
    const members = await unpackArchive(await packBundle(names.map((name) => ({ name }))), MAX_BYTES);
    assert.deepEqual([...members.keys()], ['../policy/inbound.rego', '../../other/data.json', '../.manifest']);
    assert.deepEqual([...members.keys()].map(resolveName), ['policy/inbound.rego', 'other/data.json', '.manifest']);
  });

  test('may be of a tar from before POSIX', async () => {
    const tar = await packTar(good);
    for (let at = 0; at < tar.length; at += 512) if (tar.toString('latin1', at + 257, at + 262) === 'ustar') asOfV7(tar, at);
    const members = await unpackArchive(gzipSync(tar), MAX_BYTES);
    assert.deepEqual([...members.keys()], ['policy.wasm', '.manifest', 'data.json']);
  });

  test('is read in time that grows with its size alone', async () => {
    const part = (at: number, length: number) => `${at.toString(36)}é`.padEnd(length, 'x');
    const many = Array.from({ length: 2500 }, (_, at) => ({
      name: `${Array.from({ length: 63 }, () => part(at, 15)).join('/')}/f`,
    }));
    const archive = await packBundle(many);
    const began = cpuMs();
    assert.equal((await unpackArchive(archive, 64 * MIB)).size, 2500);
    // Every folder of every name folded by itself takes more than twice as long.
    assert.ok(cpuMs() - began < 10_000, `${cpuMs() - began} ms`);
  });

  test('may have folders and names that only pax headers hold', async () => {
    const name = `${'folder/'.repeat(40)}dätä.rego`;
    const archive = await packBundle([{ name: 'mcp/', type: 'directory' }, ...good, { name, content: 'package a' }]);
    assert.equal(String((await unpackArchive(archive, MAX_BYTES)).get(name)), 'package a');
  });
});

suite('an archive is refused', () => {
  test('where it is none', async () => {
    const archives: Record<string, Uint8Array> = {
      nothing: new Uint8Array(0),
      text: Buffer.from('policy'),
      'a tar that is not gzipped': await packTar(good),
      'a gzipped text': gzipSync('policy'.repeat(200)),
      'cut short': fixtureBundle('echo').subarray(0, 30_000),
      'a tar cut short': gzipSync((await packTar(good)).subarray(0, 700)),
    };
    for (const [name, archive] of Object.entries(archives)) await refused(archive, 'archive_invalid', /not a gzipped tar/, name);
  });

  test('where it holds anything but files and folders', async () => {
    for (const type of ['symlink', 'link'] as const)
      await refused(
        packBundle([...good, { name: 'more', type, linkname: '/etc/passwd' }]),
        'member_invalid',
        new RegExp(`a ${type}`),
      );
    for (const type of ['character-device', 'block-device', 'fifo', 'contiguous-file'] as const)
      await refused(packBundle([...good, { name: 'more', type }]), 'member_invalid', new RegExp(`a ${type}`));
  });

  test('where a name can be read in two ways, with what to do where OPA may have written it', async () => {
    const names = ['a\\b', 'a\nb', 'a\u0085b'];
    for (const name of names) await refused(packBundle([...good, { name, content: 'x' }]), 'member_invalid', /not allowed/, name);
    for (const name of ['a/../b', '../a/../b', 'a/./b', '.././b', '//x', '..//x', 'a//b', '..', '../..', '../', '../.'])
      await refused(packBundle([...good, { name, content: 'x' }]), 'member_invalid', /not allowed: .* `opa build -b \.`/, name);
  });

  test('where two names are ways to one place', async () => {
    for (const name of ['../policy.wasm', '/../../Policy.wasm', './../policy.wasm'])
      await refused(
        packBundle([...good, { name, content: 'x' }]),
        'member_invalid',
        /twice, as policy\.wasm: .*`opa build -b \.`/i,
        name,
      );
    await refused(packBundle([...good, { name: '../policy.wasm/x' }]), 'member_invalid', /a file and a folder/);
  });

  test('where a member lies too deep', async () => {
    const deep = (folders: number) => packBundle([...good, { name: `${'../'.repeat(99)}${'a/'.repeat(folders)}b` }]);
    assert.equal((await unpackArchive(await deep(64), MAX_BYTES)).size, 4);
    await refused(deep(65), 'member_invalid', /deeper than 64 folders/);
  });

  test('where a name has a NUL, which some readers take for its end, or is no UTF-8', async () => {
    const tar = await packTar([...good, { name: `${'x'.repeat(120)}.rego`, content: 'package x' }]);
    const long = tar.indexOf('x'.repeat(120));
    const withNul = Buffer.from(tar);
    withNul[long + 60] = 0;
    await refused(gzipSync(withNul), 'member_invalid', /not allowed/);
    const odd = Buffer.from(tar);
    odd[long + 60] = 0xff;
    await refused(gzipSync(odd), 'member_invalid', /not allowed/);
  });

  test('where a name is there twice, in whatever spelling', async () => {
    for (const name of ['policy.wasm', '/policy.wasm', './policy.wasm', 'Policy.wasm', 'ｐolicy.wasm', 'policy.wasm\u200b'])
      await refused(packBundle([...good, { name, content: 'other' }]), 'member_invalid', /in the bundle twice/, name);
  });

  test('where a file is a folder as well', async () => {
    for (const name of ['policy.wasm/x', 'POLICY.wasm/y/z'])
      await refused(packBundle([...good, { name, content: 'x' }]), 'member_invalid', /a file and a folder/, name);
  });

  test('where it is too large, packed or unpacked', async () => {
    const large = await packBundle([...good, { name: 'large', content: Buffer.alloc(MAX_BYTES) }]);
    assert.ok(large.byteLength < 10_000);
    await refused(large, 'too_large', /unpacks to more than 4194304 bytes/);
    await refused(Buffer.alloc(MAX_BYTES + 1), 'too_large', /larger than 4194304 bytes/);
  });

  test('where it is a bomb: zeros after the end of the archive count as well', async () => {
    const bomb = gzipSync(Buffer.concat([await packTar(good), Buffer.alloc(64 * MIB)]));
    const before = process.memoryUsage.rss();
    await refused(bomb, 'too_large', /unpacks to more than/);
    assert.ok(process.memoryUsage.rss() - before < 32 * MIB);
  });

  test('where a header promises more than there is', async () => {
    const tar = await packTar(good);
    tar.write('77777777777\0', 124);
    await refused(gzipSync(tar), 'archive_invalid', /not a gzipped tar/);
  });

  test('where it has too many members, or too long a name', async () => {
    const many = Array.from({ length: 10_001 }, (_, at): Member => ({ name: `${at}` }));
    await assert.rejects(unpackArchive(await packBundle(many), 64 * MIB), {
      code: 'too_large',
      message: /more than 10000 members/,
    });
    await refused(packBundle([...good, { name: 'x'.repeat(1025) }]), 'member_invalid', /too long a name/);
  });
});
