/**
 * The world of the cases without Envoy and without a process: the configuration of the reference deployment, made into ports
 * as the sidecar does it, and a real authorization server to fetch keys from and to exchange tokens with.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata } from '@grpc/grpc-js';
import { createLocalJWKSet, createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { startAuthorizationServer } from '../../examples/reference/authorization-server.ts';
import { referenceBackends } from '../../examples/reference/backends.ts';
import { writeSidecarConfig } from '../../examples/reference/gateway.ts';
import { buildLiveAlone } from '../../src/app/live-alone.ts';
import { denied, newFacts, type Verdict } from '../../src/check/authorize.ts';
import { PLAN_HEADER } from '../../src/check/plan.ts';
import { decisionRecord } from '../../src/check/record.ts';
import { check } from '../../src/check.ts';
import { parseConfig } from '../../src/config.ts';
import { decisionLine } from '../../src/decision-log/line.ts';
import { toHttpFacts } from '../../src/ext-authz/request.ts';
import { toCheckResponse } from '../../src/ext-authz/response.ts';
import { encodeCheckResponse } from '../../src/ext-authz/wire.ts';
import type { CheckRequestInput } from '../../src/gen/envoy/service/auth/v3/CheckRequest.ts';
import { noFacts } from '../../src/http.ts';
import { createProcessing } from '../../src/processing/processing.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { createCallers } from './callers.ts';
import type { Concrete, World } from './cases.ts';
import { testIssuerConfig } from './deployment.ts';
import { actOn, overTheWire, toCheckRequest } from './envoy-model.ts';
import type { Observed, Seen } from './expectations.ts';
import { startTestIssuer } from './issuer.ts';
import { type HeaderLine, NO_ANSWER } from './wire.ts';

type Tree = Record<string, any>;

const ORIGIN = 'https://localhost:8443';
const DEADLINE_MS = 2000;

export type MemoryWorld = Awaited<ReturnType<typeof createMemoryWorld>>;

/** What the cases assume beyond the reference configuration: both ways of delegation, both ways to say no, a browser. */
export function adjustForCases(deadIssuer: string): (config: Tree) => void {
  return (config) => {
    config.issuers.push({ issuer: deadIssuer, jwksUri: `${deadIssuer}/jwks`, algorithms: ['ES256'] });
    config.mcp.allowedOrigins = ['https://app.example'];
    const [ledger, directory] = config.resources;
    ledger.delegation = 'exchange';
    directory.delegation = 'mint';
    directory.denials = 'strict';
  };
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function createMemoryWorld() {
  const dir = await mkdtemp(join(tmpdir(), 'mcp-ext-authz-'));
  const gatewayKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const testIssuer = await startTestIssuer();
  const deadIssuer = `http://127.0.0.1:${await closedPort()}`;
  const authorizationServer = await startAuthorizationServer({
    backends: referenceBackends([ORIGIN]),
    gateway: { publicJwk: { ...gatewayKey.publicKey.export({ format: 'jwk' }), kid: 'gateway', alg: 'ES256' } },
  });
  const { configFile } = await writeSidecarConfig({
    dir,
    issuer: authorizationServer.issuer,
    origins: [ORIGIN],
    transport: 'tcp',
    delegation: 'exchange',
    gatewayKeyFile: await writeKey(join(dir, 'gateway-key.pem'), gatewayKey.privateKey),
    mintIssuer: 'http://127.0.0.1:9',
    mintKeyFile: await writeKey(join(dir, 'mint-key.pem'), generateKeyPairSync('ed25519').privateKey),
    wellKnownListen: '127.0.0.1:0',
    adjust: (config) => {
      config.issuers.push(testIssuerConfig(testIssuer));
      adjustForCases(deadIssuer)(config);
    },
  });
  const config = parseConfig(await readFile(configFile, 'utf8'));
  const live = await buildLiveAlone(config, { metrics: createMetrics('test'), log: () => {} }, null);
  assert.ok(live.mint);
  const keys = {
    exchange: createRemoteJWKSet(new URL(authorizationServer.jwksUri)),
    mint: createLocalJWKSet(live.mint.jwks as never),
  };

  /** What the sidecar does with one CheckRequest. */
  async function decide(request: CheckRequestInput): Promise<Verdict> {
    const http = toHttpFacts(overTheWire(request), new Metadata(), Date.now());
    if (http !== null) return check(http, live.ports, Date.now() + DEADLINE_MS);
    return denied({ reason: 'request_invalid' }, newFacts(noFacts(), randomUUID()), live.ports);
  }

  async function observe(request: Concrete, checkRequest = toCheckRequest(request)): Promise<Observed> {
    const verdict = await decide(checkRequest);
    const record = decisionRecord(verdict);
    const lines = [JSON.parse(decisionLine([verdict, record, 0, false], { labels: {} }))];
    const outcome = actOn(encodeCheckResponse(toCheckResponse(verdict, record)), request);
    if (outcome.kind === 'answered') return { answer: outcome, lines, seen: [] };
    const { responseHeaders, headers } = outcome;
    const answer = { ...NO_ANSWER, headers: new Map(responseHeaders.map(([name, value]) => [name, [value]])) };
    return { answer, lines, seen: [await arrive(request, process(headers))] };
  }

  /** What ext_proc makes of the headers of a request that has a plan, as Envoy would have it. */
  function process(lines: readonly HeaderLine[]): readonly HeaderLine[] {
    if (!lines.some(([name]) => name === PLAN_HEADER)) return lines;
    const { sealer } = live.ports;
    assert.ok(sealer && config.processing);
    const { maxAnswerBytes, maxListItems } = config.processing;
    const ports = { ...live.ports, sealer, showsStepUp: true, maxAnswerBytes, maxListItems };
    const exchange = createProcessing(() => ports, { onRefused: () => assert.fail('refused'), onList: () => {} })();
    const step = exchange.requestHeaders(new Map(lines.map(([name, value]) => [name, [value]])));
    assert.ok(step.kind === 'continue');
    const gone = new Set([...step.remove, ...step.set.map(([name]) => name)]);
    return [...lines.filter(([name]) => !gone.has(name)), ...step.set];
  }

  /** The request as it would come to a backend. */
  async function arrive(request: Concrete, lines: readonly (readonly [string, string])[]): Promise<Seen> {
    const headers: Record<string, string> = {};
    for (const [name, value] of lines) headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
    const token = /^Bearer ([\w.-]+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
    headers.authorization = headers.authorization === undefined ? '' : 'Bearer [removed]';
    const { delegation: mode, name: backend } = config.resources[request.backend === 'ledger' ? 0 : 1] ?? assert.fail();
    const refusal = await jwtVerify(token, keys[mode === 'mint' ? 'mint' : 'exchange'], { typ: 'at+jwt' }).then(
      () => undefined,
      (error: Error) => error.message,
    );
    const body = (request.body ?? Buffer.alloc(0)).toString('utf8');
    return { backend, headers, delegation: decodeJwt(token), verified: refusal === undefined, refusal, body };
  }

  const world: World = {
    origin: ORIGIN,
    issuer: authorizationServer.issuer,
    testIssuer,
    deadIssuer,
    tokenOf: createCallers(authorizationServer),
  };
  const stop = async () => {
    await live.close();
    await authorizationServer.stop();
    await testIssuer.stop();
    await rm(dir, { recursive: true, force: true });
  };
  return { world, live, decide, observe, stop };
}

async function writeKey(file: string, key: KeyObject): Promise<string> {
  await writeFile(file, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  return file;
}
