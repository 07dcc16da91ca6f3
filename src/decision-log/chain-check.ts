/**
 * Whether lines are as they were written: every line carries the hash of the one before, every checkpoint a signature. Told of
 * each line that is not, with its number. Lines of several processes may be mixed, each in a chain of its own. Nobody vouches for
 * lines that are not signed, and the chain of another process does not either: it only says where it went on from.
 */
import { isObject, type JsonObject } from '../mcp/message.ts';
import { hashOf } from './chain.ts';
import { type Link, linkOf, readCheckpoint, readLine } from './chain-link.ts';
import { countLines, describeMark, type Finding, type LineAt, type Mark, type Place } from './chain-place.ts';
import { findMarks, judgeEnds, judgeMarks } from './chain-verdict.ts';
import type { VerifyCheckpoint } from './checkpoint-keys.ts';

export interface CheckReport {
  lines: number;
  checkpoints: number;
  chains: number;
  /** What is not wrong, and worth knowing. */
  readonly notes: Finding[];
  readonly findings: Finding[];
  /** Lines that no checkpoint has signed. */
  unsigned: number;
  /** What to keep: with these the next check finds whether anything up to here was removed. */
  marks: Mark[];
}

export interface ChainCheckOptions {
  readonly verify: VerifyCheckpoint;
  /** Chains may begin anywhere: what several processes wrote to one stream. */
  readonly restarts?: boolean;
  /** Every chain must have ended. */
  readonly closed?: boolean;
  /** Last lines of chains whose processes are known to have been killed, or to run still. */
  readonly killed?: readonly Mark[] | 'any';
  /** What an earlier check said to keep. */
  readonly last?: readonly Mark[];
}

/** A process that goes on from a file reads its end before it writes; others may write in between. */
const LATEST = 1000;

export function createChainCheck({ verify, restarts = false, closed = false, killed = [], last = [] }: ChainCheckOptions) {
  const chains = new Map<string, Place>();
  const report: CheckReport = { lines: 0, checkpoints: 0, chains: 0, notes: [], findings: [], unsigned: 0, marks: [] };
  let tornBefore: { readonly at: LineAt; readonly hash: string } | null = null;
  /** Of the line before. */
  let latest: Place | null = null;
  /** What the first chain here goes on from. */
  let before: Mark | null = null;

  function find(at: LineAt | null, problem: string): void {
    report.findings.push({ file: at?.file ?? null, line: at?.line ?? 0, problem });
  }

  function note({ file, line }: LineAt, problem: string): void {
    report.notes.push({ file, line, problem });
  }

  const isKilled = ({ id, seq }: Mark): boolean => killed === 'any' || killed.some((mark) => mark.id === id && mark.seq === seq);

  async function add(at: LineAt): Promise<void> {
    report.lines += 1;
    // Two processes that begin at once after a kill both end the half line.
    if (tornBefore !== null && at.bytes.length === 0) return;
    const event = at.torn ? null : readLine(at.bytes);
    if (event === null) {
      addTorn(at);
      return;
    }
    if (tornBefore !== null) judgeTorn(tornBefore, event);
    tornBefore = null;
    const link = linkOf(event);
    if (link === null) return find(at, 'is in no chain: inserted, or written without one');
    latest = put(at, event, link);
    if (event.type === 'checkpoint') await judgeCheckpoint(latest, at, event, link);
  }

  function addTorn(at: LineAt): void {
    if (tornBefore !== null) find(tornBefore.at, 'is no line of a decision log');
    else if (latest !== null) latest.torn = true;
    tornBefore = { at, hash: hashOf(at.bytes) };
  }

  /** Half a line is what the process found that went on after it; nobody signed it, and where a stop came before, nobody left it. */
  function judgeTorn({ at, hash }: { readonly at: LineAt; readonly hash: string }, next: JsonObject): void {
    const isKnown = next.type === 'chain' && isObject(next.continues) && next.continues.torn === hash;
    if (!isKnown) find(at, 'is no line of a decision log');
    else if (latest?.ended && killed.length === 0)
      find(at, 'is half a line after the end of a chain: inserted, or a process was killed');
    else note(at, 'is half a line: the process was killed while it wrote it');
    report.unsigned += 1;
  }

  function put(at: LineAt, event: JsonObject, link: Link): Place {
    const hash = hashOf(at.bytes);
    const known = chains.get(link.id);
    if (known === undefined) return begin(at, event, link, hash);
    follow(known, at, event, link, hash);
    return known;
  }

  function begin(at: LineAt, event: JsonObject, { id, seq, prev }: Link, hash: string): Place {
    const isFirst = report.lines === 1;
    report.chains += 1;
    const isCommand = event.command === true;
    const of = { id, first: seq, begun: report.lines, isCommand, latest: new Map([[seq, hash]]) };
    const nothing = { unsigned: 1, signed: null, signedAt: 0, since: null, until: 0, ended: false, torn: false, from: null };
    const place: Place = { ...of, seq, hash, at, ...nothing };
    chains.set(id, place);
    if (event.type === 'chain' && seq === 0 && prev === null) judgeContinuation(place, event.continues, isFirst);
    else {
      const problem = `is number ${seq} of a chain whose beginning is not here`;
      if (isFirst) note(at, problem);
      else find(at, problem);
    }
    return place;
  }

  function judgeContinuation(place: Place, continues: unknown, isFirst: boolean): void {
    if (isObject(continues)) {
      if (isFirst) judgeBefore(place, continues);
      else judgeFrom(place, continues);
    } else if (!isFirst && !restarts) find(place.at, 'begins a chain that goes on from no other: lines before it may be missing');
  }

  /** The lines before are not here, but the process said what it found. */
  function judgeBefore({ at, isCommand }: Place, { id, seq, signed, ended }: JsonObject): void {
    before = { id: String(id), seq: Number(seq) };
    const problem = `goes on from ${describeMark(before)}, which is not here`;
    // Processes of before did not look; a command may have come while its chain went on.
    if (ended === undefined || ended === true || isCommand) {
      note(at, problem);
      return;
    }
    const unsigned =
      typeof signed === 'number' ? `${countLines(before.seq - signed)} of it unsigned` : 'and of which it found nothing signed';
    const open = `${problem}, which had not ended, ${unsigned}`;
    if (isKilled(before)) note(at, `${open}; its process was killed, as --killed says`);
    else find(at, `${open}: killed, or cut off or forged; give the file before it as well, or --killed ${describeMark(before)}`);
  }

  function judgeFrom(place: Place, { id, seq, hash }: JsonObject): void {
    const known = chains.get(String(id));
    const from = { id: String(id), seq: Number(seq) };
    if (known === undefined) find(place.at, 'goes on from a chain that is not here');
    else if (known.latest.get(from.seq) !== hash)
      find(place.at, `goes on from number ${seq} of the chain before, which is not here or was changed`);
    else place.from = from;
  }

  function follow(place: Place, at: LineAt, event: JsonObject, { seq, prev }: Link, hash: string): void {
    const expected = place.seq + 1;
    if (place.ended) find(at, 'comes after the end of its chain');
    else if (seq > expected) find(at, `${missing(seq - expected)} before it, after line ${place.at.line}`);
    else if (seq < expected) find(at, `is number ${seq} of its chain where ${expected} belongs: moved, or there twice`);
    else if (prev !== place.hash) find(place.at, 'was changed');
    if (event.type === 'chain') find(at, 'begins a chain that has begun already');
    // A line that was moved does not take the place of those that are where they belong.
    if (seq < expected) return;
    Object.assign(place, { seq, hash, at, unsigned: place.unsigned + 1, torn: false });
    place.latest.set(seq, hash);
    place.latest.delete(seq - LATEST);
  }

  async function judgeCheckpoint(place: Place, at: LineAt, event: JsonObject, link: Link): Promise<void> {
    report.checkpoints += 1;
    const claims = await readCheckpoint(at.bytes, event, link, verify);
    if (typeof claims === 'string') return find(at, claims);
    if (place.at !== at) return;
    const { iat: until, end } = claims;
    if (place.first === 0) place.since ??= until;
    Object.assign(place, { unsigned: 0, signed: link.seq, signedAt: report.lines, until, ended: end === true });
  }

  function judgeLastTorn({ at }: { readonly at: LineAt }): void {
    report.unsigned += 1;
    const isOwned = at.torn && killed.length > 0;
    if (isOwned) note(at, 'is half a line: its process was killed, as --killed says');
    else find(at, at.torn ? 'is half a line: cut off, or its process was killed' : 'is no line of a decision log');
  }

  /** After the last line. */
  function finish(): CheckReport {
    if (tornBefore !== null) judgeLastTorn(tornBefore);
    const places = [...chains.values()];
    if (report.lines === 0) find(null, 'there are no lines: a process writes two as it begins');
    else if (places.length === 0) find(null, 'there is no chain');
    judgeEnds({ places, isKilled, closed }, { find, note });
    judgeMarks(last, places, before, { find, note });
    for (const { unsigned } of places) report.unsigned += unsigned;
    report.marks = findMarks(places);
    return report;
  }

  return { add, finish };
}

function missing(count: number): string {
  return count === 1 ? 'a line is missing' : `${count} lines are missing`;
}
