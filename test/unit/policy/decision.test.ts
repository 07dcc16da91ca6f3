import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { readInbound, readOutbound } from '../../../src/policy/decision.ts';
import { POLICY_REASONS, REASONS } from '../../../src/reasons.ts';

const allowed = { allow: true, reason: 'allowed' };
const refused = { allow: false, reason: 'policy_denied' };
const granted = { ...allowed, audience: 'https://backend.internal/mcp', scope: 'ledger:getBalance', ttl_seconds: 5 };

const WRONG = [undefined, null, true, false, 0, 1, -1, 1.5, '', 'true', 'x', [], [true], {}, { allow: true }];

type Case = readonly [decision: unknown, reason: string];

function outcome(decision: unknown): string {
  const result = readInbound(decision);
  return result.ok ? 'allowed' : result.denial.reason;
}

function outboundOutcome(decision: unknown, maxTtlSeconds = 5): string {
  const result = readOutbound(decision, maxTtlSeconds);
  return result.ok ? 'allowed' : result.denial.reason;
}

/** The same with one member other than it should be; undefined takes it away, as a Rego rule that is undefined does. */
function withMember(decision: object, member: string, value: unknown): unknown {
  const changed = { ...decision, [member]: value };
  return value === undefined ? JSON.parse(JSON.stringify(changed)) : changed;
}

suite('the inbound decision', () => {
  test('says yes in one way only', () => {
    const yes = { ok: true, value: { logOnly: [] } };
    assert.deepEqual(readInbound(allowed), yes);
    assert.deepEqual(readInbound({ ...allowed, message: 'Welcome.' }), yes);
  });

  test('tells of rules that are only watched', () => {
    const logOnly = [
      { rule: 'limits.daily', reason: 'limit_exceeded', message: 'Over the limit.' },
      { rule: 'hours', reason: 'policy_denied' },
    ];
    assert.deepEqual(readInbound({ ...allowed, log_only: logOnly }), { ok: true, value: { logOnly } });
    const refusal = { allow: false, reason: 'tool_forbidden', log_only: logOnly };
    assert.deepEqual(readInbound(refusal), { ok: false, denial: { reason: 'tool_forbidden' } });
    assert.equal(outboundOutcome({ ...granted, log_only: logOnly }), 'policy_invalid');
  });

  test('tells of them in one shape only, whatever else it says', () => {
    const one = { rule: 'r', reason: 'policy_denied' };
    const wrong = [
      null,
      {},
      'r',
      [null],
      ['r'],
      [{ reason: 'policy_denied' }],
      [{ rule: 'r' }],
      [{ ...one, rule: '' }],
      [{ ...one, rule: 'a b' }],
      [{ ...one, rule: 'r'.repeat(129) }],
      [{ ...one, reason: 'allowed' }],
      [{ ...one, reason: 'policy_failed' }],
      [{ ...one, reason: 'x' }],
      [{ ...one, message: 'a\nb' }],
      [{ ...one, message: 1 }],
      [{ ...one, allow: true }],
      Array.from({ length: 17 }, () => one),
    ];
    for (const logOnly of wrong)
      for (const decision of [allowed, { allow: false, reason: 'tool_forbidden' }])
        assert.equal(outcome({ ...decision, log_only: logOnly }), 'policy_invalid', JSON.stringify(logOnly));
    assert.ok(readInbound({ ...allowed, log_only: Array.from({ length: 16 }, () => one) }).ok);
  });

  test('is undefined where the rule is', () => {
    assert.equal(outcome(undefined), 'policy_undefined');
    assert.equal(outboundOutcome(undefined), 'policy_undefined');
  });

  test('is an object', () => {
    for (const decision of WRONG.slice(1)) assert.equal(outcome(decision), 'policy_invalid', JSON.stringify(decision));
  });

  test('has a boolean for allow, and nothing that is like one', () => {
    for (const allow of WRONG.filter((value) => typeof value !== 'boolean')) {
      assert.equal(outcome(withMember(allowed, 'allow', allow)), 'policy_invalid', JSON.stringify(allow));
    }
  });

  test('has a reason of the list, and for yes only "allowed"', () => {
    const reasons = [...WRONG, 'Allowed', 'ALLOWED', 'allowed ', 'metadata_served', 'internal_error', '__proto__', 'constructor'];
    for (const reason of reasons) {
      assert.equal(outcome(withMember(allowed, 'reason', reason)), 'policy_invalid', JSON.stringify(reason));
      assert.equal(outcome(withMember(refused, 'reason', reason)), 'policy_invalid', JSON.stringify(reason));
    }
    for (const reason of Object.keys(REASONS)) {
      const expected = POLICY_REASONS.has(reason) && reason !== 'allowed' ? reason : 'policy_invalid';
      const scopes = reason === 'insufficient_scope' ? { required_scopes: ['a'] } : {};
      assert.equal(outcome({ ...refused, reason, ...scopes }), expected);
      assert.equal(outcome({ ...allowed, reason }), reason === 'allowed' ? 'allowed' : 'policy_invalid');
    }
  });

  test('has no member besides those it knows', () => {
    for (const extra of ['Allow', 'allowed', 'audience', 'ttl_seconds', 'headers', '', 'toString']) {
      assert.equal(outcome({ ...allowed, [extra]: true }), 'policy_invalid', extra);
    }
    assert.equal(outcome(JSON.parse('{"allow":true,"reason":"allowed","__proto__":{}}')), 'policy_invalid');
  });

  test('inherits nothing', () => {
    assert.equal(outcome(JSON.parse('{"__proto__":{"allow":true,"reason":"allowed"}}')), 'policy_invalid');
    assert.equal(outcome(JSON.parse('{"reason":"allowed","__proto__":{"allow":true}}')), 'policy_invalid');
  });

  test('has a message that is one plain sentence, if any', () => {
    for (const message of [null, 1, [], '"quoted"', 'two\nlines', 'a\r\nb: c', 'nul\0', 'esc\x1b[0m', '\x85', 'a'.repeat(513)]) {
      assert.equal(outcome({ ...refused, message }), 'policy_invalid', JSON.stringify(message));
      assert.equal(outcome({ ...allowed, message }), 'policy_invalid', JSON.stringify(message));
    }
    for (const message of ['', 'Ask Ünal.', "It's = 5 % off", 'a'.repeat(512)]) {
      const result = readInbound({ ...refused, message });
      assert.deepEqual(result, { ok: false, denial: { reason: 'policy_denied', message } });
    }
  });

  test('names the scopes that would do for insufficient_scope, and none for yes', () => {
    const stepUp = { allow: false, reason: 'insufficient_scope' };
    const lists = [null, 'a', {}, [], [''], ['a b'], ['a"'], ['a\\'], ['a\r\nb'], ['ä'], [1], [['a']], Array(65).fill('a')];
    for (const scopes of lists) {
      assert.equal(outcome({ ...stepUp, required_scopes: scopes }), 'policy_invalid', JSON.stringify(scopes));
    }
    assert.equal(outcome(stepUp), 'policy_invalid');
    assert.equal(outcome({ ...allowed, required_scopes: ['a'] }), 'policy_invalid');
    assert.deepEqual(readInbound({ ...stepUp, required_scopes: ['a', 'b:c'] }), {
      ok: false,
      denial: { reason: 'insufficient_scope', requiredScopes: ['a', 'b:c'] },
    });
    assert.deepEqual(readInbound({ ...refused, required_scopes: ['a'] }), {
      ok: false,
      denial: { reason: 'policy_denied', requiredScopes: ['a'] },
    });
  });

  test('says in the log what is wrong with it, without its values', () => {
    const result = readInbound({ allow: 'secret', reason: 'allowed' });
    assert.deepEqual(result, {
      ok: false,
      denial: { reason: 'policy_invalid', cause: "the decision's allow is missing or of the wrong shape" },
    });
  });
});

suite('the outbound decision', () => {
  test('says which token', () => {
    assert.deepEqual(readOutbound(granted, 5), {
      ok: true,
      value: {
        audience: 'https://backend.internal/mcp',
        scopes: ['ledger:getBalance'],
        ttlSeconds: 5,
        resource: null,
        headers: {},
      },
    });
    const full = { ...granted, scope: 'a b', resource: 'https://r.internal/', headers: { 'x-tenant': 'acme' } };
    const result = readOutbound(full, 5);
    assert.ok(result.ok);
    assert.deepEqual(result.value.scopes, ['a', 'b']);
    assert.equal(result.value.resource, 'https://r.internal/');
    assert.deepEqual(result.value.headers, { 'x-tenant': 'acme' });
  });

  test('can refuse, and needs no token then', () => {
    const cases: readonly Case[] = [
      [{ allow: false, reason: 'tool_unknown' }, 'tool_unknown'],
      [{ allow: false, reason: 'tool_unknown', audience: 5 }, 'tool_unknown'],
      [{ ...granted, allow: false }, 'policy_invalid'],
      [{ ...granted, reason: 'tool_unknown' }, 'policy_invalid'],
    ];
    for (const [decision, expected] of cases) assert.equal(outboundOutcome(decision), expected, JSON.stringify(decision));
  });

  test('has every member it must have, of its type', () => {
    for (const member of ['audience', 'scope', 'ttl_seconds', 'resource', 'headers', 'message']) {
      for (const value of WRONG) {
        const optional = value === undefined && !['audience', 'scope', 'ttl_seconds'].includes(member);
        const fits =
          optional ||
          (typeof value === 'string' && value !== '' && ['audience', 'scope', 'resource', 'message'].includes(member)) ||
          (value === '' && member === 'message') ||
          (value === 1 && member === 'ttl_seconds') ||
          (value === null && member === 'resource') ||
          (member === 'headers' && typeof value === 'object' && JSON.stringify(value) === '{}');
        const decision = withMember(granted, member, value);
        assert.equal(outboundOutcome(decision), fits ? 'allowed' : 'policy_invalid', `${member}: ${JSON.stringify(value)}`);
      }
    }
  });

  test('has no member besides those it knows', () => {
    for (const extra of ['required_scopes', 'ttl', 'subject', 'Audience']) {
      assert.equal(outboundOutcome({ ...granted, [extra]: ['a'] }), 'policy_invalid', extra);
    }
  });

  test('keeps audience and resource to one line of bounded length', () => {
    for (const name of ['a\r\nb', 'a\0', '\t', 'a'.repeat(2049)]) {
      assert.equal(outboundOutcome({ ...granted, audience: name }), 'policy_invalid');
      assert.equal(outboundOutcome({ ...granted, resource: name }), 'policy_invalid');
    }
    assert.equal(outboundOutcome({ ...granted, audience: 'a'.repeat(2048) }), 'allowed');
  });

  test('keeps scope to scope tokens between single spaces', () => {
    for (const scope of [' ', ' a', 'a ', 'a  b', 'a\tb', 'a\u00a0b', 'a"b', 'a\\b', 'a\r\nb', 'ä', 'a'.repeat(4097)]) {
      assert.equal(outboundOutcome({ ...granted, scope }), 'policy_invalid', JSON.stringify(scope));
    }
  });

  test('keeps the lifetime to whole seconds up to the limit', () => {
    for (const ttl of [0, -1, 0.5, 6, Number.NaN, Number.POSITIVE_INFINITY, 1e308, '5', 5n]) {
      assert.equal(outboundOutcome({ ...granted, ttl_seconds: ttl }), 'policy_invalid', String(ttl));
    }
    for (const ttl of [1, 5]) assert.equal(outboundOutcome({ ...granted, ttl_seconds: ttl }), 'allowed');
    assert.equal(outboundOutcome({ ...granted, ttl_seconds: 60 }, 60), 'allowed');
  });

  test('sets no header that Envoy, HTTP or MCP gives a meaning, nor a look-alike of one', () => {
    const names = [
      ...['authorization', 'host', ':path', 'content-length', 'cookie', 'mcp-session-id', 'connection', 'te', 'tenant'],
      ...['X-Tenant', 'x-Tenant', 'x_tenant', 'x-', 'x', 'x--a', 'x-a-', 'x-a b', 'x-a:', 'x-a\r\nb', 'x-ä', ''],
      ...['x-envoy-upstream-rq-timeout-ms', 'x-envoy-x', 'x-forwarded-for', 'x-forwarded-proto', 'x-request-id', 'x-mcp-backend'],
      ...['__proto__', 'constructor'],
    ];
    for (const name of names) {
      const headers = JSON.parse(`{${JSON.stringify(name)}:"v"}`);
      assert.equal(outboundOutcome({ ...granted, headers }), 'policy_invalid', name);
    }
    for (const name of ['x-tenant', 'x-user-id', 'x-a1-b2']) {
      assert.equal(outboundOutcome({ ...granted, headers: { [name]: 'v' } }), 'allowed', name);
    }
  });

  test('sets header values of printable ASCII', () => {
    const values = ['a\r\nb', 'a\n', '\r', '\0', '\t', '\x7f', 'ä', '\u2028', 'a'.repeat(1025), 1, null, ['a'], { a: 1 }];
    for (const value of values) {
      assert.equal(outboundOutcome({ ...granted, headers: { 'x-a': value } }), 'policy_invalid', JSON.stringify(value));
    }
    const seventeen = Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`x-a${index}`, 'v']));
    assert.equal(outboundOutcome({ ...granted, headers: seventeen }), 'policy_invalid');
  });
});

test('no JSON value but a well-shaped one is ever a yes', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom('allow', 'reason', 'audience', 'scope', 'x'), (value, member) => {
      const decisions = [value, { ...granted, [member]: value }];
      for (const decision of decisions) {
        const result = readOutbound(decision, 5);
        if (!result.ok) continue;
        const { allow, reason, audience, scope } = decision as typeof granted;
        assert.ok(allow === true && reason === 'allowed');
        assert.equal(result.value.audience, audience);
        assert.equal(result.value.scopes.join(' '), scope);
      }
    }),
  );
});
