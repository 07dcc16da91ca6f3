/**
 * Whether lines are as they were written: every line carries the hash of the one before, every checkpoint a signature. Told of
 * each line that is not, with its number. Lines of several processes may be mixed, each in a chain of its own.
 */
import { isObject, type JsonObject } from '../mcp/message.ts';
import { hashOf, unsignedLine } from './chain.ts';
import type { VerifyCheckpoint } from './checkpoint-keys.ts';

export interface Finding {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly problem: string;
}

export interface CheckReport {
  lines: number;
  checkpoints: number;
  chains: number;
  /** What is not wrong, and worth knowing. */
  readonly notes: Finding[];
  readonly findings: Finding[];
  /** Lines that no checkpoint has signed yet. */
  unsigned: number;
}

export interface LineAt {
  readonly file: string;
  readonly line: number;
  readonly bytes: Uint8Array;
  /** The file ends within it. */
  readonly torn: boolean;
}

export interface ChainCheckOptions {
  readonly verify: VerifyCheckpoint;
  /** Chains may begin anywhere: what several processes wrote to one stream. */
  readonly restarts: boolean;
}

/** Where a chain is. */
interface Place {
  seq: number;
  hash: string;
  /** Of its last line. */
  at: LineAt;
  unsigned: number;
  /** Checkpoints of it that count. */
  signed: number;
  ended: boolean;
  /** The line of another chain that it goes on from: `ID SEQ`. */
  from: string | null;
  /** Hashes of its latest lines: another chain may go on from any of them. */
  readonly latest: Map<number, string>;
}

interface Link {
  readonly id: string;
  readonly seq: number;
  readonly prev: string | null;
}

/** A process that goes on from a file reads its end before it writes; others may write in between. */
const LATEST = 1000;

export function createChainCheck({ verify, restarts }: ChainCheckOptions) {
  const chains = new Map<string, Place>();
  const report: CheckReport = { lines: 0, checkpoints: 0, chains: 0, notes: [], findings: [], unsigned: 0 };
  let tornBefore: { readonly at: LineAt; readonly hash: string } | null = null;

  function find({ file, line }: LineAt, problem: string): void {
    report.findings.push({ file, line, problem });
  }

  function note({ file, line }: LineAt, problem: string): void {
    report.notes.push({ file, line, problem });
  }

  async function add(at: LineAt): Promise<void> {
    const isFirst = report.lines === 0;
    report.lines += 1;
    const event = readLine(at);
    const before = tornBefore;
    tornBefore = null;
    if (event === null) {
      tornBefore = { at, hash: hashOf(at.bytes) };
      if (before !== null) find(before.at, 'is no line of a decision log');
      return;
    }
    if (before !== null) judgeTorn(before, event);
    const link = linkOf(event);
    if (link === null) return find(at, 'is in no chain: inserted, or written without one');
    const hash = hashOf(at.bytes);
    const place = chains.get(link.id);
    if (place === undefined) begin(at, event, link, hash, isFirst);
    else follow(place, at, event, link, hash);
    if (event.type === 'checkpoint') await judgeCheckpoint(chains.get(link.id) as Place, at, event, link);
  }

  /** Half a line is vouched for by the process that found it. */
  function judgeTorn({ at, hash }: { readonly at: LineAt; readonly hash: string }, next: JsonObject): void {
    const known = next.type === 'chain' && isObject(next.continues) && next.continues.torn === hash;
    if (known) note(at, 'is half a line: the process was killed while it wrote it');
    else find(at, 'is no line of a decision log');
  }

  function begin(at: LineAt, event: JsonObject, link: Link, hash: string, isFirst: boolean): void {
    report.chains += 1;
    chains.set(link.id, {
      seq: link.seq,
      hash,
      at,
      unsigned: 1,
      signed: 0,
      ended: false,
      from: null,
      latest: new Map([[link.seq, hash]]),
    });
    if (event.type !== 'chain' || link.seq !== 0 || link.prev !== null) {
      const problem = `is number ${link.seq} of a chain whose beginning is not here`;
      if (isFirst) note(at, problem);
      else find(at, problem);
      return;
    }
    judgeContinuation(at, link.id, event.continues, isFirst);
  }

  function judgeContinuation(at: LineAt, own: string, continues: unknown, isFirst: boolean): void {
    if (isFirst) {
      if (isObject(continues)) note(at, 'goes on from lines that are not here');
      return;
    }
    if (!isObject(continues)) {
      if (!restarts) find(at, 'begins a chain that goes on from no other: lines before it may be missing');
      return;
    }
    const problem = problemOf(continues);
    if (problem !== null) find(at, problem);
    else (chains.get(own) as Place).from = `${continues.id} ${continues.seq}`;
  }

  function problemOf({ id, seq, hash }: JsonObject): string | null {
    const known = chains.get(String(id));
    if (known === undefined) return 'goes on from a chain that is not here';
    if (known.latest.get(Number(seq)) !== hash)
      return `goes on from number ${seq} of the chain before, which is not here or was changed`;
    const isTaken = [...chains.values()].some(({ from }) => from === `${id} ${seq}`);
    return isTaken ? `goes on from number ${seq} of the chain before, as another chain does: one of them was inserted` : null;
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
    Object.assign(place, { seq, hash, at, unsigned: place.unsigned + 1 });
    place.latest.set(seq, hash);
    place.latest.delete(seq - LATEST);
  }

  async function judgeCheckpoint(place: Place, at: LineAt, event: JsonObject, { id, seq, prev }: Link): Promise<void> {
    report.checkpoints += 1;
    const jws = String(event.jws);
    const claims = await verify(jws).catch((cause: unknown) => {
      find(at, `its signature does not count: ${cause instanceof Error ? cause.message : String(cause)}`);
      return null;
    });
    if (claims === null) return;
    const line = hashOf(unsignedLine(Buffer.from(at.bytes).toString('utf8'), jws));
    if (claims.line !== line) return find(at, 'was changed');
    if (claims.chain !== id || claims.seq !== seq || claims.prev !== prev) return find(at, 'its signature is for another place');
    place.unsigned = 0;
    place.signed += 1;
    place.ended = claims.end === true;
  }

  function judgeEnd(id: string, { ended, unsigned, at, seq }: Place): void {
    report.unsigned += unsigned;
    if (ended) return;
    if (unsigned > 0 && !restarts && isFollowed(id, seq)) {
      find(at, `is the last of ${unsigned} lines that nobody signed, and lines after it are signed: inserted, or cut off`);
      return;
    }
    const open = unsigned === 0 ? '' : `: ${unsigned} lines are not signed yet`;
    note(at, `is the last of its chain, which has not ended${open}`);
  }

  /** By signed chains, of which none goes on from its last line and so vouches for it. */
  function isFollowed(id: string, seq: number): boolean {
    const later = [...chains].slice([...chains.keys()].indexOf(id) + 1).filter(([, { signed }]) => signed > 0);
    return later.length > 0 && !later.some(([, { from }]) => from === `${id} ${seq}`);
  }

  /** After the last line. */
  function finish(): CheckReport {
    if (tornBefore !== null) {
      const { at } = tornBefore;
      find(at, at.torn ? 'is half a line: cut off, or its process was killed' : 'is no line of a decision log');
    }
    for (const [id, place] of chains) judgeEnd(id, place);
    return report;
  }

  return { add, finish };
}

function missing(count: number): string {
  return count === 1 ? 'a line is missing' : `${count} lines are missing`;
}

function readLine({ bytes, torn }: LineAt): JsonObject | null {
  if (torn) return null;
  try {
    const event: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return isObject(event) ? event : null;
  } catch {
    return null;
  }
}

function linkOf({ chain }: JsonObject): Link | null {
  if (!isObject(chain)) return null;
  const { id, seq, prev } = chain;
  const isLink = typeof id === 'string' && Number.isSafeInteger(seq) && (prev === null || typeof prev === 'string');
  return isLink ? { id, seq: seq as number, prev } : null;
}
