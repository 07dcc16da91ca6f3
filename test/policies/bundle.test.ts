/** The committed bundle, run as the sidecar runs it. Needs no opa. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { loadPolicy } from '@open-policy-agent/opa-wasm';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { accounts } from '../../examples/reference/accounts.ts';
import { employeeDirectoryTools } from '../../examples/reference/employee-directory-tools.ts';
import { enterpriseLedgerTools } from '../../examples/reference/enterprise-ledger-tools.ts';
import { clientCredentialsScopes } from '../../examples/reference/oauth-clients.ts';
import { OPA_VERSION } from '../../scripts/opa.ts';
import { BUNDLE, POLICIES, readBundle, revisionOf } from '../../scripts/policies.ts';
import { METHODS } from '../../src/mcp/methods.ts';
import { readInbound, readOutbound } from '../../src/policy/decision.ts';
import { POLICY_REASONS } from '../../src/reasons.ts';
import {
  agent,
  alice,
  bob,
  CASES,
  call,
  carol,
  type Json,
  type JsonObject,
  message,
  no,
  transfer,
  withScopes,
  YES,
} from './cases.ts';

type Entrypoint = 'mcp/inbound/decision' | 'mcp/outbound/decision';
const INBOUND = 'mcp/inbound/decision';
const OUTBOUND = 'mcp/outbound/decision';

const members = readBundle(readFileSync(join(POLICIES, BUNDLE)));
const member = (name: string) => JSON.parse(members.get(name)!.toString('utf8'));
const validInput = new Ajv({ strict: true }).compile(JSON.parse(readFileSync(join(POLICIES, 'schemas/input.v1.json'), 'utf8')));

/** The one result; `document` may be JSON text that JavaScript cannot hold. */
type Decide = (entrypoint: Entrypoint, document: unknown) => JsonObject;

async function load(data: unknown): Promise<Decide> {
  const policy = await loadPolicy(Uint8Array.from(members.get('/policy.wasm')!), { initial: 5, maximum: 512 });
  policy.setData(data as object);
  return (entrypoint, document) => {
    const text = typeof document === 'string' ? document : JSON.stringify(document);
    const results = policy.evaluate(new TextEncoder().encode(text).buffer, entrypoint);
    assert.equal(results.length, 1);
    const decision = results[0].result;
    assertShape(entrypoint, decision);
    return decision;
  };
}

/** The sidecar's own judge: anything but the exact shape is `policy_invalid` there. */
function assertShape(entrypoint: Entrypoint, decision: { allow: boolean; reason: string }): void {
  const judged = entrypoint === INBOUND ? readInbound(decision) : readOutbound(decision, 5);
  assert.equal(judged.ok ? 'allowed' : judged.denial.reason, decision.reason, JSON.stringify(judged));
}

describe('the committed bundle', () => {
  let decide: Decide;
  before(async () => {
    decide = await load(member('/data.json'));
  });

  for (const { name, input, inbound, outbound } of CASES) {
    test(name, () => {
      assert.ok(validInput(input), JSON.stringify(validInput.errors));
      assert.deepEqual(decide(INBOUND, input), inbound);
      if (outbound !== undefined) assert.deepEqual(decide(OUTBOUND, input), outbound);
    });
  }

  test('every reason it can give has a case', () => {
    const given = new Set(CASES.map(({ inbound }) => inbound.reason));
    // No rule here says `read_only`: it is for policies that freeze a backend.
    assert.deepEqual([...given].sort(), [...POLICY_REASONS].filter((reason) => reason !== 'read_only').sort());
  });

  test('outbound refuses what it does not know', () => {
    assert.deepEqual(decide(OUTBOUND, call(alice, 'dropTables')), no('tool_unknown'));
    assert.deepEqual(decide(OUTBOUND, call(alice, 'getBalance', null, 'payroll')), no('policy_denied'));
    assert.deepEqual(decide(OUTBOUND, message(alice, { method: 'tools/list', backend: 'payroll' })), no('policy_denied'));
  });

  test('numbers JavaScript cannot hold', () => {
    const asked = JSON.stringify(call(alice, 'transferFunds', { ...transfer, amount: 4242 }));
    for (const amount of ['1e400', '99999999999999999999999999999999', '1000000.01']) {
      assert.equal(decide(INBOUND, asked.replace('4242', amount)).reason, 'limit_exceeded', amount);
    }
    for (const amount of ['-1e400', '-0', '0.0', '0e99']) {
      assert.equal(decide(INBOUND, asked.replace('4242', amount)).reason, 'argument_forbidden', amount);
    }
  });

  test('a field that is absent or of another type never allows', () => {
    const input = call(alice, 'transferFunds', transfer);
    const unread =
      /^\/(tool|request)|^\/mcp\/(era|revision|targets)|^\/principal\/(issuer|audience|actor|expiresAt|tokenId|binding|scopes\/\d)/;
    const others = [undefined, null, true, 0, -1, '', 'x', [], [[]], {}, { a: 'analyst' }];
    for (const path of paths(input)) {
      if (unread.test(path) || /^\/principal\/claims\/(sub|client_id)/.test(path)) continue;
      for (const other of others) {
        const mutated = replace(input, path.split('/').slice(1), other);
        // A user may be called x, and so may an account.
        if (other === 'x' && /subject|from|to$/.test(path)) continue;
        assert.equal(decide(INBOUND, mutated).allow, false, `${path} ${JSON.stringify(other)}`);
      }
    }
  });

  test('documents that are no input at all', () => {
    for (const document of ['null', 'true', '0', '""', '[]', '{}', '{"version":1}', '[[[[]]]]']) {
      assert.deepEqual(decide(INBOUND, document), no('policy_denied'));
      assert.deepEqual(decide(OUTBOUND, document), no('policy_denied'));
    }
  });

  test('large arguments, scopes and roles', () => {
    const many = Array.from({ length: 5000 }, (_, at) => `x${at}`);
    const crowd = { ...alice, scopes: [...many, 'ledger:write'], claims: { roles: [...many, 'analyst'], tenant: 'acme' } };
    assert.deepEqual(decide(INBOUND, call(crowd, 'transferFunds', { ...transfer, memo: many })), YES);
    const deep = JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`) as Json;
    assert.deepEqual(decide(INBOUND, call(alice, 'transferFunds', { ...transfer, memo: deep })), YES);
  });
});

describe('another table, the same policy', () => {
  const tables = member('/data.json');
  const ledger = tables.permissions.backends['enterprise-ledger'];
  Object.assign(ledger.tools.getBalance, { ttl_seconds: 2 });
  Object.assign(ledger.tools, { closeBooks: { scopes: ['ledger:write'], roles: ['auditor'] } });
  ledger.prompts = { reconcile: { scopes: ['ledger:read'], roles: ['analyst'] } };
  ledger.resources = { 'ledger://accounts/': { scopes: ['ledger:read'], roles: 'any' } };
  let decide: Decide;
  before(async () => {
    decide = await load(tables);
  });
  const read = (principal: JsonObject, name: string) =>
    decide(INBOUND, message(principal, { method: 'resources/read', targets: [{ type: 'resource', name }] }));

  test('a new tool', () => {
    assert.deepEqual(decide(INBOUND, call(carol, 'closeBooks')), YES);
    assert.equal(decide(INBOUND, call(alice, 'closeBooks')).reason, 'role_missing');
  });

  test('a shorter life for the token of one tool', () => {
    assert.equal(decide(OUTBOUND, call(bob, 'getBalance')).ttl_seconds, 2);
    assert.equal(decide(OUTBOUND, call(bob, 'getAccount')).ttl_seconds, 5);
  });

  test('a prompt', () => {
    const get = (principal: JsonObject) =>
      decide(INBOUND, message(principal, { method: 'prompts/get', targets: [{ type: 'prompt', name: 'reconcile' }] }));
    assert.deepEqual(get(alice), YES);
    assert.equal(get(bob).reason, 'role_missing');
  });

  test('resources directly below a URI, and nothing that climbs', () => {
    assert.deepEqual(read(bob, 'ledger://accounts/ACC-1'), YES);
    assert.deepEqual(read(agent, 'ledger://accounts/ACC_2'), YES);
    assert.equal(read(withScopes(bob, 'audit:read'), 'ledger://accounts/ACC-1').reason, 'insufficient_scope');
    for (const tail of ['..', '.', 'a/b', '../x', '%2e%2e', 'a?b', 'a#b', 'a\\b', 'a b', 'Ä', 'ACC-1\u0000', 'ſ', 'a/']) {
      assert.deepEqual(read(bob, `ledger://accounts/${tail}`), no('policy_denied'), tail);
    }
  });
});

describe('what the bundle is made of', () => {
  test('no tests and no prose', () => {
    assert.deepEqual([...members.keys()].sort(), [
      '/.manifest',
      '/data.json',
      '/mcp/inbound.rego',
      '/mcp/outbound.rego',
      '/policy.wasm',
    ]);
  });

  test('its revision is the hash of the sources', () => {
    assert.equal(member('/.manifest').revision, revisionOf(OPA_VERSION), 'run `node scripts/policies.ts build`');
  });

  test('its table is the one in the tree, and has the published shape', () => {
    const table = parse(readFileSync(join(POLICIES, 'permissions/data.yaml'), 'utf8'));
    assert.deepEqual(member('/data.json'), { permissions: table });
    const schema = JSON.parse(readFileSync(join(POLICIES, 'schemas/permissions.v1.json'), 'utf8'));
    assert.ok(new Ajv().compile(schema)(table));
  });

  test('it asks the host for nothing', async () => {
    const { wasmInstance, mem } = await loadPolicy(Uint8Array.from(members.get('/policy.wasm')!), { initial: 5, maximum: 512 });
    const { builtins, opa_json_dump: dump } = wasmInstance.exports;
    const text = new Uint8Array(mem.buffer).subarray(dump(builtins()));
    assert.equal(Buffer.from(text.subarray(0, text.indexOf(0))).toString('utf8'), '{}');
  });

  test('the input schema is closed where the sidecar writes it', () => {
    const input = call(alice, 'getBalance');
    for (const part of ['mcp', 'principal', 'tool', 'request']) {
      const { [part]: branch, ...others } = input;
      assert.equal(validInput({ ...others, [part]: { ...(branch as JsonObject), surplus: 1 } }), false, part);
      assert.equal(validInput(others), false, part);
    }
    assert.equal(validInput({ ...input, surplus: 1 }), false);
    assert.equal(validInput({ ...input, version: 2 }), false);
    assert.equal(validInput({ ...input, principal: { ...alice, binding: { type: 'jkt', value: 'abc' }, tokenId: null } }), true);
  });
});

describe('the table and what it is about', () => {
  const { clients, methods, backends } = member('/data.json').permissions;
  const names = (tools: readonly { readonly name: string }[]) => tools.map(({ name }) => name).sort();

  test('a row for every tool of the reference backends, and no other', () => {
    assert.deepEqual(Object.keys(backends['enterprise-ledger'].tools).sort(), names(enterpriseLedgerTools));
    assert.deepEqual(Object.keys(backends['employee-directory'].tools).sort(), names(employeeDirectoryTools));
  });

  test('the scopes the authorization server grants', () => {
    for (const [id, scopes] of Object.entries(clientCredentialsScopes)) assert.deepEqual(clients[id].machine, scopes);
    for (const { scopes } of accounts) for (const scope of scopes) assert.ok(clients['claude-code'].user.includes(scope), scope);
  });

  test('every method the sidecar reads, but for the list of tasks', () => {
    const read = [...METHODS].filter(([name]) => name !== 'tasks/list');
    const listed = Object.entries({ request: methods.request, notification: methods.notification });
    assert.deepEqual(
      listed.flatMap(([kind, rows]) => Object.keys(rows).map((name) => `${kind} ${name}`)).sort(),
      read.map(([name, { kind }]) => `${kind} ${name}`).sort(),
    );
  });
});

function paths(value: Json, at = ''): string[] {
  if (value === null || typeof value !== 'object') return [at];
  return [...(at === '' ? [] : [at]), ...Object.entries(value).flatMap(([key, part]) => paths(part as Json, `${at}/${key}`))];
}

function replace(value: Json, [key, ...deeper]: readonly string[], part: Json | undefined): Json | undefined {
  if (key === undefined) return part;
  const copy = Array.isArray(value) ? [...value] : { ...(value as JsonObject) };
  const changed = replace((copy as Record<string, Json>)[key]!, deeper, part);
  if (changed === undefined && !Array.isArray(copy)) delete (copy as Record<string, Json>)[key];
  else Object.assign(copy, { [key]: changed ?? null });
  return copy as Json;
}
