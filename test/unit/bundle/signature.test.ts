import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { readBundle } from '../../../src/bundle/bundle.ts';
import { type BundleRefusal, PolicyRefused } from '../../../src/bundle/refusal.ts';
import { isExcluded, readVerificationKey, SIGNATURE_ALGORITHMS, type Signing } from '../../../src/bundle/signature.ts';
import { bundleRules, type Member, packBundle } from '../support/bundles.ts';
import { type Change, createSigner, signatures, signedRules } from '../support/signing.ts';

const members: readonly Member[] = [
  { name: 'policy.wasm', content: '\0asm-as-far-as-this-goes' },
  { name: '.manifest', content: '{"revision":"r1"}' },
  { name: 'data.json', content: '{"a":1}' },
  { name: 'notes/data.json', content: '{"b":2}' },
];
const signer = createSigner();

async function read(
  change: Change = {},
  { packed = members, signing = {} as Partial<Signing>, tokens = (token: string): unknown => ({ signatures: [token] }) } = {},
) {
  const token = await signer.sign(members, change);
  const archive = await packBundle([...packed, { name: '.signatures.json', content: JSON.stringify(tokens(token)) }]);
  return readBundle(archive, signedRules(signer.key, signing));
}

async function refused(code: BundleRefusal, why: RegExp, ...args: Parameters<typeof read>): Promise<void> {
  await assert.rejects(read(...args), (error) => {
    assert.ok(error instanceof PolicyRefused, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, why);
    return true;
  });
}

suite('a signature', () => {
  test('is verified, and the bundle says by which key', async () => {
    const { signedBy, data } = await read();
    assert.deepEqual([signedBy, data], ['k1', '{"a":1,"notes":{"b":2}}']);
  });

  for (const algorithm of SIGNATURE_ALGORITHMS) {
    test(`may be one of ${algorithm}`, async () => {
      const other = createSigner(algorithm);
      const archive = await packBundle([...members, signatures(await other.sign(members))]);
      assert.equal((await readBundle(archive, signedRules(other.key))).signedBy, 'k1');
      await assert.rejects(readBundle(archive, signedRules(signer.key)), { code: 'signature_invalid' });
    });
  }

  test('names its key in the header, else in the payload, as OPA reads it; or the configuration does', async () => {
    const nameless: Change = { header: { kid: undefined }, payload: ({ files }) => ({ files }) };
    assert.equal((await read({ header: { kid: undefined } })).signedBy, 'k1');
    assert.equal((await read({ header: { kid: '' } })).signedBy, 'k1');
    assert.equal((await read(nameless, { signing: { keyId: 'k1' } })).signedBy, 'k1');
    await refused('signature_invalid', /by which key/, nameless);
    await refused('signature_invalid', /no key "k2" is configured/, { header: { kid: 'k2' } });
    await refused('signature_invalid', /no key "k2" is configured/, {}, { signing: { keyId: 'k2' } });
    await refused('signature_invalid', /kid is no string/, { header: { kid: 1 } });
  });

  test('is one of the algorithm that is configured for its key, whatever it says itself', async () => {
    const publicPem = signer.key.key;
    const forged = createSigner('HS256');
    const token = await forged.sign(members);
    const archive = await packBundle([...members, signatures(token)]);
    await assert.rejects(readBundle(archive, signedRules(signer.key)), { code: 'signature_invalid' });
    await assert.rejects(readBundle(archive, signedRules({ ...forged.key, algorithm: 'HS512' })), { code: 'signature_invalid' });
    await assert.rejects(readBundle(archive, signedRules({ ...forged.key, key: publicPem })), { code: 'signature_invalid' });
    const unsigned = `${Buffer.from('{"alg":"none","kid":"k1"}').toString('base64url')}.${token.split('.')[1]}.AA`;
    await assert.rejects(readBundle(await packBundle([...members, signatures(unsigned)]), signedRules(signer.key)), {
      code: 'signature_invalid',
    });
  });

  test('brings neither a key nor conditions of its own', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = publicKey.export({ format: 'jwk' });
    for (const header of [
      { jwk },
      { jku: 'https://a.example/' },
      { x5u: 'https://a.example/' },
      { x5c: [] },
      { crit: ['b64'], b64: true },
      { crit: ['x'], x: 1 },
    ])
      await refused('signature_invalid', /its header has/, { header });
  });

  test('is there once', async () => {
    const missing = await packBundle(members);
    await assert.rejects(readBundle(missing, signedRules(signer.key)), { code: 'signature_missing' });
    await refused('signature_missing', /has no signature/, {}, { tokens: () => ({ signatures: [] }) });
    await refused('signature_missing', /has no signature/, {}, { tokens: () => ({}) });
    await refused('signature_invalid', /more than one/, {}, { tokens: (token) => ({ signatures: [token, token] }) });
    await refused('signature_invalid', /by a plugin/, {}, { tokens: (token) => ({ signatures: [token], plugin: 'custom' }) });
    for (const odd of [1, null, {}, '', 'a.b', 'a.b.c.d', 'a.b.c '])
      await refused('signature_invalid', /no token/, {}, { tokens: () => ({ signatures: [odd] }) });
    for (const odd of [[], 'x', null]) await refused('signature_invalid', /no object/, {}, { tokens: () => odd });
    await assert.rejects(
      readBundle(await packBundle([...members, { name: '.signatures.json', content: '{' }]), signedRules(signer.key)),
      {
        code: 'signature_invalid',
      },
    );
  });

  test('is of the configured scope', async () => {
    const scoped: Change = { payload: (payload) => ({ ...payload, scope: 'eu' }) };
    assert.equal((await read(scoped, { signing: { scope: 'eu' } })).signedBy, 'k1');
    await refused('scope_mismatch', /"eu", not for ""/, scoped);
    await refused('scope_mismatch', /"", not for "eu"/, {}, { signing: { scope: 'eu' } });
    await refused(
      'scope_mismatch',
      /no string/,
      { payload: (payload) => ({ ...payload, scope: ['eu'] }) },
      { signing: { scope: 'eu' } },
    );
  });

  test('lists every member and no other', async () => {
    const without = (name: string): Change => ({
      payload: ({ files, ...rest }) => ({ files: files.filter((file) => file.name !== name), ...rest }),
    });
    for (const { name } of members) await refused('digest_mismatch', /is not in the signature/, without(name));
    for (const { name } of members)
      await refused('digest_mismatch', /not in the bundle/, {}, { packed: members.filter((member) => member.name !== name) });
    await refused('digest_mismatch', /more is not in the signature/, {}, { packed: [...members, { name: 'more', content: '' }] });
  });

  test('is compared with what can be compared before OPA is asked to read YAML', async () => {
    const yaml: Member = { name: 'y/data.yaml', content: 'c: 1' };
    const token = await signer.sign([...members, { name: 'y/data.yaml', content: '{"c":1}' }]);
    const readChanged = async (changed: readonly Member[]) =>
      readBundle(await packBundle([yaml, ...changed, signatures(token)]), {
        ...signedRules(signer.key),
        compile: { timeoutMs: 1, maxMemoryBytes: 1 << 30 },
      });
    await assert.rejects(readChanged(members), { code: 'compile_timeout' });
    const changed = members.map((member) => (member.name === 'data.json' ? { ...member, content: '{"a":2}' } : member));
    await assert.rejects(readChanged(changed), { code: 'digest_mismatch' });
  });

  test('lists each with one hash of an algorithm that holds', async () => {
    const each = (change: object): Change => ({
      payload: ({ files, ...rest }) => ({ files: files.map((file) => ({ ...file, ...change })), ...rest }),
    });
    await refused('digest_mismatch', /is not what was signed/, each({ hash: '00' }));
    await refused('digest_mismatch', /is not what was signed/, each({ algorithm: 'SHA-512' }));
    for (const algorithm of ['MD5', 'SHA-1', 'sha256', '', '__proto__'])
      await refused('signature_invalid', /hash algorithm/, each({ algorithm }));
    await refused('signature_invalid', /lacks name/, each({ hash: null }));
    await refused('signature_invalid', /twice/, { payload: ({ files, ...rest }) => ({ files: [...files, ...files], ...rest }) });
    await refused('signature_invalid', /no files/, { payload: () => ({ keyid: 'k1' }) });
    await refused('signature_invalid', /no object/, { payload: () => ({ files: [1] }) });
    await refused('signature_invalid', /payload is not JSON/, { payload: () => 'text' });
    assert.equal(
      (
        await read({
          payload: ({ files, ...rest }) => ({
            files: files.map((file) => ({ ...file, hash: file.hash.toUpperCase() })),
            ...rest,
          }),
        })
      ).signedBy,
      'k1',
    );
  });

  test('does not cover what is excluded, and still what is not', async () => {
    const packed = members.map((member) => (member.name === 'notes/data.json' ? { ...member, content: '{"b":3}' } : member));
    await refused('digest_mismatch', /notes\/data.json is not what/, {}, { packed });
    assert.equal((await read({}, { packed, signing: { excludeFiles: ['notes/*'] } })).data, '{"a":1,"notes":{"b":3}}');
    await refused(
      'digest_mismatch',
      /notes\/data.json is not what/,
      {},
      { packed, signing: { excludeFiles: ['*', 'notes', '[', 'notes/?'] } },
    );
  });

  test('is not looked at where none is asked for', async () => {
    const archive = await packBundle([...members, { name: '.signatures.json', content: 'junk' }]);
    assert.equal((await readBundle(archive, bundleRules)).signedBy, null);
  });
});

test('no byte of a signed bundle may change', async () => {
  const parts = [...members, signatures(await signer.sign(members))];
  const rules = signedRules(signer.key);
  const before = await readBundle(await packBundle(parts), rules);
  const choice = parts.flatMap(({ content }, part) =>
    Array.from({ length: String(content).length }, (_, at) => [part, at] as const),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...choice), fc.integer({ min: 1, max: 255 }), async ([part, at], mask) => {
      const changed = Buffer.from(String(parts[part]?.content));
      changed[at] = (changed[at] ?? 0) ^ mask;
      const archive = await packBundle(parts.map((member, index) => (index === part ? { ...member, content: changed } : member)));
      try {
        const { data, revision, wasm, signedBy } = await readBundle(archive, rules);
        // White space, and a name of `.signatures.json` that nobody reads, may be another.
        assert.deepEqual(
          { data, revision, wasm, signedBy },
          { data: before.data, revision: before.revision, wasm: before.wasm, signedBy: 'k1' },
        );
        assert.ok(parts[part]?.name.endsWith('.json') || parts[part]?.name === '.manifest', 'only of what is read as JSON');
      } catch (error) {
        assert.ok(error instanceof PolicyRefused, String(error));
      }
    }),
    { numRuns: 1500 },
  );
});

suite('a key', () => {
  const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength });
  const pem = { type: 'spki', format: 'pem' } as const;

  test('fits its algorithm and is public', () => {
    const { publicKey, privateKey } = rsa(2048);
    const key = { id: 'k', algorithm: 'RS256', key: String(publicKey.export(pem)) } as const;
    assert.ok(readVerificationKey(key));
    assert.ok(readVerificationKey({ ...key, key: String(publicKey.export({ type: 'pkcs1', format: 'pem' })) }));
    assert.throws(() => readVerificationKey({ ...key, algorithm: 'ES256' }), /a key for ES256 is ec/);
    assert.throws(() => readVerificationKey({ ...key, algorithm: 'EdDSA' }), /a key for EdDSA is ed25519, this is rsa/);
    assert.throws(
      () => readVerificationKey({ ...key, key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })) }),
      /private key/,
    );
    assert.throws(() => readVerificationKey({ ...key, key: String(rsa(1024).publicKey.export(pem)) }), /at least 2048/);
    assert.throws(() => readVerificationKey({ ...key, key: 'text' }));
    assert.throws(() => readVerificationKey({ ...key, algorithm: 'HS256', key: '' }), /empty/);
  });
});

test('patterns of what is excluded are those of filepath.Match', () => {
  for (const [pattern, path, matches] of [
    ['*', 'a', true],
    ['*', 'a/b', false],
    ['*/*', 'a/b', true],
    ['a/?', 'a/b', true],
    ['a?b', 'a/b', false],
    ['[a-c]x', 'bx', true],
    ['[^a-c]x', 'bx', false],
    ['[^a-c]x', 'dx', true],
    ['[\\]-]', ']', true],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['a.c', 'abc', false],
    ['data-*.json', 'data-1.json', true],
    ['é?', 'é😀', true],
    ['[', '[', false],
    ['a\\', 'a', false],
    ['(a|b)+', '(a|b)+', true],
  ] as const)
    assert.equal(isExcluded(path, { keys: [], excludeFiles: [pattern] }), matches, `${pattern} ${path}`);
});
