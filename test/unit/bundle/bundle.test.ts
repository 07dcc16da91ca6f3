import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { readBundle } from '../../../src/policy/bundle.ts';
import { PolicyRefused } from '../../../src/policy/engine.ts';
import { fixtureBundle, type Member, packBundle, packTar } from '../support/bundles.ts';

const MIB = 1024 * 1024;
const limits = { maxBytes: 4 * MIB };

const wasm: Member = { name: 'policy.wasm', content: '\0asm' };
const manifest: Member = { name: '.manifest', content: '{"revision":"r1"}' };
const good = [wasm, manifest, { name: 'data.json', content: '{"a":1}' }];

/** A bundle with nothing wrong but what is given. */
async function refused(members: readonly Member[], why: RegExp): Promise<void> {
  await assert.rejects(
    packBundle(members).then((archive) => readBundle(archive, limits)),
    (error) => {
      assert.ok(error instanceof PolicyRefused, String(error));
      assert.match(error.message, why);
      return true;
    },
  );
}

suite('a bundle', () => {
  test('as opa writes it is read', async () => {
    const { wasm: module, data, revision } = await readBundle(fixtureBundle('echo'), limits);
    assert.equal(Buffer.from(module).subarray(0, 4).toString('latin1'), '\0asm');
    assert.deepEqual(Object.keys(JSON.parse(data)), ['answers']);
    assert.equal(revision, 'echo-1');
  });

  for (const prefix of ['', '/', './']) {
    test(`may name its members with ${prefix || 'nothing'} in front`, async () => {
      const archive = await packBundle(good.map((member) => ({ ...member, name: prefix + member.name })));
      assert.deepEqual((await readBundle(archive, limits)).data, '{"a":1}');
    });
  }

  test('may have folders, and members that are not read', async () => {
    const archive = await packBundle([
      { name: 'mcp/', type: 'directory' },
      { name: 'mcp/a.rego', content: 'package a' },
      ...good,
    ]);
    assert.equal((await readBundle(archive, limits)).revision, 'r1');
  });

  test('may have no data', async () => {
    assert.deepEqual((await readBundle(await packBundle([wasm, manifest]), limits)).data, '{}');
  });
});

suite('a bundle is refused', () => {
  test('where it is no archive at all', async () => {
    const archives: Record<string, Uint8Array> = {
      nothing: new Uint8Array(0),
      text: Buffer.from('policy'),
      'a tar that is not gzipped': await packTar(good),
      'a gzipped text': gzipSync('policy'.repeat(200)),
      'cut short': fixtureBundle('echo').subarray(0, 30_000),
      'a tar cut short': gzipSync((await packTar(good)).subarray(0, 700)),
    };
    for (const [name, archive] of Object.entries(archives)) {
      await assert.rejects(readBundle(archive, limits), /not a gzipped tar archive|no policy.wasm/, name);
    }
  });

  test('where it holds anything but files and folders', async () => {
    for (const type of ['symlink', 'link'] as const) {
      await refused([...good, { name: 'more', type, linkname: '/etc/passwd' }], new RegExp(`more is a ${type}`));
    }
    for (const type of ['character-device', 'block-device', 'fifo'] as const) {
      await refused([...good, { name: 'more', type }], new RegExp(`more is a ${type}`));
    }
  });

  test('where a name leaves the root or has two spellings', async () => {
    for (const name of ['../policy.wasm', 'a/../policy.wasm', '/../x', 'a/./b', '//x', 'a//b', '..']) {
      await refused([...good, { name, content: 'x' }], /is not allowed/);
    }
  });

  test('where a member is there twice, in whatever spelling', async () => {
    for (const name of ['policy.wasm', '/policy.wasm', './policy.wasm']) {
      await refused([...good, { name, content: 'other' }], /policy.wasm is in the bundle twice/);
    }
  });

  test('where it is too large, packed or unpacked', async () => {
    const large = await packBundle([...good, { name: 'large', content: Buffer.alloc(limits.maxBytes) }]);
    assert.ok(large.byteLength < 10_000);
    await assert.rejects(readBundle(large, limits), /unpacks to more than 4194304 bytes/);
    await assert.rejects(readBundle(Buffer.alloc(limits.maxBytes + 1), limits), /larger than 4194304 bytes/);
  });

  test('where it is a bomb: zeros after the end of the archive count as well', async () => {
    const bomb = gzipSync(Buffer.concat([await packTar(good), Buffer.alloc(64 * MIB)]));
    const before = process.memoryUsage.rss();
    await assert.rejects(readBundle(bomb, limits), /unpacks to more than/);
    assert.ok(process.memoryUsage.rss() - before < 32 * MIB);
  });

  test('where a header promises more than there is', async () => {
    const tar = await packTar(good);
    tar.write('77777777777\0', 124);
    await assert.rejects(readBundle(gzipSync(tar), limits), /not a gzipped tar archive/);
  });

  test('where it has too many members', async () => {
    const many = Array.from({ length: 1000 }, (_, index): Member => ({ name: `member-${index}` }));
    await refused([...many, ...good], /more than 1000 members/);
  });

  test('where it is a delta', async () => {
    await refused([...good, { name: 'patch.json', content: '{"data":[]}' }], /delta bundles/);
  });

  test('where there is no policy', async () => {
    await refused([manifest], /no policy.wasm/);
  });

  test('where there is no revision that can be told', async () => {
    const revisions = ['', ' ', 'a b', 'a\n', 'a'.repeat(129), 'ä', 1, null, ['r1'], { toString: 'r1' }];
    for (const revision of revisions) {
      await refused([wasm, { name: '.manifest', content: JSON.stringify({ revision }) }], /no revision/);
    }
    await refused([wasm], /no revision/);
    await refused([wasm, { name: '.manifest', content: '{}' }], /no revision/);
  });

  test('where the manifest or the data is no strict JSON object', async () => {
    for (const content of ['[]', 'null', '"x"', '1']) {
      await refused([wasm, manifest, { name: 'data.json', content }], /data.json is not a JSON object/);
    }
    for (const [content, why] of [
      ['', 'json_invalid'],
      ['{', 'json_invalid'],
      ['{"a":1,"a":2}', 'json_duplicate_key'],
      [`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`, 'json_too_deep'],
      ['\ufeff{}', 'json_invalid'],
    ] as const) {
      await refused([wasm, manifest, { name: 'data.json', content }], new RegExp(`data.json cannot be read: ${why}`));
      await refused([wasm, { name: '.manifest', content }], new RegExp(`.manifest cannot be read: ${why}`));
    }
  });

  test('where it has data that would not be read', async () => {
    for (const name of ['roles/data.json', 'data.yaml', 'roles/data.yml']) {
      await refused([...good, { name, content: '{}' }], /would not be read/);
    }
  });
});

test('a member called __proto__ is a member like others', async () => {
  const content = '{"__proto__":{"polluted":true},"a":1}';
  const { data } = await readBundle(await packBundle([wasm, manifest, { name: 'data.json', content }]), limits);
  assert.equal(data, content);
});
