import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { DelegationRequest } from '../../../src/delegation/delegation.ts';
import { type ExchangeRules, exchangeParameters, issuedToken, judge } from '../../../src/delegation/exchange.ts';
import type { Result } from '../../../src/result.ts';
import type { Principal } from '../../../src/token/principal.ts';
import {
  ACTOR,
  AUDIENCE,
  alice,
  DELEGATION_TOKEN,
  delegationRequest,
  NOW,
  NOW_MS,
  outbound,
  SUBJECT_TOKEN,
} from '../support/facts.ts';

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const rules: ExchangeRules = { actor: ACTOR, allowMissingActor: false };
const request = delegationRequest();

/** What an honest server issues. */
const issued: Principal = {
  ...alice,
  clientId: ACTOR,
  scopes: ['ledger:getBalance'],
  audience: [AUDIENCE],
  actor: [{ sub: ACTOR }],
  claims: { iat: NOW },
  expiresAt: NOW + 5,
  tokenId: 'delegation-jti',
};

function causeOf(result: Result<unknown>): unknown {
  if (result.ok) return 'fine';
  assert.equal(result.denial.reason, 'exchange_invalid');
  return result.denial.cause;
}

function judged(changes: Partial<Principal>, about: Partial<DelegationRequest> = {}, by: Partial<ExchangeRules> = {}): unknown {
  return causeOf(judge(DELEGATION_TOKEN, { ...issued, ...changes }, { ...request, ...about }, { ...rules, ...by }, NOW_MS));
}

suite('an exchange', () => {
  test('asks for what policy decided, about the token that came', () => {
    assert.deepEqual(exchangeParameters(request), {
      subject_token: SUBJECT_TOKEN,
      subject_token_type: ACCESS_TOKEN,
      requested_token_type: ACCESS_TOKEN,
      audience: AUDIENCE,
      scope: 'ledger:getBalance',
    });
  });

  test('asks for several scopes and a resource where policy says so', () => {
    const more = delegationRequest({ outbound: { ...outbound, scopes: ['a', 'b'], resource: 'https://r.internal/' } });
    const { scope, resource } = exchangeParameters(more);
    assert.equal(scope, 'a b');
    assert.equal(resource, 'https://r.internal/');
  });
});

suite('a token response', () => {
  const response = { access_token: DELEGATION_TOKEN, issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5 };

  test('holds a bearer access token', () => {
    assert.deepEqual(issuedToken(response, request), { ok: true, value: DELEGATION_TOKEN });
    assert.ok(issuedToken({ ...response, token_type: 'bearer' }, request).ok);
    assert.ok(issuedToken({ ...response, issued_token_type: 'urn:ietf:params:oauth:token-type:jwt' }, request).ok);
  });

  test('is refused with anything else in it', () => {
    const cases: readonly (readonly [unknown, string])[] = [
      [null, 'response'],
      ['token', 'response'],
      [[response], 'response'],
      [{}, 'access_token'],
      [{ ...response, access_token: '' }, 'access_token'],
      [{ ...response, access_token: [DELEGATION_TOKEN] }, 'access_token'],
      [{ ...response, access_token: null }, 'access_token'],
      [{ ...response, issued_token_type: undefined }, 'issued_token_type'],
      [{ ...response, issued_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }, 'issued_token_type'],
      [{ ...response, issued_token_type: 'urn:ietf:params:oauth:token-type:id_token' }, 'issued_token_type'],
      [{ ...response, token_type: undefined }, 'token_type'],
      [{ ...response, token_type: 'N_A' }, 'token_type'],
      [{ ...response, token_type: 'DPoP' }, 'token_type'],
      [{ ...response, token_type: ['bearer'] }, 'token_type'],
      [{ ...response, access_token: SUBJECT_TOKEN }, 'access_token: the subject token came back'],
    ];
    for (const [value, cause] of cases) assert.equal(causeOf(issuedToken(value, request)), cause, JSON.stringify(value));
  });
});

suite('an issued token', () => {
  test('as asked for is used', () => {
    assert.deepEqual(judge(DELEGATION_TOKEN, issued, request, rules, NOW_MS), {
      ok: true,
      value: {
        token: DELEGATION_TOKEN,
        tokenId: 'delegation-jti',
        audience: AUDIENCE,
        scope: 'ledger:getBalance',
        expiresAt: NOW + 5,
        actor: ACTOR,
      },
    });
  });

  test('is for this caller', () => {
    for (const subject of ['bob', 'Alice', 'alice ', ACTOR, '']) assert.equal(judged({ subject }), 'sub');
  });

  test('is for this backend and no other', () => {
    const audiences = [
      [],
      ['https://other.internal'],
      [AUDIENCE, 'https://other.internal'],
      [AUDIENCE, AUDIENCE],
      [`${AUDIENCE}/`],
    ];
    for (const audience of audiences) assert.equal(judged({ audience }), 'aud', String(audience));
    assert.equal(judged({ audience: [AUDIENCE.slice(0, -1)] }), 'aud');
  });

  test('names us as the actor', () => {
    for (const sub of ['another-gateway', 'alice', ACTOR.toUpperCase()]) assert.equal(judged({ actor: [{ sub }] }), 'act');
    assert.equal(judged({ actor: [] }), 'act');
    assert.equal(judged({ actor: [{ sub: 'another-gateway' }, { sub: ACTOR }] }), 'act');
  });

  test('may lack the actor where that is allowed, but not name another', () => {
    assert.equal(judged({ actor: [] }, {}, { allowMissingActor: true }), 'fine');
    assert.equal(judged({ actor: [{ sub: 'another-gateway' }] }, {}, { allowMissingActor: true }), 'act');
  });

  test('keeps who acted before, in order, or leaves all of them out', () => {
    const principal = { ...alice, actor: [{ sub: 'agent-2' }, { sub: 'agent-1' }] };
    const chain = (...subs: string[]) => judged({ actor: subs.map((sub) => ({ sub })) }, { principal });
    assert.equal(chain(ACTOR, 'agent-2', 'agent-1'), 'fine');
    assert.equal(chain(ACTOR), 'fine');
    for (const subs of [
      ['agent-2'],
      ['agent-1', 'agent-2'],
      ['agent-2', 'agent-1', 'agent-0'],
      ['agent-2', 'mallory'],
      [ACTOR],
    ]) {
      assert.equal(chain(ACTOR, ...subs), 'act.act', String(subs));
    }
    assert.equal(judged({ actor: [{ sub: ACTOR }, { sub: 'invented' }] }), 'act.act');
  });

  test('opens what was asked for, no more and no less', () => {
    const wide = { ...outbound, scopes: ['a', 'b'] };
    for (const scopes of [['a', 'b', 'c'], ['a', 'B'], ['c'], ['a', 'b', 'admin']]) {
      assert.equal(judged({ scopes }, { outbound: wide }), 'scope: wider than asked', String(scopes));
    }
    for (const scopes of [[], ['a'], ['b'], ['a', 'a']]) {
      assert.equal(judged({ scopes }, { outbound: wide }), 'scope: narrower than asked', String(scopes));
    }
    for (const scopes of [
      ['a', 'b'],
      ['b', 'a'],
      ['a', 'b', 'a'],
    ])
      assert.equal(judged({ scopes }, { outbound: wide }), 'fine');
    assert.equal(judged({ scopes: ['ledger:getBalance2'] }), 'scope: wider than asked');
  });

  test('lives as long as was asked, and still', () => {
    assert.equal(judged({ expiresAt: NOW + 6 }), 'exp: lives too long');
    assert.equal(judged({ claims: { iat: NOW - 1 } }), 'exp: lives too long');
    assert.equal(judged({ expiresAt: 1e308 }), 'exp: lives too long');
    assert.equal(judged({ expiresAt: NOW, claims: { iat: NOW - 5 } }), 'exp: expired');
    assert.equal(judged({ expiresAt: NOW - 3, claims: { iat: NOW - 5 } }), 'exp: expired');
    assert.equal(judged({ expiresAt: NOW + 1, claims: { iat: NOW - 4 } }), 'fine');
  });

  test('without a time of issue is not taken for a short one', () => {
    for (const iat of [undefined, null, 'now', Number.NaN]) {
      assert.equal(judged({ expiresAt: NOW + 1_000_000, claims: { iat } }), 'exp: lives too long', String(iat));
    }
  });

  test('is a new token with an id of its own', () => {
    assert.equal(judged({ tokenId: null }), 'jti');
    assert.equal(judged({ tokenId: 'subject-jti' }), 'jti');
    assert.equal(judged({ tokenId: null }, { principal: { ...alice, tokenId: null } }), 'jti');
    assert.equal(judged({}, { principal: { ...alice, tokenId: null } }), 'fine');
  });
});
