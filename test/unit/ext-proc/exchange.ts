/** An exchange that lets everything pass and remembers what it was shown; steps one by one to be replaced. */
import type { Exchange } from '../../../src/ext-proc/exchange.ts';

export type FakeExchange = Exchange & { readonly shown: unknown[][] };

export function fakeExchange(steps: Partial<Exchange> = {}): FakeExchange {
  const shown: unknown[][] = [];
  return {
    shown,
    requestHeaders: (headers) => {
      shown.push(['requestHeaders', [...headers]]);
      return steps.requestHeaders?.(headers) ?? { kind: 'continue', set: [], remove: [], wantsBody: true, wantsResponse: true };
    },
    requestBody: (body) => {
      shown.push(['requestBody', body.toString()]);
      return steps.requestBody?.(body) ?? body;
    },
    responseHeaders: (status, headers, isLast) => {
      shown.push(['responseHeaders', status, [...headers]]);
      return steps.responseHeaders?.(status, headers, isLast) ?? { kind: 'continue', set: [], remove: [], wantsBody: true };
    },
    responseBody: async (piece, isLast) => {
      shown.push(['responseBody', piece.toString(), isLast]);
      return steps.responseBody?.(piece, isLast) ?? piece;
    },
    abandoned: () => {
      shown.push(['abandoned']);
      steps.abandoned?.();
    },
  };
}
