/**
 * Where an answer sends us on, for the one service whose answers may: a bundle server that keeps its bundles in object storage.
 * A target is told by its origin alone, since its path and query may open it to whoever reads them.
 */
import { type BytesAnswer, isLoopback } from '../http-client.ts';

/** The answer sends us to where we do not go. */
export class RedirectRefused extends Error {
  override name = 'RedirectRefused';
}

export interface RedirectLimits {
  readonly maxRedirects: number;
  /** Plain http may lead to other hosts by plain http. */
  readonly allowPlaintext: boolean;
}

/**
 * The answer where redirects end, and whose it is: null where it is the first origin's. Who was sent away comes back as a
 * stranger: another origin must not choose what our credentials are shown for. Rejects with RedirectRefused.
 */
export async function follow(
  first: URL,
  { maxRedirects, allowPlaintext }: RedirectLimits,
  send: (url: URL, isHome: boolean) => Promise<BytesAnswer>,
): Promise<{ readonly answer: BytesAnswer; readonly origin: string | null }> {
  let url = first;
  let isHome = true;
  for (let followed = 0; ; followed++) {
    const answer = await send(url, isHome);
    const target = readRedirect(answer, url, allowPlaintext);
    if (target === null) return { answer, origin: isHome ? null : url.origin };
    if (followed === maxRedirects)
      throw new RedirectRefused(`it redirected more than ${maxRedirects} times, at last to ${describeTarget(target)}`);
    url = target;
    isHome &&= target.origin === first.origin;
  }
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Null where the answer is none. Throws RedirectRefused. */
function readRedirect({ status, headers }: BytesAnswer, from: URL, allowPlaintext: boolean): URL | null {
  if (!REDIRECTS.has(status)) return null;
  const { location } = headers;
  if (location === undefined) throw new RedirectRefused(`it answered ${status} without saying where to`);
  if (!URL.canParse(location, from)) throw new RedirectRefused(`it answered ${status} with an address that cannot be read`);
  const target = new URL(location, from);
  const why = findFault(target, from, allowPlaintext);
  if (why !== null) throw new RedirectRefused(`it redirected to ${describeTarget(target)}, ${why}`);
  target.hash = '';
  return target;
}

function describeTarget({ protocol, origin }: URL): string {
  return isWeb(protocol) ? origin : `an address of ${protocol}`;
}

function findFault(target: URL, from: URL, allowPlaintext: boolean): string | null {
  if (!isWeb(target.protocol)) return 'which is not HTTP';
  if (target.username !== '' || target.password !== '') return 'with a user or a password';
  if (isLoopback(target.hostname) && !isLoopback(from.hostname)) return 'which is this very host';
  if (target.protocol === 'https:') return null;
  if (from.protocol === 'https:') return 'from https to plain http';
  return allowPlaintext || isLoopback(target.hostname) ? null : 'plain http to another host';
}

function isWeb(protocol: string): boolean {
  return protocol === 'https:' || protocol === 'http:';
}
