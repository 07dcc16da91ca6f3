/**
 * Text without the tokens that got into it: what has the form of a JWS or JWE, cut short as well. In the midst of a word, where
 * a name may look like one, only what has all parts of it. Linear, since callers write the text.
 */

/** The header of a token is a JSON object, perhaps with white space in front of its first member. */
const HEADER = /e(?:yJ|y[A-D]|w[k-r0-3])[\w-]{8,}/;
/** What a token can be in: at once as long as it goes, so that nothing is looked at twice. */
const WORD = /[\w-]{11,}(?:\.[\w-]*)*/g;
const SHORTEST = 11;
const SHORTEST_PART = 8;
export const REDACTED = '[redacted]';

/** @param text may be JSON text. */
export function redactTokens(text: string): string {
  if (text.length < SHORTEST || !(text.includes('ey') || text.includes('ew'))) return text;
  return text.replace(WORD, (word: string, at: number) => redactWord(word, text[at - 1] === '\\'));
}

function redactWord(word: string, isEscaped: boolean): string {
  const parts = word.split('.');
  for (const [index, part] of parts.entries()) {
    const start = part.search(HEADER);
    if (start < 0) continue;
    // In JSON text the letter of an escape stands in front of what comes after a newline.
    const begins = start === 0 || (start === 1 && index === 0 && isEscaped);
    if ((begins && part.startsWith('eyJ', start)) || hasBodyAfter(parts, index))
      return [...parts.slice(0, index), `${part.slice(0, start)}${REDACTED}`].join('.');
  }
  return word;
}

function hasBodyAfter(parts: readonly string[], index: number): boolean {
  return [1, 2].every((next) => (parts[index + next] ?? '').length >= SHORTEST_PART);
}
