import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import fc from 'fast-check';
import { readBundle } from '../../../src/bundle/bundle.ts';
import { type BundleRefusal, PolicyRefused } from '../../../src/bundle/refusal.ts';
import { readResultSet } from '../../../src/policy/decision.ts';
import { type Engine, type Entrypoint, loadEngine } from '../../../src/policy/engine.ts';
import type { Result } from '../../../src/result.ts';
import { bundleRules, fixtureBundle } from '../support/bundles.ts';

const MIB = 1024 * 1024;
const allowed = { allow: true, reason: 'allowed' };

async function load(
  name: 'echo' | 'needy' | 'lacking',
  options: { data?: object; maxMemoryBytes?: number } = {},
): Promise<Engine> {
  const { wasm, data } = await readBundle(fixtureBundle(name), bundleRules);
  return loadEngine({ wasm, data: JSON.parse(data), maxMemoryBytes: 32 * MIB, now: () => 0, ...options });
}

function input(args: unknown, subject = 'alice'): string {
  return JSON.stringify({ mcp: { arguments: args }, principal: { subject } });
}

function ask(engine: Engine, args: unknown, entrypoint: Entrypoint = 'inbound'): unknown {
  return answer(engine.take(input(args))(entrypoint));
}

function answer(results: Result<string>): unknown {
  return results.ok ? readResultSet(results.value) : results.denial.reason;
}

const hungry = { hungry: Array.from({ length: 200 }, (_, index) => index) };

suite('a policy is refused when it is loaded', () => {
  const refused = (code: BundleRefusal, why: RegExp) => (error: unknown) => {
    assert.ok(error instanceof PolicyRefused, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, why);
    return true;
  };

  test('if it asks for a built-in that is not supplied', async () => {
    await assert.rejects(load('needy'), refused('builtin_missing', /built-ins that are not supplied: http.send/));
  });

  test('if it lacks an entry point', async () => {
    await assert.rejects(load('lacking'), refused('entrypoint_missing', /lacks the entry points mcp\/outbound\/decision/));
  });

  test('if it is no WebAssembly', async () => {
    for (const wasm of [new Uint8Array(0), Buffer.from('policy'), Buffer.from('\0asm\x01\0\0\0rest', 'latin1')]) {
      await assert.rejects(
        loadEngine({ wasm, data: {}, maxMemoryBytes: MIB, now: () => 0 }),
        refused('wasm_invalid', /not WebAssembly/),
      );
    }
  });

  test('if it is WebAssembly, but nothing that OPA compiled', async () => {
    const empty = Buffer.from('\0asm\x01\0\0\0', 'latin1');
    await assert.rejects(
      loadEngine({ wasm: empty, data: {}, maxMemoryBytes: MIB, now: () => 0 }),
      refused('wasm_invalid', /cannot be loaded/),
    );
  });

  test('if its data does not fit into the memory it may have', async () => {
    const data = { many: Array.from({ length: 50_000 }, (_, index) => `value ${index}`) };
    await assert.rejects(
      load('echo', { data, maxMemoryBytes: 2 * MIB }),
      refused('wasm_invalid', /cannot be loaded: opa_malloc/),
    );
  });
});

suite('a policy', () => {
  let engine: Engine;
  before(async () => {
    engine = await load('echo');
  });

  test('answers both questions', () => {
    assert.deepEqual(ask(engine, {}), allowed);
    assert.equal((ask(engine, {}, 'outbound') as { audience: string }).audience, 'https://backend.internal/mcp');
  });

  test('answers both about one input, in either order and again', () => {
    const evaluate = engine.take(input({ inbound: 1, outbound: 2 }));
    for (const [entrypoint, value] of [
      ['inbound', 1],
      ['outbound', 2],
      ['inbound', 1],
    ] as const) {
      assert.equal(answer(evaluate(entrypoint)), value);
    }
  });

  test('never answers about another input than the one it was given', () => {
    const alice = engine.take(input({ inbound: 'for alice', outbound: 'for alice' }));
    const bob = engine.take(input({ inbound: 'for bob', outbound: 'for bob' }));
    assert.equal(answer(alice('inbound')), 'for alice');
    assert.equal(answer(bob('inbound')), 'for bob');
    assert.equal(answer(alice('outbound')), 'for alice');
    assert.equal(answer(bob('outbound')), 'for bob');
  });

  test('is undefined where its rule is', async () => {
    const silent = await load('echo', { data: {} });
    assert.equal(ask(silent, {}), undefined);
    assert.equal(ask(silent, {}, 'outbound'), undefined);
  });

  test('that runs out of memory ends that evaluation, and no other', () => {
    assert.equal(ask(engine, hungry), 'policy_memory');
    assert.deepEqual(ask(engine, {}), allowed);
    assert.equal(ask(engine, hungry), 'policy_memory');
    assert.equal((ask(engine, {}, 'outbound') as { scope: string }).scope, 'backend:tool');
  });

  test('that runs out of memory over the input itself ends that evaluation, and no other', async () => {
    const small = await load('echo', { maxMemoryBytes: MIB });
    assert.equal(ask(small, { text: 'x'.repeat(2 * MIB) }), 'policy_memory');
    assert.deepEqual(ask(small, {}), allowed);
  });

  test('that ends in a conflict ends that evaluation, and no other', () => {
    assert.equal(ask(engine, { trap: true }), 'policy_failed');
    assert.deepEqual(ask(engine, {}), allowed);
  });

  test('still answers about an input taken before another one failed', () => {
    const early = engine.take(input({ inbound: 'early' }));
    assert.equal(answer(early('inbound')), 'early');
    assert.equal(ask(engine, { trap: true }), 'policy_failed');
    assert.equal(answer(early('inbound')), 'early');
  });

  test('says in the log what went wrong', () => {
    const result = engine.take(input({ trap: true }))('inbound');
    assert.ok(!result.ok && typeof result.denial.cause === 'string');
    assert.match(result.denial.cause, /conflict/);
  });

  test('fails over an input that is no JSON, and answers the next', () => {
    for (const text of ['', '{', 'null null', '{"a":}']) {
      const result = engine.take(text)('inbound');
      assert.ok(!result.ok || answer(result) === undefined, text);
    }
    assert.deepEqual(ask(engine, {}), allowed);
  });

  test('gets every string as it is', () => {
    for (const text of ['', '"', '\\', '\0', '\n', 'ä', '𝄞', '\u2028', '\ufeff', '__proto__', '{1,2}', 'set()']) {
      assert.equal(ask(engine, { inbound: text }), text, JSON.stringify(text));
    }
  });

  test('gets names that mean something to JavaScript as plain names', () => {
    const args = JSON.parse('{"inbound":{"__proto__":{"allow":true},"constructor":1,"toString":2}}');
    const value = ask(engine, args) as object;
    assert.deepEqual(Object.keys(value).sort(), ['__proto__', 'constructor', 'toString']);
    assert.equal((value as { allow?: unknown }).allow, undefined);
    assert.equal(({} as { allow?: unknown }).allow, undefined);
  });

  test('does not take memory from one evaluation to the next', () => {
    for (let round = 0; round < 1500; round += 1) ask(engine, { text: 'x'.repeat(20_000) });
    assert.deepEqual(ask(engine, {}), allowed);
  });

  test('has one memory, however many evaluations fail in it', () => {
    assert.equal(ask(engine, hungry), 'policy_memory');
    const before = process.memoryUsage.rss();
    for (let round = 0; round < 10; round += 1) assert.equal(ask(engine, hungry), 'policy_memory');
    const more = (process.memoryUsage.rss() - before) / MIB;
    assert.ok(more < 64, `${more} MiB more, where ten memories would be 320`);
  });

  test('gives back what the arguments say, whatever they say', () => {
    fc.assert(
      fc.property(fc.jsonValue({ depthSize: 'small', noUnicodeString: false }), (value) => {
        const plain = JSON.parse(
          JSON.stringify(value, (_key, one) => (typeof one === 'number' ? Math.trunc(one % 1e6) + 0 : one)),
        );
        assert.deepEqual(ask(engine, { inbound: plain }), plain);
      }),
      { numRuns: 60 },
    );
  });
});
