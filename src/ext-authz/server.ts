/**
 * The gRPC server that Envoy asks: Authorization.Check, the standard health service, and what else is given to it.
 * Here is the last catch: whatever goes wrong, Envoy gets a denied response.
 */
import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  type GrpcObject,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { HealthImplementation } from 'grpc-health-check';
import type { Response } from '../check/answer.ts';
import type { Verdict } from '../check/authorize.ts';
import { type DecisionRecord, decisionRecord } from '../check/record.ts';
import type { ProtoGrpcType } from '../gen/external_auth.ts';
import type { HttpFacts } from '../http.ts';
import { reasonRow } from '../reasons.ts';
import { removeStaleSocket } from '../socket-file.ts';
import type { Denial } from '../verdict.ts';
import { toHttpFacts } from './request.ts';
import { toCheckResponse } from './response.ts';
import { encodeCheckResponse } from './wire.ts';

export interface ServerOptions {
  /** `host:port` or `unix:///path`. */
  readonly listen: string;
  readonly tls: { readonly cert: Buffer; readonly key: Buffer; readonly clientCa: Buffer } | null;
  readonly maxMessageBytes: number;
  readonly maxConcurrentStreams: number;
  /** Checks under way at once; what exceeds it is refused as overloaded. */
  readonly maxInFlight: number;
  /** Left of Envoy's deadline for the way back. */
  readonly deadlineReserveMs: number;
  readonly check: (http: HttpFacts, deadlineMs: number) => Promise<Verdict>;
  /** The verdict for a Check that `check` is not to see. */
  readonly refuse: (http: HttpFacts | null, denial: Denial) => Verdict;
  /** Called once for each Check, before its answer leaves; where it throws, the answer is a refusal. `late`: Envoy has gone. */
  readonly observe: (verdict: Verdict, record: DecisionRecord, elapsedMs: number, late: boolean) => void;
  /** What went wrong where not even a verdict could be told; Envoy was refused. */
  readonly onFailure?: (cause: unknown) => void;
  readonly onInFlight?: (count: number) => void;
  /** What else is served here. */
  readonly services?: readonly Service[];
}

/** A gRPC service, with the name by which its health is asked. */
export interface Service {
  readonly name: string;
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

export interface CheckServer {
  /** What clients connect to. */
  readonly target: string;
  /** Health says NOT_SERVING for `delayMs`, then no new calls are taken; at `limitMs` after that it stops regardless. */
  readonly drain: (delayMs: number, limitMs: number) => Promise<void>;
}

const PROTO_ROOT = fileURLToPath(new URL('../../proto', import.meta.url));
/** Used where Envoy sets no deadline at all. */
const DEFAULT_DEADLINE_MS = 10_000;

/** One of our own proto files as grpc-js wants it. */
export function loadProto(file: string): GrpcObject {
  return loadPackageDefinition(loadSync(file, { includeDirs: [PROTO_ROOT], keepCase: true, longs: Number }));
}

export function loadAuthorization(): ProtoGrpcType['envoy']['service']['auth']['v3']['Authorization'] {
  const root = loadProto('envoy/service/auth/v3/external_auth.proto') as GrpcObject & ProtoGrpcType;
  return root.envoy.service.auth.v3.Authorization;
}

export async function startServer(options: ServerOptions): Promise<CheckServer> {
  const server = new Server({
    'grpc.max_receive_message_length': options.maxMessageBytes,
    'grpc.max_concurrent_streams': options.maxConcurrentStreams,
    // Statistics of every call, for a debugging service that we do not offer.
    'grpc.enable_channelz': 0,
  });
  const { services = [] } = options;
  const names = ['', 'envoy.service.auth.v3.Authorization', ...services.map(({ name }) => name)];
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, 'SERVING'])));
  health.addToServer(server);
  const { Check } = loadAuthorization().service;
  const asIs = (bytes: Buffer): Buffer => bytes;
  const service = { Check: { ...Check, requestDeserialize: asIs, responseSerialize: asIs } };
  server.addService(service, { Check: checkHandler(options) } as UntypedServiceImplementation);
  for (const { definition, implementation } of services) server.addService(definition, implementation);
  await removeStaleSocket(options.listen);
  const target = await bind(server, options);

  async function drain(delayMs: number, limitMs: number): Promise<void> {
    for (const name of names) health.setStatus(name, 'NOT_SERVING');
    await setTimeoutAsync(delayMs);
    // Without channelz `forceShutdown` knows no connections; this ends them at the limit.
    server.drain(target, limitMs);
    await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  }

  return { target, drain };
}

async function bind(server: Server, { listen, tls }: ServerOptions): Promise<string> {
  const credentials =
    tls === null
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(tls.clientCa, [{ cert_chain: tls.cert, private_key: tls.key }], true);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(listen, credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return listen.startsWith('unix:') ? listen : listen.replace(/:\d+$/, `:${port}`);
}

type Call = ServerUnaryCall<Buffer, Buffer>;

/** A verdict with its record and its bytes: what cannot be encoded must not be found out after the last catch. */
interface Told {
  readonly verdict: Verdict;
  readonly record: DecisionRecord;
  readonly response: Buffer;
}

function tell(verdict: Verdict): Told {
  const record = decisionRecord(verdict);
  return { verdict, record, response: encodeCheckResponse(toCheckResponse(verdict, record)) };
}

/** Made before anything can fail; it knows of no request, not even its id. */
const LAST_RESORT = lastResort();

function lastResort(): Buffer {
  const reason = 'internal_error';
  const { status, code, message } = reasonRow(reason);
  const body = JSON.stringify({ jsonrpc: '2.0', error: { code, message, data: { reason } } });
  const response: Response = { status, headers: [['content-type', 'application/json']], body };
  const record = { decision: 'error', reason } as DecisionRecord;
  return encodeCheckResponse(toCheckResponse({ answer: { kind: 'respond', response } }, record));
}

function checkHandler(options: ServerOptions): (call: Call, respond: sendUnaryData<Buffer>) => void {
  const { check, refuse, observe, onInFlight, onFailure } = options;
  let inFlight = 0;
  const count = (change: 1 | -1): void => {
    inFlight += change;
    onInFlight?.(inFlight);
  };

  async function judge(call: Call): Promise<Verdict> {
    let http: HttpFacts | null = null;
    try {
      http = toHttpFacts(call.request, call.metadata, Date.now());
      if (http === null) return refuse(null, { reason: 'request_invalid' });
      if (inFlight > options.maxInFlight) return refuse(http, { reason: 'overloaded' });
      return await check(http, deadlineOf(call) - options.deadlineReserveMs);
    } catch (cause) {
      return refuse(http, { reason: 'internal_error', cause });
    }
  }

  function told(verdict: Verdict): Told {
    try {
      return tell(verdict);
    } catch (cause) {
      return tell(refuse(null, { reason: 'internal_error', cause }));
    }
  }

  return async function Check(call, respond) {
    const start = performance.now();
    count(1);
    let answer: Buffer = LAST_RESORT;
    try {
      const { verdict, record, response } = told(await judge(call));
      // After a cancellation Envoy has answered by itself, with a refusal: nothing went on.
      observe(verdict, record, performance.now() - start, call.cancelled);
      answer = response;
    } catch (cause) {
      onFailure?.(cause);
    } finally {
      respond(null, answer);
      count(-1);
    }
  };
}

/** Epoch milliseconds. */
function deadlineOf(call: Call): number {
  const deadline = call.getDeadline();
  const at = deadline instanceof Date ? deadline.getTime() : deadline;
  return Number.isFinite(at) ? at : Date.now() + DEFAULT_DEADLINE_MS;
}
