/** A handler's answer on Node's HTTP: whole or as a stream, to a client that may leave at any time. */
import type { ServerResponse } from 'node:http';
import type { Response } from '../check/answer.ts';
import type { Reply, ReplyHead, ReplyStream } from './handler.ts';
import { EVENTS_TYPE, eventText, JSON_TYPE } from './messages.ts';

/** What the listener does with it besides. */
export interface HttpReply extends Reply {
  /** A refusal; on a stream that has begun, an event before its end where somebody waits for an answer. */
  readonly fail: (refusal: Response, isAwaited: boolean) => void;
  /** Ends a stream, if it is one, and tells its handler. */
  readonly endStream: () => void;
  /** The client is gone, or no more can be said. */
  readonly abandon: () => void;
}

/** @param extra headers of every answer. */
export function createReply(response: ServerResponse, extra: Readonly<Record<string, string>>): HttpReply {
  const controller = new AbortController();
  const { signal } = controller;
  let isStream = false;
  response.once('close', () => {
    if (!response.writableFinished) controller.abort(new Error('the client has left'));
  });
  // A client that leaves while it is written to is no failure.
  response.on('error', () => {});

  function begin({ status = 200, headers = {} }: ReplyHead, type: string | null, length?: number): void {
    if (response.headersSent) throw new Error('the answer has begun already');
    response.writeHead(status, {
      ...(type === null ? {} : { 'content-type': type }),
      'cache-control': 'no-store',
      ...(length === undefined ? {} : { 'content-length': length }),
      ...extra,
      ...headers,
    });
  }

  function write(text: string): Promise<void> {
    if (signal.aborted || response.writableEnded) return Promise.reject(signal.reason ?? new Error('the stream has ended'));
    if (response.write(text)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        response.off('drain', settle);
        signal.removeEventListener('abort', settle);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      response.on('drain', settle);
      signal.addEventListener('abort', settle);
    });
  }

  return {
    signal,
    isBegun: () => response.headersSent,
    json: (text, head = {}) => {
      begin(head, JSON_TYPE, Buffer.byteLength(text));
      response.end(text);
    },
    status: (status, headers = {}) => {
      begin({ status, headers }, null, status === 204 ? undefined : 0);
      response.end();
    },
    stream: (head = {}): ReplyStream => {
      begin(head, EVENTS_TYPE);
      isStream = true;
      response.flushHeaders();
      return { write, end: () => void response.end() };
    },
    fail: (refusal, isAwaited) => {
      if (!response.headersSent) {
        response.writeHead(refusal.status, {
          ...extra,
          ...Object.fromEntries(refusal.headers),
          'content-length': Buffer.byteLength(refusal.body),
        });
        response.end(refusal.body);
      } else if (isStream && !response.writableEnded) response.end(isAwaited ? eventText(refusal.body) : undefined);
    },
    endStream: () => {
      if (!isStream) return;
      response.end();
      controller.abort(new Error('the listener closes'));
    },
    abandon: () => {
      if (!response.writableEnded) response.destroy();
    },
  };
}
