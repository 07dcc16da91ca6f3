import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createSealer, type Purpose } from '../../src/seal.ts';

const PURPOSES: readonly Purpose[] = ['session', 'plan', 'task'];
const secret = (byte: number): Buffer => Buffer.alloc(32, byte);
const sealer = createSealer([secret(1)]);
const VALUE = { text: 'é "x"', list: [1, null, { deep: true }] };

suite('what was sealed', () => {
  for (const purpose of PURPOSES) {
    test(`opens for ${purpose} and nothing else`, () => {
      const sealed = sealer.seal(purpose, VALUE);
      assert.match(sealed, /^[\w-]+$/);
      assert.deepEqual(sealer.open(purpose, sealed), VALUE);
      for (const other of PURPOSES.filter((one) => one !== purpose)) assert.equal(sealer.open(other, sealed), undefined);
    });
    test(`${purpose}: any change of a byte, and any cut, keeps it shut`, () => {
      const bytes = Buffer.from(sealer.seal(purpose, 'v'), 'base64url');
      for (let at = 0; at < bytes.length; at++) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] as number) ^ 1;
        assert.equal(sealer.open(purpose, changed.toString('base64url')), undefined);
        assert.equal(sealer.open(purpose, bytes.subarray(0, at).toString('base64url')), undefined);
      }
      assert.equal(sealer.open(purpose, Buffer.concat([bytes, Buffer.from([0])]).toString('base64url')), undefined);
    });
  }
  test('is opened by whoever has the key, and by nobody else', () => {
    const sealed = sealer.seal('session', VALUE);
    assert.deepEqual(createSealer([secret(1)]).open('session', sealed), VALUE);
    assert.equal(createSealer([secret(2)]).open('session', sealed), undefined);
  });
  test('says nothing of what is in it, twice the same is not the same', () => {
    assert.notEqual(sealer.seal('session', VALUE), sealer.seal('session', VALUE));
    assert.notEqual(sealer.seal('plan', VALUE), sealer.seal('plan', VALUE));
    assert.doesNotMatch(Buffer.from(sealer.seal('plan', 'a secret word'), 'base64url').toString('latin1'), /secret/);
  });
  test('a task is the same each time, for each key', () => {
    const sealed = sealer.seal('task', VALUE);
    assert.equal(createSealer([secret(1)]).seal('task', VALUE), sealed);
    const nonces = new Set(['a', 'b', ['a'], createSealer([secret(2)])].map((one) => sealer.seal('task', one).slice(0, 16)));
    assert.equal(nonces.size, 4);
    assert.notEqual(
      createSealer([secret(2)])
        .seal('task', VALUE)
        .slice(0, 16),
      sealed.slice(0, 16),
    );
  });
});

test('keys are changed without a gap: announced second, then first, then alone', () => {
  const [old, both, turned, next] = [
    createSealer([secret(1)]),
    createSealer([secret(1), secret(2)]),
    createSealer([secret(2), secret(1)]),
    createSealer([secret(2)]),
  ];
  for (const purpose of PURPOSES) {
    assert.equal(both.open(purpose, turned.seal(purpose, 1)), 1);
    assert.equal(old.open(purpose, both.seal(purpose, 1)), 1);
    assert.equal(turned.open(purpose, old.seal(purpose, 1)), 1);
    assert.equal(next.open(purpose, turned.seal(purpose, 1)), 1);
    assert.equal(next.open(purpose, both.seal(purpose, 1)), undefined);
  }
});

suite('what opens nothing', () => {
  const sealed = sealer.seal('session', 'value');
  const cases: Record<string, string> = {
    nothing: '',
    padding: `${sealed}=`,
    'white space': ` ${sealed}`,
    'a line end': `${sealed}\n`,
    'plain base64': Buffer.alloc(60, 0xff).toString('base64'),
    'no base64': '*'.repeat(80),
    'too short for a nonce and a tag': 'AAAA',
    'a nonce and a tag of nothing': Buffer.alloc(28).toString('base64url'),
    'too long': sealer.seal('session', 'x'.repeat(70_000)),
  };
  for (const [what, text] of Object.entries(cases)) test(what, () => assert.equal(sealer.open('session', text), undefined));
  test('another text for the same bytes', () => {
    // The last character of a text whose length is no multiple of four has bits to spare.
    const odd = [0, 1, 2].map((more) => sealer.seal('session', 'v'.repeat(more))).find((one) => one.length % 4 !== 0) as string;
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const twin = odd.slice(0, -1) + alphabet[alphabet.indexOf(odd.at(-1) as string) + 1];
    assert.deepEqual(Buffer.from(twin, 'base64url'), Buffer.from(odd, 'base64url'));
    assert.equal(sealer.open('session', twin), undefined);
  });
});
