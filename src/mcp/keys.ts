/**
 * When two keys of an object count as the same. Parsers differ: some fold case, normalise, drop what cannot be seen or stop
 * at a NUL. What any of them would take for one key is one key here.
 */

/** The forms of a key; two keys count as the same where they share one. */
export function foldedForms(key: string): readonly string[] {
  if (isPlain(key)) return [key];
  if (/^[\x20-\x7e]*$/.test(key)) return [key.toLowerCase()];
  const nul = key.indexOf('\0');
  const whole = foldKey(key);
  const upToNul = nul < 0 ? whole : foldKey(key.slice(0, nul));
  return upToNul === whole ? [whole] : [whole, upToNul];
}

/** A key that is its own only form: no capitals, nothing beyond ASCII, nothing that cannot be seen. */
export function isPlain(key: string): boolean {
  for (let at = 0; at < key.length; at++) {
    const unit = key.charCodeAt(at);
    if (unit < 0x20 || unit > 0x7e || (unit >= 0x41 && unit <= 0x5a)) return false;
  }
  return true;
}

/** In pieces: to normalise a long run of combining marks at once takes quadratic time. */
function foldKey(key: string): string {
  return key
    .replace(/.{1,32}/gsu, (piece) => piece.normalize('NFKD').toLowerCase().toUpperCase())
    .replace(/[\p{Cc}\p{Default_Ignorable_Code_Point}]/gu, '')
    .replace(/I\u0307/g, 'I') // as Turkish writes it
    .replace(/\p{M}{2,}/gu, (marks) => [...marks].sort().join(''))
    .toLowerCase();
}

/** Names that we read from an object. */
export interface KnownKeys {
  readonly names: ReadonlySet<string>;
  readonly folded: ReadonlySet<string>;
}

export function knownKeys(names: readonly string[]): KnownKeys {
  return { names: new Set(names), folded: new Set(names.flatMap(foldedForms)) };
}

/**
 * A key that some parser would take for one that we read (`Name`, `name\0`, `ｎame`). Two such keys side by side are refused
 * by the JSON reader already; this catches one alone.
 */
export function hasLookAlike(value: Readonly<Record<string, unknown>>, { names, folded }: KnownKeys): boolean {
  return Object.keys(value).some((key) => !names.has(key) && foldedForms(key).some((form) => folded.has(form)));
}
