/** Requests of our own: none reaches a backend without an allow, a line in the log and a token of its own. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createOwnFetch, OwnRequestRefused, type OwnWorld } from '../../../src/catalog/own-fetch.ts';
import type { Verdict } from '../../../src/check/authorize.ts';
import { deny, ok } from '../../../src/result.ts';
import { alice, callOf, DELEGATION_TOKEN, ledger, outbound, SUBJECT_TOKEN } from '../support/facts.ts';
import { fakeDelegate, fakePolicy, fakePorts, type PortsSpec, refusing } from '../support/ports.ts';

const URL_OF_BACKEND = 'https://ledger.internal/mcp';
const resource = { ...ledger, url: URL_OF_BACKEND };
const gateway = { ...alice, subject: 'gateway', clientId: 'gateway' };

interface Sent {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

function open(spec: PortsSpec = {}, world: Partial<OwnWorld> = {}, observe?: (verdict: Verdict) => void) {
  const sent: Sent[] = [];
  const verdicts: Verdict[] = [];
  const own = createOwnFetch({
    world: () => ({
      ports: fakePorts(spec),
      resource,
      identify: async () => ok({ subjectToken: SUBJECT_TOKEN, principal: gateway }),
      stream: async (url, { method, headers, body }) => {
        assert.equal(verdicts.length, sent.length + 1, 'the line comes first');
        sent.push({ url, method, headers, body });
        return new Response('{}');
      },
      ...world,
    }),
    observe: (verdict) => {
      verdicts.push(verdict);
      observe?.(verdict);
    },
    timeoutMs: 20_000,
  });
  return { own, sent, verdicts };
}

const post = (message: object, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  headers: new Headers({ 'content-type': 'application/json', accept: 'application/json', ...headers }),
  body: JSON.stringify(message),
});
const list = (): RequestInit => post({ jsonrpc: '2.0', id: 1, method: 'tools/list' });

const refused = (reason: string) => (error: unknown) => error instanceof OwnRequestRefused && error.reason === reason;

suite('a request of our own', () => {
  test('goes out with a delegation token and what policy adds, in place of what was there', async () => {
    const policy = fakePolicy(ok(null), ok({ ...outbound, headers: { 'x-region': 'eu' } }));
    const { own, sent, verdicts } = open({ policy });
    await own(URL_OF_BACKEND, {
      ...list(),
      headers: { 'content-type': 'application/json', authorization: 'Bearer other', cookie: 'a=b' },
    });
    assert.equal(sent[0]?.url, URL_OF_BACKEND);
    assert.equal(sent[0]?.headers.authorization, `Bearer ${DELEGATION_TOKEN}`);
    assert.equal(sent[0]?.headers['x-region'], 'eu');
    assert.equal(sent[0]?.headers.cookie, undefined);
    assert.equal(sent[0]?.body, list().body);
    assert.equal(verdicts[0]?.reason, 'allowed');
  });

  test('is put to policy as the gateway, with what it asks', async () => {
    const policy = fakePolicy();
    const { own } = open({ policy });
    await own(URL_OF_BACKEND, list());
    const [input] = policy.inputs as [{ principal: { clientId: string }; mcp: { method: string; backend: string } }];
    assert.deepEqual([input.principal.clientId, input.mcp.method, input.mcp.backend], ['gateway', 'tools/list', 'ledger']);
  });

  test('has a token of its own each time', async () => {
    const exchange = fakeDelegate();
    const { own, verdicts } = open({ delegate: { exchange, mint: null } });
    for (const init of [list(), list(), { method: 'GET' }, { method: 'DELETE' }]) await own(URL_OF_BACKEND, init);
    assert.deepEqual([exchange.requests.length, verdicts.length], [4, 4]);
    assert.equal(exchange.requests[0]?.subjectToken, SUBJECT_TOKEN);
  });
});

suite('nobody is asked', () => {
  const never: readonly (readonly [what: string, reason: string, made: ReturnType<typeof open>, init?: RequestInit])[] = [
    ['where policy says no', 'method_forbidden', open({ policy: refusing({ reason: 'method_forbidden' }) })],
    ['where there is no policy', 'policy_undefined', open({ policy: null })],
    [
      'where no token can be had',
      'exchange_refused',
      open({ delegate: { exchange: async () => deny({ reason: 'exchange_refused' }), mint: null } }),
    ],
    [
      'where we cannot say who we are',
      'exchange_unavailable',
      open({}, { identify: async () => deny({ reason: 'exchange_unavailable' }) }),
    ],
    ['where saying so fails', 'internal_error', open({}, { identify: () => Promise.reject(new Error('broken')) })],
    ['with a method that no policy can judge', 'method_unknown', open(), post({ jsonrpc: '2.0', id: 1, method: 'tools/drop' })],
    ['with headers that disagree with the body', 'header_mismatch', open(), post(callOf('getBalance'), { 'mcp-method': 'ping' })],
  ];
  for (const [what, reason, { own, sent, verdicts }, init = list()] of never) {
    test(what, async () => {
      await assert.rejects(own(URL_OF_BACKEND, init), refused(reason));
      assert.deepEqual([sent.length, verdicts.length], [0, 1]);
      assert.equal(verdicts[0]?.reason, reason);
    });
  }

  test('where the line cannot be written', async () => {
    const { own, sent } = open({}, {}, () => {
      throw new Error('full');
    });
    await assert.rejects(own(URL_OF_BACKEND, list()), refused('overloaded'));
    assert.equal(sent.length, 0);
  });

  test('but at the address of the configuration', async () => {
    const { own, sent } = open();
    for (const url of ['https://evil.example/mcp', `${URL_OF_BACKEND}/x`, `${URL_OF_BACKEND}?a=b`]) {
      await assert.rejects(own(url, list()), refused('resource_unknown'));
    }
    assert.equal(sent.length, 0);
  });
});
