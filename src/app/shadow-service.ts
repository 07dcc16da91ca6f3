/**
 * The candidate policy beside the live one, tied to what surrounds it: requests come in once they are answered, flips go to
 * metrics and decision log. Requests of the sidecar's own are compared as any other; the items of lists are not, nor is a
 * message for several backends before each is asked on its own.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Facts } from '../check/authorize.ts';
import type { DecisionRecord } from '../check/record.ts';
import type { Config } from '../config.ts';
import { createSampler, type ShadowEvent, type ShadowResult } from '../decision-log/shadow-line.ts';
import type { Outbound } from '../policy/decision.ts';
import { type Comparison, DIRECTIONS, type Said } from '../policy/flips.ts';
import { type Candidate, createShadow, type Shadow } from '../policy/shadow.ts';
import type { Log } from '../telemetry/log.ts';
import { type Metrics, toolLabel } from '../telemetry/metrics.ts';

/** As much of a Policy as is needed of a candidate. */
export interface LoadedCandidate extends Candidate {
  readonly revision: string;
  readonly digest: string;
}

interface ShadowRules {
  readonly timeoutMs: number;
  readonly maxQueued: number;
  readonly maxQueuedBytes: number;
  readonly sampleRatio: number;
  readonly maxLinesPerSecond: number;
}

export interface ShadowServiceOptions {
  readonly config: () => Pick<Config, 'policy'>;
  /** What is in force. */
  readonly live: () => { readonly digest: string | null };
  /** What is beside it; null while there is nothing. */
  readonly candidate: () => LoadedCandidate | null;
  /** Calls whenever one of the two above is another, or the configuration. */
  readonly watch: (onChanged: () => void) => void;
  readonly write: (event: ShadowEvent) => void;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly random: () => number;
}

/** As much of a verdict's facts as is compared. */
export type WatchedFacts = Pick<Facts, 'http' | 'operation' | 'outbound' | 'resource' | 'tool' | 'asked'>;

export interface ShadowState {
  readonly revision: string;
  /** It is the policy in force: nothing is left to compare. */
  readonly promoted: boolean;
}

export interface ShadowService {
  /** One request that was answered; costs no more than a look and a push to a list. */
  readonly observe: (facts: WatchedFacts, record: DecisionRecord) => void;
  /** Null while there is no candidate. */
  readonly state: () => ShadowState | null;
  /** Resolves once nothing waits for the candidate. */
  readonly settle: () => Promise<void>;
  readonly close: () => Promise<void>;
}

interface About {
  readonly timeMs: number;
  readonly record: DecisionRecord;
  readonly tool: string;
  readonly backend: string;
  readonly liveRevision: string;
}

/** What a request takes beside its body. */
const BYTES_EACH = 2048;

export function createShadowService(options: ShadowServiceOptions): ShadowService {
  const { live, metrics, log, now } = options;
  let config = options.config();
  let rules = rulesOf(config);
  let keep = openSampler();
  const counted = new Set<string>();
  let current: { readonly candidate: LoadedCandidate; readonly shadow: Shadow<About> } | null = null;
  let promoted = false;
  let closed = false;
  resetCounts();
  // Nobody may ask for anything for a long time, and a scrape shows what is there.
  options.watch(look);
  look();

  function openSampler(): () => boolean {
    return createSampler({ ratio: rules.sampleRatio, maxPerSecond: rules.maxLinesPerSecond, now, random: options.random });
  }

  /** Whether other rules hold than before. */
  function takeRules(): boolean {
    const next = options.config();
    if (next === config) return false;
    config = next;
    if (isDeepStrictEqual(rulesOf(next), rules)) return false;
    rules = rulesOf(next);
    keep = openSampler();
    return true;
  }

  /** The candidate as it is now; one that took another's place begins with counts of its own. */
  function look(): typeof current {
    if (closed) return current;
    const candidate = options.candidate();
    if (takeRules() || candidate !== (current?.candidate ?? null)) {
      void current?.shadow.close();
      current = candidate && { candidate, shadow: open(candidate) };
      promoted = false;
      resetCounts();
      metrics.shadowInfo.reset();
      if (candidate !== null) metrics.shadowInfo.set({ revision: candidate.revision }, 1);
    }
    const isInForce = candidate !== null && candidate.digest === live().digest;
    if (isInForce && !promoted) log('info', 'the candidate policy is in force', { revision: candidate.revision });
    promoted = isInForce;
    return current;
  }

  function open(candidate: LoadedCandidate): Shadow<About> {
    return createShadow<About>({
      ...rules,
      candidate,
      now,
      onCompared: (about, comparison) => record(about, comparison, candidate.revision),
      onSkipped: () => metrics.shadowEvaluations.inc({ outcome: 'skipped' }),
    });
  }

  function observe(facts: WatchedFacts, decision: DecisionRecord): void {
    const { asked, operation, resource, http, outbound } = facts;
    // What is for several backends has the entrance's name until each is asked.
    if (asked === null || asked.input.mcp.backend !== resource?.name) return;
    const watched = look();
    if (watched === null) return;
    if (promoted) {
      metrics.shadowEvaluations.inc({ outcome: 'same' });
      return;
    }
    const { input, inbound } = asked;
    watched.shadow.offer({
      // The live policy may have seen fewer arguments than the candidate asks for.
      input: operation === null ? input : { ...input, mcp: { ...input.mcp, arguments: operation.arguments } },
      live: { inbound, outbound: asked.outbound, token: outbound },
      askedAt: now(),
      bytes: http.body.byteLength + BYTES_EACH,
      about: {
        timeMs: http.timeMs,
        record: decision,
        tool: toolLabel(metrics, facts, decision.tool),
        backend: resource.name,
        liveRevision: asked.revision,
      },
    });
  }

  function record(about: About, comparison: Comparison, revision: string): void {
    const { tool, backend } = about;
    const { outcome } = comparison;
    prepare(tool, backend);
    const isFlip = outcome !== 'same' && outcome !== 'error';
    metrics.shadowEvaluations.inc({ outcome: isFlip ? 'flip' : outcome });
    if (isFlip) metrics.shadowFlips.inc({ tool, backend, direction: outcome });
    if (outcome !== 'same' && keep()) options.write(eventOf(about, comparison, revision));
  }

  /** A counter that is born at 1 is invisible to increase(). */
  function prepare(tool: string, backend: string): void {
    const key = `${backend} ${tool}`;
    if (counted.has(key)) return;
    counted.add(key);
    for (const direction of DIRECTIONS) metrics.shadowFlips.inc({ tool, backend, direction }, 0);
  }

  function resetCounts(): void {
    counted.clear();
    metrics.shadowFlips.reset();
    metrics.shadowEvaluations.reset();
    for (const outcome of ['same', 'flip', 'error', 'skipped']) metrics.shadowEvaluations.inc({ outcome }, 0);
  }

  return {
    observe,
    state: () => {
      const watched = look();
      return watched && { revision: watched.candidate.revision, promoted };
    },
    settle: async () => current?.shadow.settle(),
    close: async () => {
      closed = true;
      await current?.shadow.close();
    },
  };
}

function rulesOf({ policy: { shadow, timeoutMs } }: Pick<Config, 'policy'>): ShadowRules {
  const { sampleRatio = 0, maxLinesPerSecond = 0, maxQueued = 0, maxQueuedBytes = 0 } = shadow ?? {};
  return { timeoutMs, sampleRatio, maxLinesPerSecond, maxQueued, maxQueuedBytes };
}

function eventOf({ timeMs, record, liveRevision }: About, comparison: Comparison, revision: string): ShadowEvent {
  const { outcome, changed, live, candidate, liveToken, candidateToken } = comparison;
  return {
    timeMs,
    record,
    direction: outcome,
    changed,
    revisions: { policy: liveRevision, shadow: revision },
    results: { policy: resultOf(live, liveToken, changed), shadow: resultOf(candidate, candidateToken, changed) },
  };
}

function resultOf({ allow, reason }: Said, token: Outbound | null, changed: readonly string[]): ShadowResult {
  if (token === null || changed.length === 0) return { allow, reason };
  const { audience, scopes, ttlSeconds, resource } = token;
  return { allow, reason, token: { audience, scope: scopes.join(' '), ttl_seconds: ttlSeconds, resource } };
}
