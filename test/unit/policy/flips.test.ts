import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Outbound } from '../../../src/policy/decision.ts';
import { type CandidateWord, compareWords, type LiveWord } from '../../../src/policy/flips.ts';
import type { Reason } from '../../../src/reasons.ts';
import { deny, ok } from '../../../src/result.ts';
import { outbound } from '../support/facts.ts';

const yes = { allow: true, reason: 'allowed' } as const;
const no = (reason: Reason) => ({ allow: false, reason });
const liveYes: LiveWord = { inbound: yes, outbound: yes, token: outbound };
const liveNo = (reason: Reason): LiveWord => ({ inbound: no(reason), outbound: null, token: null });
const saysYes = (changes: Partial<Outbound> = {}): CandidateWord => ({
  inbound: ok(null),
  outbound: ok({ ...outbound, ...changes }),
});
const saysNo = (reason: Reason): CandidateWord => ({ inbound: deny({ reason }), outbound: null });

const outcomeOf = (live: LiveWord, candidate: CandidateWord) => compareWords(live, candidate).outcome;

describe('two policies, compared', () => {
  test('both allow the same', () => {
    assert.equal(outcomeOf(liveYes, saysYes()), 'same');
  });

  test('the candidate refuses what is allowed, in either half', () => {
    assert.deepEqual(compareWords(liveYes, saysNo('limit_exceeded')), {
      outcome: 'allow_to_deny',
      live: yes,
      candidate: no('limit_exceeded'),
      changed: [],
      liveToken: outbound,
      candidateToken: null,
    });
    const half: CandidateWord = { inbound: ok(null), outbound: deny({ reason: 'tenant_mismatch' }) };
    assert.equal(outcomeOf(liveYes, half), 'allow_to_deny');
    assert.deepEqual(compareWords(liveYes, half).candidate, no('tenant_mismatch'));
  });

  test('the candidate allows what is refused, in either half', () => {
    assert.equal(outcomeOf(liveNo('role_missing'), saysYes()), 'deny_to_allow');
    assert.equal(outcomeOf({ inbound: yes, outbound: no('tenant_mismatch'), token: null }, saysYes()), 'deny_to_allow');
  });

  test('a candidate that refuses in the second half only has not allowed what is refused', () => {
    const half: CandidateWord = { inbound: ok(null), outbound: deny({ reason: 'tenant_mismatch' }) };
    assert.equal(outcomeOf(liveNo('role_missing'), half), 'reason');
  });

  test('both refuse', () => {
    assert.equal(outcomeOf(liveNo('role_missing'), saysNo('role_missing')), 'same');
    assert.equal(outcomeOf(liveNo('role_missing'), saysNo('tool_forbidden')), 'reason');
  });

  for (const [changed, changes] of [
    [['audience'], { audience: 'https://other.internal' }],
    [['scope'], { scopes: ['ledger:other'] }],
    [['ttl_seconds'], { ttlSeconds: 4 }],
    [['resource'], { resource: 'https://ledger.internal' }],
    [['headers'], { headers: { 'x-tenant': 'acme' } }],
    [['scope', 'ttl_seconds'], { scopes: ['a', 'b'], ttlSeconds: 1 }],
  ] as const) {
    test(`both allow, with another ${changed.join(' and ')}`, () => {
      const found = compareWords(liveYes, saysYes(changes));
      assert.equal(found.outcome, 'token');
      assert.deepEqual(found.changed, changed);
    });
  }

  test('neither the order of scopes nor that of headers makes another token', () => {
    const token = { ...outbound, scopes: ['a', 'b'], headers: { 'x-a': '1', 'x-b': '2' } };
    const candidate = saysYes({ scopes: ['b', 'a'], headers: { 'x-b': '2', 'x-a': '1' } });
    assert.equal(outcomeOf({ ...liveYes, token }, candidate), 'same');
  });

  test('a candidate that gives no decision is an error, whatever is in force', () => {
    for (const live of [liveYes, liveNo('role_missing'), liveNo('policy_undefined')]) {
      for (const reason of ['policy_undefined', 'policy_invalid', 'policy_memory', 'internal_error'] as const)
        assert.equal(outcomeOf(live, saysNo(reason)), 'error');
    }
    assert.equal(outcomeOf(liveYes, { inbound: ok(null), outbound: deny({ reason: 'policy_invalid' }) }), 'error');
  });

  test('a live policy that broke has refused', () => {
    assert.equal(outcomeOf(liveNo('policy_failed'), saysYes()), 'deny_to_allow');
    assert.equal(outcomeOf(liveNo('policy_failed'), saysNo('role_missing')), 'reason');
  });

  test('where the live policy was not asked for a token, neither is the candidate', () => {
    const pinned: LiveWord = { inbound: yes, outbound: null, token: null };
    assert.equal(outcomeOf(pinned, saysYes()), 'same');
    assert.equal(outcomeOf(pinned, { inbound: ok(null), outbound: deny({ reason: 'tenant_mismatch' }) }), 'same');
    assert.equal(outcomeOf(pinned, saysNo('role_missing')), 'allow_to_deny');
  });
});
