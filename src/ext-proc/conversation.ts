/**
 * What may come when, in one exchange. Each message of Envoy's is answered at once; one that was not asked for ends the
 * exchange by a throw, since it means that Envoy is set up in a way in which something would pass unprocessed.
 */
import type { Exchange, Instead } from './exchange.ts';
import {
  NO_BYTES,
  ProtocolError,
  type Reply,
  replyInstead,
  replyToBody,
  replyToRequestHeaders,
  replyToResponseHeaders,
  replyToTrailers,
  type Shown,
} from './messages.ts';

export interface Conversation {
  /** One message after the other: the next is shown once this one is answered. */
  readonly answer: (shown: Shown) => Promise<Reply>;
  /** Nothing more comes, whether or not anything should. */
  readonly end: () => void;
}

/** Throws what the exchange throws, and a ProtocolError at what comes unasked. */
export function beginConversation(exchange: Exchange): Conversation {
  let expected: readonly Shown['kind'][] = ['request_headers'];
  let wantsResponse = false;

  function instead({ response }: Instead): Reply {
    expected = [];
    return replyInstead(response);
  }

  function answerRequestHeaders({ headers, isLast }: Extract<Shown, { kind: 'request_headers' }>): Reply {
    const step = exchange.requestHeaders(headers);
    if (step.kind === 'respond') return instead(step);
    wantsResponse = step.wantsResponse;
    // Where Envoy answers by itself, a response may come before the body has.
    expected = [
      ...(step.wantsBody && !isLast ? (['request_body'] as const) : []),
      ...(wantsResponse ? (['response_headers'] as const) : []),
    ];
    return replyToRequestHeaders(step, isLast);
  }

  function answerRequestBody(body: Buffer): Reply {
    const replacement = exchange.requestBody(body);
    if (!Buffer.isBuffer(replacement)) return instead(replacement);
    expected = wantsResponse ? ['response_headers'] : [];
    return replyToBody('request_body', replacement);
  }

  async function answerResponseHeaders({
    status,
    headers,
    isLast,
  }: Extract<Shown, { kind: 'response_headers' }>): Promise<Reply> {
    const step = await exchange.responseHeaders(status, headers, isLast);
    if (step.kind === 'respond') return instead(step);
    expected = step.wantsBody && !isLast ? ['response_body', 'response_trailers'] : [];
    return replyToResponseHeaders(step, isLast);
  }

  async function answerResponseBody(piece: Buffer, isLast: boolean): Promise<Reply> {
    const replacement = await exchange.responseBody(piece, isLast);
    if (isLast) expected = [];
    return replyToBody('response_body', replacement);
  }

  /** The body ended with the piece before; what was held back of it has no message left to go in. */
  async function answerResponseTrailers(): Promise<Reply> {
    expected = [];
    const held = await exchange.responseBody(NO_BYTES, true);
    if (held.length > 0) throw new ProtocolError('trailers end a body of which the end was held back');
    return replyToTrailers('response_trailers');
  }

  async function answer(shown: Shown): Promise<Reply> {
    if (!expected.includes(shown.kind)) throw new ProtocolError(`${shown.kind} came unasked`);
    switch (shown.kind) {
      case 'request_headers':
        return answerRequestHeaders(shown);
      case 'request_body':
        return answerRequestBody(shown.body);
      case 'response_headers':
        return answerResponseHeaders(shown);
      case 'response_body':
        return answerResponseBody(shown.body, shown.isLast);
      case 'response_trailers':
        return answerResponseTrailers();
      case 'request_trailers':
        return replyToTrailers('request_trailers');
    }
  }

  function end(): void {
    if (expected.length > 0) exchange.abandoned?.();
    expected = [];
  }

  return { answer, end };
}
