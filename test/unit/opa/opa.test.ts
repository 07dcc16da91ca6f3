/** The compiled OPA in its thread: what it answers, and what it may cost. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, suite, test } from 'node:test';
import { OPA_VERSION, searchOpa } from '../../../scripts/opa.ts';
import { OPA_DEFAULTS, type Opa, openOpa } from '../../../src/opa/opa.ts';

const POLICY = `package mcp.inbound

default decision := {"allow": false, "reason": "policy_denied"}

decision := {"allow": true, "reason": "allowed"} if input.mcp.method in data.table.methods
`;
const FILES = { 'mcp/inbound.rego': POLICY, 'table/data.yaml': 'methods: [ping]\n' };
const ENTRYPOINT = 'mcp/inbound/decision';
/** Ends in no time that anybody would wait. */
const ENDLESS =
  'count([1 | some a in numbers.range(1, 4000); some b in numbers.range(1, 4000); some c in numbers.range(1, 4000); a + b + c == 1]) == 0';

function opened(options: Partial<Parameters<typeof openOpa>[0]> = {}): Opa {
  const opa = openOpa({ ...OPA_DEFAULTS, ...options });
  after(() => opa.close());
  return opa;
}

suite('the compiled OPA', { timeout: 300_000 }, () => {
  const opa = opened();

  test('says its version', async () => {
    assert.deepEqual(await opa.ask({ command: 'version' }), { result: { opa: OPA_VERSION } });
  });

  test('evaluates, with data by the folder of its file', async () => {
    const ask = (method: string) =>
      opa.ask({ command: 'eval', files: FILES, query: 'data.mcp.inbound.decision.allow', input: { mcp: { method } } });
    assert.equal((await ask('ping')).result?.value, true);
    assert.equal((await ask('pong')).result?.value, false);
  });

  test('an undefined query has no value', async () => {
    const { result } = await opa.ask({ command: 'eval', files: FILES, query: 'data.nothing' });
    assert.ok(result && !('value' in result));
  });

  test('traces what its index would rule out unseen', async () => {
    const files = { 'x.rego': 'package x\n\np if input.tool == "a"\n\np if input.tool == "b"\n' };
    const { result } = await opa.ask({ command: 'eval', files, query: 'data.x.p', input: { tool: 'b' }, trace: true });
    assert.equal(result?.value, true);
    const failed = result?.trace?.filter(({ op }) => op === 'Fail').map(({ row }) => row);
    assert.deepEqual(failed, [3]);
  });

  test('says where a mistake is', async () => {
    const files = { ...FILES, 'mcp/inbound.rego': `${POLICY}\nx := y if true\n` };
    const { errors } = await opa.ask({ command: 'build', target: 'wasm', files, entrypoints: [ENTRYPOINT] });
    assert.deepEqual(errors, [
      { code: 'rego_unsafe_var_error', message: 'var y is unsafe', file: 'mcp/inbound.rego', row: 7, col: 6 },
    ]);
  });

  test('a mistake that has no place is told too', async () => {
    const { errors } = await opa.ask({ command: 'build', target: 'wasm', files: FILES, entrypoints: ['mcp/nothing'] });
    assert.deepEqual(
      errors?.map(({ code }) => code),
      ['error'],
    );
    assert.match(errors?.[0]?.message ?? '', /entrypoint .* does not refer to a rule/);
  });

  test('knows neither files nor the network of its host', async () => {
    const query = 'http.send({"method": "get", "url": "http://127.0.0.1:1/", "raise_error": false}).error.message';
    const { result, errors } = await opa.ask({ command: 'eval', files: FILES, query });
    assert.ok(errors !== undefined || /not|refused|dial/i.test(String(result?.value)), JSON.stringify(result));
  });

  test('has its own memory for each request, and gives it back', async () => {
    const query = 'count(numbers.range(1, 20000))';
    const ask = () => opa.ask({ command: 'eval', files: FILES, query });
    for (let round = 0; round < 5; round++) assert.equal((await ask()).result?.value, 20_000);
    const before = process.memoryUsage().rss;
    for (let round = 0; round < 12; round++) await ask();
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < 400 * 1024 * 1024, `${grown} bytes more after 12 requests`);
  });

  test('answers one after the other, each its own', async () => {
    const asked = [1, 2, 3, 4].map((number) => opa.ask({ command: 'eval', files: FILES, query: `${number} + 1` }));
    assert.deepEqual(
      (await Promise.all(asked)).map(({ result }) => result?.value),
      [2, 3, 4, 5],
    );
  });
});

suite('what costs too much', { timeout: 300_000 }, () => {
  test('is ended after its time, and the next request is answered', async () => {
    const opa = opened({ timeoutMs: 10_000 });
    await assert.rejects(opa.ask({ command: 'eval', files: FILES, query: ENDLESS }), { name: 'OpaFailed', code: 'timeout' });
    assert.equal((await opa.ask({ command: 'eval', files: FILES, query: '1' })).result?.value, 1);
  });

  test('an evaluation ends itself after the time that it is given', async () => {
    const { errors } = await opened().ask({ command: 'eval', files: FILES, query: ENDLESS, timeout_ms: 500 });
    assert.deepEqual(errors, [{ code: 'timeout', message: 'the evaluation took longer than 500ms' }]);
  });

  test('is ended at its memory, and the next request is answered', async () => {
    const opa = opened({ maxMemoryBytes: 160 * 1024 * 1024 });
    const query = 'count(numbers.range(1, 100000000))';
    await assert.rejects(opa.ask({ command: 'eval', files: FILES, query }), { name: 'OpaFailed', code: 'memory' });
    assert.equal((await opa.ask({ command: 'eval', files: FILES, query: '1' })).result?.value, 1);
  });

  test('closing ends what is under way', async () => {
    const opa = openOpa();
    const asked = opa.ask({ command: 'eval', files: FILES, query: ENDLESS });
    const ended = assert.rejects(asked, { code: 'failed' });
    // The thread begins with the next turn.
    await new Promise((resolve) => setImmediate(resolve));
    await opa.close();
    await ended;
  });
});

const { path: binary, version, problem } = searchOpa();
const sameVersion = { skip: problem ?? (version === OPA_VERSION ? false : `opa is ${version}, the compiled one ${OPA_VERSION}`) };

suite('beside the opa command', { timeout: 300_000, ...sameVersion }, () => {
  const opa = opened();

  for (const target of ['wasm', 'rego'] as const) {
    test(`a bundle of ${target} has the same bytes`, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'opa-'));
      try {
        for (const [name, text] of Object.entries(FILES)) {
          mkdirSync(dirname(join(folder, 'src', name)), { recursive: true });
          writeFileSync(join(folder, 'src', name), text);
        }
        const output = join(folder, 'bundle.tar.gz');
        const entrypoints = target === 'wasm' ? [ENTRYPOINT] : [];
        const flags = [
          '--target',
          target,
          ...entrypoints.flatMap((one) => ['-e', one]),
          '--revision',
          'r1',
          '-o',
          output,
          '-b',
          '.',
        ];
        const { status, stderr } = spawnSync(binary ?? '', ['build', ...flags], { cwd: join(folder, 'src'), encoding: 'utf8' });
        assert.equal(status, 0, stderr);
        const { result } = await opa.ask({
          command: 'build',
          target,
          files: FILES,
          entrypoints,
          revision: 'r1',
          as_bundle: true,
        });
        assert.ok(Buffer.from(result?.bundle ?? '', 'base64').equals(readFileSync(output)));
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
});
