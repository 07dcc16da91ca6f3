import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readBundle } from '../../../src/bundle/bundle.ts';
import { policy as policySettings } from '../../../src/config-schema/policy.ts';
import { compileModule } from '../../../src/policy/engine.ts';
import { measureFootprint } from '../../../src/policy/footprint.ts';
import { bundleRules, echoBundle, fixtureBundle, loadArchive } from '../support/bundles.ts';

const MIB = 1024 * 1024;
const DEFAULTS = policySettings.shape;

/** As who may do what is written down: about 30 bytes of JSON each. */
function people(bytes: number): object {
  const count = Math.ceil(bytes / 33);
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`u${String(n).padStart(6, '0')}`, { r: ['a', 'b'], n }]));
}

async function echo() {
  const { wasm } = await readBundle(fixtureBundle('echo'), bundleRules);
  const module = await compileModule(wasm);
  const share = (text: string): SharedArrayBuffer => {
    const shared = new SharedArrayBuffer(Buffer.byteLength(text));
    Buffer.from(shared).write(text);
    return shared;
  };
  return (text: string, maxDataMemoryBytes = 64 * MIB) =>
    measureFootprint(module, wasm.byteLength, share(text), maxDataMemoryBytes);
}

suite('data', () => {
  test('of some megabytes are loaded under the default limits, and leave an evaluation all of its memory', async () => {
    const limits = {
      maxMemoryBytes: DEFAULTS.maxMemoryBytes.parse(undefined),
      maxDataMemoryBytes: DEFAULTS.maxDataMemoryBytes.parse(undefined),
    };
    const policy = await loadArchive(await echoBundle({ data: { people: people(2 * MIB) } }), { ...limits, workers: 2 });
    try {
      const large = 'x'.repeat(4 * MIB);
      for (const caller of ['anna', 'bert', 'carl']) {
        const input = JSON.stringify({ mcp: { arguments: { large } }, principal: { subject: caller } });
        const { inbound } = await policy.ask({ input, caller, deadlineMs: Number.POSITIVE_INFINITY });
        assert.equal(inbound.ok, true);
      }
    } finally {
      await policy.close();
    }
  });

  test('that need more than data may have are refused as that, with the setting that says so', async () => {
    await assert.rejects(loadArchive(await echoBundle({ data: { people: people(MIB) } }), { maxDataMemoryBytes: 16 * MIB }), {
      name: 'PolicyRefused',
      code: 'data_too_large',
      message: /^the data, 1\d{6} bytes of JSON, need more than the 16777216 bytes of memory of policy.maxDataMemoryBytes$/,
    });
  });

  test('take as many pages as they are found to take, and say which arguments are declared', async () => {
    const measure = await echo();
    const declared = { ledger: { pay: ['amount'] } };
    const mcp = { arguments: declared };
    assert.deepEqual(await measure(JSON.stringify({ mcp })), { pages: 128, declared });
    const large = await measure(JSON.stringify({ mcp, people: people(MIB) }));
    assert.ok(large.pages > 200 && large.pages < 600, `${large.pages} pages`);
    assert.deepEqual(large.declared, declared);
  });

  test('that are no JSON object are refused', async () => {
    const measure = await echo();
    for (const text of ['', '[]', '{', 'null', '{} {}'])
      for (const space of ['', ' '.repeat(MIB)]) await assert.rejects(measure(text + space), { code: 'data_invalid' });
  });
});
