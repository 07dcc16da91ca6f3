import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { createChain, hashOf, signatureAlgorithm, unsignedLine } from '../../../src/decision-log/chain.ts';
import { readChainEnd } from '../../../src/decision-log/chain-end.ts';
import { verifyByKey } from '../../../src/decision-log/checkpoint-keys.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const NOW = 1_795_262_400_000;

function chain(settings: object = {}, now: () => number = () => NOW) {
  return createChain({
    id: 'c1',
    key: privateKey,
    kid: 'k1',
    checkpointEvery: 1000,
    checkpointMs: 60_000,
    labels: { id: 'c1' },
    continues: null,
    now,
    ...settings,
  });
}

const read = (lines: readonly string[]) => lines.map((line) => JSON.parse(line));

suite('a chain', () => {
  test('puts the hash of the line before into each line', async () => {
    const { start, link } = chain();
    const lines = [...(await start()), ...(await link(['{"a":1}', '{"b":"é"}']))];
    const events = read(lines);
    assert.deepEqual(
      events.map(({ type }) => type),
      ['chain', 'checkpoint', undefined, undefined],
    );
    assert.deepEqual(
      events.map((event) => event.chain),
      lines.map((_, seq) => ({ id: 'c1', seq, prev: seq === 0 ? null : hashOf(lines[seq - 1] as string) })),
    );
    assert.deepEqual([events[2].a, events[3].b], [1, 'é']);
  });

  test('signs where it is', async () => {
    const { start } = chain();
    const [first, second] = await start();
    const { jws, chain: link, labels, kid, decision_id, timestamp } = JSON.parse(second as string);
    const claims = await verifyByKey(publicKey.export({ type: 'spki', format: 'pem' }) as string)(jws);
    const line = hashOf(unsignedLine(second as string, jws));
    assert.deepEqual(claims, { chain: 'c1', seq: 1, prev: hashOf(first as string), iat: NOW / 1000, line });
    assert.equal(link.prev, claims.prev);
    assert.deepEqual([labels, kid, timestamp], [{ id: 'c1' }, 'k1', new Date(NOW).toISOString()]);
    assert.match(decision_id, /^[0-9a-f-]{36}$/);
  });

  test('signs after so many lines, after so long, and at the end', async () => {
    let now = NOW;
    const typesOf = (lines: readonly string[]) => read(lines).map(({ type, end }) => (end ? 'end' : (type ?? '-')));
    const { start, link, sign, end } = chain({ checkpointEvery: 2 }, () => now);
    await start();
    assert.deepEqual(typesOf(await link(['{"a":1}', '{"a":2}', '{"a":3}'])), ['-', '-', 'checkpoint', '-']);
    now += 60_000;
    assert.deepEqual(typesOf(await link(['{"a":4}'])), ['-', 'checkpoint']);
    assert.deepEqual(await sign(), []);
    await link(['{"a":5}']);
    assert.deepEqual(typesOf(await sign()), ['checkpoint']);
    assert.deepEqual(typesOf(await end()), ['end']);
  });

  test('says what it goes on from, and that it is of a command', async () => {
    const continues = { id: 'c0', seq: 7, hash: 'h', torn: null, signed: 5, ended: false };
    const [[first], [second]] = [await chain({ continues, isCommand: true }).start(), await chain().start()];
    const { continues: from, command } = JSON.parse(first as string);
    assert.deepEqual([from, command], [continues, true]);
    assert.equal('command' in JSON.parse(second as string), false);
  });

  test('takes keys that can be trusted', () => {
    const of = (type: string, options: object) =>
      generateKeyPairSync(type as 'rsa', options as { modulusLength: number }).privateKey;
    assert.equal(signatureAlgorithm(of('ec', { namedCurve: 'P-256' })), 'ES256');
    assert.equal(signatureAlgorithm(of('ec', { namedCurve: 'P-384' })), 'ES384');
    assert.equal(signatureAlgorithm(of('rsa', { modulusLength: 2048 })), 'PS256');
    assert.throws(() => signatureAlgorithm(of('rsa', { modulusLength: 1024 })), TypeError);
    assert.throws(() => signatureAlgorithm(of('x25519', {})), TypeError);
  });
});

suite('the end of a file', () => {
  function fileOf(t: TestContext): string {
    const directory = mkdtempSync(join(tmpdir(), 'chain-'));
    t.after(() => rmSync(directory, { recursive: true }));
    return join(directory, 'decisions.ndjson');
  }

  test('is nowhere without a file, or in an empty one, or in what is no file', async (t) => {
    const file = fileOf(t);
    assert.equal(await readChainEnd(file), null);
    writeFileSync(file, '');
    assert.equal(await readChainEnd(file), null);
    assert.equal(await readChainEnd('/dev/null'), null);
  });

  test('is its last line, however long, and half a line after it', async (t) => {
    const file = fileOf(t);
    const { start, link } = chain();
    const lines = [...(await start()), ...(await link([JSON.stringify({ long: 'é'.repeat(100_000) })]))];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const last = { id: 'c1', seq: 2, hash: hashOf(lines[2] as string) };
    assert.deepEqual(await readChainEnd(file), { ...last, torn: null });
    appendFileSync(file, '{"half');
    assert.deepEqual(await readChainEnd(file), { ...last, torn: hashOf('{"half') });
  });

  const verify = verifyByKey(privateKey);

  test('says how much of it is signed, over lines of others', async (t) => {
    const file = fileOf(t);
    const { start, link, end, last } = chain({ checkpointEvery: 2 });
    const other = await chain({ id: 'c2' }).start();
    const lines = [...(await start()), ...(await link(['{"a":1}', '{"a":2}', '{"a":3}']))];
    assert.equal(last(), 'c1:4');
    const ofEnd = async (...written: readonly string[][]) => {
      writeFileSync(file, written.map((some) => some.map((line) => `${line}\n`).join('')).join(''));
      const { id, seq, signed, ended } = (await readChainEnd(file, verify)) ?? {};
      return [id, seq, signed, ended];
    };
    assert.deepEqual(await ofEnd(lines), ['c1', 5, 4, false]);
    assert.deepEqual(await ofEnd(lines.slice(0, 5), other, lines.slice(5)), ['c1', 5, 4, false]);
    // A checkpoint that the lines after it do not lead back to counts for nothing.
    assert.deepEqual(await ofEnd(lines.slice(0, 4), lines.slice(5)), ['c1', 5, null, false]);
    assert.deepEqual(await ofEnd(lines.slice(0, 4).concat((lines[4] as string).replace('"k1"', '"k2"'))), ['c1', 4, 1, false]);
    assert.deepEqual(await ofEnd(lines, await end()), ['c1', 6, 6, true]);
    assert.equal(last(), 'c1:6');
    assert.deepEqual(await ofEnd(lines, ['{}']), [null, null, null, false]);
  });

  test('is not signed where another key signed it', async (t) => {
    const file = fileOf(t);
    const { start, end } = chain({ key: generateKeyPairSync('ed25519').privateKey });
    writeFileSync(file, `${[...(await start()), ...(await end())].join('\n')}\n`);
    const { signed, ended } = (await readChainEnd(file, verify)) ?? {};
    assert.deepEqual([signed, ended], [null, false]);
  });

  test('may be in no chain', async (t) => {
    const file = fileOf(t);
    writeFileSync(file, '{"type":"decision"}\n');
    assert.deepEqual(await readChainEnd(file), { id: null, seq: null, hash: hashOf('{"type":"decision"}'), torn: null });
    writeFileSync(file, '{"type');
    assert.deepEqual(await readChainEnd(file), { id: null, seq: null, hash: null, torn: hashOf('{"type') });
  });
});
