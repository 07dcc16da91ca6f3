import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import fc from 'fast-check';
import { readBundle } from '../../../src/bundle/bundle.ts';
import { type BundleRefusal, PolicyRefused } from '../../../src/bundle/refusal.ts';
import { readResultSet } from '../../../src/policy/decision.ts';
import { compileModule, createEngine, ENTRYPOINTS, type Engine, type EngineOptions } from '../../../src/policy/engine.ts';
import type { Result } from '../../../src/result.ts';
import { bundleRules, fixtureBundle } from '../support/bundles.ts';

const MIB = 1024 * 1024;
const allowed = { allow: true, reason: 'allowed' };

async function load(
  name: 'echo' | 'needy' | 'lacking',
  options: { data?: object } & Partial<Pick<EngineOptions, 'maxMemoryBytes' | 'maxDataMemoryBytes' | 'dataPages'>> = {},
): Promise<Engine> {
  const { wasm, data } = await readBundle(fixtureBundle(name), bundleRules);
  const module = await compileModule(wasm);
  return createEngine({ module, data: JSON.parse(data), maxMemoryBytes: 32 * MIB, now: () => 0, ...options });
}

function input(args: unknown, subject = 'alice'): string {
  return JSON.stringify({ mcp: { arguments: args }, principal: { subject } });
}

function ask(engine: Engine, args: unknown, entrypoint: keyof typeof ENTRYPOINTS = 'inbound'): unknown {
  return answer(engine.take(input(args))(ENTRYPOINTS[entrypoint]));
}

function answer(results: Result<string>): unknown {
  return results.ok ? readResultSet(results.value) : results.denial.reason;
}

const hungry = { hungry: Array.from({ length: 200 }, (_, index) => index) };

const refused = (code: BundleRefusal, why: RegExp) => (error: unknown) => {
  assert.ok(error instanceof PolicyRefused, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, why);
  return true;
};

suite('a policy is refused when it is loaded', () => {
  test('if it asks for a built-in that is not supplied', async () => {
    await assert.rejects(load('needy'), refused('builtin_missing', /built-ins that are not supplied: http.send/));
  });

  test('if it lacks an entry point', async () => {
    await assert.rejects(load('lacking'), refused('entrypoint_missing', /lacks the entry points mcp\/outbound\/decision/));
  });

  test('if it is no WebAssembly', async () => {
    for (const wasm of [new Uint8Array(0), Buffer.from('policy'), Buffer.from('\0asm\x01\0\0\0rest', 'latin1')]) {
      await assert.rejects(compileModule(wasm), refused('wasm_invalid', /not WebAssembly/));
    }
  });

  test('if it is WebAssembly, but nothing that OPA compiled, and the SDK prints nothing of it', async (t) => {
    const printed = t.mock.method(console, 'error', () => {});
    const empty = Buffer.from('\0asm\x01\0\0\0', 'latin1');
    const module = await compileModule(empty);
    assert.throws(
      () => createEngine({ module, data: {}, maxMemoryBytes: MIB, now: () => 0 }),
      refused('wasm_invalid', /not what OPA compiles: it lacks builtins, .*opa_wasm_abi_version.*an imported memory$/),
    );
    assert.equal(printed.mock.callCount(), 0);
  });

  test('if it could print, past the log', async () => {
    const { wasm } = await readBundle(fixtureBundle('echo'), bundleRules);
    // As long as the name of an import that it has, so that nothing else in the module changes.
    const text = Buffer.from(wasm).toString('latin1').replace('\x0copa_builtin0', '\x0copa_println_');
    const module = await compileModule(Buffer.from(text, 'latin1'));
    assert.throws(
      () => createEngine({ module, data: {}, maxMemoryBytes: MIB, now: () => 0 }),
      refused('wasm_invalid', /it asks for opa_println_$/),
    );
  });

  test('if its data need more memory than data may have, whatever evaluations may have', async () => {
    const data = { many: Array.from({ length: 50_000 }, (_, index) => `value ${index}`) };
    await assert.rejects(
      load('echo', { data, maxDataMemoryBytes: 5 * MIB }),
      refused('data_too_large', /^the data need more than the 5242880 bytes of memory of policy.maxDataMemoryBytes$/),
    );
    assert.ok(await load('echo', { data, maxMemoryBytes: MIB, maxDataMemoryBytes: 12 * MIB }));
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
      assert.equal(answer(evaluate(ENTRYPOINTS[entrypoint])), value);
    }
  });

  test('never answers about another input than the one it was given', () => {
    const alice = engine.take(input({ inbound: 'for alice', outbound: 'for alice' }));
    const bob = engine.take(input({ inbound: 'for bob', outbound: 'for bob' }));
    assert.equal(answer(alice(ENTRYPOINTS.inbound)), 'for alice');
    assert.equal(answer(bob(ENTRYPOINTS.inbound)), 'for bob');
    assert.equal(answer(alice(ENTRYPOINTS.outbound)), 'for alice');
    assert.equal(answer(bob(ENTRYPOINTS.outbound)), 'for bob');
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

  test('has the same memory for an evaluation, however much its data occupy', async () => {
    const many = Array.from({ length: 200_000 }, (_, index) => index);
    const answers = { inbound: 1 };
    const large = await load('echo', { data: { answers, many }, maxMemoryBytes: 8 * MIB });
    const small = await load('echo', { data: { answers }, maxMemoryBytes: 8 * MIB });
    const text = 'x'.repeat(MIB);
    for (const one of [large, small, large]) {
      assert.equal(ask(one, { inbound: text }), text);
      assert.equal(ask(one, { text: 'x'.repeat(6 * MIB) }), 'policy_memory');
    }
  });

  test('is not loaded to be measured where that is known', async () => {
    const data = { many: Array.from({ length: 100_000 }, (_, index) => index) };
    const engine = await load('echo', { data, maxMemoryBytes: MIB, maxDataMemoryBytes: MIB, dataPages: 1000 });
    assert.equal(ask(engine, {}), undefined);
    const tight = load('echo', { data, maxMemoryBytes: MIB, dataPages: 80 });
    await assert.rejects(tight, refused('data_too_large', /need more than/));
  });

  test('that ends in a conflict ends that evaluation, and no other', () => {
    assert.equal(ask(engine, { trap: true }), 'policy_failed');
    assert.deepEqual(ask(engine, {}), allowed);
  });

  test('still answers about an input taken before another one failed', () => {
    const early = engine.take(input({ inbound: 'early' }));
    assert.equal(answer(early(ENTRYPOINTS.inbound)), 'early');
    assert.equal(ask(engine, { trap: true }), 'policy_failed');
    assert.equal(answer(early(ENTRYPOINTS.inbound)), 'early');
  });

  test('says in the log what went wrong', () => {
    const result = engine.take(input({ trap: true }))(ENTRYPOINTS.inbound);
    assert.ok(!result.ok && typeof result.denial.cause === 'string');
    assert.match(result.denial.cause, /conflict/);
  });

  test('fails over an input that is no JSON, and answers the next', () => {
    for (const text of ['', '{', 'null null', '{"a":}']) {
      const result = engine.take(text)(ENTRYPOINTS.inbound);
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
