/** What the reference policies are asked, and what they must answer: the house of policies/permissions/data.yaml. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export interface Case {
  readonly name: string;
  readonly input: JsonObject;
  readonly inbound: JsonObject;
  /** Asked only where inbound allows. */
  readonly outbound?: JsonObject;
}

const LEDGER = { backend: 'enterprise-ledger', audience: 'https://enterprise-ledger.internal/mcp' };
const DIRECTORY = { backend: 'employee-directory', audience: 'https://employee-directory.internal/mcp' };
const EVERYTHING = ['ledger:read', 'ledger:write', 'pii:read', 'audit:read', 'directory:read'];

export const YES = { allow: true, reason: 'allowed' };
export const no = (reason: string, more: JsonObject = {}): JsonObject => ({ allow: false, reason, ...more });

export const alice = person('alice', 'analyst');
export const bob = person('bob', 'employee');
export const carol = person('carol', 'auditor');
export const agent: JsonObject = {
  ...person('bedrock-agentcore', 'agent'),
  clientId: 'bedrock-agentcore',
  scopes: ['ledger:read', 'directory:read'],
  claims: { roles: ['agent'] },
};

export const transfer = { from: 'ACC-1', to: 'ACC-2', amount: 250.5, currency: 'EUR' };

export function message(principal: JsonObject, mcp: JsonObject): JsonObject {
  return {
    version: 1,
    mcp: {
      era: 'legacy',
      revision: '2025-11-25',
      kind: 'request',
      method: null,
      targets: [],
      tool: null,
      arguments: null,
      backend: LEDGER.backend,
      ...mcp,
    },
    principal,
    tool: { title: 'A tool', annotations: { readOnlyHint: true }, known: true },
    request: {
      method: 'POST',
      host: 'gateway.example.com',
      path: '/ledger/mcp',
      sourceIp: '192.0.2.7',
      sourcePrincipal: 'spiffe://example.com/edge',
      time: '2026-11-20T12:00:00.123Z',
      headers: { 'user-agent': 'claude-code/2.0' },
      context: { route: 'ledger' },
    },
  };
}

export function call(principal: JsonObject, tool: string, args: Json = null, backend = LEDGER.backend): JsonObject {
  return message(principal, { method: 'tools/call', targets: [{ type: 'tool', name: tool }], tool, arguments: args, backend });
}

export function withScopes(principal: JsonObject, ...scopes: string[]): JsonObject {
  return { ...principal, scopes };
}

export const CASES: readonly Case[] = [
  allowed('an employee reads a balance', call(bob, 'getBalance', { account: 'ACC-1' }), LEDGER, 'getBalance'),
  allowed('the agent reads transactions', call(agent, 'listTransactions'), LEDGER, 'listTransactions'),
  allowed('the agent reads the directory', call(agent, 'getManager', {}, DIRECTORY.backend), DIRECTORY, 'getManager'),
  allowed('an analyst reads PII', call(alice, 'getCustomerPII', { id: 'C-1' }), LEDGER, 'getCustomerPII'),
  allowed('an auditor reads the audit trail', call(carol, 'getAuditTrail'), LEDGER, 'getAuditTrail'),
  allowed('an analyst transfers money', call(alice, 'transferFunds', transfer), LEDGER, 'transferFunds'),
  allowed('up to the limit', call(alice, 'transferFunds', { ...transfer, amount: 1000000 }), LEDGER, 'transferFunds'),
  allowed('through the agent too', call({ ...alice, clientId: 'bedrock-agentcore' }, 'createInvoice'), LEDGER, 'createInvoice'),
  allowed(
    'a resource',
    message(agent, { method: 'resources/read', targets: [{ type: 'resource', name: 'ledger://policies/retention' }] }),
    LEDGER,
    'protocol',
  ),
  allowed(
    'a prompt',
    message(bob, {
      method: 'prompts/get',
      targets: [{ type: 'prompt', name: 'monthly-close' }],
      arguments: { month: '2026-10' },
    }),
    LEDGER,
    'protocol',
  ),
  allowed('a list', message(bob, { method: 'tools/list' }), LEDGER, 'protocol'),
  allowed('a notification', message(bob, { kind: 'notification', method: 'notifications/initialized' }), LEDGER, 'protocol'),
  allowed('a posted response', message(bob, { kind: 'response' }), LEDGER, 'protocol'),
  allowed('a GET', message(bob, { kind: 'http', method: 'GET' }), LEDGER, 'protocol'),
  allowed('a DELETE', message(bob, { kind: 'http', method: 'DELETE' }), LEDGER, 'protocol'),
  allowed('initialize without a scope', message(withScopes(bob), { method: 'initialize' }), LEDGER, 'protocol'),
  allowed(
    'server/discover without a scope',
    message(withScopes(agent), { era: 'modern', revision: '2026-07-28', method: 'server/discover' }),
    LEDGER,
    'protocol',
  ),
  allowed(
    'a subscription to several resources',
    message(bob, {
      era: 'modern',
      revision: '2026-07-28',
      method: 'subscriptions/listen',
      targets: [
        { type: 'resource', name: 'ledger://accounts/1' },
        { type: 'task', name: 't-1' },
      ],
    }),
    LEDGER,
    'protocol',
  ),

  refused('an unknown tool', call(alice, 'dropTables'), no('tool_unknown')),
  refused('a tool of the other backend', call(alice, 'getEmployee'), no('tool_unknown')),
  refused('a role that is missing', call(bob, 'getCustomerPII'), role('analyst')),
  refused('a role no scope can make up for', call(withScopes(bob, 'ledger:read'), 'getCustomerPII'), role('analyst')),
  refused('an analyst is no auditor', call(alice, 'getAuditTrail'), role('auditor')),
  refused('the agent is no analyst', call(agent, 'getCustomerPII'), role('analyst')),
  refused(
    'a scope to be had, with all the tool needs',
    call(withScopes(alice, 'ledger:read'), 'getCustomerPII'),
    no('insufficient_scope', { required_scopes: ['ledger:read', 'pii:read'] }),
  ),
  refused(
    'a scope the agent cannot have',
    call({ ...agent, claims: { roles: ['analyst'] } }, 'transferFunds', transfer),
    no('tool_forbidden'),
  ),
  refused(
    'a scope the agent should not have',
    call({ ...agent, claims: { roles: ['analyst'] }, scopes: EVERYTHING }, 'getCustomerPII'),
    no('tool_forbidden'),
  ),
  refused('over the limit', call(alice, 'transferFunds', { ...transfer, amount: 1000000.01 }), overLimit()),
  refused('far over the limit', call(alice, 'transferFunds', { ...transfer, amount: 1e300 }), overLimit()),
  refused('an amount in words', call(alice, 'transferFunds', { ...transfer, amount: '250' }), unfit('amount')),
  refused('nothing to transfer', call(alice, 'transferFunds', { ...transfer, amount: 0 }), unfit('amount')),
  refused('less than nothing', call(alice, 'transferFunds', { ...transfer, amount: -1 }), unfit('amount')),
  refused('a list of amounts', call(alice, 'transferFunds', { ...transfer, amount: [5] }), unfit('amount')),
  refused('a currency of another value', call(alice, 'transferFunds', { ...transfer, currency: 'JPY' }), unfit('currency')),
  refused('an account that is none', call(alice, 'transferFunds', { ...transfer, to: { id: 1 } }), unfit('to')),
  refused('no arguments', call(alice, 'transferFunds'), unfit('amount, currency, from, to')),
  refused(
    'a stranger to the backend',
    message(withScopes(bob, 'directory:read'), { method: 'tools/list' }),
    no('insufficient_scope', { required_scopes: ['ledger:read'] }),
  ),
  refused('a method that is not in the table', message(alice, { method: 'tasks/list' }), no('method_forbidden')),
  refused('a call as a notification', message(alice, { kind: 'notification', method: 'tools/call' }), no('method_forbidden')),
  refused('an unknown client', message({ ...alice, clientId: 'other' }, { method: 'initialize' }), no('client_forbidden')),
  refused('a public client as itself', call({ ...alice, subject: 'claude-code' }, 'getBalance'), no('client_forbidden')),
  refused('another tenant', call({ ...bob, claims: { roles: [], tenant: 'globex' } }, 'getBalance'), no('tenant_mismatch')),
  refused('no tenant', call({ ...bob, claims: { roles: [] } }, 'getBalance'), no('tenant_mismatch')),
  refused('an unknown backend', call(alice, 'getBalance', null, 'payroll'), no('policy_denied')),
  refused(
    'a resource that is not in the table',
    message(alice, { method: 'resources/read', targets: [{ type: 'resource', name: 'ledger://chart' }] }),
    no('policy_denied'),
  ),
];

function person(name: string, role: string): JsonObject {
  return {
    issuer: 'https://idp.example.com/realms/mcp',
    subject: name,
    clientId: 'claude-code',
    scopes: EVERYTHING,
    audience: ['https://gateway.example.com/ledger/mcp'],
    actor: [{ sub: 'ai-identity-gateway' }, { sub: 'claude-code', iss: 'https://idp.example.com/realms/mcp' }],
    claims: { sub: name, client_id: 'claude-code', roles: [role], tenant: 'acme' },
    expiresAt: 1800000000,
    tokenId: 't-1',
    binding: null,
  };
}

function allowed(name: string, input: JsonObject, { backend, audience }: typeof LEDGER, scope: string): Case {
  return { name, input, inbound: YES, outbound: { ...YES, audience, scope: `${backend}:${scope}`, ttl_seconds: 5 } };
}

function refused(name: string, input: JsonObject, inbound: JsonObject): Case {
  return { name, input, inbound };
}

function role(name: string): JsonObject {
  return no('role_missing', { message: `This needs one of the roles: ${name}.` });
}

function unfit(names: string): JsonObject {
  return no('argument_forbidden', { message: `Missing or not acceptable: ${names}.` });
}

function overLimit(): JsonObject {
  return no('limit_exceeded', { message: 'Over the limit for your role: amount is at most 1000000.' });
}
