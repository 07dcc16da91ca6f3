import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { Ajv } from 'ajv';
import { toolFacts } from '../../../src/catalog/tool-facts.ts';
import type { HttpFacts } from '../../../src/http.ts';
import { readOperation } from '../../../src/mcp/operation.ts';
import { inputText, type PolicyInput, policyInput } from '../../../src/policy/input.ts';
import { alice, bare, callOf, ledger, NOW_MS, request } from '../support/facts.ts';

const schema = JSON.parse(readFileSync(new URL('../../../policies/schemas/input.v1.json', import.meta.url), 'utf8'));
const fitsSchema = new Ajv({ allErrors: true, strict: false }).compile(schema);

function inputOf(http: HttpFacts, headerNames: readonly string[] = [], declared: ReadonlySet<string> | null = null): PolicyInput {
  const operation = readOperation(http, { maxBytes: 65_536, maxDepth: 64 });
  assert.ok(operation.ok, JSON.stringify(operation));
  return policyInput(
    http,
    ledger,
    operation.value,
    alice,
    toolFacts(ledger, () => null, operation.value.tool),
    headerNames,
    declared,
  );
}

const requests: Record<string, HttpFacts> = {
  'a tool call': request({ body: callOf('getBalance', { account: 'A-1' }) }),
  'a call of a tool that is not in the catalog': request({ body: callOf('dropTables') }),
  'a notification': request({ body: { jsonrpc: '2.0', method: 'notifications/initialized' } }),
  'a posted response': request({ body: { jsonrpc: '2.0', id: 1, result: {} } }),
  'a listening GET': bare('GET'),
  'the end of a session': bare('DELETE'),
  'a request over mutual TLS, with context': request({ sourcePrincipal: 'spiffe://mesh/agent', context: { tenant: 'acme' } }),
};

suite('the policy input', () => {
  for (const [name, http] of Object.entries(requests)) {
    test(`of ${name} has the published shape`, () => {
      const input = JSON.parse(inputText(inputOf(http)));
      assert.ok(fitsSchema(input), JSON.stringify(fitsSchema.errors));
    });
  }

  test('as text is what it is as a value', () => {
    for (const http of Object.values(requests)) {
      const input = inputOf(http);
      for (let again = 0; again < 2; again += 1)
        assert.deepEqual(JSON.parse(inputText(input)), JSON.parse(JSON.stringify(input)));
    }
  });

  test('as text is about the principal it was made for', () => {
    const input = inputOf(request());
    inputText(input);
    const other = { ...input, principal: { ...alice, subject: 'bob' } };
    assert.equal(JSON.parse(inputText(other)).principal.subject, 'bob');
  });

  test('tells what the catalog knows of the tool, and that it does not know one', () => {
    assert.deepEqual(inputOf(request()).tool, { title: 'Get a balance', annotations: { readOnlyHint: true }, known: true });
    for (const name of ['dropTables', 'constructor', '__proto__', 'toString']) {
      assert.deepEqual(inputOf(request({ body: callOf(name) })).tool, { title: null, annotations: {}, known: false });
    }
  });

  test('takes the time from Envoy, and the address', () => {
    const { time, sourceIp } = inputOf(request({ timeMs: NOW_MS + 5, sourceIp: '2001:db8::1' })).request;
    assert.equal(time, '2026-11-21T12:00:00.005Z');
    assert.equal(sourceIp, '2001:db8::1');
  });

  test('shows the headers asked for and no other', () => {
    const http = request({ lines: { 'x-a': ['1', '2'], 'x-b': 'b', cookie: 'secret' } });
    assert.deepEqual(inputOf(http).request.headers, {});
    assert.deepEqual(inputOf(http, ['x-a', 'x-c', 'constructor']).request.headers, { 'x-a': '1, 2' });
  });

  test('never holds the token', () => {
    for (const http of Object.values(requests)) assert.ok(!/eyJ|bearer/i.test(inputText(inputOf(http))));
  });
});

test('the arguments that are declared are there, and no others', () => {
  const http = request({ body: callOf('getBalance', { account: 'A-1', extra: { account: 1 }, toString: 'x' }) });
  assert.deepEqual(inputOf(http, [], new Set(['account', 'amount'])).mcp.arguments, { account: 'A-1' });
  assert.deepEqual(inputOf(http, [], new Set()).mcp.arguments, {});
  assert.deepEqual(inputOf(bare('GET'), [], new Set(['account'])).mcp.arguments, null);
});
