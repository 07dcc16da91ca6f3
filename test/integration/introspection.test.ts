/**
 * Access tokens that only their issuer can read (RFC 7662): it is asked about each once, its answer is judged like the claims
 * of a JWT, and without an answer there is no way in.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { Reason } from '../../src/reasons.ts';
import { ask, lineOf } from '../support/ask.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { standardClaims, type TokenAnswer } from '../support/issuer.ts';

let deployment: TestDeployment;
/** What the introspection endpoint was asked. */
const asked: URLSearchParams[] = [];

before(async () => {
  deployment = await startTestDeployment({
    delegation: 'mint',
    adjustSidecar: (config) => {
      withoutCatalog(config);
      const { clientAuthentication } = config.delegation.exchange;
      config.issuers.at(-1).introspection = { clientId: 'ai-identity-gateway', clientAuthentication };
      // The default of 20 ms is for a machine that has nothing else to do.
      config.server.deadlineReserveMs = 250;
    },
  });
});
after(() => deployment.stop());
beforeEach(() => answerWith(active()));

function active(changes: Readonly<Record<string, unknown>> = {}): TokenAnswer {
  const now = Math.floor(Date.now() / 1000);
  const claims = { ...standardClaims(deployment.testIssuer.issuer, deployment.directoryUrl), iat: now, exp: now + 60 };
  return { body: { active: true, token_type: 'Bearer', ...claims, ...changes } };
}

function answerWith(answer: TokenAnswer): void {
  deployment.testIssuer.answerIntrospectionRequests((parameters) => {
    asked.push(parameters);
    return answer;
  });
}

const opaque = () => `opaque-${randomUUID()}`;

async function isRefused(reason: Reason, status: number, token = opaque()): Promise<number> {
  const seen = deployment.requests.length;
  const started = performance.now();
  const reply = await ask(deployment, { token, tool: 'listEmployees' });
  const elapsed = performance.now() - started;
  assert.deepEqual([reply.reason, reply.status], [reason, status]);
  assert.equal(deployment.requests.length, seen, 'the backend saw a request');
  assert.equal((await lineOf(deployment, reply)).subject, undefined);
  return elapsed;
}

test('an active token opens the door, in the name of its subject', async () => {
  const token = opaque();
  const line = await lineOf(deployment, await ask(deployment, { token, tool: 'listEmployees' }));
  assert.deepEqual([line.reason, line.subject, line.issuer], ['allowed', 'alice', deployment.testIssuer.issuer]);
  assert.equal(deployment.requests.at(-1)?.delegation?.sub, 'alice');
  assert.equal(asked.at(-1)?.get('token'), token);
  assert.ok(!JSON.stringify(line).includes(token), 'the token is in the log');
});

test('the issuer is asked about a token once, and about a JWT never', async () => {
  const token = opaque();
  const before = asked.length;
  for (let round = 0; round < 3; round++) await ask(deployment, { token, tool: 'listEmployees' });
  assert.equal(asked.length, before + 1);
  await ask(deployment, { token: deployment.testIssuer.token(deployment.directoryUrl), tool: 'listEmployees' });
  await ask(deployment, {
    token: deployment.testIssuer.token(deployment.directoryUrl, { key: 'stranger' }),
    tool: 'listEmployees',
  });
  assert.equal(asked.length, before + 1);
});

describe('an answer that does not let in', () => {
  const answers: Record<string, [answer: () => TokenAnswer, reason: Reason, status: number]> = {
    'not active': [() => ({ body: { active: false } }), 'token_inactive', 401],
    'not active, with all claims': [() => active({ active: false }), 'token_inactive', 401],
    'active as a string': [() => active({ active: 'true' }), 'introspection_unavailable', 503],
    'active as a number': [() => active({ active: 1 }), 'introspection_unavailable', 503],
    'no word of active': [() => active({ active: undefined }), 'introspection_unavailable', 503],
    'a list': [() => ({ body: [{ active: true }] }), 'introspection_unavailable', 503],
    HTML: [() => ({ body: '<p>active</p>', headers: { 'content-type': 'text/html' } }), 'introspection_unavailable', 503],
    '500': [() => ({ ...active(), status: 500 }), 'introspection_unavailable', 503],
    '401': [() => ({ status: 401, body: { error: 'invalid_client' } }), 'introspection_unavailable', 503],
    'a redirect': [() => ({ status: 307, headers: { location: 'http://127.0.0.1:9/' } }), 'introspection_unavailable', 503],
    'a reset': [() => ({ instead: 'reset' }), 'introspection_unavailable', 503],
    expired: [() => active({ exp: Math.floor(Date.now() / 1000) - 30 }), 'token_expired', 401],
    'no end': [() => active({ exp: undefined }), 'token_claims_invalid', 401],
    'another issuer': [() => active({ iss: 'https://evil.example' }), 'token_issuer_unknown', 401],
    'another audience': [() => active({ aud: deployment.ledgerUrl }), 'token_audience_mismatch', 401],
    'no audience': [() => active({ aud: undefined }), 'token_claims_invalid', 401],
    'no subject': [() => active({ sub: undefined }), 'token_claims_invalid', 401],
    'no client': [() => active({ client_id: undefined }), 'token_claims_invalid', 401],
    'another client': [() => active({ client_id: 'some-other-app' }), 'client_forbidden', 200],
    'a refresh token': [() => active({ token_type: 'refresh_token' }), 'token_type_wrong', 401],
    'bound to a key': [() => active({ cnf: { jkt: 'x' } }), 'token_bound', 401],
    'one of our own': [() => active({ act: { sub: 'ai-identity-gateway' } }), 'token_is_delegation', 401],
  };
  for (const [what, [answer, reason, status]] of Object.entries(answers)) {
    test(what, async () => {
      answerWith(answer());
      await isRefused(reason, status);
    });
  }

  test('none, in time for Envoy to hear of it from us', async () => {
    answerWith({ instead: 'silence' });
    const seen = deployment.requests.length;
    const reply = await ask(deployment, { token: opaque(), tool: 'listEmployees' });
    assert.equal(reply.status, 503);
    assert.ok(reply.reason === 'introspection_unavailable' || reply.reason === 'deadline_exceeded', String(reply.reason));
    assert.equal(deployment.requests.length, seen);
  });

  test('and what was refused is asked about anew', async () => {
    const token = opaque();
    answerWith({ body: { active: false } });
    await isRefused('token_inactive', 401, token);
    answerWith(active());
    assert.equal((await ask(deployment, { token, tool: 'listEmployees' })).reason, undefined);
  });
});
