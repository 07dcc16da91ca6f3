/** What OPA's own tool signs is verified, to the last odd number; and no byte of it may change. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readBundle } from '../../../src/bundle/bundle.ts';
import { createCompiledMemory } from '../../../src/bundle/compiled-cache.ts';
import { OPA_DEFAULTS } from '../../../src/opa/opa.ts';
import { keepOpa } from '../../support/kept-opa.ts';
import { packBundle, unpackBundle } from '../support/bundles.ts';
import { bundleByOpa, OPA_KEYS, type SignedByOpa, signedRules } from '../support/signing.ts';

keepOpa(OPA_DEFAULTS);

const compiled = createCompiledMemory();
const rulesFor = (name: SignedByOpa) =>
  signedRules(OPA_KEYS[name], name === 'nameless-rs256' ? { keyId: OPA_KEYS[name].id } : {});
const ALL = Object.keys(OPA_KEYS) as SignedByOpa[];

suite('a bundle that OPA signed', () => {
  for (const name of ALL) {
    test(`is verified and read: ${name}`, async () => {
      const bundle = await readBundle(bundleByOpa(name), rulesFor(name), compiled);
      assert.equal(bundle.revision, 'signed-1');
      assert.equal(bundle.signedBy, OPA_KEYS[name].id);
      assert.deepEqual(
        Object.keys(bundle.modules)
          .map((path) => path.replace(/^source\//, ''))
          .sort(),
        ['mcp/inbound.rego', 'mcp/outbound.rego'],
      );
      assert.equal(Buffer.from(bundle.wasm).subarray(0, 4).toString('latin1'), '\0asm');
    });
  }

  test('has the same data whether OPA merged its files or we do', async () => {
    const [merged, ...others] = await Promise.all(
      (['rs256', 'folder-es256', 'nameless-rs256'] as const).map((name) =>
        readBundle(bundleByOpa(name), rulesFor(name), compiled),
      ),
    );
    const members = await unpackBundle(bundleByOpa('rs256'));
    assert.deepEqual(JSON.parse(merged?.data ?? ''), JSON.parse(String(members.get('data.json'))));
    for (const { data } of others) assert.equal(data, merged?.data);
  });

  test('keeps numbers as they are written', async () => {
    const { data } = await readBundle(bundleByOpa('folder-es256'), rulesFor('folder-es256'), compiled);
    for (const number of ['"a":1.0,', '"z":1e3,', '"zero":-0', '"E":1E+2', ':123456789012345678901234567890,', '"exact":0.10'])
      assert.ok(data.includes(number), number);
  });

  test('is refused under any other key', async () => {
    for (const name of ALL) {
      const wrong = name === 'rs256' ? OPA_KEYS.es256 : OPA_KEYS.rs256;
      const key = { ...wrong, id: OPA_KEYS[name].id };
      if (name === 'nameless-rs256') continue;
      await assert.rejects(readBundle(bundleByOpa(name), signedRules(key), compiled), { code: 'signature_invalid' }, name);
    }
  });

  test('is refused where it names no key and none is configured', async () => {
    await assert.rejects(readBundle(bundleByOpa('nameless-rs256'), signedRules(OPA_KEYS['nameless-rs256'])), {
      code: 'signature_invalid',
      message: /by which key/,
    });
  });

  test('is refused for another scope', async () => {
    const { scope: _, ...key } = OPA_KEYS['folder-es256'];
    const bundle = bundleByOpa('folder-es256');
    assert.equal((await readBundle(bundle, signedRules(key, { scope: 'gateway' }), compiled)).signedBy, 'claimed');
    await assert.rejects(readBundle(bundle, signedRules(key)), { code: 'scope_mismatch' });
    await assert.rejects(readBundle(bundle, signedRules({ ...key, scope: 'gateway' }, { scope: 'other' })), {
      code: 'scope_mismatch',
    });
  });

  test('may have its JSON written in another way, and nothing else changed', async () => {
    const members = await unpackBundle(bundleByOpa('rs256'));
    const pack = (change: (name: string, content: Buffer) => string | Buffer) =>
      packBundle([...members].map(([name, content]) => ({ name, content: change(name, content) })));
    const spaced = await pack((name, content) =>
      name === '.manifest' ? ` ${String(content).replaceAll(':', ' : ')}\n` : content,
    );
    assert.equal((await readBundle(spaced, rulesFor('rs256'), compiled)).revision, 'signed-1');
    for (const changed of ['source/mcp/inbound.rego', 'data.json', '.manifest']) {
      const other = await pack((name, content) => (name === changed ? String(content).replace(/1|allow/, '2') : content));
      await assert.rejects(readBundle(other, rulesFor('rs256'), compiled), { code: 'digest_mismatch' }, changed);
    }
  });
});
