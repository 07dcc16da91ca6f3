/** The client that Envoy is: a real gRPC channel to a server of ours. */
import {
  type ChannelCredentials,
  type ChannelOptions,
  type Client,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { loadAuthorization } from '../../../src/ext-authz/server.ts';
import type { CheckRequestInput } from '../../../src/gen/envoy/service/auth/v3/CheckRequest.ts';
import type { CheckResponse } from '../../../src/gen/envoy/service/auth/v3/CheckResponse.ts';

export interface Envoy {
  /** Rejects with a gRPC error, which no decision may ever be. */
  readonly check: (request: CheckRequestInput, deadlineMs?: number) => Promise<CheckResponse>;
  /** A Check that can be given up. */
  readonly begin: (request: CheckRequestInput) => { readonly answer: Promise<CheckResponse>; readonly cancel: () => void };
  readonly health: (service?: string) => Promise<string>;
  readonly close: () => void;
}

const Authorization = loadAuthorization();
const Health = makeGenericClientConstructor(healthService, 'Health');

export function connectEnvoy(
  target: string,
  security: ChannelCredentials = credentials.createInsecure(),
  options: ChannelOptions = {},
): Envoy {
  const settings = { 'grpc.enable_retries': 0, ...options };
  const authorization = new Authorization(target, security, settings);
  const health = new Health(target, security, settings) as unknown as Client & {
    check: (request: object, done: (error: ServiceError | null, answer: { status: string }) => void) => void;
  };

  function begin(request: CheckRequestInput, deadlineMs?: number) {
    let cancel = (): void => {};
    const answer = new Promise<CheckResponse>((resolve, reject) => {
      const timing = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
      const call = authorization.Check(request, new Metadata(), timing, (error: ServiceError | null, found?: CheckResponse) =>
        error ? reject(error) : resolve(found as CheckResponse),
      );
      cancel = () => call.cancel();
    });
    return { answer, cancel };
  }

  return {
    begin,
    check: (request, deadlineMs) => begin(request, deadlineMs).answer,
    health: (service = '') =>
      new Promise((resolve, reject) => {
        health.check({ service }, (error, answer) => (error ? reject(error) : resolve(answer.status)));
      }),
    close: () => {
      authorization.close();
      health.close();
    },
  };
}

/** A POST as Envoy tells of it. */
export function checkRequest(
  body: string | Uint8Array,
  { path = '/ledger/mcp', headers = {} as Record<string, string>, method = 'POST' } = {},
): CheckRequestInput {
  const lines = { 'content-type': 'application/json', ...headers };
  const raw_body = Buffer.from(body as string);
  return {
    attributes: {
      source: { address: { socket_address: { address: '192.0.2.7' } } },
      request: {
        time: { seconds: Math.floor(Date.now() / 1000), nanos: 0 },
        http: {
          method,
          path,
          host: 'gateway.example',
          raw_body,
          size: raw_body.byteLength || -1,
          header_map: { headers: Object.entries(lines).map(([key, value]) => ({ key, raw_value: Buffer.from(value) })) },
        },
      },
    },
  };
}
