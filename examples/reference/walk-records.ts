/** The steps of the walk that read what was written of it: the decision log and the counters. */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { dim, no, yes } from './paint.ts';
import { expect, type Walker } from './walker.ts';

type Decision = Record<string, any>;

/** The lines of the counter of decisions, and their sum. */
export async function readCounters({ deployment }: Walker): Promise<{ readonly lines: string[]; readonly sum: number }> {
  const metrics = await (await globalThis.fetch(`${deployment.sidecar.ready.admin}/metrics`)).text();
  const lines = metrics.split('\n').filter((line) => line.startsWith('mcp_ext_authz_decisions_total'));
  return { lines, sum: lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0) };
}

/** The decisions after the first so many, up to so many: one line for each. */
export async function showDecisions({ deployment, say, shown }: Walker, from: number, to: number): Promise<readonly Decision[]> {
  const decisions = (await readDecisions(deployment.sidecar.decisionLogFile, to)).slice(from);
  for (const line of decisions) {
    const outcome = line.decision === 'allow' ? yes('allow') : no(line.decision.padEnd(5));
    const names = [line.subject, ...(line.client_id === line.subject ? [] : [line.client_id])];
    const who = names.filter(Boolean).join(' via ') || 'anonymous';
    say(`  ${outcome}  ${line.reason.padEnd(19)} ${(line.tool ?? line.method).padEnd(26)} ${dim(who)}`);
  }
  const example = decisions.find(({ tool, decision }) => tool === 'listAccounts' && decision === 'allow');
  shown('one of them, whole:');
  shown(JSON.stringify(example));
  return decisions;
}

/** What the client negotiated with each backend, as the gateway saw it. */
export function showRevisions({ client, shown }: Walker, decisions: readonly Decision[]): void {
  for (const [backend, revision] of Object.entries(client.revisions)) {
    const calls = decisions.filter((line) => line.backend === backend && line.decision === 'allow' && line.tool !== undefined);
    const seen = [...new Set(calls.map(({ protocol_revision }) => protocol_revision))];
    expect(seen.length === 1 && seen[0] === revision, `${client.name} speaks ${revision} to ${backend}`, seen);
    shown(`${client.name} spoke ${revision} to ${backend}`);
  }
}

/** Lines are written some milliseconds after their Checks: what was counted will come. */
async function readDecisions(file: string, count: number): Promise<Decision[]> {
  const giveUpAt = Date.now() + 5000;
  for (;;) {
    const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
    if (lines.length >= count || Date.now() > giveUpAt) return lines.map((line) => JSON.parse(line));
    await delay(10);
  }
}
