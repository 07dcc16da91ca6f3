/**
 * An authorization server that answers a token exchange (RFC 8693) with everything but what was asked for. The answer is
 * judged as strictly as a token at the front door; whatever is wrong with it, the backend sees nothing.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, beforeEach, describe, test } from 'node:test';
import { listenOnLoopback } from '../../examples/reference/listen.ts';
import type { Reason } from '../../src/reasons.ts';
import { ask, lineOf } from '../support/ask.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import type { TokenAnswer, TokenSpec } from '../support/issuer.ts';

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const AUDIENCE = 'https://employee-directory.internal/mcp';
const SCOPE = 'employee-directory:listEmployees';

let deployment: TestDeployment;
let asked: URLSearchParams;

before(async () => {
  deployment = await startTestDeployment({
    adjustSidecar: (config) => {
      withoutCatalog(config);
      config.delegation.exchange.issuer = config.issuers.at(-1).issuer;
      // The default of 20 ms is for a machine that has nothing else to do.
      config.server.deadlineReserveMs = 250;
    },
  });
});
after(() => deployment.stop());
beforeEach(() => answerWith(honest()));

/** The delegation token that was asked for, or one that differs. */
function delegationToken(spec: TokenSpec = {}): string {
  const claims = {
    aud: AUDIENCE,
    scope: SCOPE,
    act: { sub: 'ai-identity-gateway' },
    client_id: 'ai-identity-gateway',
    roles: null,
    tenant: null,
    exp: 'now+5',
    ...spec.claims,
  };
  return deployment.testIssuer.token(AUDIENCE, { ...spec, claims });
}

function honest(changes: Readonly<Record<string, unknown>> = {}): TokenAnswer {
  return {
    body: { access_token: delegationToken(), issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 5, ...changes },
  };
}

function answerWith(answer: TokenAnswer): void {
  deployment.testIssuer.answerTokenRequests((parameters) => {
    asked = parameters;
    return answer;
  });
}

async function call(token = deployment.testIssuer.token(deployment.directoryUrl)) {
  const seen = deployment.requests.length;
  const started = performance.now();
  const reply = await ask(deployment, { token, tool: 'listEmployees' });
  const elapsed = performance.now() - started;
  return { reply, elapsed, line: await lineOf(deployment, reply), seen: deployment.requests.length - seen };
}

async function isRefused(reason: Reason, cause: string | RegExp, token?: string): Promise<number> {
  const { reply, line, seen, elapsed } = await call(token);
  assert.equal(seen, 0, 'the backend saw a request');
  assert.equal(reply.reason, reason);
  assert.equal(reply.status, reason === 'exchange_refused' ? 200 : 503);
  assert.match(line.error ?? '', typeof cause === 'string' ? new RegExp(`^${cause}`) : cause);
  assert.deepEqual([line.subject, line.tool, line.delegation_token_id], ['alice', 'listEmployees', undefined]);
  return elapsed;
}

test('an honest answer is used, and this is what was asked', async () => {
  const token = deployment.testIssuer.token(deployment.directoryUrl);
  const { line, seen } = await call(token);
  assert.deepEqual([line.reason, seen], ['allowed', 1]);
  assert.equal(deployment.requests.at(-1)?.delegation?.scope, SCOPE);
  const { client_assertion: assertion, ...parameters } = Object.fromEntries(asked);
  assert.match(assertion ?? '', /^[\w-]+\.[\w-]+\.[\w-]+$/);
  assert.deepEqual(parameters, {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: token,
    subject_token_type: ACCESS_TOKEN,
    requested_token_type: ACCESS_TOKEN,
    audience: AUDIENCE,
    scope: SCOPE,
    client_id: 'ai-identity-gateway',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  });
});

describe('answers that may differ', () => {
  const fine: Record<string, () => TokenAnswer> = {
    'an audience in a list of one': () => honest({ access_token: delegationToken({ claims: { aud: [AUDIENCE] } }) }),
    'the token type urn of a JWT': () => honest({ issued_token_type: 'urn:ietf:params:oauth:token-type:jwt' }),
    'bearer in lower case': () => honest({ token_type: 'bearer' }),
    'a shorter life': () => honest({ access_token: delegationToken({ claims: { exp: 'now+2' } }) }),
    'members nobody knows': () => honest({ foo: 'bar', refresh_token: 'r' }),
  };
  for (const [what, answer] of Object.entries(fine)) {
    test(what, async () => {
      answerWith(answer());
      const { line, seen } = await call();
      assert.deepEqual([line.reason, seen], ['allowed', 1]);
    });
  }
});

describe('a token that was not asked for', () => {
  const wrong: Record<string, [TokenSpec, string | RegExp]> = {
    'of another subject': [{ claims: { sub: 'bob' } }, 'sub'],
    'of the gateway itself': [{ claims: { sub: 'ai-identity-gateway' } }, 'sub'],
    'for another audience': [{ claims: { aud: 'https://enterprise-ledger.internal/mcp' } }, 'aud'],
    'for two audiences': [{ claims: { aud: [AUDIENCE, 'https://enterprise-ledger.internal/mcp'] } }, 'aud'],
    'for an audience that begins like it': [{ claims: { aud: `${AUDIENCE}/` } }, 'aud'],
    'with a wider scope': [{ claims: { scope: `${SCOPE} employee-directory:getEmployee` } }, 'scope: wider than asked'],
    'with another scope': [{ claims: { scope: 'employee-directory:protocol' } }, 'scope'],
    'without a scope': [{ claims: { scope: null } }, 'scope: narrower than asked'],
    'without an actor': [{ claims: { act: null } }, 'act'],
    'with another actor': [{ claims: { act: { sub: 'somebody-else' } } }, 'act'],
    'with a chain that nobody brought': [
      { claims: { act: { sub: 'ai-identity-gateway', act: { sub: 'stranger' } } } },
      'act.act',
    ],
    'that lives a second too long': [{ claims: { exp: 'now+6' } }, /exp: lives too long|token_lifetime_excessive/],
    'that lives for an hour': [{ claims: { exp: 'now+3600' } }, /lives too long|token_lifetime_excessive/],
    'that has expired': [{ claims: { iat: 'now-30', exp: 'now-25' } }, 'token_expired'],
    'that expired within the tolerance': [{ claims: { iat: 'now-6', exp: 'now-1' } }, 'exp: expired'],
    'of tomorrow': [{ claims: { iat: 'now+86400', exp: 'now+86405' } }, 'token_not_yet_valid'],
    'without an exp': [{ claims: { exp: null } }, 'token_claims_invalid'],
    'without a jti': [{ claims: { jti: null } }, 'jti'],
    'of another issuer': [{ claims: { iss: 'https://evil.example' } }, 'token_issuer_unknown'],
    'signed by a stranger': [{ key: 'stranger' }, 'token_signature_invalid'],
    'signed by nobody': [{ key: 'none' }, 'token_malformed'],
    'signed with the public key as a secret': [{ key: 'public-as-secret' }, 'token_algorithm_forbidden'],
    'of another type': [{ header: { typ: 'JWT' } }, 'token_type_wrong'],
    'with a key in its header': [{ header: { jku: 'https://evil.example/jwks' } }, 'token_malformed'],
    'bound to a key': [{ claims: { cnf: { jkt: 'x' } } }, 'token_bound'],
    'that is no JWT': [{ tamper: 'no-signature' }, 'token_malformed'],
    'whose subject was changed': [{ tamper: 'subject' }, 'token_signature_invalid'],
  };
  for (const [what, [spec, cause]] of Object.entries(wrong)) {
    test(what, async () => {
      answerWith(honest({ access_token: delegationToken(spec) }));
      await isRefused('exchange_invalid', cause);
    });
  }

  test('the subject token itself', async () => {
    const token = deployment.testIssuer.token(deployment.directoryUrl);
    answerWith(honest({ access_token: token }));
    await isRefused('exchange_invalid', 'access_token: the subject token came back', token);
  });

  test('with the jti of the subject token', async () => {
    const token = deployment.testIssuer.token(deployment.directoryUrl, { claims: { jti: 'the-same' } });
    answerWith(honest({ access_token: delegationToken({ claims: { jti: 'the-same' } }) }));
    await isRefused('exchange_invalid', 'jti', token);
  });

  test('a chain in which an actor was left out or exchanged', async () => {
    const token = deployment.testIssuer.token(deployment.directoryUrl, { claims: { act: { sub: 'a', act: { sub: 'b' } } } });
    for (const act of [{ sub: 'b' }, { sub: 'a', act: { sub: 'c' } }, { sub: 'b', act: { sub: 'a' } }]) {
      answerWith(honest({ access_token: delegationToken({ claims: { act: { sub: 'ai-identity-gateway', act } } }) }));
      await isRefused('exchange_invalid', 'act.act', token);
    }
  });
});

describe('a response of the wrong shape', () => {
  const wrong: Record<string, () => TokenAnswer> = {
    'no access_token': () => honest({ access_token: undefined }),
    'an access_token that is a number': () => honest({ access_token: 1 }),
    'an access_token that is empty': () => honest({ access_token: '' }),
    'a line break in the access_token': () => honest({ access_token: `${delegationToken()}\r\nX-Evil: 1` }),
    'no issued_token_type': () => honest({ issued_token_type: undefined }),
    'a refresh token': () => honest({ issued_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }),
    'the token type N_A': () => honest({ token_type: 'N_A' }),
    'the token type DPoP': () => honest({ token_type: 'DPoP' }),
    'no token type': () => honest({ token_type: undefined }),
    'a list': () => ({ body: [honest().body] }),
    null: () => ({ body: 'null' }),
    HTML: () => ({ body: '<html>welcome</html>', headers: { 'content-type': 'text/html' } }),
    nothing: () => ({ body: '' }),
  };
  for (const [what, answer] of Object.entries(wrong)) {
    test(what, async () => {
      answerWith(answer());
      await isRefused('exchange_invalid', /./);
    });
  }
});

describe('a refusal', () => {
  for (const error of ['invalid_grant', 'invalid_target', 'invalid_scope', 'invalid_request', 'access_denied']) {
    test(`${error}: this caller may not`, async () => {
      answerWith({ status: 400, body: { error, error_description: 'no' } });
      await isRefused('exchange_refused', `the token endpoint answered 400, error ${error}`);
    });
  }
  const broken: Record<string, TokenAnswer> = {
    'invalid_client: the gateway may not': { status: 401, body: { error: 'invalid_client' } },
    'unauthorized_client: the gateway may not': { status: 400, body: { error: 'unauthorized_client' } },
    'an error code that is a sentence': { status: 400, body: { error: 'No, "really"\r\nnot' } },
    '429': { status: 429, headers: { 'retry-after': '100' } },
    '500': { status: 500, body: { error: 'invalid_grant' } },
    '503': { status: 503 },
    '201 with a token': { status: 201, body: { error: 'none' } },
  };
  for (const [what, answer] of Object.entries(broken)) {
    test(what, async () => {
      answerWith(answer);
      await isRefused('exchange_unavailable', /the token endpoint answered \d+, error [a-z_]+$/);
    });
  }
});

describe('an answer that does not come', () => {
  test('a redirect is not followed', async () => {
    let visits = 0;
    const server = createServer((_request, response) => {
      visits += 1;
      response.end();
    });
    const elsewhere = await listenOnLoopback(server, 0);
    try {
      for (const status of [301, 302, 303, 307, 308]) {
        answerWith({ status, headers: { location: `http://127.0.0.1:${elsewhere.port}/token` } });
        await isRefused('exchange_unavailable', `the token endpoint answered ${status}`);
      }
      assert.equal(visits, 0);
    } finally {
      await elsewhere.stop();
    }
  });

  test('two megabytes are not read', async () => {
    answerWith(honest({ padding: 'x'.repeat(2 * 1024 * 1024) }));
    const elapsed = await isRefused('exchange_unavailable', /./);
    assert.ok(elapsed < 1500, `${elapsed} ms`);
  });

  test('the connection is reset', async () => {
    answerWith({ instead: 'reset' });
    const elapsed = await isRefused('exchange_unavailable', /./);
    assert.ok(elapsed < 1500, `${elapsed} ms`);
  });

  for (const instead of ['silence', 'half'] as const) {
    test(`${instead}: the sidecar answers before Envoy gives up`, async () => {
      answerWith({ ...honest(), instead });
      const elapsed = await isRefused('exchange_timeout', /./);
      assert.ok(elapsed > 1500, `${elapsed} ms`);
    });
  }

  test('and after all that an honest answer is used again', async () => {
    const { line, seen } = await call();
    assert.deepEqual([line.reason, seen], ['allowed', 1]);
  });
});
