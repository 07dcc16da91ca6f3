/**
 * The sidecar as a process, with services that its decision log goes to: they fail, hang, go away and come back, and the
 * sidecar is killed meanwhile. What was recorded arrives.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { suite, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run as verifyAudit } from '../../src/tools/audit-verify.ts';
import { waitUntil } from '../support/ndjson.ts';
import { checkRequest, connectEnvoy } from '../unit/support/envoy.ts';
import { startService, type TestService } from '../unit/support/service.ts';
import { createSink } from '../unit/support/sink.ts';
import { callBody, createWorld, type World } from '../unit/support/world.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

interface Sidecar {
  readonly child: ChildProcess;
  /** The reason, or `allowed`. */
  readonly call: (args?: object) => Promise<string>;
  readonly metric: (line: string) => Promise<number>;
  readonly kill: (signal: NodeJS.Signals) => Promise<void>;
  /** A line of its log. */
  readonly told: (message: string) => string;
}

async function start(t: TestContext, world: World, decisionLog: object, url: string): Promise<Sidecar> {
  const file = world.path('config.yaml');
  writeFileSync(
    file,
    world.yaml((config) => {
      config.services = [{ name: 'logs', url }];
      config.decisionLog = decisionLog;
    }),
  );
  const child = spawn(process.execPath, [MAIN, 'serve', '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  await waitUntil('it serves', () => said.includes('answers Envoy') || child.exitCode !== null, 30_000);
  const ready = said.split('\n').find((line) => line.includes('answers Envoy'));
  assert.ok(ready !== undefined, said);
  const { target, admin } = JSON.parse(ready);
  const envoy = connectEnvoy(target);
  t.after(envoy.close);
  const call = async (args?: object): Promise<string> => {
    const headers = { authorization: `Bearer ${await world.token()}` };
    const { ok_response, denied_response } = await envoy.check(checkRequest(callBody(args), { headers }), 5000);
    return ok_response ? 'allowed' : JSON.parse(denied_response?.body ?? '').error.data.reason;
  };
  const metric = async (line: string): Promise<number> => {
    const text = await (await fetch(`${admin}/metrics`)).text();
    const found = text.split('\n').find((one) => one.startsWith(`mcp_ext_authz_${line} `));
    return found === undefined ? 0 : Number(found.split(' ').at(-1));
  };
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    envoy.close();
    child.kill(signal);
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  };
  const told = (message: string): string => said.split('\n').find((line) => line.includes(message)) ?? '';
  return { child, call, metric, kill, told };
}

/** Every call has a number of its own, which its line may show. */
const SHOWN = { arguments: [{ backend: 'ledger', tool: '*', names: ['n'] }] };
const UPLOAD = { service: 'logs', minDelayMs: 10, maxDelayMs: 50 };

const numbers = (service: TestService) => service.events().flatMap(({ input }) => input?.mcp.arguments.n ?? []);

async function callMany({ call }: Sidecar, from: number, to: number): Promise<void> {
  const reasons = await Promise.all(Array.from({ length: to - from }, (_, index) => call({ n: from + index })));
  assert.deepEqual(new Set(reasons), new Set(['allowed']));
}

const range = (to: number) => Array.from({ length: to }, (_, index) => index);

suite('a service that decisions are sent to', { timeout: 300_000 }, () => {
  test('gets all of them, though it fails, the sidecar is killed, and half a line is left', async (t) => {
    const [world, service] = [await createWorld(t), await startService()];
    t.after(service.close);
    const decisionLog = { file: 'none', ...SHOWN, upload: { ...UPLOAD, bufferDirectory: world.path('buffer') } };
    service.answer(503);
    const first = await start(t, world, decisionLog, service.url);
    await callMany(first, 0, 40);
    await waitUntil('all is on disk', async () => (await first.metric('decision_log_lines_total{outcome="written"}')) === 40);
    assert.ok((await first.metric('decision_log_buffered_bytes{sink="upload"}')) > 10_000);
    await first.kill('SIGKILL');

    const second = await start(t, world, decisionLog, service.url);
    await callMany(second, 40, 60);
    assert.ok((await second.metric('decision_log_uploads_total{sink="upload",outcome="failed"}')) > 0);
    service.answer(200);
    await service.until(() => numbers(service).length >= 60);
    assert.deepEqual(
      [...new Set(numbers(service))].sort((a, b) => a - b),
      range(60),
    );
    await waitUntil('nothing is left', async () => (await second.metric('decision_log_buffered_bytes{sink="upload"}')) === 0);
    await second.kill('SIGTERM');
  });

  test('gets what waits when the sidecar stops', async (t) => {
    const [world, service] = [await createWorld(t), await startService()];
    t.after(service.close);
    const sidecar = await start(
      t,
      world,
      { file: 'none', ...SHOWN, upload: { ...UPLOAD, minDelayMs: 600_000, maxDelayMs: 600_000 } },
      service.url,
    );
    await callMany(sidecar, 0, 20);
    assert.equal(service.taken.length, 0);
    await sidecar.kill('SIGTERM');
    assert.deepEqual(
      numbers(service).toSorted((a, b) => a - b),
      range(20),
    );
  });

  test('that hangs keeps nobody from an answer, and gets its lines when it goes on', async (t) => {
    const [world, service] = [await createWorld(t), await startService()];
    t.after(service.close);
    const sidecar = await start(t, world, { file: world.path('log'), ...SHOWN, upload: UPLOAD }, service.url);
    service.hold();
    await callMany(sidecar, 0, 5);
    await service.until(() => service.taken.length === 1);
    await callMany(sidecar, 5, 30);
    assert.equal(service.taken.length, 1);
    service.answer(200);
    await service.until(() => numbers(service).length === 30);
    await sidecar.kill('SIGTERM');
    assert.equal(readFileSync(world.path('log'), 'utf8').trim().split('\n').length, 30);
  });

  test('that is full: lines are lost there by default, and Checks are refused with requireRecord', async (t) => {
    const [world, service] = [await createWorld(t), await startService()];
    t.after(service.close);
    service.answer(500);
    const full = { file: 'none', ...SHOWN, upload: { ...UPLOAD, maxBufferBytes: 20_000 } };
    const lossy = await start(t, world, full, service.url);
    await callMany(lossy, 0, 50);
    await waitUntil(
      'lines are lost',
      async () => (await lossy.metric('decision_log_dropped_total{sink="upload",reason="full"}')) > 0,
    );
    await lossy.kill('SIGKILL');

    const strict = await start(t, world, { ...full, requireRecord: true }, service.url);
    const reasons: string[] = [];
    while (reasons.at(-1) !== 'overloaded' && reasons.length < 500) reasons.push(await strict.call({ n: reasons.length }));
    const allowed = reasons.filter((reason) => reason === 'allowed').length;
    assert.deepEqual([reasons.at(-1), reasons.length], ['overloaded', allowed + 1]);
    service.answer(200);
    await waitUntil('it answers again', async () => (await strict.call({ n: -1 })) === 'allowed');
    await strict.kill('SIGTERM');
    const arrived = new Set(numbers(service));
    assert.deepEqual(
      range(allowed).filter((number) => !arrived.has(number)),
      [],
      'every call that was let through has its line',
    );
  });

  test('may be a collector of OpenTelemetry', async (t) => {
    const [world, service] = [await createWorld(t), await startService()];
    t.after(service.close);
    const otlp = { ...UPLOAD, bufferDirectory: world.path('otlp') };
    const sidecar = await start(t, world, { file: 'none', otlp }, service.url);
    await callMany(sidecar, 0, 3);
    await sidecar.kill('SIGTERM');
    assert.deepEqual(new Set(service.taken.map(({ path }) => path)), new Set(['/v1/logs']));
    const records = service.events().flatMap(({ resourceLogs }) => resourceLogs[0].scopeLogs[0].logRecords);
    assert.deepEqual(
      records.map(({ body }) => JSON.parse(body.stringValue).reason),
      ['allowed', 'allowed', 'allowed'],
    );
  });
});

suite('a chained log', { timeout: 300_000 }, () => {
  test('is whole over a stop, says what a kill left, in the file and at the service; and what was changed is found', async (t) => {
    const [world, service] = [await createWorld(t), await startService()];
    t.after(service.close);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(world.path('audit.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(world.path('public.pem'), createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }));
    const log = world.path('log');
    const chain = { keyFile: world.path('audit.pem'), kid: 'a1', checkpointEvery: 10 };
    const decisionLog = { file: log, ...SHOWN, chain, upload: UPLOAD };
    const verify = async (...args: string[]) => {
      const out = createSink();
      const code = await verifyAudit([...args, '--key', world.path('public.pem')], { out, err: out });
      return { code, said: out.text() };
    };

    const first = await start(t, world, decisionLog, service.url);
    await callMany(first, 0, 25);
    await waitUntil('all is written', () => readFileSync(log, 'utf8').split('"type":"decision"').length === 26);
    await first.kill('SIGKILL');
    writeFileSync(log, '{"type":"deci', { flag: 'a' });
    const second = await start(t, world, decisionLog, service.url);
    await callMany(second, 25, 40);
    await second.kill('SIGTERM');

    const { code, said } = await verify(log);
    assert.equal(code, 1, said);
    assert.match(said, /in 2 chains, \d+ checkpoints: 1 finding/);
    const [, killed] = /--killed (\S+:\d+)$/m.exec(said) ?? [];
    assert.ok(second.told('the decision log before did not end').includes(`"chain":"${killed?.split(':')[0]}"`));
    const known = await verify(log, '--closed', '--killed', killed as string);
    assert.equal(known.code, 0, known.said);
    // What the stop told is what to keep.
    const { last } = JSON.parse(second.told('the decision log has ended'));
    assert.match(known.said, new RegExp(`^keep for next time: --last ${last}$`, 'm'));
    assert.equal((await verify(log, '--killed', 'any', '--last', last)).code, 0);
    const lines = readFileSync(log, 'utf8').split('\n');
    const at = lines.findIndex((line) => line.includes('"n":7'));
    writeFileSync(log, lines.with(at, (lines[at] as string).replace('"n":7', '"n":8')).join('\n'));
    assert.match((await verify(log)).said, new RegExp(`^${log}:${at + 1}: was changed$`, 'm'));

    // Chunks arrive in order: what the service took of the second process is that one's chain.
    const uploaded = service.taken.flatMap(({ text }) => text.slice(1, -1).split(/,(?=\{"type":)/));
    const other = uploaded.findLastIndex((line) => line.startsWith('{"type":"chain"'));
    writeFileSync(
      world.path('uploaded'),
      uploaded
        .slice(other)
        .map((line) => `${line}\n`)
        .join(''),
    );
    const found = await verify(world.path('uploaded'), '--closed', '--killed', killed as string);
    assert.equal(found.code, 0, found.said);
  });
});
