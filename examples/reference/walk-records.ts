/** The steps of the walk that read what was written of it: the decision log and the counters. */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { actor } from './deployment.ts';
import type { RequestRecord } from './guarded-server.ts';
import { dim, no, yes } from './paint.ts';
import { expect, type Walker } from './walker.ts';

type Decision = Record<string, any>;

/** The lines of the counter of decisions, and their sum. */
export async function readCounters({ deployment }: Walker): Promise<{ readonly lines: string[]; readonly sum: number }> {
  const metrics = await (await globalThis.fetch(`${deployment.sidecar.ready.admin}/metrics`)).text();
  const lines = metrics.split('\n').filter((line) => line.startsWith('mcp_ext_authz_decisions_total'));
  return { lines, sum: lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0) };
}

export interface Decisions {
  /** Lines of Checks, in order. */
  readonly checks: readonly Decision[];
  /** Of the requests that reached a backend: those that a client sent, and those of our own. */
  readonly forwarded: number;
  readonly atDoor: number;
  readonly catalog: number;
}

/**
 * The lines after the first so many. What the front door asks in a client's name has the request id of the Check that led to
 * it, and comes after it; what the catalog asks is asked by the gateway itself.
 */
export async function showDecisions(
  walker: Walker,
  from: number,
  checks: number,
  requests: readonly RequestRecord[],
): Promise<Decisions> {
  const { say, shown } = walker;
  const tokens = requests.map(({ delegation }) => delegation?.jti);
  // A line is written before its request is made: that of one at the very beginning may stand before the others.
  const isWhole = (all: readonly Decision[]): boolean => {
    const logged = new Set(all.map(({ delegation_token_id: id }) => id));
    return checksOf(all.slice(from)).length >= checks && tokens.every((id) => logged.has(id));
  };
  const all = await readLines(walker, isWhole);
  expect(isWhole(all), 'every request that reached a backend has its line', all.length);
  const lines = all.slice(from);
  const found = checksOf(lines);
  expect(found.length === checks, 'there is a line for each Check, and no more', [found.length, checks]);
  const isCheck = new Set(found);
  const others = lines.filter((line) => !isCheck.has(line) && line.client_id !== actor);
  for (const line of lines) {
    if (line.client_id === actor) continue;
    const outcome = line.decision === 'allow' ? yes('allow') : no(line.decision.padEnd(5));
    const names = [line.subject, ...(line.client_id === line.subject ? [] : [line.client_id])];
    const who = names.filter(Boolean).join(' via ') || 'anonymous';
    const whose = isCheck.has(line) ? '' : ` asked by the front door of ${line.backend}`;
    say(`  ${outcome}  ${line.reason.padEnd(19)} ${(line.tool ?? line.method).padEnd(26)} ${dim(`${who}${whose}`)}`);
  }
  const example = found.find(({ tool, decision }) => tool === 'listAccounts' && decision === 'allow');
  shown('one of them, whole:');
  shown(JSON.stringify(example));
  const sent = new Set(tokens);
  const reached = (some: readonly Decision[]): number => some.filter(({ delegation_token_id: id }) => sent.has(id)).length;
  const catalog = requests.filter(({ delegation }) => delegation?.sub === actor).length;
  return { checks: found, forwarded: reached(found), atDoor: reached(others), catalog };
}

/** The Check of each request that came in. */
export function checksOf(lines: readonly Decision[]): Decision[] {
  const byRequest = new Map<string, Decision>();
  for (const line of lines) {
    if (line.client_id !== actor && !byRequest.has(line.request_id)) byRequest.set(line.request_id, line);
  }
  return [...byRequest.values()];
}

/** What the client negotiated with each backend and at the front door, as the gateway saw it. */
export function showRevisions({ client, deployment, shown }: Walker, checks: readonly Decision[]): void {
  const door = new URL(deployment.frontDoorUrl).pathname;
  for (const [where, revision] of Object.entries(client.revisions)) {
    const calls = checks.filter(
      ({ http, backend, decision, tool }) =>
        (http.path === door ? 'front-door' : backend) === where && decision === 'allow' && tool !== undefined,
    );
    const seen = [...new Set(calls.map(({ protocol_revision }) => protocol_revision))];
    expect(seen.length === 1 && seen[0] === revision, `${client.name} speaks ${revision} to ${where}`, seen);
    shown(`${client.name} spoke ${revision} to ${where}`);
  }
}

/** Lines are written some milliseconds after their Checks: what is waited for will come. */
export async function readLines(
  { deployment }: Walker,
  isEnough: (lines: readonly Decision[]) => boolean = () => true,
): Promise<readonly Decision[]> {
  const giveUpAt = Date.now() + 5000;
  for (;;) {
    const text = await readFile(deployment.sidecar.decisionLogFile, 'utf8').catch(() => '');
    const lines = text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Decision);
    if (isEnough(lines) || Date.now() > giveUpAt) return lines;
    await delay(10);
  }
}
