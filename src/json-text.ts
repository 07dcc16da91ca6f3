/** JSON text put together from pieces: for what is made on every request, where JSON.stringify is the greater cost. */

/** A string as JSON. */
export function quote(text: string): string {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 || unit === 0x22 || unit === 0x5c || unit > 0x7e) return JSON.stringify(text);
  }
  return `"${text}"`;
}

/** A string or null as JSON. */
export function quoteOrNull(text: string | null): string {
  return text === null ? 'null' : quote(text);
}

const texts = new WeakMap<object, string>();

/** An object as JSON that never changes and comes again and again: its text is kept for as long as it is. */
export function keptText(value: object): string {
  const known = texts.get(value);
  if (known !== undefined) return known;
  const text = JSON.stringify(value);
  texts.set(value, text);
  return text;
}

let second = Number.NaN;
let upToSecond = '';

/** Epoch milliseconds as RFC 3339, in UTC. Times of requests share their second with those before. */
export function rfc3339(ms: number): string {
  const whole = Math.floor(ms / 1000);
  if (whole !== second) {
    upToSecond = new Date(whole * 1000).toISOString().slice(0, -4);
    second = whole;
  }
  return `${upToSecond}${String(ms - whole * 1000).padStart(3, '0')}Z`;
}
