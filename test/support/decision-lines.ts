/** Lines of a decision log as the sidecar would have written them: what people of policies/people.yaml asked, and what a policy said. */
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { type Imagined, imagineInput } from '../../src/tools/asked-input.ts';
import type { Judge, Said } from '../../src/tools/judge.ts';
import { unknownBackend } from '../../src/tools/known-backends.ts';
import { readPeople } from '../../src/tools/people.ts';

export const POLICIES = fileURLToPath(new URL('../../policies', import.meta.url));

export const people = await readPeople(fileURLToPath(new URL('../../policies/people.yaml', import.meta.url)));

export interface Asked {
  readonly who: string;
  readonly tool?: string;
  readonly method?: string;
  readonly args?: Record<string, unknown>;
  readonly backend?: string;
  /** Names of arguments that the log leaves out. */
  readonly erase?: readonly string[];
}

const BEGIN = Date.UTC(2026, 10, 20, 9);

export function inputOf({ who, tool, method, args, backend = 'enterprise-ledger' }: Asked, now = BEGIN) {
  const person = people.get(who);
  if (person === undefined) throw new Error(`${who} is not in people.yaml`);
  const asked: Imagined = {
    person,
    resource: unknownBackend(backend),
    method: method ?? 'tools/call',
    target: tool ?? null,
    args: args ?? (tool === undefined ? null : {}),
    params: null,
    revision: '2025-11-25',
    facts: { title: null, annotations: {}, known: tool !== undefined },
    now,
  };
  return imagineInput(asked);
}

/** The same for the same question at the same place. */
export function idOf(index: number): string {
  const hex = createHash('sha256').update(String(index)).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** One line; a second passes between one and the next. */
export function recordedLine(judge: Judge, asked: Asked, index = 0, changes: object = {}): string {
  const now = BEGIN + index * 1000;
  const input = inputOf(asked, now);
  const { inbound, outbound, token } = judge.ask(JSON.stringify(input), now);
  const last = outbound ?? inbound;
  const { erase = [] } = asked;
  const args = input.mcp.arguments === null ? null : { ...input.mcp.arguments };
  for (const name of erase) delete args?.[name];
  const said = ({ allow, reason }: Said) => ({ allow, reason });
  return JSON.stringify({
    type: 'decision',
    timestamp: new Date(now).toISOString(),
    labels: { id: 'test' },
    decision_id: idOf(index),
    decision: last.allow ? 'allow' : 'deny',
    reason: last.reason,
    method: input.mcp.method,
    ...(asked.tool === undefined ? {} : { tool: asked.tool }),
    backend: input.mcp.backend,
    issuer: input.principal.issuer,
    subject: input.principal.subject,
    client_id: input.principal.clientId,
    ...(token === null ? {} : { audience: token.audience, scope: token.scopes.join(' ') }),
    path: 'mcp/inbound/decision',
    bundles: { policy: { revision: judge.revision } },
    input: { ...input, mcp: { ...input.mcp, arguments: args } },
    ...(erase.length === 0 ? {} : { erased: erase.map((name) => `/input/mcp/arguments/${name}`) }),
    result: said(inbound),
    ...(outbound === null ? {} : { outbound: said(outbound) }),
    requested_by: '127.0.0.1',
    ...changes,
  });
}

/** What they did on a morning: by chance, and always by the same. */
export function morning(count: number): Asked[] {
  let seed = 7;
  const choose = <T>(from: readonly T[]): T => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return from[Math.floor((seed / 2_147_483_648) * from.length)] as T;
  };
  const account = () => ({ account: `ACC-${choose([1, 2, 3, 4])}` });
  const transfer = () => ({ from: 'ACC-1', to: 'ACC-2', amount: choose([2, 4, 6, 9, 12, 25]) * 100_000, currency: 'EUR' });
  const habits: Readonly<Record<string, readonly (() => Omit<Asked, 'who'>)[]>> = {
    alice: [
      () => ({ tool: 'getBalance', args: account() }),
      () => ({ tool: 'getCustomerPII', args: { customer: 'C-1' } }),
      () => ({ tool: 'transferFunds', args: transfer() }),
    ],
    bob: [
      () => ({ tool: 'getEmployee', args: { id: 'E-1' }, backend: 'employee-directory' }),
      () => ({ tool: 'listAccounts' }),
      () => ({ tool: 'transferFunds', args: transfer() }),
    ],
    carol: [() => ({ tool: 'getAuditTrail' }), () => ({ tool: 'listTransactions', args: account() })],
    'alice-by-agent': [() => ({ tool: 'getBalance', args: account() }), () => ({ method: 'tools/list' })],
  };
  return Array.from({ length: count }, () => {
    const who = choose(Object.keys(habits));
    return { who, ...choose(habits[who] as (typeof habits)[string])() };
  });
}
