import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Ajv } from 'ajv';
import { type Imagined, imagineInput } from '../../../src/tools/asked-input.ts';
import { parsePeople } from '../../../src/tools/people.ts';

const schema = JSON.parse(readFileSync(new URL('../../../policies/schemas/input.v1.json', import.meta.url), 'utf8'));
const compiled = new Ajv({ strict: false }).compile(schema);
/** What is wrong with an input. */
const problems = (input: unknown) => (compiled(input) ? [] : compiled.errors);

const asked: Imagined = {
  person: { subject: 'alice', client: 'claude-code', scopes: ['a', 'b'], claims: { roles: ['analyst'] }, issuer: null },
  resource: { name: 'ledger', path: '/ledger/mcp', url: 'https://gateway.example/ledger/mcp' },
  method: 'tools/call',
  target: 'pay',
  args: { amount: 1 },
  params: null,
  revision: '2025-11-25',
  facts: { title: null, annotations: { readOnlyHint: true }, known: true },
  now: Date.UTC(2026, 10, 20),
};

describe('an imagined request', () => {
  const cases: Readonly<Record<string, Partial<Imagined>>> = {
    'a call': {},
    'a call of the modern era': { revision: '2026-07-28' },
    'a tool with an odd name in the modern era': { revision: '2026-07-28', target: 'zahlen – jetzt' },
    'a list': { method: 'tools/list', target: null, args: null },
    'a resource': { method: 'resources/read', target: 'ledger://x', args: null },
    'a task': { method: 'tasks/get', target: 't-1', args: null },
    'a beginning': { method: 'initialize', target: null, args: null },
    'a notification': { method: 'notifications/initialized', target: null, args: null },
    'a stream': { method: 'GET', target: null, args: null },
    'params of its own': { method: 'logging/setLevel', params: { level: 'debug' } },
  };
  for (const [name, changes] of Object.entries(cases)) {
    test(`${name} gives an input as the schema has it`, () => {
      const input = JSON.parse(JSON.stringify(imagineInput({ ...asked, ...changes })));
      assert.deepEqual(problems(input), []);
      assert.equal(input.mcp.method, changes.method ?? 'tools/call');
    });
  }

  test('has what it was given', () => {
    const { mcp, principal, tool, request } = imagineInput(asked);
    assert.deepEqual([mcp.backend, mcp.tool, mcp.arguments], ['ledger', 'pay', { amount: 1 }]);
    assert.deepEqual([principal.subject, principal.clientId, principal.scopes], ['alice', 'claude-code', ['a', 'b']]);
    assert.deepEqual(principal.claims.roles, ['analyst']);
    assert.deepEqual(tool.annotations, { readOnlyHint: true });
    assert.equal(request.time, '2026-11-20T00:00:00.000Z');
  });

  test('that would never reach policy is refused, with the reason', () => {
    assert.throws(() => imagineInput({ ...asked, method: 'tools/nothing' }), /method_unknown/);
    assert.throws(() => imagineInput({ ...asked, target: null }), /params_invalid/);
    assert.throws(
      () => imagineInput({ ...asked, person: { ...asked.person, subject: '' } }),
      /token_claims_invalid \(claim sub\)/,
    );
  });
});

describe('a file of people', () => {
  test('has each by name, the name as subject', () => {
    const people = parsePeople('alice: {client: c, scopes: [a]}\nagent: {subject: bob, claims: {x: 1}}\n', 'f');
    assert.deepEqual(people.get('alice'), { subject: 'alice', client: 'c', scopes: ['a'], claims: {}, issuer: null });
    assert.equal(people.get('agent')?.subject, 'bob');
  });

  const wrong: Readonly<Record<string, RegExp>> = {
    '[]': /f: is no map of people/,
    'alice: 1': /f: alice: is no map/,
    'alice: {role: x}': /f: alice\.role: there is no such member/,
    'alice: {scopes: a}': /f: alice\.scopes: is no list/,
    'alice: {claims: a}': /f: alice\.claims: is no map/,
    'alice: {client: 1}': /f: alice\.client: is no text/,
    'alice: {}\nalice: {}': /f: Map keys must be unique/,
  };
  for (const [text, said] of Object.entries(wrong)) test(text, () => assert.throws(() => parsePeople(text, 'f'), said));
});
