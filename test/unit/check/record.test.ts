import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { cut, decisionRecord } from '../../../src/check/record.ts';
import { check } from '../../../src/check.ts';
import { METHODS } from '../../../src/mcp/methods.ts';
import { ok } from '../../../src/result.ts';
import { alice, bare, callOf, LEDGER_PATH, request, SUBJECT_TOKEN } from '../support/facts.ts';
import { DECISION_ID, fakePolicy, fakePorts, type PortsSpec } from '../support/ports.ts';

async function recordOf(http: Parameters<typeof check>[0], spec: PortsSpec = {}) {
  const record = decisionRecord(await check(http, fakePorts(spec), Number.POSITIVE_INFINITY));
  return JSON.parse(JSON.stringify(record)) as Record<string, unknown>;
}

suite('the record', () => {
  test('of an allowed call tells who did what through whom, where and by which policy', async () => {
    const http = request({ traceId: '4bf92f3577b34da6a3ce929d0e0e4736' });
    assert.deepEqual(await recordOf(http), {
      decision_id: DECISION_ID,
      decision: 'allow',
      reason: 'allowed',
      method: 'tools/call',
      tool: 'getBalance',
      era: 'legacy',
      protocol_revision: '2025-11-25',
      backend: 'ledger',
      issuer: 'https://as.example',
      subject: 'alice',
      client_id: 'claude-code',
      actor: ['ai-identity-gateway'],
      token_id: 'subject-jti',
      audience: 'https://ledger.internal/mcp',
      scope: 'ledger:getBalance',
      delegation_token_id: 'delegation-jti',
      revision: 'r1',
      trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
      request_id: 'f3b2a1c0-0000-4000-8000-000000000000',
    });
  });

  test('of a refusal tells how far it came', async () => {
    assert.deepEqual(await recordOf(request({ path: '/other', requestId: '' })), {
      decision_id: DECISION_ID,
      decision: 'deny',
      reason: 'resource_unknown',
      status: 404,
      method: 'POST',
    });
    const { backend, method, tool, subject } = await recordOf(request({ lines: { authorization: null } }));
    assert.deepEqual([backend, method, tool, subject], ['ledger', 'tools/call', 'getBalance', undefined]);
    const unread = await recordOf(request({ body: { jsonrpc: '2.0', id: 1, method: 'tools/drop' } }));
    assert.equal(unread.method, 'tools/drop');
  });

  test('names what is asked for, whatever kind of thing that is', async () => {
    const read = { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: 'file:///a' } };
    assert.deepEqual((await recordOf(request({ body: read }))).targets, ['resource:file:///a']);
    assert.equal((await recordOf(request({ body: { jsonrpc: '2.0', id: 1, result: {} } }))).method, 'response');
    assert.equal((await recordOf(bare('GET'))).method, 'GET');
    assert.equal((await recordOf(bare('GET', { path: `/.well-known/oauth-protected-resource${LEDGER_PATH}` }))).method, 'GET');
  });

  test('tells which rules would have refused that are only watched', async () => {
    const logOnly = [
      { rule: 'a', reason: 'limit_exceeded' },
      { rule: 'b', reason: 'policy_denied' },
    ] as const;
    assert.deepEqual((await recordOf(request(), { policy: fakePolicy(ok({ logOnly })) })).log_only, ['a', 'b']);
    assert.equal((await recordOf(request())).log_only, undefined);
  });

  test('tells the chain of actors, with us in front once we delegated', async () => {
    const principal = { ...alice, actor: [{ sub: 'agent-2' }, { sub: 'agent-1' }] };
    const verify = async () => ok(principal);
    assert.deepEqual((await recordOf(request(), { verify })).actor, ['ai-identity-gateway', 'agent-2', 'agent-1']);
    assert.deepEqual((await recordOf(request(), { verify, policy: null })).actor, ['agent-2', 'agent-1']);
  });

  test('has always the same members, for whoever makes bytes of it', async () => {
    const records = await Promise.all(
      [request(), request({ path: '/' }), bare('PUT')].map(async (http) =>
        decisionRecord(await check(http, fakePorts(), Number.POSITIVE_INFINITY)),
      ),
    );
    for (const record of records) assert.deepEqual(Object.keys(record), Object.keys(records[0] as object));
  });
});

suite('what a caller says', () => {
  test('is cut, between characters', async () => {
    const { tool } = await recordOf(request({ body: callOf(`${'x'.repeat(255)}𝄞 and more`) }));
    assert.equal(tool, `${'x'.repeat(255)}\ufffd`);
    const verify = async () => ok({ ...alice, subject: 's'.repeat(2048), actor: [{ sub: 'a'.repeat(2048) }] });
    const { subject, actor } = await recordOf(request(), { verify });
    assert.equal((subject as string).length, 256);
    assert.equal((actor as string[])[1]?.length, 256);
  });

  test('is bounded in number', async () => {
    const notifications = { resourceSubscriptions: Array.from({ length: 200 }, (_, index) => `file:///${index}`) };
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
    const body = { jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params: { notifications, _meta: meta } };
    const lines = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' };
    assert.equal(((await recordOf(request({ body, lines }))).targets as string[]).length, 16);
  });

  test('is written without a token that got into it, and without what a URI lets in by', async () => {
    const params = { uri: `https://alice:hunter2@files.example/a?token=hunter2&X-Amz-Signature=hunter2#hunter2` };
    const requests = [
      request({ body: callOf(SUBJECT_TOKEN) }),
      request({ body: { jsonrpc: '2.0', id: 1, method: SUBJECT_TOKEN } }),
      request({ body: { jsonrpc: '2.0', id: 1, method: 'resources/read', params } }),
      request({ requestId: SUBJECT_TOKEN }),
      bare(SUBJECT_TOKEN),
    ];
    for (const http of requests) assert.ok(!/hunter2|eyJ/.test(JSON.stringify(await recordOf(http))));
    assert.deepEqual((await recordOf(requests[2] as never)).targets, ['resource:https://…@files.example/a?…']);
  });

  test('that is harmless is written as it is', () => {
    for (const name of ['', 'getBalance', 'monkey', 'keyJar', 'x'.repeat(256), 'ä𝄞', 'a\nb', ...METHODS.keys()])
      assert.equal(cut(name), name);
    assert.equal(cut(undefined), undefined);
    assert.equal(cut(null), undefined);
    assert.equal(cut(`a ${SUBJECT_TOKEN} b`), 'a [redacted] b');
    assert.equal(cut(`key${SUBJECT_TOKEN}`), 'key[redacted]');
    assert.equal(cut('getKeyJournalEntries'), 'getKeyJournalEntries');
  });
});
