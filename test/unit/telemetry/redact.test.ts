import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { describeCause, redact } from '../../../src/telemetry/redact.ts';
import { cpuMs } from '../support/cpu.ts';
import { SUBJECT_TOKEN } from '../support/facts.ts';

const JWE =
  'eyJhbGciOiJSU0EtT0FFUCJ9.OKOawDo13gRp2ojaHV7LFpZcgV7T6DVZKTyKOMTYUmKoTC.48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6ji.XFBoMYUZodetZdvTiFvSkQ';
const PEM = '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nAgEGCCqGSM49AwEHBG0w\n-----END PRIVATE KEY-----';

/** What V8 says of it, with a piece of it. */
function parseFailure(text: string): string {
  try {
    return JSON.parse(text);
  } catch (cause) {
    return (cause as Error).message;
  }
}

suite('redaction', () => {
  const secrets: readonly (readonly [text: string, shown: string])[] = [
    [`token ${SUBJECT_TOKEN} is bad`, 'token [redacted] is bad'],
    [`"${SUBJECT_TOKEN}"`, '"[redacted]"'],
    [JWE, '[redacted]'],
    [SUBJECT_TOKEN.slice(0, 40), '[redacted]'],
    ['ewogICJhbGciOiJFUzI1NiIKfQ.eyJzdWIiOiJhIn0.c2ln', '[redacted]'],
    ['Authorization: Bearer hunter2, x', 'Authorization: [redacted], x'],
    ['basic aHVudGVyMg==', '[redacted]'],
    ['grant_type=x&client_secret=hunter2&subject_token=abc&scope=a', 'grant_type=x&[redacted]&[redacted]&scope=a'],
    ['{"access_token":"hunter2","scope":"a"}', '{"[redacted]","scope":"a"}'],
    ["{ 'password': 'hunter2' }", "{ '[redacted]' }"],
    [`key ${PEM} end`, 'key [redacted] end'],
    [PEM.slice(0, 60), '[redacted]'],
    ['https://user:hunter2@as.example/path', 'https://[redacted]as.example/path'],
    ['https://as.example/cb?code=hunter2&state=x', 'https://as.example/cb?[redacted]&state=x'],
    [parseFailure('hunter2 "hunter3'), "Unexpected token 'h', [redacted] is not valid JSON"],
    [parseFailure(`{"a": ${'hunter2'.repeat(9)}`), "Unexpected token 'h', [redacted] is not valid JSON"],
  ];
  for (const [text, shown] of secrets) test(`of ${JSON.stringify(text.slice(0, 50))}`, () => assert.equal(redact(text), shown));

  test('leaves alone what helps to find the fault', () => {
    const harmless = [
      'getaddrinfo ENOTFOUND authorization-server.identity-namespace.svc.cluster.local',
      'connect ECONNREFUSED 127.0.0.1:9000',
      'the token endpoint answered 400, error invalid_grant',
      'no metadata for https://as.example/realms/mcp',
      "ENOENT: no such file or directory, open '/etc/mcp-ext-authz/gateway-key.pem'",
      'exp: lives too long',
      'token_signature_invalid',
      'the decision id is 0b0c7e0a-5f2e-4a56-9a4b-5d8e1c2f3a4b',
    ];
    for (const text of harmless) assert.equal(redact(text), text);
  });

  test('holds where the text is cut, too', () => {
    const long = `${'x'.repeat(480)} ${SUBJECT_TOKEN}${'A'.repeat(4000)}`;
    assert.ok(!redact(long).includes('eyJ'));
    assert.ok(redact(long).length <= 500);
    assert.ok(!redact(`${'x '.repeat(990)}${SUBJECT_TOKEN}`).includes('eyJ'));
  });

  test('leaves one line, with nothing that moves a cursor', () => {
    assert.equal(redact('a\r\nb\u001b[2Jc\u2028d\u0085e\0f'), 'a b [2Jc d e f');
  });

  test('does not take long over anything', () => {
    const nasty = ['e', 'ey', '.', 'bearer ', '://', '-----BEGIN ', '"token":"', 'eyaaaaaaaaa.'].map((part) => part.repeat(2000));
    const start = cpuMs();
    for (const text of nasty) redact(text);
    assert.ok(cpuMs() - start < 200);
  });
});

suite('a cause', () => {
  test('is told in one line with what caused it', () => {
    const error = new Error('no keys', { cause: Object.assign(new TypeError('fetch failed'), { code: 'ECONNREFUSED' }) });
    assert.equal(describeCause(error), 'Error: no keys; TypeError ECONNREFUSED: fetch failed');
    assert.equal(describeCause(new AggregateError([new Error('a'), 'b'], 'both')), 'AggregateError: both; a; string');
    assert.equal(describeCause('claim aud'), 'claim aud');
  });

  test('may be anything at all', () => {
    const odd = [
      null,
      undefined,
      0,
      1n,
      true,
      Symbol('s'),
      {},
      [],
      Object.create(null),
      () => 1,
      new Map(),
      { message: SUBJECT_TOKEN },
    ];
    for (const cause of odd) {
      const shown = describeCause(cause);
      assert.ok(typeof shown === 'string' && !shown.includes('eyJ'));
    }
  });

  test('that causes itself comes to an end', () => {
    const error = new Error('round');
    error.cause = error;
    assert.equal(describeCause(error), 'Error: round; Error: round; Error: round');
  });

  test('is told without its stack', () => {
    assert.ok(!describeCause(new Error('x')).includes('at '));
  });
});
