/**
 * The running sidecar: a configuration in, `{ reload, stop }` out. Listeners and metrics live as long as the process;
 * everything else hangs on one `Live` value that a reload replaces as a whole, so a Check sees one configuration throughout.
 */
import { readFile } from 'node:fs/promises';
import { createBackends, readApprovals } from './app/backends.ts';
import { openDecisionLog } from './app/decision-log.ts';
import { serveVisitors } from './app/front-door-service.ts';
import { startPolicy } from './app/policy/policy.ts';
import { buildLive, type Live } from './app/ports.ts';
import { processingService } from './app/processing-service.ts';
import { collectGauges, describeReadiness } from './app/readiness.ts';
import { needingRestart } from './app/restart.ts';
import { createRetirement } from './app/retirement.ts';
import { createShadowService } from './app/shadow-service.ts';
import { startStatus } from './app/status-service.ts';
import { serveWellKnown } from './app/well-known.ts';
import { denied, newFacts, type Verdict } from './check/authorize.ts';
import { decisionRecord } from './check/record.ts';
import { check } from './check.ts';
import type { Config } from './config.ts';
import { startServer } from './ext-authz/server.ts';
import { type HttpFacts, noFacts } from './http.ts';
import { serveAdmin } from './telemetry/admin.ts';
import type { Log } from './telemetry/log.ts';
import { createMetrics, createVerdictCounts } from './telemetry/metrics.ts';
import { describeCause } from './telemetry/redact.ts';
import type { Denial } from './verdict.ts';
import { VERSION } from './version.ts';

export interface App {
  /** Where Envoy asks. */
  readonly target: string;
  readonly adminUrl: string;
  readonly wellKnownUrl: string | null;
  /** Puts another configuration in force, or keeps the one that is and rejects. Listeners stay as they are. */
  readonly reload: (read: () => Promise<Config>) => Promise<void>;
  /** Drains and stops everything; resolves when the decision log has left the process. */
  readonly stop: () => Promise<void>;
}

/** Rejects where anything cannot be opened; what had been opened by then is closed again. */
export async function startApp(config: Config, log: Log): Promise<App> {
  const opened: Opened = [];
  try {
    return await open(config, log, opened);
  } catch (cause) {
    await closeAll(opened).catch(() => {});
    throw cause;
  }
}

/** How to close what is open, in the order of opening. */
type Opened = (() => Promise<unknown>)[];

/** Last first, and all of it whatever fails. */
async function closeAll(opened: Opened): Promise<void> {
  const failures: unknown[] = [];
  for (const close of opened.splice(0).reverse()) await close().catch((cause: unknown) => failures.push(cause));
  if (failures.length > 0) throw failures[0];
}

async function open(config: Config, log: Log, opened: Opened): Promise<App> {
  const metrics = createMetrics(VERSION);
  const counts = createVerdictCounts(metrics);
  const observers = { metrics, log };
  const backends = createBackends({
    ...observers,
    config,
    approvals: await readApprovals(config),
    live: () => live,
    observe: observeOwn,
  });
  const policy = await startPolicy(config, observers);
  opened.push(policy.stop);
  const surroundings = { policy: policy.policy, known: backends.known };
  let live = await buildLive(config, observers, null, surroundings);
  const retirement = createRetirement();
  opened.push(() => Promise.all([live.close(), retirement.end()]));
  let reloading = Promise.resolve();
  let draining = false;

  const decisionLog = await openDecisionLog(config, {
    ...observers,
    policy: () => live.ports.policy(),
    standard: process.stdout,
  });
  opened.push(decisionLog.end);
  const shadow = createShadowService({
    ...observers,
    config: () => live.config,
    live: policy.state,
    candidate: policy.candidate,
    watch: policy.watch,
    write: decisionLog.writeShadow,
    now: Date.now,
    random: Math.random,
  });
  opened.push(shadow.close);

  async function replaceLive(read: () => Promise<Config>): Promise<void> {
    if (draining) return log('warn', 'stopping: the configuration is not read again');
    const previous = live;
    try {
      const next = await read();
      const approvals = await readApprovals(next);
      const built = await buildLive(next, observers, previous, surroundings);
      const swapPolicy = await policy.prepare(next).catch(async (cause: unknown) => {
        await built.close();
        throw cause;
      });
      live = built;
      swapPolicy();
      backends.apply(next, approvals);
    } catch (cause) {
      metrics.configReloads.inc({ outcome: 'refused' });
      log('error', 'the configuration was refused; the one before stays in force');
      throw cause;
    }
    metrics.configReloads.inc({ outcome: 'applied' });
    log('info', 'the configuration is in force', { revision: policy.state().revision });
    const fixed = needingRestart(config, live.config);
    if (fixed.length > 0) log('warn', 'what changed here needs a restart', { sections: fixed.join(', ') });
    retirement.retire(previous.close);
    await warmKeys(live);
  }

  function collect(): void {
    counts.flush();
    decisionLog.collect();
    collectGauges(metrics, live);
  }

  const admin = await serveAdmin({
    listen: config.admin.listen,
    register: metrics.register,
    readiness: () =>
      describeReadiness({ live, policy: policy.state(), shadow: shadow.state(), draining, logFull: decisionLog.isFull() }),
    collect,
  });
  opened.push(admin.close);
  const wellKnown = config.wellKnown && (await serveWellKnown(config.wellKnown.listen, () => live));
  if (wellKnown !== undefined) opened.push(wellKnown.close);
  await warmKeys(live);
  const { labels, isFull: isLogFull, lastUploadFailure } = decisionLog;
  const { state, candidateState } = policy;
  opened.push(
    startStatus({
      ...observers,
      config,
      labels,
      policy: state,
      candidate: candidateState,
      isLogFull,
      lastUploadFailure,
      collect,
    }),
  );
  const server = await startServer({
    ...config.server,
    tls: await readTls(config),
    check: (http, deadlineMs) =>
      decisionLog.isFull()
        ? Promise.resolve(refuse(http, { reason: 'overloaded', cause: 'the decision log is full' }))
        : check(http, live.ports, deadlineMs),
    refuse,
    observe: (verdict, record, elapsedMs, late) => {
      try {
        decisionLog.write(verdict, record, elapsedMs, late);
      } catch (cause) {
        counts.add(refuse(verdict.facts.http, { reason: 'internal_error', cause }), record, elapsedMs, late);
        throw cause;
      }
      counts.add(verdict, record, elapsedMs, late);
      shadow.observe(verdict.facts, record);
    },
    onFailure: (cause) => log('error', 'a Check was refused without a verdict', { cause: describeCause(cause) }),
    onInFlight: (count) => metrics.inFlight.set(count),
    services: [
      processingService({
        ...observers,
        live: () => live,
        maxInFlight: config.processing?.maxInFlight ?? 1,
        observe: observeLater,
      }),
    ],
  });
  const { frontDoor } = config;
  if (frontDoor !== undefined) {
    const { close } = await serveVisitors({
      ...observers,
      listen: frontDoor.listen,
      live: () => live,
      catalog: backends.catalog,
      onRefused: (verdict) => observeOwn(verdict, 0),
      observe: observeOwn,
    });
    opened.push(close);
  }
  opened.push(backends.catalog.stop);
  backends.catalog.start();
  opened.push(() => server.drain(config.server.drainDelayMs, config.server.drainMs));

  /** A request of the sidecar's own to a backend, before it is made. */
  function observeOwn(verdict: Verdict, elapsedMs: number): void {
    if (decisionLog.isFull()) throw new Error('the decision log is full');
    const record = decisionRecord(verdict);
    decisionLog.write(verdict, record, elapsedMs, false);
    shadow.observe(verdict.facts, record);
  }

  /** What was refused after its Check had been answered. */
  function observeLater(verdict: Verdict): void {
    const record = decisionRecord(verdict);
    decisionLog.write(verdict, record, 0, false);
    counts.add(verdict, record, 0, false);
  }

  function refuse(http: HttpFacts | null, denial: Denial): Verdict {
    return denied(denial, newFacts(http ?? noFacts(), live.ports.newId()), live.ports);
  }

  /** One after the other: of two that overlap the later must win, and each must retire the one before it. */
  function reload(read: () => Promise<Config>): Promise<void> {
    const mine = reloading.then(() => replaceLive(read));
    reloading = mine.catch(() => {});
    return mine;
  }

  function stop(): Promise<void> {
    draining = true;
    return closeAll(opened);
  }

  return { target: server.target, adminUrl: admin.url, wellKnownUrl: wellKnown?.url ?? null, reload, stop };
}

/** Asks every issuer for its keys once. One that is down is asked again when a token of its own comes. */
async function warmKeys({ issuers }: Live): Promise<void> {
  await Promise.allSettled([...issuers.values()].map(({ keySet }) => (keySet.held() === null ? keySet.warm() : undefined)));
}

async function readTls({ server: { tls } }: Config) {
  if (tls === undefined) return null;
  const [cert, key, clientCa] = await Promise.all([tls.certFile, tls.keyFile, tls.clientCaFile].map((file) => readFile(file)));
  return { cert, key, clientCa } as { cert: Buffer; key: Buffer; clientCa: Buffer };
}
