/**
 * Requests to the front door, by hand: what of their bytes reaches a backend, what of their ids comes back, and what is
 * refused. Sessions at the front door and at single servers belong to who began them.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { signIn } from '../../examples/reference/sign-in.ts';
import { lineOf } from '../support/ask.ts';
import { ALL_SCOPES } from '../support/callers.ts';
import { LEDGER, startTestDeployment, type TestDeployment } from '../support/deployment.ts';
import { backendsKnown, beginSession, DOOR, type Letter, MODERN, modernLetter, send } from '../support/door.ts';

type Tree = Record<string, any>;

let deployment: TestDeployment;
let alice: string;
before(async () => {
  deployment = await startTestDeployment();
  await backendsKnown(deployment);
  alice = await deployment.tokenOf('alice', deployment.frontDoorUrl);
});
after(() => deployment.stop());

const ask = (letter: Letter) => send(deployment, letter);
const PRM = () => `${deployment.origin}/.well-known/oauth-protected-resource/mcp`;

function call(id: string, name: string, args = '{}'): string {
  return `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":${name},"arguments":${args}}}`;
}

/** The body of the last call with `mark` in it that reached a backend. */
function bodyWith(mark: string): { backend: string; body: string } {
  const found = deployment.requests.findLast(({ body }) => body.includes(mark));
  assert.ok(found !== undefined, `a backend saw ${mark}`);
  return found;
}

describe('the body that a backend gets', () => {
  const rows = [
    ['large numbers and decimals', '{"a":9007199254740991,"b":1.10,"c":-0,"d":1E+2,"mark":"m1"}', '"a"'],
    ['the prefixed name in the arguments', '{"x":"employee_directory_listEmployees","mark":"m2"}', '"b"'],
    ['white space and escapes', '{ "x" :\t"\\u00e9\\ud83d\\ude00 \u00e9\u{1f600}" , "mark":"m3" }', '"c"'],
  ] as const;
  for (const [what, args, id] of rows) {
    test(`is the client's but for the name: ${what}`, async () => {
      const session = await beginSession(deployment, alice);
      const text = call(id, '"employee_directory_listEmployees"', args);
      const { status, body } = await ask({ token: alice, session, text });
      assert.equal(status, 200, body);
      const mark = /"mark":"m\d"/.exec(args)?.[0] as string;
      const seen = bodyWith(mark);
      assert.equal(seen.body, call(id, '"listEmployees"', args));
      assert.equal(seen.backend, 'employee-directory');
    });
  }

  test('has the name as it was meant, however it was escaped', async () => {
    const session = await beginSession(deployment, alice);
    const escaped = '"enterprise\\u005fledger_list\\u0041ccounts"';
    const text = call('"e"', escaped, '{"mark":"m4"}');
    const { status } = await ask({ token: alice, session, text });
    assert.equal(status, 200);
    assert.equal(JSON.parse(bodyWith('"m4"').body).params.name, 'listAccounts');
  });

  test('of a modern client, with its Mcp-Name', async () => {
    const letter = modernLetter(alice, '7', 'tools/call', { name: 'employee_directory_listEmployees', arguments: { m: 'm5' } });
    const { status, json } = await ask(letter);
    assert.deepEqual([status, json.id, json.result.resultType], [200, 7, 'complete']);
    const seen = deployment.requests.findLast(({ body }) => body.includes('"m5"'));
    assert.deepEqual([seen?.headers['mcp-name'], seen?.headers['mcp-method']], ['listEmployees', 'tools/call']);
    assert.equal(JSON.parse(seen?.body ?? '').params.name, 'listEmployees');
    const theirs = Object.keys(seen?.headers ?? {}).filter((name) => name.startsWith('x-mcp-'));
    assert.deepEqual(theirs, []);
  });

  test('reaches a stateful legacy backend in its own words from a modern client, and the arguments stay exact', async () => {
    const text = modernLetter(alice, '8', 'tools/call', { name: 'enterprise_ledger_listAccounts', arguments: { m: 'm6' } });
    const exact = { ...text, text: (text.text as string).replace('"m":"m6"', '"m":"m6","n":1.10,"o":1E+2') };
    const { status, json } = await ask(exact);
    assert.deepEqual([status, json.id, json.result.resultType], [200, 8, 'complete']);
    const { body } = bodyWith('"m6"');
    assert.ok(body.includes('"n":1.10,"o":1E+2'), body);
    assert.equal(JSON.parse(body).params._meta, undefined);
  });
});

describe('refused at the front door', () => {
  for (const id of ['"a \\u0022 b"', '12345678901234567890123', '0', '"\u00e9"']) {
    test(`an unknown prefix, with the id ${id} exactly as it was sent`, async () => {
      const session = await beginSession(deployment, alice);
      const { status, body, json } = await ask({ token: alice, session, text: call(id, '"nobody_listAccounts"') });
      assert.equal(status, 200);
      assert.ok(body.includes(`"id":${id},`) || body.includes(`"id":${id}}`), body);
      assert.deepEqual([json.error.code, json.error.data.reason], [-32602, 'target_unknown']);
    });
  }

  test('a tool that the backend does not have: policy knows none', async () => {
    const session = await beginSession(deployment, alice);
    const { status, json } = await ask({ token: alice, session, text: call('1', '"enterprise_ledger_nothing"') });
    assert.equal(status, 200);
    assert.deepEqual(json.error.data.reason, 'tool_unknown');
  });

  test('no token: 401, with the metadata of the front door', async () => {
    const { status, headers, reason } = await ask({ text: call('1', '"enterprise_ledger_listAccounts"') });
    assert.deepEqual([status, reason], [401, 'token_missing']);
    assert.ok(
      headers.get('www-authenticate')?.[0]?.includes(`resource_metadata="${PRM()}"`),
      String(headers.get('www-authenticate')),
    );
    const metadata = (await (await deployment.fetch(PRM())).json()) as Tree;
    assert.equal(metadata.resource, deployment.frontDoorUrl);
  });

  test("a token of a single server's: 401", async () => {
    const token = await deployment.tokenOf('alice', deployment.ledgerUrl);
    const { status, reason } = await ask({ token, text: call('1', '"enterprise_ledger_listAccounts"') });
    assert.deepEqual([status, reason], [401, 'token_audience_mismatch']);
  });

  test('a scope that is missing: 403, with the metadata of the front door', async () => {
    const token = await deployment.tokenOf('alice', deployment.frontDoorUrl, 'ledger:read directory:read');
    const session = await beginSession(deployment, token);
    const text = call('"s"', '"enterprise_ledger_getCustomerPII"', '{"customerId":"CUS-1"}');
    const { status, headers, json } = await ask({ token, session, text });
    assert.deepEqual([status, json.id, json.error.data.reason], [403, 's', 'insufficient_scope']);
    const [challenge = ''] = headers.get('www-authenticate') ?? [];
    assert.match(challenge, /error="insufficient_scope".*scope="ledger:read pii:read"/);
    assert.ok(challenge.includes(`resource_metadata="${PRM()}"`), challenge);
  });

  test('what policy forbids: 200 and an error', async () => {
    const token = await deployment.tokenOf('bob', deployment.frontDoorUrl);
    const session = await beginSession(deployment, token);
    const text = call('"s"', '"enterprise_ledger_getCustomerPII"', '{"customerId":"CUS-1"}');
    const reply = await ask({ token, session, text });
    assert.deepEqual([reply.status, reply.json.error.code, reply.reason], [200, -31403, 'role_missing']);
    const line = await lineOf(deployment, reply);
    assert.deepEqual([line.backend, line.tool, line.subject], ['enterprise-ledger', 'getCustomerPII', 'bob']);
  });

  test('a batch', async () => {
    const { status, reason } = await ask({ token: alice, text: `[${call('1', '"enterprise_ledger_listAccounts"')}]` });
    assert.deepEqual([status, reason], [400, 'batch_unsupported']);
  });

  test('headers that say something else than the body, in the modern era', async () => {
    const letter = modernLetter(alice, '"h"', 'tools/call', { name: 'employee_directory_listEmployees', arguments: {} });
    for (const [name, value] of [
      ['mcp-name', 'employee_directory_getManager'],
      ['mcp-name', 'listEmployees'],
      ['mcp-method', 'tools/list'],
      ['mcp-protocol-version', '2025-11-25'],
    ] as const) {
      const headers = [...(letter.headers ?? []).filter(([one]) => one !== name), [name, value] as const];
      const revision = name === 'mcp-protocol-version' ? value : MODERN;
      const { status, json } = await ask({
        ...letter,
        revision,
        headers: headers.filter(([one]) => one !== 'mcp-protocol-version'),
      });
      assert.deepEqual([status, json.error.code, json.id], [400, -32020, 'h'], name);
    }
  });
});

describe('a session', () => {
  for (const [where, path, url] of [
    ['the front door', DOOR, () => deployment.frontDoorUrl],
    ['a single server', LEDGER, () => deployment.ledgerUrl],
  ] as const) {
    const text = call('"t"', path === DOOR ? '"enterprise_ledger_listAccounts"' : '"listAccounts"');

    test(`at ${where} that is forged is not found`, async () => {
      const token = await deployment.tokenOf('alice', url());
      const own = await beginSession(deployment, token, { path });
      const cut = own.slice(0, -1);
      for (const session of ['forged', cut, `${own}A`, (own[0] === 'A' ? 'B' : 'A') + own.slice(1)]) {
        const reply = await ask({ token, session, text, path });
        assert.deepEqual([reply.status, reply.reason, reply.json.id], [404, 'session_unknown', 't']);
        assert.equal((await lineOf(deployment, reply)).reason, 'session_unknown');
      }
    });

    test(`at ${where} is refused to another user and to another client, for every way to use it`, async () => {
      const session = await beginSession(deployment, await deployment.tokenOf('alice', url()), { path });
      for (const caller of ['bob', 'alice-through-agent', 'agent'] as const) {
        const token = await deployment.tokenOf(caller, url());
        const seen = deployment.requests.length;
        for (const letter of [
          { text },
          { text: '{"jsonrpc":"2.0","id":"t","method":"tools/list"}' },
          { text: null, method: 'GET' },
          { text: null, method: 'DELETE' },
        ] as const) {
          const reply = await ask({ token, session, path, ...letter });
          assert.deepEqual([reply.status, reply.reason], [403, 'session_forbidden'], `${caller} ${letter.text}`);
          const line = await lineOf(deployment, reply);
          assert.deepEqual([line.decision, line.reason, line.subject], ['deny', 'session_forbidden', line.subject]);
        }
        const leaked = deployment.requests.slice(seen).filter(({ delegation }) => delegation?.sub !== 'ai-identity-gateway');
        assert.deepEqual(leaked, []);
      }
    });

    test(`at ${where} goes on with a token that was refreshed`, async () => {
      const { issuer, passwords } = deployment.authorizationServer;
      const user = { issuer, clientId: 'claude-code', username: 'alice', password: passwords.alice ?? '', scope: ALL_SCOPES };
      const first = await signIn({ ...user, resource: url() });
      const session = await beginSession(deployment, first.access_token, { path });
      const { access_token: second } = await signIn({ ...user, resource: url() });
      assert.notEqual(second, first.access_token);
      const reply = await ask({ token: second, session, text, path });
      assert.equal(reply.status, 200, reply.body);
    });

    test(`at ${where} means nothing elsewhere`, async () => {
      const session = await beginSession(deployment, await deployment.tokenOf('alice', url()), { path });
      const [elsewhere, there] = path === DOOR ? [LEDGER, deployment.ledgerUrl] : [DOOR, deployment.frontDoorUrl];
      const token = await deployment.tokenOf('alice', there);
      const reply = await ask({ token, session, text: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', path: elsewhere });
      assert.deepEqual([reply.status, reply.reason], [404, 'session_unknown']);
    });

    test(`at ${where} that was ended is over`, async () => {
      const token = await deployment.tokenOf('alice', url());
      const session = await beginSession(deployment, token, { path });
      const ended = await ask({ token, session, text: null, method: 'DELETE', path });
      assert.ok(ended.status === 200 || ended.status === 204, String(ended.status));
      const reply = await ask({ token, session, text, path });
      assert.equal(reply.status, 404);
    });
  }
});
