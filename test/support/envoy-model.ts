/**
 * Envoy's side of a Check without Envoy: the CheckRequest it would send for a request, and what it would do with the answer.
 * Both go through the real protobuf, so that what is not in our proto files is lost here as it would be there.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadAuthorization } from '../../src/ext-authz/server.ts';
import type { CheckRequestInput } from '../../src/gen/envoy/service/auth/v3/CheckRequest.ts';
import type { CheckResponse } from '../../src/gen/envoy/service/auth/v3/CheckResponse.ts';
import type { CheckChange } from './cases.ts';
import type { HeaderLine } from './wire.ts';

const { Check } = loadAuthorization().service as ServiceDefinition as { Check: NonNullable<ServiceDefinition[string]> };

/** Names of which Envoy keeps one line: further ones are joined to it with a comma. */
const INLINE = new Set(['authorization', 'content-type', 'accept', 'user-agent', 'content-length', 'expect', 'upgrade', 'te']);

export interface Downstream {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly headers: readonly HeaderLine[];
  readonly body: Buffer | null;
  readonly check?: CheckChange;
}

export function toCheckRequest(request: Downstream, requestId: string = randomUUID()): CheckRequestInput {
  const { method, path, authority, headers, body, check = {} } = request;
  if (check.http === false) return { attributes: { source: {}, request: {} } };
  const lines: HeaderLine[] = [
    [':authority', authority],
    [':path', path],
    [':method', method],
    [':scheme', 'https'],
    ...headers,
    ['x-forwarded-for', '127.0.0.1'],
    ['x-forwarded-proto', 'https'],
    ['x-request-id', requestId],
    ...(body === null ? [] : [['x-envoy-auth-partial-body', String(check.partial ?? false)] as const]),
  ];
  return {
    attributes: {
      source: { address: { socket_address: { address: '127.0.0.1', port_value: 40_000 } } },
      request: {
        time: { seconds: Math.floor(Date.now() / 1000), nanos: 0 },
        http: {
          id: randomUUID(),
          method,
          path,
          host: authority,
          scheme: 'https',
          protocol: 'HTTP/2',
          size: check.size ?? (body === null ? -1 : body.length),
          ...bodyField(body, check),
          header_map: { headers: joined(lines).map(([key, value]) => ({ key, raw_value: Buffer.from(value, 'latin1') })) },
        },
      },
    },
  };
}

function bodyField(body: Buffer | null, check: CheckChange): { raw_body?: Buffer; body?: string } {
  if (body === null || check.body === 'none') return {};
  return check.body === 'text' ? { body: body.toString('utf8') } : { raw_body: body };
}

/** Any CheckRequest as the service gets it. */
export function overTheWire(input: CheckRequestInput): Buffer {
  return Check.requestSerialize(input);
}

function joined(lines: readonly HeaderLine[]): HeaderLine[] {
  const result: [string, string][] = [];
  for (const [name, value] of lines) {
    const key = name.toLowerCase();
    const first = INLINE.has(key) ? result.find(([known]) => known === key) : undefined;
    if (first === undefined) result.push([key, value]);
    else first[1] += `,${value}`;
  }
  return result;
}

export type Outcome =
  | { readonly kind: 'forwarded'; readonly headers: readonly HeaderLine[]; readonly responseHeaders: readonly HeaderLine[] }
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly headers: ReadonlyMap<string, string[]>;
      readonly body: string;
    };

/** What Envoy does: headers are set, every one in place of those of the same name, and removed after that. */
export function actOn(answer: Buffer, request: Downstream): Outcome {
  const response = Check.responseDeserialize(answer) as CheckResponse;
  const code = response.status?.code ?? 0;
  if (code === 0) {
    assert.ok(response.ok_response, 'an OK without its arm: Envoy would let the request pass unchanged');
    const { headers = [], headers_to_remove: remove = [], response_headers_to_add: added = [] } = response.ok_response;
    let lines = joined(request.headers);
    for (const { header } of headers) {
      const key = header?.key ?? '';
      lines = [...lines.filter(([name]) => name !== key), [key, header?.value ?? '']];
    }
    const gone = new Set(remove.map((name) => name.toLowerCase()));
    return {
      kind: 'forwarded',
      headers: lines.filter(([name]) => !gone.has(name)),
      responseHeaders: added.map(({ header }) => [header?.key ?? '', header?.value ?? '']),
    };
  }
  assert.ok(response.denied_response, 'a refusal without its arm: Envoy would answer 403 by itself');
  const { status, headers = [], body = '' } = response.denied_response;
  const answered = new Map<string, string[]>();
  for (const { header } of headers)
    answered.set(header?.key ?? '', [...(answered.get(header?.key ?? '') ?? []), header?.value ?? '']);
  return { kind: 'answered', status: Number(status?.code ?? 403), headers: answered, body };
}
