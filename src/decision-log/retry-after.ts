/** `Retry-After` (RFC 9110, section 10.2.3): seconds or a date. What is neither says nothing. */

/** Nobody may silence a log for longer. */
const MAX_MS = 60_000;

/** Milliseconds. @param now epoch milliseconds. */
export function readRetryAfter(value: string | undefined, now: number): number {
  const text = value?.trim() ?? '';
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : HTTP_DATE.test(text) ? Date.parse(text) - now : 0;
  return ms > 0 ? Math.min(ms, MAX_MS) : 0;
}

/** IMF-fixdate, the only form that is still sent. */
const HTTP_DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
