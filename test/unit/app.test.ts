/** The whole sidecar in this process: real gRPC, real HTTP, real policy. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { type App, startApp } from '../../src/app.ts';
import type { Config } from '../../src/config.ts';
import type { CheckResponse } from '../../src/gen/envoy/service/auth/v3/CheckResponse.ts';
import { checkRequest, connectEnvoy, type Envoy } from './support/envoy.ts';
import { silence } from './support/peer.ts';
import { callBody, createWorld, type World } from './support/world.ts';

interface Running extends App {
  readonly world: World;
  readonly envoy: Envoy;
  readonly logged: { readonly level: string; readonly message: string; readonly fields: Record<string, unknown> }[];
  readonly call: (args?: object, token?: string) => Promise<CheckResponse>;
  readonly admin: (path: string) => Promise<Response>;
  readonly decisions: () => Promise<Record<string, unknown>[]>;
}

type Adjust = Parameters<World['config']>[0];

/** A file that is always full; Linux has one. */
const FULL_DEVICE = existsSync('/dev/full');

async function run(t: TestContext, adjust?: Adjust, given?: World): Promise<Running> {
  const world = given ?? (await createWorld(t));
  const logged: Running['logged'] = [];
  const app = await startApp(world.config(adjust), (level, message, fields = {}) => void logged.push({ level, message, fields }));
  const envoy = connectEnvoy(app.target);
  const stop = (): Promise<void> => {
    envoy.close();
    stopped ??= app.stop();
    return stopped;
  };
  let stopped: Promise<void> | undefined;
  t.after(() => stop().catch(() => {}));
  return {
    ...app,
    world,
    envoy,
    logged,
    stop,
    call: async (args = {}, token) => {
      const authorization = `Bearer ${token ?? (await world.token())}`;
      return envoy.check(checkRequest(callBody(args), { headers: { authorization } }), 5000);
    },
    admin: (path) => fetch(app.adminUrl + path),
    decisions: async () => {
      const lines = (await readFile(world.path('decisions.log'), 'utf8')).split('\n').filter((line) => line !== '');
      return lines.map((line) => JSON.parse(line));
    },
  };
}

const reading = (config: Config) => async (): Promise<Config> => config;

/** Keys are fetched again for every token. */
function forgetful(config: Parameters<NonNullable<Adjust>>[0]): void {
  Object.assign(config.issuers[0], { keyCooldownMs: 1, keyMaxAgeMs: 1, keyMaxStaleMs: 1 });
}

function reasonOf({ ok_response: ok, denied_response: denied }: CheckResponse): string {
  return ok ? 'allowed' : JSON.parse(denied?.body ?? '').error.data.reason;
}

suite('the sidecar', () => {
  test('gives a call a token that the backend can verify', async (t) => {
    const { call, wellKnownUrl } = await run(t);
    const { ok_response: ok } = await call();
    const [header] = ok?.headers ?? [];
    assert.equal(header?.header?.key, 'authorization');
    const keys = createRemoteJWKSet(new URL(`${wellKnownUrl}/.well-known/jwks.json`));
    const { payload } = await jwtVerify((header?.header?.value ?? '').replace('Bearer ', ''), keys);
    assert.deepEqual(
      [payload.sub, payload.aud, payload.act],
      ['alice', 'https://backend.internal/mcp', { sub: 'ai-identity-gateway' }],
    );
  });

  test('refuses what it must', async (t) => {
    const { call, envoy } = await run(t);
    assert.equal(reasonOf(await call({ inbound: { allow: false, reason: 'tool_forbidden' } })), 'tool_forbidden');
    assert.equal(reasonOf(await call({}, 'junk')), 'token_malformed');
    assert.equal(reasonOf(await envoy.check(checkRequest(callBody()))), 'token_missing');
    assert.equal(reasonOf(await envoy.check({})), 'request_invalid');
  });

  test('writes one line for each Check, and its metrics agree', async (t) => {
    const { call, envoy, stop, decisions, admin } = await run(t);
    const calls = Array.from({ length: 40 }, (_, at) =>
      call(at % 2 === 0 ? {} : { inbound: { allow: false, reason: 'read_only' } }),
    );
    await Promise.all([...calls, envoy.check({}), envoy.check(checkRequest('{', { path: '/other' }))]);
    const metrics = await (await admin('/metrics')).text();
    assert.match(
      metrics,
      /decisions_total\{decision="allow",reason="allowed",method="tools\/call",tool="getBalance",backend="ledger"\} 20/,
    );
    assert.match(metrics, /mcp_ext_authz_in_flight_checks 0/);
    assert.match(metrics, /mcp_ext_authz_jwks_keys\{issuer="[^"]+"\} 1/);
    await stop();
    const lines = await decisions();
    assert.equal(lines.length, 42);
    assert.equal(new Set(lines.map(({ decision_id: id }) => id)).size, 42);
    assert.equal(lines.filter(({ reason }) => reason === 'allowed').length, 20);
    assert.ok(!JSON.stringify(lines).includes('eyJ'));
  });

  test('is ready once it holds keys, and says what it stands on', async (t) => {
    const { admin } = await run(t);
    const response = await admin('/readyz');
    assert.equal(response.status, 200);
    const { ready, draining, policy, keys } = (await response.json()) as Record<string, any>;
    assert.deepEqual([ready, draining, Object.values(keys ?? {})], [true, false, [1]]);
    assert.deepEqual([policy.revision, policy.last_error], ['echo-1', null]);
    assert.match(policy.digest, /^[0-9a-f]{64}$/);
  });

  test('starts without its issuer, is not ready then, and goes on when it is there', async (t) => {
    const world = await createWorld(t);
    const honest = world.issuer.answer;
    world.issuer.answer = (response) => void response.writeHead(503).end();
    const { call, admin } = await run(t, (config) => (config.issuers[0].keyCooldownMs = 1), world);
    assert.equal((await admin('/readyz')).status, 503);
    assert.equal(reasonOf(await call()), 'keys_unavailable');
    world.issuer.answer = honest;
    assert.equal(reasonOf(await call()), 'allowed');
    assert.equal((await admin('/readyz')).status, 200);
  });

  test('answers in time while its issuer is silent', async (t) => {
    const world = await createWorld(t);
    const { envoy } = await run(
      t,
      (config) => {
        forgetful(config);
        config.server.deadlineReserveMs = 400;
      },
      world,
    );
    world.issuer.answer = silence;
    const headers = { authorization: `Bearer ${await world.token()}` };
    assert.equal(reasonOf(await envoy.check(checkRequest(callBody(), { headers }), 500)), 'deadline_exceeded');
  });
});

suite('a reload', () => {
  test('puts another policy in force, for the next Check', async (t) => {
    const { call, reload, world, admin, stop, decisions } = await run(t);
    assert.equal(reasonOf(await call()), 'allowed');
    await world.writeBundle({ revision: 'echo-2', answers: { inbound: { allow: false, reason: 'read_only' } } });
    await reload(reading(world.config()));
    assert.equal(reasonOf(await call()), 'read_only');
    const metrics = await (await admin('/metrics')).text();
    assert.match(metrics, /bundle_info\{revision="echo-2"\} 1/);
    assert.ok(!metrics.includes('revision="echo-1"'));
    assert.match(metrics, /config_reloads_total\{outcome="applied"\} 1/);
    await stop();
    assert.deepEqual(
      (await decisions()).map(({ bundles }) => (bundles as { policy: { revision: string } }).policy.revision),
      ['echo-1', 'echo-2'],
    );
  });

  test('that is refused leaves everything as it was', async (t) => {
    const { call, reload, world, admin, logged } = await run(t);
    await writeFile(world.path('bundle.tar.gz'), 'junk');
    await assert.rejects(reload(reading(world.config())), /not a gzipped tar/);
    await assert.rejects(
      reload(() => Promise.reject(new Error('no such file'))),
      /no such file/,
    );
    assert.equal(reasonOf(await call()), 'allowed');
    const metrics = await (await admin('/metrics')).text();
    assert.match(metrics, /bundle_info\{revision="echo-1"\} 1/);
    assert.match(metrics, /config_reloads_total\{outcome="refused"\} 2/);
    assert.equal(logged.filter(({ message }) => message.includes('stays in force')).length, 2);
    await world.writeBundle({ revision: 'echo-3' });
    await reload(reading(world.config()));
    assert.equal(reasonOf(await call()), 'allowed');
  });

  test('follows another, however they overlap: the last one wins', async (t) => {
    const { call, reload, world, admin } = await run(t);
    const order: number[] = [];
    const reloads = Array.from({ length: 8 }, (_, at) =>
      reload(async () => {
        order.push(at);
        if (at === 5) throw new Error('bad');
        await world.writeBundle({ revision: `turn-${at}` });
        return world.config();
      }),
    );
    const outcomes = await Promise.allSettled(reloads);
    assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 1);
    assert.match(await (await admin('/metrics')).text(), /bundle_info\{revision="turn-7"\} 1/);
    assert.equal(reasonOf(await call()), 'allowed');
  });

  test('drops no Check, and each is decided by one policy', async (t) => {
    const { call, reload, world, stop, decisions } = await run(t);
    let going = true;
    const answers: Promise<CheckResponse>[] = [];
    const traffic = (async () => {
      while (going) {
        answers.push(call());
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    for (let revision = 2; revision < 8; revision += 1) {
      await world.writeBundle({ revision: `echo-${revision}` });
      await reload(reading(world.config()));
    }
    going = false;
    await traffic;
    for (const answer of await Promise.all(answers)) assert.equal(reasonOf(answer), 'allowed');
    await stop();
    const lines = await decisions();
    assert.equal(lines.length, answers.length);
    assert.ok(lines.every(({ decision }) => decision === 'allow'));
  });

  test('says what it cannot reach', async (t) => {
    const { reload, world, logged } = await run(t);
    await reload(reading(world.config((config) => (config.server.maxInFlight = 5))));
    assert.deepEqual(
      logged.filter(({ level }) => level === 'warn').map(({ fields }) => fields),
      [{ sections: 'server' }],
    );
  });

  test('takes an issuer away, and its gauges', async (t) => {
    const { reload, world, admin } = await run(t);
    const other = 'http://localhost:1';
    await reload(reading(world.config((config) => (config.issuers = [{ issuer: other, jwksUri: other }]))));
    const metrics = await (await admin('/metrics')).text();
    assert.match(metrics, /jwks_keys\{issuer="http:\/\/localhost:1"\} 0/);
    assert.ok(!metrics.includes(`jwks_keys{issuer="${world.issuer.url}"}`));
    assert.equal((await admin('/readyz')).status, 503);
  });

  test('to an issuer that is only asked about its tokens is ready without keys', async (t) => {
    const { reload, world, admin } = await run(t);
    const introspection = {
      clientId: 'gateway',
      clientAuthentication: { method: 'client_secret_post', secret: { env: 'PATH' } },
    };
    const issuers = [{ issuer: 'http://localhost:1', introspection }];
    await reload(reading(world.config((config) => (config.issuers = issuers))));
    assert.equal((await admin('/readyz')).status, 200);
    assert.ok(!(await (await admin('/metrics')).text()).includes('jwks_keys{'));
  });

  test('while it stops is not done', async (t) => {
    const { reload, world, stop, logged } = await run(t);
    const stopped = stop();
    await reload(reading(world.config()));
    await stopped;
    assert.ok(logged.some(({ message }) => message.includes('not read again')));
  });
});

suite('stopping', { timeout: 300_000 }, () => {
  test('answers what is under way, writes its line, and leaves nothing open', async (t) => {
    const world = await createWorld(t);
    const honest = world.issuer.answer;
    const { call, stop, decisions, target, adminUrl, wellKnownUrl } = await run(t, forgetful, world);
    let release = (): void => {};
    world.issuer.answer = (response, seen) => {
      release = () => void honest(response, seen);
    };
    const before = world.issuer.seen.length;
    const underWay = call();
    await world.issuer.asked(before + 1);
    const stopped = stop();
    release();
    const answer = await underWay.catch((error: Error) => error);
    await stopped;
    assert.ok(!(answer instanceof Error), String(answer));
    assert.equal((await decisions()).length, 1);
    for (const url of [`${adminUrl}/livez`, `${wellKnownUrl}/`]) await assert.rejects(fetch(url));
    const newcomer = connectEnvoy(target);
    t.after(newcomer.close);
    await assert.rejects(newcomer.check({}, 500));
  });

  test('says on the way that it is not ready any more', async (t) => {
    const { stop, admin, envoy } = await run(t, (config) => (config.server.drainDelayMs = 150));
    const stopped = stop();
    const { ready, draining } = (await (await admin('/readyz')).json()) as Record<string, unknown>;
    assert.deepEqual([ready, draining], [false, true]);
    envoy.close();
    await stopped;
  });

  test('closes everything even if the decision log is broken, and tells of it', { skip: !FULL_DEVICE }, async (t) => {
    const world = await createWorld(t);
    const { stop, adminUrl, logged, call } = await run(t, (config) => (config.decisionLog.file = '/dev/full'), world);
    await call().catch(() => {});
    while (!logged.some(({ message }) => message.includes('decision log is broken')))
      await new Promise((resolve) => setImmediate(resolve));
    await stop().catch(() => {});
    await assert.rejects(fetch(`${adminUrl}/livez`));
  });
});

suite('a decision log that cannot be written', { timeout: 300_000 }, () => {
  test('lets nothing pass, and the sidecar is not ready', { skip: !FULL_DEVICE }, async (t) => {
    const { call, admin, logged } = await run(t, (config) => (config.decisionLog.file = '/dev/full'));
    await call().catch(() => {});
    while ((await admin('/readyz')).status !== 503);
    assert.equal(reasonOf(await call()), 'overloaded');
    const broken = logged.filter(({ message }) => message.includes('decision log is broken'));
    assert.deepEqual(
      broken.map(({ level, fields }) => [level, String(fields.cause).includes('ENOSPC')]),
      [['error', true]],
    );
    assert.match(await (await admin('/metrics')).text(), /decision_log_lines_total\{outcome="lost"\} [1-9]/);
  });

  test('keeps the sidecar from starting if it cannot even be opened', async (t) => {
    await assert.rejects(
      run(t, (config) => (config.decisionLog.file = '/nowhere/decisions.log')),
      { code: 'ENOENT' },
    );
  });
});

/** Of this process: a port that was let go may be somebody else's by now. */
function listeners(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === 'TCPServerWrap').length;
}

suite('a start that fails', () => {
  test('leaves no listener behind', async (t) => {
    const blocker = createServer();
    blocker.listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    t.after(() => blocker.close());
    const taken = `127.0.0.1:${(blocker.address() as AddressInfo).port}`;
    const free = async (): Promise<string> => {
      const probe = createServer().listen(0, '127.0.0.1');
      await once(probe, 'listening');
      const { port } = probe.address() as AddressInfo;
      await new Promise((resolve) => probe.close(resolve));
      return `127.0.0.1:${port}`;
    };
    const blocked: ((config: Parameters<NonNullable<Adjust>>[0]) => void)[] = [
      (config) => (config.server.listen = taken),
      (config) => (config.wellKnown.listen = taken),
      (config) => (config.admin.listen = taken),
      (config) => (config.server.tls = { certFile: '/nowhere', keyFile: '/nowhere', clientCaFile: '/nowhere' }),
      (config) => (config.policy.bundleFile = '/nowhere'),
    ];
    for (const block of blocked) {
      const [admin, wellKnown] = [await free(), await free()];
      const adjust: Adjust = (config) => {
        Object.assign(config, { admin: { listen: admin }, wellKnown: { listen: wellKnown } });
        block(config);
      };
      const before = listeners();
      await assert.rejects(run(t, adjust));
      // What is closed goes a turn or two later.
      for (let turn = 0; turn < 100 && listeners() > before; turn++) await nextTurn();
      assert.ok(listeners() <= before, `${listeners() - before} left`);
    }
  });
});
