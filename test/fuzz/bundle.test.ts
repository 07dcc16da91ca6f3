/** Whatever bytes come for a bundle, the answer is a bundle or a refusal. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { unpackArchive } from '../../src/bundle/archive.ts';
import { readBundle } from '../../src/bundle/bundle.ts';
import { PolicyRefused } from '../../src/bundle/refusal.ts';
import { bundleRules, fixtureBundle, type Member, packBundle, packTar } from '../unit/support/bundles.ts';
import { bundleByOpa, OPA_KEYS, signedRules } from '../unit/support/signing.ts';
import { runs } from './runs.ts';

const MAX_BYTES = 1 << 20;

async function settles(read: () => Promise<unknown>): Promise<void> {
  try {
    await read();
  } catch (error) {
    assert.ok(error instanceof PolicyRefused, `${error}`);
  }
}

/** Some bytes of it others, some gone, some twice. */
function mutate(bytes: Buffer, changes: readonly (readonly [number, number, number])[]): Buffer {
  let changed = Buffer.from(bytes);
  for (const [place, kind, value] of changes) {
    const at = Math.floor(place * changed.length);
    if (kind === 0) changed[at] = value;
    else if (kind === 1) changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + value)]);
    else if (kind === 2) changed = Buffer.concat([changed.subarray(0, at + value), changed.subarray(at)]);
    else changed = changed.subarray(0, at);
  }
  return changed;
}

const changes = fc.array(fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.nat(3), fc.nat(255)), {
  minLength: 1,
  maxLength: 4,
});

suite('an archive', () => {
  test('of any bytes, gzipped or not', () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), fc.boolean(), (bytes, isZipped) =>
        settles(() => unpackArchive(isZipped ? gzipSync(bytes) : bytes, MAX_BYTES)),
      ),
      runs(300),
    ));

  test('with headers of any bytes', async () => {
    const tar = await packTar([
      { name: `${'long/'.repeat(40)}ä.rego`, content: 'package a' },
      { name: 'a/', type: 'directory' },
      { name: 'data.json', content: '{}' },
    ]);
    await fc.assert(
      fc.asyncProperty(changes, (list) => settles(() => unpackArchive(gzipSync(mutate(tar, list)), MAX_BYTES))),
      runs(500),
    );
  });

  test('that OPA wrote and something damaged', () =>
    fc.assert(
      fc.asyncProperty(changes, (list) => settles(() => unpackArchive(mutate(bundleByOpa('rs256'), list), MAX_BYTES))),
      runs(300),
    ));
});

suite('a bundle', () => {
  test('that OPA signed counts as it was signed or not at all', async () => {
    const tar = gunzipSync(bundleByOpa('wasm-ps256'));
    const rules = signedRules(OPA_KEYS['wasm-ps256']);
    const { data, modules, wasm, revision } = await readBundle(gzipSync(tar), rules);
    await fc.assert(
      fc.asyncProperty(changes, (list) =>
        settles(async () => {
          const other = await readBundle(gzipSync(mutate(tar, list)), rules);
          assert.deepEqual([other.data, other.modules, other.wasm, other.revision], [data, modules, wasm, revision]);
        }),
      ),
      runs(200),
    );
  });

  test('with members of any content', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            name: fc.constantFrom(
              '.manifest',
              'data.json',
              'a/data.json',
              'b/.manifest',
              'x.rego',
              '.signatures.json',
              'patch.json',
            ),
            content: fc.oneof(fc.json(), fc.string(), fc.uint8Array({ maxLength: 40 })),
          }),
        ),
        fc.boolean(),
        (members: readonly Member[], isSigned) =>
          settles(async () => {
            const archive = await packBundle([{ name: 'policy.wasm' }, ...members]);
            await readBundle(archive, isSigned ? signedRules(OPA_KEYS.es256) : bundleRules);
          }),
      ),
      runs(300),
    ));

  test('cut short anywhere', async () => {
    const archive = fixtureBundle('lacking');
    const rounds = Array.from({ length: 100 }, (_, at) => Math.floor((at * archive.length) / 100));
    for (const length of rounds) await assert.rejects(readBundle(archive.subarray(0, length), bundleRules), PolicyRefused);
  });
});
