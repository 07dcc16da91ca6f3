/**
 * What is to be said of chains when all lines have been read. Without the key nobody can sign, but whoever can write the file can
 * cut a chain back to any of its checkpoints and write on from there. So only what is signed counts, and a chain that did not end
 * though another process came after it is found, unless somebody who knows of the kill says so.
 */
import { countLines, describeMark, type LineAt, type Mark, type Place } from './chain-place.ts';

export interface ChainFacts {
  /** In the order in which they begin. */
  readonly places: readonly Place[];
  readonly isKilled: (mark: Mark) => boolean;
  /** Every chain must have ended. */
  readonly closed: boolean;
}

export interface Tell {
  readonly find: (at: LineAt | null, problem: string) => void;
  readonly note: (at: LineAt, problem: string) => void;
}

export function judgeEnds(facts: ChainFacts, tell: Tell): void {
  for (const place of facts.places) if (!place.ended) judgeOpen(place, facts, tell);
}

function judgeOpen(place: Place, { places, isKilled, closed }: ChainFacts, { find, note }: Tell): void {
  const { at, unsigned, signed } = place;
  const isOwned = isKilled(place);
  // Its first two lines are written at once: a kill may leave the first and half of the second.
  const isCutAtStart = place.first === 0 && place.seq === 0 && place.torn;
  if (signed === null && !(isCutAtStart && isOwned)) {
    const kill = isCutAtStart ? `, unless its process was killed as it began: then --killed ${describeMark(place)}` : '';
    find(at, `is the last of a chain of which nothing here is signed: anybody may have written it${kill}`);
    return;
  }
  const open = unsigned === 0 ? '' : `: ${countLines(unsigned)} not signed${isOwned ? '' : ' yet'}`;
  const problem = `is the last of its chain, which has not ended${open}`;
  if (isOwned) note(at, `${problem}; its process was killed, as --killed says`);
  else if (isFollowed(place, places))
    find(at, `${problem}, and a later process went on: killed, or cut off or forged; if killed: --killed ${describeMark(place)}`);
  else if (closed) find(at, problem);
  else note(at, problem);
}

/**
 * Another process began after the last that is known for certain of this one. Where lines of different chains stand is nowhere
 * signed, and clocks may go back: either is enough.
 */
function isFollowed({ id, signedAt, until }: Place, places: readonly Place[]): boolean {
  const later = places.filter((other) => other.id !== id && other.first === 0 && other.signed !== null && !other.isCommand);
  return later.some(({ begun, since }) => begun > signedAt || (since !== null && since > until));
}

/** What the auditor kept from last time. */
export function judgeMarks(marks: readonly Mark[], places: readonly Place[], before: Mark | null, { find }: Tell): void {
  for (const mark of marks) {
    const place = places.find(({ id }) => id === mark.id);
    // What comes right after it may be the first that is here.
    if (before?.id === mark.id && before.seq === mark.seq) continue;
    if (place === undefined || place.first > mark.seq + 1)
      find(null, `${describeMark(mark)} was there last time and is not here: removed, or in a file that was not given`);
    else if (place.signed === null || place.signed < mark.seq)
      find(null, `${describeMark(mark)} was there last time, signed, and is not here: its chain was cut off`);
  }
}

/** From which all that is signed can be reached: no other chain goes on from them. */
export function findMarks(places: readonly Place[]): Mark[] {
  const signed = places.flatMap((place) => (place.signed === null ? [] : [{ ...place, seq: place.signed }]));
  return signed
    .filter(({ id, seq }) => !signed.some(({ from }) => from?.id === id && from.seq >= seq))
    .map(({ id, seq }) => ({ id, seq }));
}
