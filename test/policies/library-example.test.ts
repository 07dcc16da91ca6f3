/** The example of the library, asked what the reference policy is asked: where both say something, they say the same. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Ajv } from 'ajv';
import { enterpriseLedgerTools } from '../../examples/reference/enterprise-ledger-tools.ts';
import { readOutbound } from '../../src/policy/decision.ts';
import { agent, alice, bob, CASES, call, type Json, type JsonObject, message, transfer, withScopes, YES } from './cases.ts';
import { type Ask, at, compile, documents, library, opa, schemas, sources, withoutTests } from './library.ts';

const INBOUND = 'mcp/inbound/decision';
const OUTBOUND = 'mcp/outbound/decision';
const example = sources('../examples/policies/two-servers');

after(() => opa.close());

let ask: Ask;
let data: unknown;
before(async () => {
  ({ ask, data } = await compile(withoutTests({ ...library, ...example }), [INBOUND, OUTBOUND]));
});

const inbound = (input: unknown): JsonObject => ask(INBOUND, input) as JsonObject;

/** Each words its message itself, and only this one has a rule on trial. */
const wordless = ({ message: _, log_only: __, ...rest }: JsonObject): JsonObject => rest;

describe('the cases of the reference policy', () => {
  for (const { name, input, inbound: expected, outbound } of CASES) {
    test(name, () => {
      assert.deepEqual(wordless(inbound(input)), wordless(expected));
      assert.equal('message' in inbound(input), 'message' in expected, 'a message where the other has one');
      if (outbound === undefined) return;
      assert.deepEqual(ask(OUTBOUND, input), outbound);
      assert.ok(readOutbound(ask(OUTBOUND, input), 5).ok);
    });
  }
});

describe('what no message may do', () => {
  test('a field that is absent or of another type never allows', () => {
    const input = call(alice, 'transferFunds', transfer);
    const unread =
      /^\/(tool|request)|^\/mcp\/(era|revision|targets)|^\/principal\/(issuer|audience|expiresAt|tokenId|binding|scopes\/\d|actor\/\d\/iss)/;
    const others = [undefined, null, true, 0, -1, '', 'x', [], [[]], {}, { a: 'analyst' }];
    for (const path of paths(input)) {
      if (unread.test(path) || /^\/principal\/claims\/(sub|client_id)/.test(path)) continue;
      for (const other of others) {
        // A user may be called x, and nobody need act for one.
        if (
          (other === 'x' && /subject$/.test(path)) ||
          (path === '/principal/actor' && Array.isArray(other) && other.length === 0)
        )
          continue;
        assert.equal(inbound(replace(input, path.split('/').slice(1), other)).allow, false, `${path} ${JSON.stringify(other)}`);
      }
    }
  });

  test('documents that are no input at all', () => {
    for (const document of ['null', 'true', '0', '""', '[]', '{}', '{"version":1}', '[[[[]]]]']) {
      assert.equal(inbound(document).allow, false, document);
      assert.deepEqual(ask(OUTBOUND, document), { allow: false, reason: 'policy_denied' });
    }
  });

  test('numbers JavaScript cannot hold', () => {
    const asked = JSON.stringify(call(alice, 'transferFunds', { ...transfer, amount: 4242 }));
    for (const amount of ['1e400', '99999999999999999999999999999999', '1000000.01']) {
      assert.equal(inbound(asked.replace('4242', amount)).reason, 'limit_exceeded', amount);
    }
    for (const amount of ['-1e400', '-0', '0.0', '0e99']) {
      assert.equal(inbound(asked.replace('4242', amount)).reason, 'argument_forbidden', amount);
    }
  });

  test('large arguments, scopes and roles', () => {
    const many = Array.from({ length: 5000 }, (_, index) => `x${index}`);
    const crowd = { ...alice, scopes: [...many, 'ledger:write'], claims: { roles: [...many, 'analyst'], tenant: 'acme' } };
    assert.deepEqual(inbound(call(crowd, 'transferFunds', { ...transfer, memo: many })), YES);
    const deep = JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`) as Json;
    assert.deepEqual(inbound(call(alice, 'transferFunds', { ...transfer, memo: deep })), YES);
  });

  test('a name that would be two scopes gets no token', () => {
    const asked = call(alice, 'getBalance enterprise-ledger:transferFunds');
    assert.deepEqual(ask(OUTBOUND, asked), { allow: false, reason: 'tool_unknown' });
  });

  test('an agent does no more for a user than it may, nor than the user may', () => {
    const through = { ...bob, clientId: 'bedrock-agentcore' };
    assert.equal(inbound(call(through, 'getCustomerPII')).reason, 'role_missing');
    assert.equal(inbound(call({ ...agent, claims: { roles: ['analyst'] } }, 'getCustomerPII')).reason, 'tool_forbidden');
    assert.equal(inbound(call({ ...alice, actor: [{ sub: 'stranger' }] }, 'getBalance')).reason, 'client_forbidden');
  });
});

describe('lists', () => {
  test('an item is asked about without arguments, and only they are missing', () => {
    assert.equal(inbound(call(alice, 'transferFunds', null)).reason, 'argument_forbidden');
    assert.equal(inbound(call(bob, 'transferFunds', null)).reason, 'role_missing');
    assert.equal(inbound(call(withScopes(alice, 'ledger:read'), 'transferFunds', null)).reason, 'insufficient_scope');
  });

  test('the sidecar lists for its catalog, and calls nothing', () => {
    const sidecar = { ...agent, subject: 'ai-identity-gateway', clientId: 'ai-identity-gateway', scopes: ['catalog:read'] };
    assert.deepEqual(inbound(message(sidecar, { method: 'tools/list' })), YES);
    for (const { name } of enterpriseLedgerTools) assert.equal(inbound(call(sidecar, name)).allow, false, name);
  });
});

test('what is on trial is said beside the allow', () => {
  assert.deepEqual(inbound(call(alice, 'transferFunds', { ...transfer, amount: 600_000 })), {
    ...YES,
    log_only: [{ rule: 'half-the-limit', reason: 'limit_exceeded', message: 'amount is at most 500000.' }],
  });
});

test('the Rego tests of the example pass', async () => {
  const { result } = await opa.ask({ command: 'test', files: { ...library, ...example }, run: '^data\\.example_test' });
  assert.ok(result !== undefined && result.tests.length > 4);
  assert.deepEqual(
    result.tests.filter(({ outcome }) => outcome !== 'passed').map(({ name }) => name),
    [],
  );
});

test('its data has the shapes that the schemas say', () => {
  for (const [path, name] of Object.entries(documents)) {
    const part = at(data, path);
    if (part === undefined) continue;
    const validate = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true }).compile(schemas[name] as object);
    assert.ok(validate(part), `${path}: ${JSON.stringify(validate.errors)}`);
  }
});

function paths(value: Json, above = ''): string[] {
  if (value === null || typeof value !== 'object') return [above];
  const below = Object.entries(value).flatMap(([key, part]) => paths(part as Json, `${above}/${key}`));
  return [...(above === '' ? [] : [above]), ...below];
}

function replace(value: Json, [key, ...deeper]: readonly string[], part: Json | undefined): Json | undefined {
  if (key === undefined) return part;
  const copy = Array.isArray(value) ? [...value] : { ...(value as JsonObject) };
  const changed = replace((copy as Record<string, Json>)[key] ?? null, deeper, part);
  if (changed === undefined && !Array.isArray(copy)) delete (copy as Record<string, Json>)[key];
  else Object.assign(copy, { [key]: changed ?? null });
  return copy as Json;
}
