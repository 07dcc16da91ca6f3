/** JWT access tokens: each way in which one is not in order, with the reason that is named for it. */
import assert from 'node:assert/strict';
import { createHmac, createSecretKey } from 'node:crypto';
import { suite, test } from 'node:test';
import { CompactEncrypt, SignJWT, UnsecuredJWT } from 'jose';
import type { Reason } from '../../../src/reasons.ts';
import { createKeySet, KeysUnavailable } from '../../../src/token/jwks.ts';
import { type IssuerRules, verifyToken } from '../../../src/token/verify.ts';
import {
  type Algorithm,
  base64url,
  claims,
  denial,
  fixedKeys,
  header,
  ISSUER,
  issuers,
  type Json,
  NOW,
  NOW_MS,
  noKeys,
  PAIRS,
  publicJwk,
  rules,
  signed,
  token,
  value,
} from './tokens.ts';

const verify = (jwt: string, changes: Partial<IssuerRules> = {}) => verifyToken(jwt, issuers(rules(changes)), NOW_MS);
const refuse = async (jwt: string, reason: Reason, changes: Partial<IssuerRules> = {}): Promise<void> => {
  denial(await verify(jwt, changes), reason, jwt.slice(0, 40));
};
/** Refused before a key is looked for. */
const refuseUnread = (jwt: string, reason: Reason) => refuse(jwt, reason, { keySet: noKeys });

const text = (json: Json) => JSON.stringify(json);
const good = token();
const [head, body, signature] = good.split('.') as [string, string, string];

suite('a token in order', () => {
  for (const alg of Object.keys(PAIRS) as Algorithm[])
    test(`signed with ${alg}`, async () => assert.equal(value(await verify(token({ alg }))).subject, 'alice'));

  test('as jose writes it', async () => {
    const jwt = await new SignJWT(claims())
      .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: 'EdDSA' })
      .sign(PAIRS.EdDSA.privateKey);
    assert.equal(value(await verify(jwt)).tokenId, 'token-1');
  });

  test('with every spelling of its type', async () => {
    for (const typ of ['at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/AT+JWT'])
      value(await verify(token({ header: { typ } })));
  });

  test('from the issuer it names, among many', async () => {
    const other = rules({ issuer: 'https://other.example', keySet: noKeys });
    value(await verifyToken(good, issuers(other, rules()), NOW_MS));
  });
});

suite('the encoding', () => {
  const spare = signature.slice(0, -1) + String.fromCharCode(signature.charCodeAt(signature.length - 1) + 1);
  const cases: Record<string, string> = {
    empty: '',
    'dots alone': '..',
    'two parts': `${head}.${body}`,
    'no signature': `${head}.${body}.`,
    'no header': `.${body}.${signature}`,
    'no payload (detached)': `${head}..${signature}`,
    'four parts': `${good}.${signature}`,
    'five parts, as JWE has': 'a.b.c.d.e',
    'a blank before': ` ${good}`,
    'a line end after': `${good}\n`,
    'a line end in the signature': `${head}.${body}.${signature.slice(0, 8)}\n${signature.slice(8)}`,
    'a blank in the payload': `${head}.${body.slice(0, 4)} ${body.slice(4)}.${signature}`,
    padding: `${good}==`,
    'the standard alphabet': `${head}.${body}.${signature.slice(0, 10)}+/${signature.slice(12)}`,
    'bits to spare in the signature': `${head}.${body}.${spare}`,
    'a character that is none': `${head}.${body}.${signature.slice(0, -1)}é`,
    'a NUL': `${good}\0`,
    'more than 8192 characters': token({ claims: { padding: 'x'.repeat(8192) } }),
    'a signature without end': `${head}.${body}.${'A'.repeat(8192)}`,
    'JSON serialization': text({ protected: head, payload: body, signature }),
  };
  for (const [what, jwt] of Object.entries(cases)) test(what, () => refuseUnread(jwt, 'token_malformed'));

  test('bits to spare in header and payload', async () => {
    for (const [first, second] of [
      ['{"alg":"ES256","typ":"at+jwt","kid":"ES256"} ', text(claims())],
      [text(header()), `${text(claims())} `],
    ] as const) {
      const jwt = signed(first, second);
      for (const [part, segment] of jwt.split('.').entries()) {
        if (segment.length % 4 === 0) continue;
        const parts = jwt.split('.');
        const last = segment.charCodeAt(segment.length - 1);
        parts[part] = segment.slice(0, -1) + String.fromCharCode(last + 1);
        await refuseUnread(parts.join('.'), 'token_malformed');
      }
    }
  });

  test('nearly 8192 characters are no problem', async () => {
    const room = 8192 - good.length;
    value(await verify(token({ claims: { padding: 'x'.repeat(Math.floor(room * 0.7)) } })));
  });
});

suite('header and claims that are read in more than one way', () => {
  const withHeader: Record<string, string> = {
    'an algorithm twice': '{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"ES256"}',
    'a kid twice': '{"alg":"ES256","typ":"at+jwt","kid":"other","kid":"ES256"}',
    'a header that is a list': '["ES256"]',
    'a header that is no JSON': '{"alg":"ES256"',
    'a header with a byte order mark': `\ufeff${text(header())}`,
    'a header and more': `${text(header())}{}`,
  };
  for (const [what, first] of Object.entries(withHeader))
    test(what, () => refuseUnread(signed(first, text(claims())), 'token_malformed'));

  const inner = text(claims()).slice(1, -1);
  const withClaims: Record<string, string | Uint8Array> = {
    'a subject twice': `{"sub":"mallory",${inner}}`,
    'a subject twice, the second escaped': `{${inner},"s\\u0075b":"mallory"}`,
    'a subject in two cases': `{${inner},"SUB":"mallory"}`,
    'an audience twice': `{${inner},"aud":"https://other.example"}`,
    'a claim twice further in': `{${inner},"realm_access":{"roles":[],"roles":["admin"]}}`,
    'a byte order mark': `\ufeff{${inner}}`,
    'two documents': `{${inner}}{}`,
    'bytes that are no UTF-8': Buffer.from(`{${inner},"name":"é"}`, 'latin1'),
    'half a surrogate': `{${inner},"name":"\\ud800"}`,
    'a number that no double holds': `{${inner},"account":9007199254740993}`,
    'a number called id that no double holds': `{${inner},"id":9007199254740993}`,
    'a time that overflows': `{${inner},"nbf":1e999}`,
    'claims nested beyond reason': `{${inner},"deep":${'['.repeat(16)}${']'.repeat(16)}}`,
    'a list': `[${text(claims())}]`,
    'a text': '"claims"',
    nothing: 'null',
  };
  for (const [what, payload] of Object.entries(withClaims))
    test(what, () => refuseUnread(signed(text(header()), payload), 'token_malformed'));

  test('claims nested within reason', async () => {
    value(await verify(signed(text(header()), `{${inner},"deep":${'['.repeat(15)}${']'.repeat(15)}}`)));
  });
});

suite('the issuer', () => {
  for (const iss of ['https://evil.example', `${ISSUER}/`, ISSUER.toUpperCase(), '', undefined, null, 7, [ISSUER], '__proto__'])
    test(`${JSON.stringify(iss)} is not trusted`, () => refuseUnread(token({ claims: { iss } }), 'token_issuer_unknown'));

  test('is not taken from the keys of another', async () => {
    const other = rules({
      issuer: 'https://other.example',
      keySet: fixedKeys({ keys: [publicJwk(PAIRS.EdDSA, { kid: 'ES256' })] }),
    });
    const jwt = token({ claims: { iss: 'https://other.example' } });
    denial(await verifyToken(jwt, issuers(rules(), other), NOW_MS), 'token_key_unknown');
  });
});

suite('the type', () => {
  const others = [
    'JWT',
    'jwt',
    'oauth-id-jag+jwt',
    'dpop+jwt',
    'logout+jwt',
    'token-introspection+jwt',
    'JOSE',
    'at+jwt ',
    'xat+jwt',
    '',
  ];
  for (const typ of [...others, 'application/application/at+jwt', 'text/at+jwt', undefined, null, 7, ['at+jwt']])
    test(`${JSON.stringify(typ)} is another`, () => refuseUnread(token({ header: { typ } }), 'token_type_wrong'));

  test('is what the issuer writes', async () => {
    const tokenTypes = new Set(['jwt']);
    value(await verify(token({ header: { typ: 'JWT' } }), { tokenTypes }));
    await refuse(good, 'token_type_wrong', { tokenTypes });
    await refuse(token({ header: { typ: 'oauth-id-jag+jwt' } }), 'token_type_wrong', { tokenTypes });
    await refuse(token({ header: { typ: undefined } }), 'token_type_wrong', { tokenTypes });
  });
});

suite('the algorithm', () => {
  for (const alg of [
    'none',
    'None',
    'NONE',
    'nOnE',
    'HS256',
    'HS512',
    'es256',
    'ES256K',
    'RS1',
    'RSA-OAEP',
    'dir',
    '',
    undefined,
    null,
    7,
    ['ES256'],
  ])
    test(`${JSON.stringify(alg)} is not accepted`, () => refuseUnread(token({ header: { alg } }), 'token_algorithm_forbidden'));

  test('none, as jose writes it', async () => {
    const jwt = new UnsecuredJWT(claims()).encode();
    await refuseUnread(jwt, 'token_malformed');
    await refuseUnread(`${base64url(text(header({ alg: 'none' })))}.${body}.${signature}`, 'token_algorithm_forbidden');
  });

  test('a public key is no secret', async () => {
    for (const secret of [
      PAIRS.RS256.publicKey.export({ type: 'spki', format: 'pem' }),
      PAIRS.RS256.publicKey.export({ type: 'spki', format: 'der' }),
      PAIRS.RS256.publicKey.export({ type: 'pkcs1', format: 'pem' }),
      text(publicJwk(PAIRS.RS256)),
      '',
    ]) {
      const content = `${base64url(text(header({ alg: 'HS256', kid: 'RS256' })))}.${body}`;
      const mac = createHmac('sha256', secret).update(content).digest('base64url');
      await refuseUnread(`${content}.${mac}`, 'token_algorithm_forbidden');
      const disguised = `${base64url(text(header({ alg: 'RS256', kid: 'RS256' })))}.${body}`;
      await refuse(
        `${disguised}.${createHmac('sha256', secret).update(disguised).digest('base64url')}`,
        'token_signature_invalid',
      );
    }
  });

  test('is one of those accepted from this issuer', async () => {
    await refuse(token({ alg: 'RS256' }), 'token_algorithm_forbidden', { algorithms: ['ES256'] });
    await refuse(good, 'token_algorithm_forbidden', { algorithms: [] });
  });

  test('is that of the key', async () => {
    await refuse(token({ header: { kid: 'RS256' } }), 'token_key_unknown');
    await refuse(token({ alg: 'RS256', header: { kid: 'PS256' } }), 'token_key_unknown');
    await refuse(token({ alg: 'RS256', header: { alg: 'PS256' }, pair: PAIRS.RS256 }), 'token_key_unknown');
    const untyped = fixedKeys({ keys: [publicJwk(PAIRS.RS256, { kid: 'k' })] });
    value(await verify(token({ alg: 'RS256', header: { kid: 'k' } }), { keySet: untyped }));
    await refuse(token({ alg: 'RS256', header: { kid: 'k', alg: 'PS256' } }), 'token_signature_invalid', { keySet: untyped });
  });
});

suite('the key', () => {
  for (const kid of [undefined, null, 7, ['ES256'], { a: 1 }])
    test(`${JSON.stringify(kid)} names none`, () => refuseUnread(token({ header: { kid } }), 'token_key_unknown'));
  for (const kid of ['', 'other', 'es256', 'ES256 ', '../ES256', '__proto__', "' or 1=1"])
    test(`${JSON.stringify(kid)} names one that is not there`, () => refuse(token({ header: { kid } }), 'token_key_unknown'));

  test('is not the one that the token brings or points to', async () => {
    const stranger = publicJwk(PAIRS.EdDSA);
    for (const member of [
      { jwk: stranger },
      { jwk: publicJwk(PAIRS.ES256) },
      { jku: 'https://evil.example/jwks' },
      { x5u: 'https://evil.example/cert' },
      { x5c: ['MIIB'] },
      { jku: null },
    ])
      await refuseUnread(token({ header: member }), 'token_malformed');
  });

  test('with extensions that would change what is signed', async () => {
    for (const member of [
      { crit: ['b64'], b64: false },
      { b64: true },
      { crit: [] },
      { crit: ['exp'], exp: 1 },
      { zip: 'DEF' },
      { enc: 'A256GCM' },
    ])
      await refuseUnread(token({ header: member }), 'token_malformed');
  });

  test('of an encrypted token is never looked for', async () => {
    const jwe = await new CompactEncrypt(Buffer.from(good))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', cty: 'JWT', typ: 'at+jwt' })
      .encrypt(createSecretKey(Buffer.alloc(32)));
    await refuseUnread(jwe, 'token_malformed');
  });

  test('when none can be had, that is not the fault of the token', async () => {
    const keyFor = () => Promise.reject(new KeysUnavailable('no keys'));
    await refuse(good, 'keys_unavailable', { keySet: { ...noKeys, keyFor } });
  });

  test('that is not a good one is dropped with its key set', async () => {
    const fetchKeys = async () => ({ keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'ES256' }] });
    const keySet = createKeySet({ fetchKeys, now: () => NOW_MS, cooldownMs: 1, maxAgeMs: 1, maxStaleMs: 1 });
    await refuse(good, 'keys_unavailable', { keySet });
  });
});

suite('the signature', () => {
  const bytes = Buffer.from(signature, 'base64url');
  const [r, s] = [bytes.subarray(0, 32), bytes.subarray(32)];
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const asText = (...parts: Uint8Array[]) => `${head}.${body}.${Buffer.concat(parts).toString('base64url')}`;
  const zero = Buffer.alloc(32);
  const n = Buffer.from(order.toString(16), 'hex');
  const cases: Record<string, string> = {
    'of somebody else': token({ pair: { ...PAIRS.EdDSA, privateKey: PAIRS.ES256.privateKey }, claims: { sub: 'bob' } }).replace(
      /[^.]+$/,
      signature,
    ),
    'all zero': asText(zero, zero),
    'with r zero': asText(zero, s),
    'with s zero': asText(r, zero),
    'of the order': asText(n, n),
    'with r and s exchanged': asText(s, r),
    'cut short': asText(bytes.subarray(0, 63)),
    'with a byte more': asText(bytes, Buffer.from([0])),
    'in DER': asText(Buffer.from([0x30, 0x44, 0x02, 0x20]), r, Buffer.from([0x02, 0x20]), s),
    'of one byte': asText(Buffer.from([1])),
  };
  for (const [what, jwt] of Object.entries(cases)) test(what, () => refuse(jwt, 'token_signature_invalid'));

  test('does not carry over to other claims or another header', async () => {
    await refuse(`${head}.${base64url(text(claims({ sub: 'mallory' })))}.${signature}`, 'token_signature_invalid');
    await refuse(`${base64url(text(header({ x: 1 })))}.${body}.${signature}`, 'token_signature_invalid');
  });

  test('comes before what the claims say', async () => {
    const late = claims({ exp: NOW - 3600 });
    await refuse(`${head}.${base64url(text(late))}.${signature}`, 'token_signature_invalid');
  });
});

suite('time', () => {
  const cases: [what: string, claims: Json, reason: Reason][] = [
    ['expired a second beyond the tolerance', { exp: NOW - 5 }, 'token_expired'],
    ['expired an hour ago', { iat: NOW - 7200, exp: NOW - 3600 }, 'token_expired'],
    ['expired in 1970', { exp: 0 }, 'token_expired'],
    ['expired before time began', { exp: -1 }, 'token_expired'],
    ['without an end', { exp: undefined }, 'token_claims_invalid'],
    ['with an end that is text', { exp: String(NOW + 100) }, 'token_claims_invalid'],
    ['with an end that is null', { exp: null }, 'token_claims_invalid'],
    ['with an end within a second', { exp: NOW + 100.5 }, 'token_claims_invalid'],
    ['with an end in the year 9999', { exp: 253_402_300_799 }, 'token_lifetime_excessive'],
    ['with an end beyond all years', { exp: 1e308 }, 'token_lifetime_excessive'],
    ['that lives a second too long', { iat: NOW, exp: NOW + 3601 }, 'token_lifetime_excessive'],
    ['that was issued long ago for long', { iat: NOW - 86_400, exp: NOW + 60 }, 'token_lifetime_excessive'],
    ['issued before time began', { iat: -1e300 }, 'token_lifetime_excessive'],
    ['without a beginning', { iat: undefined }, 'token_claims_invalid'],
    ['with a beginning that is text', { iat: String(NOW) }, 'token_claims_invalid'],
    ['with a beginning that is null', { iat: null }, 'token_claims_invalid'],
    ['issued in an hour', { iat: NOW + 3600, exp: NOW + 7200 }, 'token_not_yet_valid'],
    ['issued a second beyond the tolerance', { iat: NOW + 6 }, 'token_not_yet_valid'],
    ['issued beyond all years', { iat: 1e308 }, 'token_not_yet_valid'],
    ['not valid for another hour', { nbf: NOW + 3600 }, 'token_not_yet_valid'],
    ['not valid a second beyond the tolerance', { nbf: NOW + 6 }, 'token_not_yet_valid'],
    ['with a not-before that is text', { nbf: String(NOW) }, 'token_claims_invalid'],
    ['with a not-before that is null', { nbf: null }, 'token_claims_invalid'],
  ];
  for (const [what, changes, reason] of cases) test(what, () => refuse(token({ claims: changes }), reason));

  test('within the tolerance', async () => {
    for (const changes of [{ exp: NOW - 4 }, { iat: NOW + 5 }, { nbf: NOW + 5 }, { iat: NOW - 1, exp: NOW + 3599 }])
      value(await verify(token({ claims: changes })));
  });

  test('without a tolerance', async () => {
    const exactly = { clockToleranceSeconds: 0 };
    value(await verify(token({ claims: { iat: NOW, exp: NOW + 1 } }), exactly));
    await refuse(token({ claims: { exp: NOW } }), 'token_expired', exactly);
    await refuse(token({ claims: { iat: NOW + 1 } }), 'token_not_yet_valid', exactly);
  });
});

suite('claims', () => {
  test('that must be there', async () => {
    for (const name of ['sub', 'aud', 'client_id'])
      await refuse(token({ claims: { [name]: undefined } }), 'token_claims_invalid');
  });

  test('a token that is bound to a key is no bearer token', async () => {
    for (const cnf of [{ jkt: 'x' }, { 'x5t#S256': 'x' }, {}, null, 'x', false])
      await refuse(token({ claims: { cnf } }), 'token_bound');
  });

  test('with the values that are asked of them', async () => {
    const asked = { claims: { typ: ['Bearer'], tenant: ['acme', 'umbrella'], level: [2, true] } };
    const right = { typ: 'Bearer', tenant: 'umbrella', level: 2 };
    value(await verify(token({ claims: right }), asked));
    for (const wrong of [
      { typ: 'ID' },
      { typ: ['Bearer'] },
      { tenant: undefined },
      { tenant: 'ACME' },
      { level: '2' },
      { level: 1 },
      { level: null },
    ])
      assert.match(
        String(denial(await verify(token({ claims: { ...right, ...wrong } }), asked), 'token_claims_invalid').cause),
        /^claim /,
      );
  });

  test('a member of the prototype is no claim', async () => {
    await refuse(good, 'token_claims_invalid', { claims: { constructor: ['Object'], toString: ['x'] } });
  });

  test('of clients that may call', async () => {
    const clients = new Set(['claude-code', 'https://client.example/id']);
    value(await verify(good, { clients }));
    value(await verify(token({ claims: { client_id: 'https://client.example/id' } }), { clients }));
    for (const client_id of ['Claude-Code', 'claude-code ', 'https://client.example/id/', 'other'])
      await refuse(token({ claims: { client_id } }), 'client_forbidden', { clients });
  });
});

suite('nothing is thrown', () => {
  for (const jwt of [
    '.',
    '...',
    'null',
    '%00',
    'bearer',
    '\ud800',
    'a'.repeat(100_000),
    '.'.repeat(10_000),
    `${head}.${head}.${head}`,
    `${body}.${body}.${body}`,
  ])
    test(JSON.stringify(jwt.slice(0, 20)), async () => assert.equal((await verify(jwt)).ok, false));
});
