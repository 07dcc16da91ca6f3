/** A second JSON reader, slow and plain, that loses nothing: objects are lists of their members. Only for texts that are JSON. */
export type Entry =
  | { readonly kind: 'object'; readonly members: readonly (readonly [key: string, value: Entry])[] }
  | { readonly kind: 'list'; readonly values: readonly Entry[] }
  | { readonly kind: 'scalar' };

export function readEntries(text: string): Entry {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g) ?? [];
  let at = 0;

  function value(): Entry {
    const token = tokens[at++];
    if (token === '[') {
      const values: Entry[] = [];
      while (tokens[at] !== ']') {
        values.push(value());
        if (tokens[at] === ',') at++;
      }
      at++;
      return { kind: 'list', values };
    }
    if (token !== '{') return { kind: 'scalar' };
    const members: [string, Entry][] = [];
    while (tokens[at] !== '}') {
      const key = JSON.parse(tokens[at] ?? '') as string;
      at += 2;
      members.push([key, value()]);
      if (tokens[at] === ',') at++;
    }
    at++;
    return { kind: 'object', members };
  }

  return value();
}

/** The keys of every object in it. */
export function keysOf(entry: Entry): string[][] {
  if (entry.kind === 'scalar') return [];
  if (entry.kind === 'list') return entry.values.flatMap(keysOf);
  return [entry.members.map(([key]) => key), ...entry.members.flatMap(([, value]) => keysOf(value))];
}

/** Ways in which parsers have been seen to compare keys. */
const COMPARISONS: readonly ((key: string) => string)[] = [
  (key) => key,
  (key) => key.toLowerCase(),
  (key) => key.toUpperCase(),
  (key) => key.normalize('NFC'),
  (key) => key.normalize('NFKC').toLowerCase(),
  (key) => key.replaceAll('\0', ''),
  (key) => key.split('\0')[0] ?? '',
  (key) => (key.split('\0')[0] ?? '').toLowerCase(),
  (key) => key.replaceAll('\u200b', ''),
];

/** Two keys of one object that some parser takes for one. */
export function clash(keys: readonly string[]): boolean {
  return COMPARISONS.some((compare) => new Set(keys.map(compare)).size < keys.length);
}
