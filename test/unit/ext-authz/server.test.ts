import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { Client, credentials, status as grpcStatus } from '@grpc/grpc-js';
import { denied, newFacts, type Verdict } from '../../../src/check/authorize.ts';
import type { DecisionRecord } from '../../../src/check/record.ts';
import { type CheckServer, type ServerOptions, startServer } from '../../../src/ext-authz/server.ts';
import type { CheckResponse } from '../../../src/gen/envoy/service/auth/v3/CheckResponse.ts';
import { type HttpFacts, noFacts } from '../../../src/http.ts';
import { createAuthority } from '../support/certificates.ts';
import { checkRequest, connectEnvoy, type Envoy } from '../support/envoy.ts';
import { deserializeResponse } from '../support/wire.ts';

interface Observed {
  readonly verdict: Verdict;
  readonly record: DecisionRecord;
  readonly elapsedMs: number;
  readonly late: boolean;
}

interface Running extends CheckServer {
  readonly envoy: Envoy;
  readonly observed: Observed[];
  readonly failures: unknown[];
  readonly inFlight: number[];
  /** Resolves when that many Checks were observed. */
  readonly observations: (count: number) => Promise<void>;
}

const refuse: ServerOptions['refuse'] = (http, denial) =>
  denied(denial, newFacts(http ?? noFacts(), 'd'), { allowedOrigins: new Set() });

function allow(http: HttpFacts): Verdict {
  return {
    outcome: 'allow',
    reason: 'allowed',
    answer: { kind: 'forward', set: [['authorization', 'Bearer t']], remove: [], responseHeaders: [] },
    facts: newFacts(http, 'd'),
  };
}

async function run(t: TestContext, options: Partial<ServerOptions> = {}): Promise<Running> {
  const observed: Observed[] = [];
  const failures: unknown[] = [];
  const inFlight: number[] = [];
  const waiting = new Set<() => void>();
  const server = await startServer({
    listen: '127.0.0.1:0',
    tls: null,
    maxMessageBytes: 65_536,
    maxConcurrentStreams: 100,
    maxInFlight: 100,
    deadlineReserveMs: 20,
    check: async (http) => allow(http),
    refuse,
    observe: (verdict, record, elapsedMs, late) => {
      observed.push({ verdict, record, elapsedMs, late });
      for (const wake of waiting) wake();
    },
    onFailure: (cause) => failures.push(cause),
    onInFlight: (count) => inFlight.push(count),
    ...options,
  });
  const envoy = connectEnvoy(server.target);
  t.after(() => {
    envoy.close();
    return server.drain(0, 0);
  });
  const observations = (count: number) =>
    new Promise<void>((resolve) => {
      const wake = () => observed.length >= count && resolve();
      waiting.add(wake);
      wake();
    });
  return { ...server, envoy, observed, failures, inFlight, observations };
}

function reasonOf({ denied_response: denied }: CheckResponse): string {
  assert.ok(denied?.body, 'not refused, or without a word');
  return JSON.parse(denied.body).error.data.reason;
}

function assertRefused(response: CheckResponse, httpStatus: number): void {
  assert.ok(response.status?.code);
  assert.equal(response.ok_response, undefined);
  assert.equal(Number(response.denied_response?.status?.code), httpStatus);
}

/** A check that waits until it is told to go on. */
function gate() {
  const waiting: (() => void)[] = [];
  const arrivals = new Set<() => void>();
  return {
    check: (http: HttpFacts) =>
      new Promise<Verdict>((resolve) => {
        waiting.push(() => resolve(allow(http)));
        for (const wake of arrivals) wake();
      }),
    open: () => waiting.splice(0).map((go) => go()),
    arrived: (count: number) =>
      new Promise<void>((resolve) => {
        const wake = () => waiting.length >= count && resolve();
        arrivals.add(wake);
        wake();
      }),
  };
}

suite('a Check', () => {
  test('that is allowed', async (t) => {
    const { envoy, observed, inFlight } = await run(t);
    const response = await envoy.check(checkRequest('{}'));
    assert.equal(response.status?.code ?? 0, 0);
    assert.equal(response.ok_response?.headers?.[0]?.header?.value, 'Bearer t');
    assert.deepEqual(
      observed.map(({ record, late }) => [record.reason, late]),
      [['allowed', false]],
    );
    assert.deepEqual(inFlight, [1, 0]);
  });

  test('is observed once and before its answer leaves', async (t) => {
    const { envoy, observed } = await run(t);
    for (let count = 1; count < 20; count += 1) {
      await envoy.check(checkRequest('{}'));
      assert.equal(observed.length, count);
    }
  });

  test('that cannot be read is refused', async (t) => {
    const { envoy, observed } = await run(t);
    for (const request of [
      {},
      { attributes: {} },
      { attributes: { request: { http: { method: 'POST', path: '/', body: '{}' } } } },
    ]) {
      const response = await envoy.check(request);
      assertRefused(response, 500);
      assert.equal(reasonOf(response), 'request_invalid');
    }
    assert.equal(observed.length, 3);
  });

  test('gets the time that Envoy gives, less what the way back takes', async (t) => {
    const deadlines: number[] = [];
    const { envoy } = await run(t, {
      check: async (http, deadlineMs) => {
        deadlines.push(deadlineMs - Date.now());
        return allow(http);
      },
    });
    await envoy.check(checkRequest('{}'), 2000);
    assert.ok((deadlines[0] as number) > 500 && (deadlines[0] as number) <= 1980, String(deadlines));
    await envoy.check(checkRequest('{}'));
    assert.ok((deadlines[1] as number) > 9000 && (deadlines[1] as number) <= 9980, String(deadlines));
  });
});

suite('whatever goes wrong, Envoy gets a refusal and no gRPC error', () => {
  const boom = () => {
    throw new Error('boom');
  };
  const broken = (changes: object) => async (http: HttpFacts) => ({ ...allow(http), ...changes }) as unknown as Verdict;
  const told: Record<string, Partial<ServerOptions>> = {
    'the check throws': { check: boom },
    'the check rejects': { check: async () => boom() },
    'the check rejects with nothing': { check: () => Promise.reject() },
    'the check gives nothing': { check: async () => undefined as unknown as Verdict },
    'the verdict has no answer': { check: broken({ answer: undefined }) },
    'the verdict has an answer that is none': { check: broken({ answer: { kind: 'maybe' } }) },
    'the verdict has no facts': { check: broken({ facts: undefined }) },
    'a header has no value': {
      check: broken({ answer: { kind: 'forward', set: [['a', undefined]], remove: [], responseHeaders: [] } }),
    },
  };
  for (const [name, options] of Object.entries(told)) {
    test(`(${name}), with words`, async (t) => {
      const { envoy, observed, failures, inFlight } = await run(t, options);
      const response = await envoy.check(checkRequest('{}'));
      assertRefused(response, 500);
      assert.equal(reasonOf(response), 'internal_error');
      assert.ok(!JSON.stringify(response).includes('boom'));
      assert.deepEqual(
        observed.map(({ record }) => record.reason),
        ['internal_error'],
      );
      assert.deepEqual(failures, []);
      assert.deepEqual(inFlight, [1, 0]);
    });
  }

  const untold: Record<string, Partial<ServerOptions>> = {
    'even the refusal throws': { check: boom, refuse: boom },
    'even the refusal is none': { check: boom, refuse: () => ({}) as Verdict },
    'the allow cannot be recorded': { observe: boom },
    'the allow cannot be recorded, nor that': { observe: boom, onFailure: () => {} },
  };
  for (const [name, options] of Object.entries(untold)) {
    test(`(${name}), as a last resort`, async (t) => {
      const { envoy, failures, inFlight } = await run(t, options);
      for (let round = 0; round < 2; round += 1) {
        const response = await envoy.check(checkRequest('{}'));
        assertRefused(response, 500);
        assert.equal(reasonOf(response), 'internal_error');
        assert.equal(response.dynamic_metadata?.fields?.reason?.stringValue, 'internal_error');
      }
      assert.equal(failures.length, options.onFailure === undefined ? 2 : 0);
      assert.deepEqual(inFlight, [1, 0, 1, 0]);
    });
  }
});

suite('more Checks than there is room for', () => {
  test('are refused at once, and the others answered', async (t) => {
    const held = gate();
    const { envoy, observed, inFlight } = await run(t, { maxInFlight: 2, check: held.check });
    const first = [envoy.check(checkRequest('{}')), envoy.check(checkRequest('{}'))];
    await held.arrived(2);
    const response = await envoy.check(checkRequest('{}'));
    assertRefused(response, 503);
    assert.equal(reasonOf(response), 'overloaded');
    held.open();
    for (const one of await Promise.all(first)) assert.ok(one.ok_response);
    assert.equal(observed.length, 3);
    assert.equal(Math.max(...inFlight), 3);
    assert.equal(inFlight.at(-1), 0);
    const after = envoy.check(checkRequest('{}'));
    await held.arrived(1);
    held.open();
    assert.ok((await after).ok_response);
  });

  test('are counted also where nobody looks at the count', async (t) => {
    const held = gate();
    const server = await startServer({
      ...{
        listen: '127.0.0.1:0',
        tls: null,
        maxMessageBytes: 65_536,
        maxConcurrentStreams: 100,
        maxInFlight: 1,
        deadlineReserveMs: 0,
      },
      ...{ check: held.check, refuse, observe: () => {} },
    });
    const envoy = connectEnvoy(server.target);
    t.after(() => {
      envoy.close();
      return server.drain(0, 0);
    });
    const first = envoy.check(checkRequest('{}'));
    await held.arrived(1);
    assertRefused(await envoy.check(checkRequest('{}')), 503);
    held.open();
    await first;
  });
});

suite('a Check that Envoy gave up', () => {
  test('by its deadline is observed as late, and does not stay', async (t) => {
    const held = gate();
    const running = await run(t, { check: held.check });
    await assert.rejects(running.envoy.check(checkRequest('{}'), 40), { code: grpcStatus.DEADLINE_EXCEEDED });
    await held.arrived(1);
    assert.equal(await running.envoy.health(), 'SERVING');
    held.open();
    await running.observations(1);
    assert.equal(running.observed[0]?.late, true);
    assert.equal(running.inFlight.at(-1), 0);
  });

  test('by cancelling is observed as late, and does not stay', async (t) => {
    const held = gate();
    const running = await run(t, { check: held.check });
    const { answer, cancel } = running.envoy.begin(checkRequest('{}'));
    await held.arrived(1);
    cancel();
    await assert.rejects(answer, { code: grpcStatus.CANCELLED });
    assert.equal(await running.envoy.health(), 'SERVING');
    held.open();
    await running.observations(1);
    assert.equal(running.observed[0]?.late, true);
    assert.equal(running.inFlight.at(-1), 0);
  });
});

suite('the server', () => {
  test('reads no message larger than it may, and goes on', async (t) => {
    const { envoy, observed } = await run(t, { maxMessageBytes: 4096 });
    await assert.rejects(envoy.check(checkRequest('x'.repeat(5000))), { code: grpcStatus.RESOURCE_EXHAUSTED });
    assert.ok((await envoy.check(checkRequest('x'.repeat(3000)))).ok_response);
    assert.equal(observed.length, 1);
  });

  test('refuses bytes that are no CheckRequest, and goes on', async (t) => {
    const { target, envoy } = await run(t);
    const client = new Client(target, credentials.createInsecure());
    t.after(() => client.close());
    const asIs = (bytes: Buffer): Buffer => bytes;
    const answer = await new Promise<Buffer>((resolve, reject) => {
      client.makeUnaryRequest(
        '/envoy.service.auth.v3.Authorization/Check',
        asIs,
        asIs,
        Buffer.from([0xff, 0xff, 0xff]),
        (error, response) => (error ? reject(error) : resolve(response as Buffer)),
      );
    });
    assert.equal(Number(deserializeResponse(answer).denied_response?.status?.code), 500);
    assert.ok((await envoy.check(checkRequest('{}'))).ok_response);
  });

  test('tells its health, as a whole and by service', async (t) => {
    const { envoy } = await run(t);
    assert.equal(await envoy.health(), 'SERVING');
    assert.equal(await envoy.health('envoy.service.auth.v3.Authorization'), 'SERVING');
    await assert.rejects(envoy.health('other'), { code: grpcStatus.NOT_FOUND });
  });

  test('does not start where another listens', async (t) => {
    const { target } = await run(t);
    await assert.rejects(run(t, { listen: target }));
  });

  test('listens on a Unix socket, and takes it away in the end', async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'unit-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    const listen = `unix://${dir}/authz.sock`;
    const { target, envoy, drain } = await run(t, { listen });
    assert.equal(target, listen);
    assert.ok((await envoy.check(checkRequest('{}'))).ok_response);
    envoy.close();
    await drain(0, 1000);
    await assert.rejects(stat(join(dir, 'authz.sock')), { code: 'ENOENT' });
  });
});

suite('mutual TLS', () => {
  test('lets in whoever has a certificate of the right authority, and nobody else', async (t) => {
    const [ours, others] = await Promise.all([createAuthority(), createAuthority()]);
    const { cert, key } = await ours.issue('localhost', 'server');
    const tls = { cert: Buffer.from(cert), key: Buffer.from(key), clientCa: Buffer.from(ours.ca) };
    const { target, observed } = await run(t, { listen: 'localhost:0', tls });

    const attempt = async (as: { cert: string; key: string } | null, trusts = ours.ca) => {
      const [chain, secret] = as === null ? [null, null] : [Buffer.from(as.cert), Buffer.from(as.key)];
      const envoy = connectEnvoy(target, credentials.createSsl(Buffer.from(trusts), secret, chain));
      t.after(envoy.close);
      return envoy.check(checkRequest('{}'), 1500);
    };
    assert.ok((await attempt(await ours.issue('envoy', 'client'))).ok_response);
    await assert.rejects(attempt(null));
    await assert.rejects(attempt(await others.issue('envoy', 'client')));
    await assert.rejects(attempt(await ours.issue('envoy', 'server')), 'a server certificate is none of a client');
    await assert.rejects(attempt(await ours.issue('envoy', 'client'), others.ca));
    const plain = connectEnvoy(target);
    t.after(plain.close);
    await assert.rejects(plain.check(checkRequest('{}'), 1500));
    assert.equal(observed.length, 1);
  });

  test('does not start with a key that is none', async (t) => {
    const { ca } = await createAuthority();
    const tls = { cert: Buffer.from(ca), key: Buffer.from('no key'), clientCa: Buffer.from(ca) };
    await assert.rejects(run(t, { tls }));
  });
});

suite('draining', { timeout: 300_000 }, () => {
  test('tells first, then answers what is under way and takes nothing new', async (t) => {
    const held = gate();
    const { envoy, target, drain } = await run(t, { check: held.check });
    const underWay = envoy.check(checkRequest('{}'));
    await held.arrived(1);

    const drained = drain(50, 5000);
    assert.equal(await envoy.health(), 'NOT_SERVING');
    assert.equal(await envoy.health('envoy.service.auth.v3.Authorization'), 'NOT_SERVING');
    const inTheMeantime = envoy.check(checkRequest('{}'));
    await held.arrived(2);
    while ((await envoy.health().catch(() => null)) !== null);

    const newcomer = connectEnvoy(target);
    t.after(newcomer.close);
    await assert.rejects(newcomer.check(checkRequest('{}'), 1000), 'no new connection');
    held.open();
    assert.ok((await underWay).ok_response);
    assert.ok((await inTheMeantime).ok_response);
    await drained;
  });

  test('has an end, whatever is under way', async (t) => {
    const { envoy, drain } = await run(t, { check: () => new Promise(() => {}) });
    const stuck = envoy.check(checkRequest('{}'));
    stuck.catch(() => {});
    await envoy.health();
    const start = performance.now();
    await drain(0, 50);
    assert.ok(performance.now() - start < 10_000);
    await assert.rejects(stuck);
  });
});
