/** Envoy's ext_proc messages as plain data, and answers to them. Translation only: `conversation.ts` knows what may come when. */
import type { Response } from '../check/answer.ts';
import type { ProcessingModeInput } from '../gen/envoy/extensions/filters/http/ext_proc/v3/ProcessingMode.ts';
import type { HeaderMutationInput } from '../gen/envoy/service/ext_proc/v3/HeaderMutation.ts';
import type { HttpHeaders } from '../gen/envoy/service/ext_proc/v3/HttpHeaders.ts';
import type { ProcessingRequest } from '../gen/envoy/service/ext_proc/v3/ProcessingRequest.ts';
import type { ProcessingResponseInput } from '../gen/envoy/service/ext_proc/v3/ProcessingResponse.ts';
import type { HttpStatusInput } from '../gen/envoy/type/v3/HttpStatus.ts';
import type { HeaderLine, Headers } from '../http.ts';
import type { RequestStep, ResponseStep } from './exchange.ts';

/** What Envoy shows at one time. */
export type Shown =
  | { readonly kind: 'request_headers'; readonly headers: Headers; readonly isLast: boolean }
  | { readonly kind: 'request_body'; readonly body: Buffer }
  | { readonly kind: 'response_headers'; readonly status: number; readonly headers: Headers; readonly isLast: boolean }
  | { readonly kind: 'response_body'; readonly body: Buffer; readonly isLast: boolean }
  | { readonly kind: 'request_trailers' | 'response_trailers' };

export type Reply = ProcessingResponseInput;

/** Envoy says something that cannot be followed. */
export class ProtocolError extends Error {}

const KINDS = [
  'request_headers',
  'request_body',
  'response_headers',
  'response_body',
  'request_trailers',
  'response_trailers',
] as const satisfies readonly Shown['kind'][];

export const NO_BYTES: Buffer = Buffer.alloc(0);

/** Throws a ProtocolError at what is none of the six, or more than one. */
export function readMessage(message: ProcessingRequest): Shown {
  const [kind, ...others] = KINDS.filter((one) => message[one] !== undefined);
  if (kind === undefined) throw new ProtocolError('a message of an unknown kind');
  if (others.length > 0) throw new ProtocolError('a message of two kinds');
  if (message.observability_mode === true) throw new ProtocolError('Envoy is in observability_mode: nothing would be processed');
  switch (kind) {
    case 'request_headers':
      return { kind, headers: readHeaders(message[kind]), isLast: message[kind]?.end_of_stream === true };
    case 'request_body':
      return { kind, body: message[kind]?.body ?? NO_BYTES };
    case 'response_headers': {
      const isLast = message[kind]?.end_of_stream === true;
      return { kind, status: readStatus(message[kind]), headers: readHeaders(message[kind]), isLast };
    }
    case 'response_body':
      return { kind, body: message[kind]?.body ?? NO_BYTES, isLast: message[kind]?.end_of_stream === true };
    case 'request_trailers':
    case 'response_trailers':
      return { kind };
  }
}

function readLines(shown: HttpHeaders | undefined): HeaderLine[] {
  // Bytes that need not be text: one character for each.
  return (shown?.headers?.headers ?? []).map(({ key = '', value = '', raw_value: raw }) => [
    key.toLowerCase(),
    raw === undefined || raw.length === 0 ? value : raw.toString('latin1'),
  ]);
}

/** Without what HTTP/2 puts before them: `:status`, `:path` and the like. */
function readHeaders(shown: HttpHeaders | undefined): Headers {
  const headers = new Map<string, string[]>();
  for (const [name, value] of readLines(shown)) {
    if (name.startsWith(':')) continue;
    const values = headers.get(name);
    if (values === undefined) headers.set(name, [value]);
    else values.push(value);
  }
  return headers;
}

function readStatus(shown: HttpHeaders | undefined): number {
  const value = readLines(shown).find(([name]) => name === ':status')?.[1] ?? '';
  if (!/^[1-9]\d\d$/.test(value)) throw new ProtocolError('an answer without a status');
  return Number(value);
}

/** `isLast`: no body follows, whatever the step wants. */
export function replyToRequestHeaders(step: RequestStep, isLast: boolean): Reply {
  const replacesBody = step.wantsBody && !isLast;
  return {
    request_headers: { response: { header_mutation: mutateHeaders(step, replacesBody) } },
    mode_override: {
      request_body_mode: replacesBody ? 'BUFFERED' : 'NONE',
      response_header_mode: step.wantsResponse ? 'SEND' : 'SKIP',
    },
  };
}

export function replyToResponseHeaders(step: ResponseStep, isLast: boolean): Reply {
  const replacesBody = step.wantsBody && !isLast;
  return {
    response_headers: { response: { header_mutation: mutateHeaders(step, replacesBody) } },
    mode_override: replacesBody ? STREAMED : NOTHING_MORE,
  };
}

/** Trailers as well: where there are any, they and not a piece of the body are the end. */
const STREAMED: ProcessingModeInput = { response_body_mode: 'STREAMED', response_trailer_mode: 'SEND' };
const NOTHING_MORE: ProcessingModeInput = { response_body_mode: 'NONE' };

export function replyToBody(kind: 'request_body' | 'response_body', replacement: Buffer): Reply {
  const mutation = replacement.length === 0 ? { clear_body: true } : { body: replacement };
  return { [kind]: { response: { body_mutation: mutation } } };
}

export function replyToTrailers(kind: 'request_trailers' | 'response_trailers'): Reply {
  return { [kind]: {} };
}

export function replyInstead({ status, headers, body }: Response): Reply {
  return {
    immediate_response: {
      status: { code: status as NonNullable<HttpStatusInput['code']> },
      headers: { set_headers: setHeaders(headers) },
      body: Buffer.from(body, 'utf8'),
      details: 'mcp_ext_authz',
    },
  };
}

interface Changes {
  readonly set: readonly HeaderLine[];
  readonly remove: readonly string[];
}

/** Envoy refuses a replaced body where the old length still stands; without one it sends chunks. */
function mutateHeaders({ set, remove }: Changes, replacesBody: boolean): HeaderMutationInput {
  return { set_headers: setHeaders(set), remove_headers: replacesBody ? [...remove, 'content-length'] : [...remove] };
}

/** What we set replaces what is there, but for a list to which others have their own to say; a name given twice has two lines. */
function setHeaders(lines: readonly HeaderLine[]): NonNullable<HeaderMutationInput['set_headers']> {
  const seen = new Set<string>(['vary']);
  return lines.map(([name, value]) => {
    const header = { key: name, raw_value: Buffer.from(value, 'utf8') };
    const isFirst = !seen.has(name);
    seen.add(name);
    // ext_proc takes append_action 0, which is to append, for one that is not set, which overwrites.
    return isFirst ? { header, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' } : { header, append: { value: true } };
  });
}
