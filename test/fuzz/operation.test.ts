/** What we judge is what the server does: accepted bodies mean the same to the official SDK, and to Python's JSON reader. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { suite, test } from 'node:test';
import { CallToolRequestSchema, JSONRPCMessageSchema } from '@modelcontextprotocol/sdk/types.js';
import fc from 'fast-check';
import { type Operation, readOperation } from '../../src/mcp/operation.ts';
import { REASONS } from '../../src/reasons.ts';
import { corpusCases, corpusFile, needs } from '../support/corpora.ts';
import { CAPABILITIES_KEY, ENVELOPE, LIMITS, post, VERSION_KEY } from '../unit/mcp/facts.ts';
import { document, message, mutated } from './messages.ts';
import { runs } from './runs.ts';

const anyMessage = fc.oneof(
  { weight: 3, arbitrary: message.map((text): Uint8Array => Buffer.from(text)) },
  { weight: 2, arbitrary: mutated(message) },
);

const headerValue = fc.oneof(
  fc.constantFrom('tools/call', 'tools/list', 'read', '=?base64?cmVhZA==?=', ''),
  fc.string({ maxLength: 8 }),
);
const headers = fc.record(
  {
    'mcp-protocol-version': fc.constantFrom('2024-11-05', '2025-03-26', '2025-11-25', '2026-07-28', 'x'),
    'mcp-method': headerValue,
    'mcp-name': headerValue,
    'content-type': fc.constantFrom('application/json', 'text/plain'),
  },
  { requiredKeys: [] },
);
const fewHeaders = fc.oneof({ weight: 4, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: headers });

/** What the official server makes of an accepted call. */
function compareWithSdk(operation: Operation, bytes: Uint8Array): void {
  const body: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
  const parsed = JSONRPCMessageSchema.safeParse(body);
  if (!parsed.success) return;
  if (operation.kind === 'response') {
    assert.ok(!('method' in parsed.data));
    return;
  }
  assert.ok('method' in parsed.data);
  assert.equal(parsed.data.method, operation.method);
  assert.equal('id' in parsed.data, operation.id !== null);
  if (operation.id !== null && 'id' in parsed.data) assert.equal(JSON.parse(operation.id), parsed.data.id);
  assert.equal(operation.tool !== null, operation.method === 'tools/call');
  if (operation.tool === null) return;
  const call = CallToolRequestSchema.safeParse(body);
  if (!call.success) return;
  assert.equal(call.data.params.name, operation.tool);
  assert.deepEqual(call.data.params.arguments ?? null, operation.arguments);
}

suite('readOperation', () => {
  test('accepts what the official SDK reads in the same way', () => {
    let accepted = 0;
    fc.assert(
      fc.property(anyMessage, fewHeaders, (bytes, lines) => {
        const read = readOperation(post(bytes, lines), LIMITS);
        if (!read.ok) return assert.equal(REASONS[read.denial.reason].outcome, 'deny');
        accepted++;
        compareWithSdk(read.value, bytes);
      }),
      runs(4000),
    );
    assert.ok(accepted > 300, `${accepted} accepted`);
  });

  test('throws at nothing, and accepts no POST without a method or a response', () => {
    const methods = fc.constantFrom('POST', 'GET', 'DELETE', 'PUT', '');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), headers, methods, fc.boolean(), (body, lines, method, partialBody) => {
        const read = readOperation({ ...post(body, lines), method, partialBody }, LIMITS);
        if (read.ok) assert.deepEqual([read.value.kind, body.length, partialBody], ['http', 0, false]);
      }),
      runs(2000),
    );
  });

  test('is modern only where body and header say so', () => {
    const meta = fc.record(
      {
        [VERSION_KEY]: fc.constantFrom('2026-07-28', '2026-07-28', '2025-11-25', 7),
        [CAPABILITIES_KEY]: fc.constantFrom({}, {}, null, 'x'),
      },
      { requiredKeys: [] },
    );
    const version = fc.constantFrom(undefined, '2026-07-28', '2026-07-28', '2025-11-25');
    fc.assert(
      fc.property(meta, version, fc.constantFrom('tools/list', 'ping', 'server/discover'), (_meta, header, method) => {
        const body = { jsonrpc: '2.0', id: 1, method, params: { _meta } };
        const read = readOperation(post(body, { 'mcp-protocol-version': header, 'mcp-method': method }), LIMITS);
        const claims =
          _meta[VERSION_KEY] === '2026-07-28' && typeof _meta[CAPABILITIES_KEY] === 'object' && _meta[CAPABILITIES_KEY] !== null;
        if (!read.ok) return;
        assert.equal(read.value.era === 'modern', claims && header === '2026-07-28');
        assert.equal(read.value.era === 'legacy', _meta[VERSION_KEY] === undefined && header !== '2026-07-28');
      }),
      runs(1000),
    );
  });
});

/** Reads one base64 line for each document; for each, what Python's own reader makes of it. */
const PYTHON = `
import base64, json, sys
def strict(pairs):
    keys = [key for key, _ in pairs]
    return {'twice': True} if len(set(keys)) < len(keys) else dict(pairs)
for line in sys.stdin:
    try:
        body = json.loads(base64.b64decode(line).decode('utf-8', 'strict'), object_pairs_hook=strict)
        params = body.get('params', {}) if isinstance(body, dict) else {}
        seen = {'method': body.get('method'), 'name': params.get('name'), 'arguments': params.get('arguments')}
        print(json.dumps(seen, allow_nan=False))
    except Exception as problem:
        print(json.dumps({'problem': str(problem)}))
`;

const python = spawnSync('python3', ['-c', 'import json, base64']).status === 0;

function askPython(bodies: readonly Uint8Array[]): Record<string, unknown>[] {
  const input = bodies.map((body) => `${Buffer.from(body).toString('base64')}\n`).join('');
  const { stdout, stderr, status } = spawnSync('python3', ['-c', PYTHON], { input, encoding: 'utf8', maxBuffer: 256 << 20 });
  assert.equal(status, 0, stderr);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** Accepted bodies must be read alike; how many were accepted. */
function compareWithPython(bodies: readonly Uint8Array[]): number {
  const seen = askPython(bodies);
  assert.equal(seen.length, bodies.length);
  let accepted = 0;
  for (const [index, body] of bodies.entries()) {
    const read = readOperation(post(body), LIMITS);
    if (!read.ok || read.value.kind === 'response') continue;
    accepted++;
    const { method, tool, arguments: args } = read.value;
    const theirs = seen[index] ?? {};
    const what = `${Buffer.from(body).toString()} ${JSON.stringify(theirs)}`;
    assert.equal(theirs.method, method, what);
    if (tool !== null) assert.equal(theirs.name, tool, what);
    // Python has no negative zero among its integers; as JSON text the two are one.
    if (tool !== null) assert.equal(JSON.stringify(sorted(theirs.arguments ?? null)), JSON.stringify(sorted(args)), what);
  }
  return accepted;
}

/** Members in one order: JavaScript moves keys that are integers to the front. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => [key, sorted(member)]);
}

const call = (argument: string | Uint8Array) =>
  Buffer.concat([
    Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"x":'),
    Buffer.from(argument),
    Buffer.from('}}}'),
  ]);

suite('differential: Python reads accepted bodies alike', { skip: !python && 'python3 is not installed' }, () => {
  test('messages, whole and with something changed', () => {
    const { numRuns } = runs(3000);
    const seed = Date.now() & 0x7fffffff;
    const accepted = compareWithPython(fc.sample(anyMessage, { numRuns, seed }));
    assert.ok(accepted > 200, `${accepted} accepted (seed ${seed})`);
  });

  test('arguments of every kind', () => {
    const { numRuns } = runs(3000);
    const seed = Date.now() & 0x7fffffff;
    const bodies = fc.sample(fc.oneof(document.map(call), mutated(document).map(call)), { numRuns, seed });
    const accepted = compareWithPython(bodies);
    assert.ok(accepted > 500, `${accepted} accepted (seed ${seed})`);
  });

  test('a modern call is read alike too', () => {
    const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'read', arguments: { a: 1 }, _meta: ENVELOPE } };
    const [seen] = askPython([Buffer.from(JSON.stringify(body))]);
    assert.deepEqual(seen, { method: 'tools/call', name: 'read', arguments: { a: 1 } });
  });

  test('JSONTestSuite as an argument', needs('json/mapping.jsonl'), () => {
    const files = corpusCases<{ file: string }>('json', 'mapping.jsonl').map(({ file }) => file);
    assert.ok(compareWithPython(files.map((file) => call(corpusFile('json', 'JSONTestSuite', 'test_parsing', file)))) >= 93);
  });
});
