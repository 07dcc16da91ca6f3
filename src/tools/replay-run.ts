/** Recorded decisions, one after the other, put to another policy. What cannot be replayed is counted by why. */
import { type Answer, answerOf, compare, type Flip, type Flips } from './flips.ts';
import type { Judged, TimedJudge } from './judge.ts';
import type { LogEvent } from './log-events.ts';
import { erasedOfInput, type Recorded, readRecorded } from './recorded.ts';

/** Why a line was not replayed. */
export const NOT_REPLAYED = {
  before_policy: 'refused or answered before policy was asked',
  no_input: 'the line has no input: decisionLog leaves it out',
  another_version: 'the input has another version than 1',
  no_result: 'the line does not say what policy said',
  broken: 'the line cannot be read',
  too_large: 'the line is too large',
  no_object: 'the line is no JSON object',
  no_decision: 'no line of a decision',
} as const;

export type NotReplayed = keyof typeof NOT_REPLAYED;

export interface Totals {
  lines: number;
  replayed: number;
  /** Of those: with something of the input erased. */
  erased: number;
  readonly notReplayed: Partial<Record<NotReplayed, number>>;
  /** Evaluations that had to be ended: out of time, or out of memory. */
  cutShort: number;
  /** Revisions of the lines that were replayed, and how many; bounded. */
  readonly revisions: Map<string, number>;
  firstAt: string | null;
  lastAt: string | null;
}

export interface Replay {
  /** Null where it comes out the same or cannot be replayed. */
  readonly take: (event: LogEvent) => Promise<Flip | null>;
  readonly totals: Totals;
}

const MAX_REVISIONS = 100;

type Ask = TimedJudge['ask'];

/** @param against what it is compared with, in place of the record. */
export function createReplay(candidate: Ask, against: Ask | null, flips: Flips): Replay {
  const totals: Totals = {
    lines: 0,
    replayed: 0,
    erased: 0,
    cutShort: 0,
    notReplayed: {},
    revisions: new Map(),
    firstAt: null,
    lastAt: null,
  };

  function skip(why: NotReplayed): null {
    totals.notReplayed[why] = (totals.notReplayed[why] ?? 0) + 1;
    return null;
  }

  async function answer(ask: Ask, input: string, atMs: number): Promise<Answer> {
    const judged = await ask(input, atMs);
    if (isCutShort(judged)) totals.cutShort++;
    return answerOf(judged);
  }

  async function replay(recorded: Recorded, before: Answer | null): Promise<Flip | null> {
    const input = JSON.stringify(recorded.input);
    const erased = erasedOfInput(recorded).length > 0;
    count(totals, recorded, erased);
    const was = before ?? (await answer(against as Ask, input, recorded.atMs));
    const change = compare(was, await answer(candidate, input, recorded.atMs));
    if (change === null) return null;
    const { id, backend, what, subject } = recorded;
    // Both policies saw the same when both were asked now; the one that was asked then saw more.
    const flip = { ...change, id, backend, what, subject, uncertain: erased && against === null };
    flips.add(flip);
    return flip;
  }

  async function take(event: LogEvent): Promise<Flip | null> {
    totals.lines++;
    if ('unreadable' in event) return skip(event.unreadable);
    const recorded = readRecorded(event.text);
    if (recorded === null) return skip('no_decision');
    const { input, inbound, outbound, token } = recorded;
    if (input === null) return skip(recorded.revision === null ? 'before_policy' : 'no_input');
    if (input.version !== 1) return skip('another_version');
    if (against !== null) return replay(recorded, null);
    return inbound === null ? skip('no_result') : replay(recorded, { inbound, outbound, token });
  }

  return { take, totals };
}

/** Decisions under way: they go to the thread together; one by one the way there takes longer than the evaluation. */
const MAX_WAITING = 64;

/** Until there are no more, `limit` were replayed or the policy is given up. @param onFlip one after the other, in their order. */
export async function replayAll(
  events: AsyncIterable<LogEvent>,
  { take, totals }: Replay,
  limit: number,
  onFlip: (flip: Flip) => Promise<void>,
): Promise<void> {
  const waiting: Promise<Flip | null>[] = [];
  const tellFirst = async (): Promise<void> => {
    const flip = await waiting.shift();
    if (flip) await onFlip(flip);
  };
  for await (const event of events) {
    waiting.push(take(event));
    // Where one took too much they are asked one by one: all that are under way would have to be waited for.
    const most = totals.cutShort > 0 || totals.replayed <= 1 ? 0 : MAX_WAITING;
    while (waiting.length > most) await tellFirst();
    if (totals.replayed >= limit || isGivenUp(totals)) break;
  }
  while (waiting.length > 0) await tellFirst();
}

/** As many are waited for: a policy that never ends would be waited for for each line. */
export const MAX_CUT_SHORT = 10;

export function isGivenUp({ cutShort }: Totals): boolean {
  return cutShort >= MAX_CUT_SHORT;
}

function isCutShort({ inbound, outbound }: Judged): boolean {
  const { reason } = outbound ?? inbound;
  return reason === 'policy_timeout' || reason === 'policy_memory';
}

function count(totals: Totals, { revision, timestamp }: Recorded, erased: boolean): void {
  totals.replayed++;
  if (erased) totals.erased++;
  const name = revision ?? 'unknown';
  if (totals.revisions.has(name) || totals.revisions.size < MAX_REVISIONS)
    totals.revisions.set(name, (totals.revisions.get(name) ?? 0) + 1);
  if (totals.firstAt === null || timestamp < totals.firstAt) totals.firstAt = timestamp;
  if (totals.lastAt === null || timestamp > totals.lastAt) totals.lastAt = timestamp;
}
