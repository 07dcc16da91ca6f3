import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { denied, newFacts, type Verdict } from '../../../src/check/authorize.ts';
import { decisionRecord } from '../../../src/check/record.ts';
import { check } from '../../../src/check.ts';
import { decisionLine } from '../../../src/decision-log/line.ts';
import type { HttpFacts } from '../../../src/http.ts';
import { noFacts } from '../../../src/http.ts';
import { deny } from '../../../src/result.ts';
import { DELEGATION_TOKEN, LEDGER_PATH, request, SUBJECT_TOKEN } from '../support/facts.ts';
import { DECISION_ID, fakePolicy, fakePorts, type PortsSpec, refusing } from '../support/ports.ts';

const labels = { id: 'i', version: '1' };

const decide = (http: HttpFacts = request(), spec: PortsSpec = {}): Promise<Verdict> =>
  check(http, fakePorts(spec), Number.POSITIVE_INFINITY);

function lineOf(verdict: Verdict, late = false) {
  const text = decisionLine([verdict, decisionRecord(verdict), 1.5, late], { labels });
  assert.ok(!/[\r\n\u2028]/.test(text), 'a line is one line');
  return { text, line: JSON.parse(text) };
}

suite('a decision line', () => {
  test("has OPA's names where OPA has the field, and ours beside them", async () => {
    let ticks = 0;
    const policy = fakePolicy();
    const verdict = await decide(request(), { clock: () => ticks++, policy });
    const { line } = lineOf(verdict);
    assert.deepEqual(line, {
      type: 'decision',
      timestamp: '2026-11-21T12:00:00.000Z',
      labels,
      ...JSON.parse(JSON.stringify({ ...decisionRecord(verdict), revision: undefined })),
      path: 'mcp/inbound/decision',
      bundles: { policy: { revision: 'r1' } },
      input: policy.inputs[0],
      result: { allow: true, reason: 'allowed' },
      outbound: { allow: true, reason: 'allowed' },
      requested_by: '192.0.2.7',
      http: { method: 'POST', path: LEDGER_PATH, host: 'gateway.example' },
      metrics: {
        timer_server_handler_ns: 1_500_000,
        timer_read_ns: 1_000_000,
        timer_verify_ns: 1_000_000,
        timer_inbound_ns: 3_000_000,
        timer_outbound_ns: 1_000_000,
        timer_delegate_ns: 1_000_000,
      },
    });
  });

  test('of a refusal has no more than was reached', async () => {
    const { line } = lineOf(await decide(request({ lines: { authorization: null } })), true);
    assert.deepEqual(Object.keys(line.metrics), ['timer_server_handler_ns', 'timer_read_ns']);
    assert.deepEqual(line.result, { allow: false, reason: 'token_missing' });
    assert.equal(line.status, 401);
    assert.equal(line.late, true);
    for (const name of ['path', 'bundles', 'subject', 'error', 'input', 'erased', 'outbound']) assert.ok(!(name in line), name);
  });

  test('can be written of a request of which nothing is known', () => {
    const verdict = denied({ reason: 'request_invalid' }, newFacts(noFacts(), DECISION_ID), fakePorts());
    assert.equal(lineOf(verdict).line.reason, 'request_invalid');
    const odd = { ...noFacts(), timeMs: 8.64e15, path: '\ud834', host: '\n' };
    lineOf(denied({ reason: 'request_invalid' }, newFacts(odd, DECISION_ID), fakePorts()));
  });

  test('says what was underneath, without what must not be said', async () => {
    const cause = new Error(`no key for ${SUBJECT_TOKEN}`, { cause: new Error('client_secret=hunter2') });
    const { line, text } = lineOf(await decide(request(), { verify: async () => deny({ reason: 'keys_unavailable', cause }) }));
    assert.equal(line.error, 'Error: no key for [redacted]; Error: [redacted]');
    assert.ok(!text.includes('hunter2'));
  });

  test('holds no secret, wherever one was put', async () => {
    const secrets = /eyJ|hunter2|c3ViamVjdC10b2tlbi|ZGVsZWdhdGlvbi10b2tlb/;
    const everywhere = request({
      requestId: SUBJECT_TOKEN,
      host: SUBJECT_TOKEN,
      context: { secret: 'hunter2' },
      lines: { cookie: 'session=hunter2', 'x-api-key': 'hunter2', 'proxy-authorization': 'Basic hunter2' },
      body: {
        jsonrpc: '2.0',
        id: SUBJECT_TOKEN,
        method: 'tools/call',
        params: { name: SUBJECT_TOKEN, arguments: { password: 'hunter2' } },
      },
    });
    const cases: readonly (readonly [HttpFacts, PortsSpec])[] = [
      [everywhere, {}],
      [{ ...everywhere, path: `/${SUBJECT_TOKEN}` }, {}],
      [{ ...everywhere, query: `access_token=${SUBJECT_TOKEN}` }, {}],
      [{ ...everywhere, method: SUBJECT_TOKEN }, {}],
      [everywhere, { verify: async () => deny({ reason: 'token_malformed', cause: `Bearer hunter2 ${SUBJECT_TOKEN}` }) }],
      [everywhere, { policy: refusing({ reason: 'policy_failed', cause: { token: SUBJECT_TOKEN } }) }],
      [
        everywhere,
        { delegate: { exchange: async () => deny({ reason: 'exchange_invalid', cause: DELEGATION_TOKEN }), mint: null } },
      ],
    ];
    for (const [http, spec] of cases) {
      const verdict = await decide(http, spec);
      const { text } = lineOf(verdict);
      assert.ok(!secrets.test(text), text);
    }
  });
});
