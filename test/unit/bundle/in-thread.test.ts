import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { after, suite, test } from 'node:test';
import type { BundleRules } from '../../../src/bundle/bundle.ts';
import { type BundleReader, type BundleReaderOptions, openBundleReader } from '../../../src/bundle/in-thread.ts';
import { PolicyRefused } from '../../../src/bundle/refusal.ts';
import { OPA_DEFAULTS } from '../../../src/opa/opa.ts';
import { keepOpa } from '../../support/kept-opa.ts';
import { bundleRules, echoBundle, fixtureBundle, type Member, packBundle } from '../support/bundles.ts';
import { bundleByOpa, createSigner, OPA_KEYS, signatures, signedRules } from '../support/signing.ts';

keepOpa(OPA_DEFAULTS);

const MIB = 1024 * 1024;
const opened: BundleReader[] = [];
after(() => Promise.all(opened.map((reader) => reader.close())));

function open(options: BundleReaderOptions = {}): BundleReader {
  const reader = openBundleReader(options);
  opened.push(reader);
  return reader;
}

/** Ten megabytes of what tables hold. */
function largeData(): string {
  const users = Array.from({ length: 90_000 }, (_, at) => [
    `user-${at}@ä.example`,
    { roles: ['reader', `team-${at % 97}`], limit: at, note: 'x'.repeat(50) },
  ]);
  return JSON.stringify({ users: Object.fromEntries(users) });
}

suite('a bundle reader', () => {
  test('says what reading in this thread says', async () => {
    const reader = open();
    const [bundle, other] = await Promise.all([
      reader.read(fixtureBundle('echo'), bundleRules),
      reader.read(await echoBundle({ revision: 'r2' }), bundleRules),
    ]);
    assert.deepEqual([bundle.revision, other.revision], ['echo-1', 'r2']);
    assert.equal(Buffer.from(bundle.wasm).subarray(0, 4).toString('latin1'), '\0asm');
    const signed = await reader.read(bundleByOpa('wasm-ps256'), signedRules(OPA_KEYS['wasm-ps256']));
    assert.equal(signed.signedBy, 'default');
  });

  test('leaves the archive as it is', async () => {
    const archive = fixtureBundle('echo');
    await open().read(archive, bundleRules);
    assert.deepEqual(archive, fixtureBundle('echo'));
  });

  test('hands on why a bundle is refused, and reads the next', async () => {
    const reader = open();
    const junk = reader.read(Buffer.from('junk'), bundleRules);
    const large = reader.read(fixtureBundle('echo'), { ...bundleRules, maxBytes: 10 });
    const good = reader.read(fixtureBundle('echo'), bundleRules);
    await assert.rejects(junk, (error) => error instanceof PolicyRefused && error.code === 'archive_invalid');
    await assert.rejects(large, { code: 'too_large' });
    const manifest = { name: '.manifest', content: '{"revision":"r3","roots":["mcp"]}' };
    const stray = await packBundle([manifest, { name: 'data.json', content: '{"other":1}' }]);
    await assert.rejects(reader.read(stray, bundleRules), { code: 'roots_invalid', revision: 'r3' });
    assert.equal((await good).revision, 'echo-1');
  });

  test('ends a thread that takes too long, and reads the next in a new one', async () => {
    const reader = open({ timeoutMs: 0 });
    const hurried: BundleRules = { ...bundleRules, compile: { ...bundleRules.compile, timeoutMs: 1 } };
    await assert.rejects(reader.read(fixtureBundle('echo'), hurried), { code: 'timeout', message: /longer than 1 ms/ });
    assert.equal((await reader.read(fixtureBundle('echo'), bundleRules)).revision, 'echo-1');
  });

  test('ends a thread that takes too much memory, and nothing else', async () => {
    const reader = open({ maxMemoryBytes: 16 * MIB });
    const members: Member[] = [
      { name: '.manifest', content: '{"revision":"r"}' },
      { name: 'policy.wasm' },
      { name: 'data.json', content: largeData() },
    ];
    await assert.rejects(reader.read(await packBundle(members), bundleRules), { code: 'too_large', message: /more memory/ });
    assert.equal((await reader.read(fixtureBundle('echo'), bundleRules)).revision, 'echo-1');
  });

  test('refuses what is being read when it is closed', async () => {
    const reader = open();
    const reading = reader.read(fixtureBundle('echo'), bundleRules);
    await new Promise(setImmediate);
    await reader.close();
    await assert.rejects(reading, { code: 'timeout', message: /was ended/ });
  });

  test('keeps what it compiled: in its thread, and where a folder is given for the next process, unless it is signed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'compiled-'));
    const starved: BundleRules['compile'] = { timeoutMs: 1, maxMemoryBytes: 1 };
    try {
      const signed = signedRules(OPA_KEYS.rs256);
      const first = open({ compiledDirectory: folder });
      await first.read(bundleByOpa('rs256'), signed);
      assert.deepEqual(await readdir(folder), []);
      assert.equal((await first.read(bundleByOpa('rs256'), { ...signed, compile: starved })).signedBy, 'default');
      const plain = openBundleReader({ compiledDirectory: folder });
      opened.push(plain);
      await plain.read(bundleByOpa('rs256'), bundleRules);
      assert.equal((await readdir(folder)).length, 1);
      const next = open({ compiledDirectory: folder });
      assert.equal((await next.read(bundleByOpa('rs256'), { ...bundleRules, compile: starved })).revision, 'signed-1');
      await assert.rejects(
        open({ compiledDirectory: folder }).read(bundleByOpa('rs256'), { ...signed, compile: starved }),
        PolicyRefused,
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('does not hold up the event loop while ten megabytes are hashed, verified and merged', async () => {
    const signer = createSigner();
    const members: readonly Member[] = [
      { name: '.manifest', content: '{"revision":"large"}' },
      { name: 'policy.wasm', content: '\0asm' },
      { name: 'data.json', content: largeData() },
    ];
    const archive = await packBundle([...members, signatures(await signer.sign(members))]);
    const reader = open();
    const rules = { ...signedRules(signer.key), maxBytes: 64 * MIB };
    // Other processes hold this one up as well, and not each time.
    let best = await measure(reader, archive, rules);
    for (let round = 1; round < 10 && best.stallMs >= 50; round++) {
      const next = await measure(reader, archive, rules);
      if (next.stallMs < best.stallMs) best = next;
    }
    assert.ok(best.bundle.signedBy === 'k1' && Buffer.byteLength(best.bundle.data) > 10 * MIB);
    const told = [best.tookMs, best.seenMs, best.workedMs].map((ms) => ms.toFixed(0));
    console.log(
      `10 MiB of data in ${told[0]} ms; the event loop late by ${told[1]} ms at most, at work for ${told[2]} ms in all`,
    );
    assert.ok(best.stallMs < 50, `${best.stallMs} ms`);
  });
});

/** Other processes hold this one up as well: for no longer than it worked itself was it held up by the bundle. */
async function measure(reader: BundleReader, archive: Uint8Array, rules: BundleRules) {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  const before = process.threadCpuUsage();
  delay.enable();
  const start = performance.now();
  const bundle = await reader.read(archive, rules);
  const tookMs = performance.now() - start;
  await new Promise(setImmediate);
  delay.disable();
  const { user, system } = process.threadCpuUsage(before);
  const [seenMs, workedMs] = [delay.max / 1e6, (user + system) / 1000];
  return { bundle, tookMs, seenMs, workedMs, stallMs: Math.min(seenMs, workedMs) };
}
