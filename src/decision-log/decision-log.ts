/**
 * The decision log: one JSON line for each Check, allowed or not. Lines are made some milliseconds after the first, together;
 * then policy may mask them, they are put in a chain, and every sink gets them, in order. Where no sink that counts can record
 * them the log says that it is full, and Checks are refused rather than answered unrecorded or kept without bound.
 */
import { inTime } from '../deadline.ts';
import type { Chain } from './chain.ts';
import { brokenLine, decisionLine, type Entry, type LineOptions } from './line.ts';
import { lengthOf } from './line-buffer.ts';
import { createMaskTurns } from './mask-turns.ts';
import type { Mask } from './masking.ts';
import { type ShadowEvent, shadowLine } from './shadow-line.ts';
import type { LogSink } from './sink.ts';

export interface DecisionLogOptions extends LineOptions {
  readonly sinks: readonly LogSink[];
  /** Characters that may wait for policy and for the chain; a file has a bound of its own. */
  readonly maxBufferedBytes: number;
  /** Refuse what no sink can record. Without it the file alone counts, where there is one. */
  readonly requireRecord?: boolean;
  readonly mask?: Mask;
  readonly chain?: { readonly links: Chain; readonly checkpointMs: number } | undefined;
  /** written: by one sink at least. lost: by none. dropped: policy wants no line. */
  readonly onLines?: (outcome: 'written' | 'lost' | 'dropped', count: number) => void;
  /** Lines were lost on the way to the sinks. */
  readonly onFailure?: (cause: unknown) => void;
}

export interface DecisionLog {
  /** Throws for an allow that cannot be recorded any more: it must not be given. A refusal may be lost. */
  readonly write: (...entry: Entry) => void;
  /** A line beside those of decisions. It is for information: where there is no room it is left out. */
  readonly writeShadow: (event: ShadowEvent) => void;
  readonly isFull: () => boolean;
  /** Resolves when everything written so far has been recorded or lost. */
  readonly flush: () => Promise<void>;
  /** Flushes, ends the chain, and closes the sinks. What policy has not masked by half of the time is written without it. */
  readonly end: (withinMs: number) => Promise<void>;
}

/** How long a Check waits for others before its line is made: a write for each would cost as much as a decision. */
const FLUSH_MS = 20;
/** How much of the time at the end policy may have; the sinks need the rest. */
const MASK_PART = 0.5;

export function createDecisionLog(options: DecisionLogOptions): DecisionLog {
  const { sinks, maxBufferedBytes, requireRecord = false, mask, chain, onLines } = options;
  const guards = requireRecord ? sinks : sinks.filter(({ name }) => name === 'file');
  const masks = mask && createMaskTurns(mask);
  let waiting: Entry[] = [];
  /** Lines of which it is not yet known whether they are written. */
  let open = 0;
  let isEnded = false;
  /** Characters of lines that are made and not yet with the sinks. */
  let pending = 0;
  let turn: Promise<void> = Promise.resolve();
  let recorded: Promise<void> = turn;

  const isBroken = (): boolean => guards.length > 0 && guards.every((sink) => sink.isBroken());
  const isFull = (): boolean =>
    guards.length > 0 && (pending > maxBufferedBytes || guards.every((sink) => !sink.hasRoom(pending)));

  function lineOf(entry: Entry): string {
    try {
      return decisionLine(entry, options);
    } catch (cause) {
      return brokenLine(entry, options, cause);
    }
  }

  /** One line after the other: together they are cheaper than each in the midst of a Check. */
  function push(): Promise<void> {
    const entries = waiting;
    waiting = [];
    return entries.length === 0 ? turn : queue(entries.map(lineOf), prepare);
  }

  /** In order, however long what comes before takes. Resolves when the sinks have them. */
  function queue(lines: readonly string[], make: (lines: readonly string[]) => Promise<readonly string[]>): Promise<void> {
    const characters = lengthOf(lines);
    pending += characters;
    turn = turn
      .then(() => make(lines))
      .then((ready) => {
        open += ready.length - lines.length;
        // To nothing: a result that holds the one before would hold all of them.
        recorded = Promise.all([recorded, record(ready)]).then(() => undefined);
      })
      .catch((cause: unknown) => {
        lose(lines.length, cause);
      })
      .finally(() => {
        pending -= characters;
      });
    return turn;
  }

  async function flush(): Promise<void> {
    await push();
    await recorded;
  }

  async function prepare(lines: readonly string[]): Promise<readonly string[]> {
    const masked = masks === undefined ? lines : await masks.maskAll(lines);
    if (masked.length < lines.length) onLines?.('dropped', lines.length - masked.length);
    return chain === undefined ? masked : chain.links.link(masked);
  }

  async function record(lines: readonly string[]): Promise<void> {
    if (lines.length === 0 || isEnded) return;
    const characters = lengthOf(lines);
    // They were let through while there was room for less: how many of them is bounded by the Checks under way.
    const must = requireRecord && sinks.every((sink) => !sink.hasRoom(characters));
    const taken = await Promise.all(sinks.map((sink) => sink.take(lines, must)));
    if (isEnded) return;
    open -= lines.length;
    onLines?.(taken.includes(true) ? 'written' : 'lost', lines.length);
  }

  function lose(count: number, cause: unknown): void {
    if (isEnded) return;
    open -= count;
    onLines?.('lost', count);
    options.onFailure?.(cause);
  }

  function write(...entry: Entry): void {
    const [{ outcome }] = entry;
    // Beyond the limit only Checks under way still come here to be allowed; that is a number with a bound of its own.
    if (isBroken() || (isFull() && outcome !== 'allow')) {
      onLines?.('lost', 1);
      if (outcome === 'allow') throw new Error('the decision cannot be recorded');
      return;
    }
    // Nobody is refused where no sink counts: then what is too much is lost.
    if (guards.length === 0 && pending > maxBufferedBytes) {
      onLines?.('lost', 1);
      return;
    }
    if (waiting.length === 0) setTimeout(push, FLUSH_MS);
    waiting.push(entry);
    open += 1;
  }

  function writeShadow(event: ShadowEvent): void {
    if (isBroken() || isFull() || pending > maxBufferedBytes) return;
    // Its decision's own line comes first.
    void push();
    open += 1;
    void queue([shadowLine(event, options.labels)], prepare);
  }

  const timer = chain && setInterval(() => queue([], chain.links.sign), chain.checkpointMs).unref();
  if (chain !== undefined) void queue([], chain.links.start);

  async function finish(): Promise<void> {
    await push();
    if (chain !== undefined) await queue([], chain.links.end);
    await recorded;
  }

  async function end(withinMs: number): Promise<void> {
    const until = performance.now() + withinMs;
    clearInterval(timer);
    const left = (): number => Math.max(until - performance.now(), 0);
    const finished = finish();
    await inTime(finished, withinMs * MASK_PART, () => undefined);
    masks?.stopAsking();
    await inTime(finished, left(), () => undefined);
    await Promise.all(sinks.map((sink) => sink.close(left())));
    if (open > 0) lose(open, `${open} lines could not be written before the end`);
    isEnded = true;
  }

  return { write, writeShadow, isFull, flush, end };
}
