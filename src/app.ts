/**
 * The running sidecar: a configuration in, `{ reload, stop }` out. Listeners and metrics live as long as the process;
 * everything else hangs on one `Live` value that a reload replaces as a whole, so a Check sees one configuration throughout.
 */
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import { check, denied, newFacts, type Verdict } from './check.ts';
import type { Config } from './config.ts';
import { startServer } from './ext-authz/server.ts';
import { type HttpFacts, noFacts } from './http.ts';
import { buildLive, type Live } from './ports.ts';
import { type Readiness, serveAdmin } from './telemetry/admin.ts';
import { createDecisionLog, type DecisionLog } from './telemetry/decision-log.ts';
import type { Log } from './telemetry/log.ts';
import { createMetrics, type Metrics, recordVerdict } from './telemetry/metrics.ts';
import { describeCause } from './telemetry/redact.ts';
import type { Denial } from './verdict.ts';
import { VERSION } from './version.ts';
import { serveWellKnown } from './well-known.ts';

export interface App {
  /** Where Envoy asks. */
  readonly target: string;
  readonly adminUrl: string;
  readonly wellKnownUrl: string | null;
  /** Puts another configuration in force, or keeps the one that is and rejects. Listeners stay as they are. */
  readonly reload: (config: Config) => Promise<void>;
  /** Drains and stops everything; resolves when the decision log has left the process. */
  readonly stop: () => Promise<void>;
}

export async function startApp(config: Config, log: Log): Promise<App> {
  const metrics = createMetrics(VERSION);
  const observers = { metrics, log };
  let live = await activate(config, null);
  const closeSoon = new Set<Promise<void>>();
  let draining = false;

  const sink =
    config.decisionLog.file === '-' ? process.stdout : createWriteStream(config.decisionLog.file, { flags: 'a', mode: 0o640 });
  const decisionLog = createDecisionLog({
    sink,
    maxBufferedBytes: config.decisionLog.maxBufferedBytes,
    labels: { id: randomUUID(), version: VERSION },
    onLines: (outcome, count) => metrics.logLines.inc({ outcome }, count),
  });

  async function activate(next: Config, previous: Live | null): Promise<Live> {
    try {
      const built = await buildLive(next, observers, previous);
      metrics.bundleLoads.inc({ outcome: 'activated' });
      metrics.bundleInfo.reset();
      metrics.bundleInfo.set({ revision: built.policy.revision }, 1);
      metrics.bundleActivatedAt.setToCurrentTime();
      return built;
    } catch (cause) {
      metrics.bundleLoads.inc({ outcome: 'refused' });
      throw cause;
    }
  }

  async function reload(next: Config): Promise<void> {
    try {
      const previous = live;
      live = await activate(next, previous);
      metrics.configReloads.inc({ outcome: 'applied' });
      log('info', 'the configuration is in force', { revision: live.policy.revision });
      const closing = previous.close().finally(() => closeSoon.delete(closing));
      closeSoon.add(closing);
      await warmKeys(live);
    } catch (cause) {
      metrics.configReloads.inc({ outcome: 'refused' });
      log('error', 'the configuration was refused; the one before stays in force', { cause: describeCause(cause) });
      throw cause;
    }
  }

  const admin = await serveAdmin({
    listen: config.admin.listen,
    register: metrics.register,
    readiness: () => readiness(live, draining),
    collect: () => collect(metrics, live),
  });
  const wellKnown = config.wellKnown && (await serveWellKnown(config.wellKnown.listen, () => live));
  await warmKeys(live);
  const server = await startServer({
    ...config.server,
    tls: await readTls(config),
    check: (http, deadlineMs) =>
      decisionLog.isFull()
        ? Promise.resolve(refuse(http, { reason: 'overloaded', cause: 'the decision log is full' }))
        : check(http, live.ports, deadlineMs),
    refuse,
    observe: (verdict, record, elapsedMs, late) => {
      recordVerdict(metrics, verdict, record, elapsedMs, late);
      decisionLog.write(verdict, record, elapsedMs, late);
    },
    onInFlight: (count) => metrics.inFlight.set(count),
  });

  function refuse(http: HttpFacts | null, denial: Denial): Verdict {
    return denied(denial, newFacts(http ?? noFacts(), live.ports.newId()), live.ports);
  }

  async function stop(): Promise<void> {
    draining = true;
    await server.drain(config.server.drainDelayMs, config.server.drainMs);
    await endLog(decisionLog, sink);
    await Promise.all([admin.close(), wellKnown?.close(), live.close(), ...closeSoon]);
  }

  return { target: server.target, adminUrl: admin.url, wellKnownUrl: wellKnown?.url ?? null, reload, stop };
}

/** Asks every issuer for its keys once. One that is down is asked again when a token of its own comes. */
async function warmKeys({ issuers }: Live): Promise<void> {
  await Promise.allSettled([...issuers.values()].map(({ keySet }) => (keySet.held() === null ? keySet.warm() : undefined)));
}

function readiness({ policy, issuers }: Live, draining: boolean): Readiness {
  const keys = Object.fromEntries([...issuers].map(([issuer, { keySet }]) => [issuer, keySet.held()?.size ?? 0]));
  const ready = !draining && Object.values(keys).some((held) => held > 0);
  return { ready, draining, version: VERSION, policy: { revision: policy.revision }, keys };
}

/** Gauges that are read when somebody looks. */
function collect(metrics: Metrics, { issuers, verifier }: Live): void {
  metrics.cacheEntries.set({ cache: 'tokens' }, verifier.cached());
  for (const [issuer, { keySet }] of issuers) {
    const held = keySet.held();
    metrics.jwksKeys.set({ issuer }, held?.size ?? 0);
    if (held !== null) metrics.jwksFetchedAt.set({ issuer }, held.at / 1000);
  }
}

async function readTls({ server: { tls } }: Config) {
  if (tls === undefined) return null;
  const [cert, key, clientCa] = await Promise.all([tls.certFile, tls.keyFile, tls.clientCaFile].map((file) => readFile(file)));
  return { cert, key, clientCa } as { cert: Buffer; key: Buffer; clientCa: Buffer };
}

async function endLog(decisionLog: DecisionLog, sink: NodeJS.WritableStream): Promise<void> {
  await decisionLog.flush();
  if (sink === process.stdout) return;
  sink.end();
  await finished(sink);
}
