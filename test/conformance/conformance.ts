/**
 * The official conformance suite, straight at a server and through the gateway in front of it: each requirement set twice, side
 * by side, and the header checks once more in front of a server that makes none itself.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startCarelessServer } from './careless-server.ts';
import { compareRuns, failuresOf, findFaults, type Summary, summarize } from './comparison.ts';
import { startEverythingServer } from './everything-server.ts';
import { type Gateway, startGateway } from './gateway.ts';
import { REVISIONS, type Revision, readRequirements, runSuite, type SuiteOptions } from './suite.ts';

export interface RevisionReport {
  readonly revision: Revision;
  readonly direct: Summary;
  readonly through: Summary;
  /** A scored check that fails without us, or a run that gave no results. */
  readonly faults: readonly string[];
  readonly differences: readonly string[];
  /** Checks that fail in both, of scenarios that do not count. */
  readonly unscored: readonly string[];
}

export interface HeadersReport {
  readonly direct: Summary;
  readonly through: Summary;
  readonly faults: readonly string[];
}

export interface ConformanceReport {
  readonly revisions: readonly RevisionReport[];
  /** `http-header-validation` in front of a server that validates nothing. */
  readonly headers: HeadersReport;
  /** Requests that the sidecar decided: by them one sees that it was asked. */
  readonly decisions: { readonly allowed: number; readonly refused: number };
}

export interface ConformanceOptions {
  readonly say: (line: string) => void;
  /** How far the runs are, about every two seconds. */
  readonly progress?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** Everything that is not as it has to be, in words. */
export function complaintsOf({ revisions, headers }: ConformanceReport): string[] {
  return [
    ...revisions.flatMap(({ revision, faults, differences }) => [
      ...faults.map((fault) => `${revision} ${fault}`),
      ...differences.map((difference) => `${revision} differs: ${difference}`),
    ]),
    ...headers.faults.map((fault) => `headers: ${fault}`),
  ];
}

const HEADERS = 'http-header-validation';

/** Starts everything, runs it, and stops it again, also when `signal` says so or something fails. */
export async function checkConformance(options: ConformanceOptions): Promise<ConformanceReport> {
  const { say, progress = () => {}, signal = new AbortController().signal } = options;
  const dir = await mkdtemp(join(tmpdir(), 'mcp-ext-authz-conformance-'));
  const stops: (() => Promise<unknown>)[] = [() => rm(dir, { recursive: true, force: true })];
  try {
    say('Starting MCP servers, mcp-ext-authz and a real Envoy on loopback …');
    // Two of a kind: what one run changes must not show in the other.
    const [plain, guarded] = [await startEverythingServer(), await startEverythingServer(GUARDED_HOSTS)];
    const careless = await startCarelessServer();
    stops.push(plain.stop, guarded.stop, careless.stop);
    signal.throwIfAborted();
    const gateway = await startGateway({ dir, say, backends: { everything: guarded.port, careless: careless.port } });
    stops.push(gateway.stop);
    const run = (name: string, url: string, what: SuiteOptions['what'], onScenario?: () => void) =>
      runSuite({ url, dir: join(dir, name), what, signal, ...(onScenario === undefined ? {} : { onScenario }) });
    const revisions: RevisionReport[] = [];
    for (const revision of REVISIONS)
      revisions.push(await checkRevision(revision, plain.url, gateway.urls.everything, { say, progress, run }));
    say(`${HEADERS}, in front of a server that validates nothing …`);
    const headers = await checkHeaders(careless.url, gateway.urls.careless, run);
    return { revisions, headers, decisions: await countDecisions(gateway) };
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

/** A backend behind the gateway is called by the name that envoy/envoy.yaml gives it. */
const GUARDED_HOSTS = ['enterprise-ledger.internal', 'localhost', '127.0.0.1'];

type Run = (name: string, url: string, what: SuiteOptions['what'], onScenario?: () => void) => ReturnType<typeof runSuite>;

type Tools = { readonly say: (line: string) => void; readonly progress: (line: string) => void; readonly run: Run };

async function checkRevision(revision: Revision, url: string, gatewayUrl: string, tools: Tools): Promise<RevisionReport> {
  const { say, progress, run } = tools;
  const expected = await readRequirements(revision);
  const total = expected.scored.length + expected.notScored.length;
  say(`${revision}: ${total} scenarios, straight at the server and through the gateway …`);
  const done = { direct: 0, through: 0 };
  const timer = setInterval(
    () => progress(`${revision}: ${done.direct} of ${total} begun direct, ${done.through} through the gateway`),
    2000,
  );
  try {
    const what = { requirements: revision };
    const [direct, through] = await both(
      run(`${revision}-direct`, url, what, () => (done.direct += 1)),
      run(`${revision}-through`, gatewayUrl, what, () => (done.through += 1)),
    );
    const unscored = expected.notScored.flatMap((name) => failuresOf(name, direct.scenarios.get(name) ?? []));
    const faults = [
      ...findFaults(direct, expected).map((fault) => `direct: ${fault}`),
      ...findFaults(through, expected).map((fault) => `through the gateway: ${fault}`),
    ];
    const summaries = { direct: summarize(direct), through: summarize(through) };
    return { revision, ...summaries, faults, differences: compareRuns(direct, through), unscored };
  } finally {
    clearInterval(timer);
  }
}

async function checkHeaders(url: string, gatewayUrl: string, run: Run): Promise<HeadersReport> {
  const what = { scenario: HEADERS, revision: '2026-07-28' } as const;
  const [direct, through] = await both(run('headers-direct', url, what), run('headers-through', gatewayUrl, what));
  const faults = findFaults(through, { scored: [HEADERS], notScored: [] });
  if (failuresOf(HEADERS, direct.scenarios.get(HEADERS) ?? []).length === 0) faults.push('the server does validate');
  return { direct: summarize(direct), through: summarize(through), faults };
}

/** Both, once neither is running any more. */
async function both<T>(one: Promise<T>, other: Promise<T>): Promise<[T, T]> {
  await Promise.allSettled([one, other]);
  return Promise.all([one, other]);
}

async function countDecisions(gateway: Gateway): Promise<ConformanceReport['decisions']> {
  const lines = await gateway.decisions();
  const allowed = lines.filter(({ decision }) => decision === 'allow').length;
  return { allowed, refused: lines.length - allowed };
}
