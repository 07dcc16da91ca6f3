/**
 * The candidate policy of the running sidecar: a source of its own beside that of the live policy, under the same rules but one.
 * A candidate may go back to an older revision: it is not in force. Whatever is wrong with it stops neither a start nor a reload.
 */
import type { Config } from '../config.ts';
import type { ShadowEvent } from '../decision-log/shadow-line.ts';
import type { Policy } from '../policy/policy.ts';
import type { Candidate } from '../policy/shadow.ts';
import { planPolicy, planStore } from './policy-loading.ts';
import { createPolicyReport } from './policy-report.ts';
import { createPolicySource } from './policy-source.ts';
import type { PolicyPlan, PolicySource, PolicyState } from './policy-state.ts';
import type { Observers } from './ports.ts';
import { createShadowService, type Loaded, type ShadowService, type ShadowState } from './shadow-service.ts';

export interface CandidateParts extends Observers {
  readonly live: () => PolicyState;
  readonly writeLine: (event: ShadowEvent) => void;
}

export interface RunningCandidate {
  readonly observe: ShadowService['observe'];
  /** Of its source; null where the configuration has none. */
  readonly state: () => PolicyState | null;
  /** Null while no candidate is loaded. */
  readonly shadow: () => ShadowState | null;
  /** The archive that is to be promoted; rejects where there is none. */
  readonly archive: () => Promise<Uint8Array>;
  /** Goes on with another configuration; never rejects. */
  readonly apply: (next: Config) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** One configuration's candidate. */
interface Running {
  readonly source: PolicySource;
  readonly service: ShadowService;
  readonly rules: string;
}

export function createCandidate(first: Config, parts: CandidateParts): RunningCandidate {
  let running: Running | null = null;
  let changing: Promise<void> = Promise.resolve();
  const apply = (next: Config): Promise<void> => {
    changing = changing.then(() => change(next));
    return changing;
  };

  async function change(next: Config): Promise<void> {
    const plan = planCandidate(next);
    const rules = rulesText(next);
    if (running !== null && plan !== null && running.rules === rules) {
      // Why it was refused has been told, and the one before goes on.
      const swap = await running.source.prepare(plan).catch(() => () => {});
      swap();
      return;
    }
    const before = running;
    running = plan && (await open(next, plan, rules));
    await close(before);
  }

  async function open(config: Config, plan: PolicyPlan, rules: string): Promise<Running> {
    const source = createPolicySource({
      plan,
      store: planStore(config, 'shadow'),
      observer: createPolicyReport('shadow', parts),
      now: Date.now,
      random: Math.random,
      later: (ms, work) => {
        const timer = setTimeout(work, ms);
        return () => clearTimeout(timer);
      },
    });
    const service = openService(config, source);
    await source.open().catch(() => {});
    // It is looked for again and again, so nobody waits for the first time.
    source.start().catch(() => {});
    return { source, service, rules };
  }

  function openService({ policy: { shadow, timeoutMs } }: Config, source: PolicySource): ShadowService {
    return createShadowService({
      ...parts,
      rules: { ...(shadow as NonNullable<typeof shadow>), timeoutMs },
      live: () => loadedOf(parts.live()),
      candidate: candidateOf(source),
      now: Date.now,
      random: Math.random,
    });
  }

  void apply(first);

  return {
    observe: (facts, record) => running?.service.observe(facts, record),
    state: () => running?.source.state() ?? null,
    shadow: () => running?.service.state() ?? null,
    archive: async () => {
      const archive = running?.source.archive() ?? null;
      if (archive === null) throw new Error('there is no candidate to be promoted');
      return archive;
    },
    apply,
    stop: async () => {
      await changing;
      await close(running);
      running = null;
    },
  };
}

/** The plan for the candidate; one thread is enough for questions that come one at a time. */
function planCandidate(config: Config): PolicyPlan | null {
  const plan = planPolicy({ ...config, policy: { ...config.policy, workers: 1 } }, 'shadow');
  return plan && { ...plan, load: (archive) => plan.load(archive, () => {}) };
}

/** What the service was made with. */
function rulesText({ policy: { shadow, timeoutMs, persistDirectory } }: Config): string {
  const { sampleRatio, maxLinesPerSecond, maxQueued, maxQueuedBytes } = shadow ?? {};
  return JSON.stringify([sampleRatio, maxLinesPerSecond, maxQueued, maxQueuedBytes, timeoutMs, persistDirectory]);
}

function loadedOf({ revision, digest }: PolicyState): Loaded | null {
  return revision === null || digest === null ? null : { revision, digest };
}

/** The same value as long as it is the same policy. */
function candidateOf(source: PolicySource): () => (Loaded & Candidate) | null {
  let last: { readonly policy: Policy; readonly candidate: Loaded & Candidate } | null = null;
  return () => {
    const policy = source.policy();
    const { digest } = source.state();
    if (policy === null || digest === null) return null;
    if (last?.policy !== policy) {
      const { revision, ask, declaredArguments } = policy;
      last = { policy, candidate: { revision, digest, ask, declaredArguments } };
    }
    return last.candidate;
  };
}

async function close(running: Running | null): Promise<void> {
  await running?.service.close();
  await running?.source.stop();
}
