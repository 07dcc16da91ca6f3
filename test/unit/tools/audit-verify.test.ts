import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { type ChainEnd, createChain, hashOf } from '../../../src/decision-log/chain.ts';
import { readChainEnd } from '../../../src/decision-log/chain-end.ts';
import { runVerb } from '../../../src/tools/policy-command.ts';
import { createSink } from '../support/sink.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

interface Written {
  readonly lines?: number;
  readonly continues?: ChainEnd | null;
  readonly ends?: boolean;
  readonly key?: typeof privateKey;
}

async function linesOf(
  id: string,
  { lines = 6, continues = null, ends = true, key = privateKey }: Written = {},
): Promise<string[]> {
  const options = { id, key, kid: 'k1', checkpointEvery: 3, checkpointMs: 60_000, labels: { id }, continues, now: () => 0 };
  const chain = createChain(options);
  const events = Array.from({ length: lines }, (_, index) => JSON.stringify({ type: 'decision', decision_id: `${id}-${index}` }));
  return [...(await chain.start()), ...(await chain.link(events)), ...(ends ? await chain.end() : [])];
}

/** start, checkpoint, 3 lines, checkpoint, 3 lines, checkpoint, end: eleven lines. */
async function open(t: TestContext, written?: Written) {
  const directory = mkdtempSync(join(tmpdir(), 'audit-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = (name: string) => join(directory, name);
  writeFileSync(path('key.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
  const put = (name: string, lines: readonly string[], after = '') =>
    writeFileSync(path(name), lines.map((line) => `${line}\n`).join('') + after);
  const lines = await linesOf('a', written);
  put('log', lines);

  async function verify(...args: string[]) {
    const [out, err] = [createSink(), createSink()];
    const given = args.length > 0 ? args : ['log', '--key', 'key.pem'];
    const known = new Set(['log', 'next', 'key.pem', 'keys.json', 'absent']);
    const code = await runVerb(
      'audit',
      'verify',
      given.map((arg) => (known.has(arg) ? path(arg) : arg)),
      { out, err },
    );
    const said = out.text().replaceAll(`${directory}/`, '');
    return { code, said, told: said.split('\n').slice(0, -1), err: err.text() };
  }
  return { path, put, lines, verify };
}

suite('audit verify', () => {
  test('finds nothing in what was written', async (t) => {
    const { verify, lines } = await open(t);
    assert.equal(lines.length, 11);
    const { code, said } = await verify();
    assert.equal(said, '11 lines in 1 chain, 4 checkpoints: whole and unchanged\n');
    assert.equal(code, 0);
  });

  test('finds nothing in any prefix, but says what is not signed, and minds it with --closed', async (t) => {
    const { verify, put, lines } = await open(t);
    put('log', lines.slice(0, 8));
    const { code, told } = await verify();
    assert.equal(code, 0);
    assert.equal(told[0], 'note: log:8: is the last of its chain, which has not ended: 2 lines are not signed yet');
    assert.equal((await verify('log', '--key', 'key.pem', '--closed')).code, 1);
  });

  for (const [name, change, found] of [
    ['a changed line', (lines: string[]) => lines.with(3, lines[3]?.replace('a-1', 'a-X') as string), /^log:4: was changed$/m],
    ['a removed line', (lines: string[]) => lines.toSpliced(3, 1), /^log:4: a line is missing before it, after line 3$/m],
    ['two removed lines', (lines: string[]) => lines.toSpliced(2, 2), /^log:3: 2 lines are missing before it, after line 2$/m],
    ['a removed checkpoint', (lines: string[]) => lines.toSpliced(5, 1), /^log:6: a line is missing/m],
    ['an inserted line', (lines: string[]) => lines.toSpliced(3, 0, '{"type":"decision"}'), /^log:4: is in no chain/m],
    [
      'a line that is there twice',
      (lines: string[]) => lines.toSpliced(4, 0, lines[3] as string),
      /^log:5: is number 3 .* where 4 belongs/m,
    ],
    [
      'lines that changed places',
      (lines: string[]) => lines.with(3, lines[4] as string).with(4, lines[3] as string),
      /^log:4: a line is missing before it, after line 3\nlog:5: is number 3 .* where 5 belongs/m,
    ],
    [
      'lines after the end',
      (lines: string[]) => [...lines, '{"chain":{"id":"a","seq":11,"prev":null}}'],
      /^log:12: comes after the end/m,
    ],
    ['what is no JSON', (lines: string[]) => lines.with(3, 'x'), /^log:4: is no line of a decision log$/m],
    ['what is no JSON at the end', (lines: string[]) => [...lines, 'x'], /^log:12: is no line of a decision log$/m],
  ] as const) {
    test(`finds ${name}`, async (t) => {
      const { verify, put, lines } = await open(t);
      put('log', change([...lines]));
      const { code, said } = await verify();
      assert.match(said, found);
      assert.equal(code, 1);
    });
  }

  test('finds every single byte that was changed in a chain that has ended', async (t) => {
    const { verify, path } = await open(t, { lines: 1 });
    const text = readFileSync(path('log'));
    // Line ends and all: one in seven, so that it takes no minute.
    for (let at = 0; at < text.length; at += 7) {
      const changed = Buffer.from(text);
      changed[at] = (changed[at] as number) ^ 1;
      writeFileSync(path('log'), changed);
      const { code } = await verify('log', '--key', 'key.pem', '--closed');
      assert.equal(code, 1, `byte ${at} of ${text.length}`);
    }
  });

  test('finds a chain that was made anew by somebody without the key', async (t) => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const { verify } = await open(t, { key: other });
    const { code, told } = await verify();
    assert.equal(code, 1);
    assert.match(told[0] ?? '', /^log:2: its signature does not count/);
  });

  test('finds a chain without a signature between two that have them', async (t) => {
    const { verify, put, lines } = await open(t, { ends: false });
    const last = JSON.parse(lines.at(-1) as string).chain;
    const end: ChainEnd = { id: 'a', seq: last.seq, hash: hashOf(Buffer.from(lines.at(-1) as string)), torn: null };
    const after = await linesOf('b', { continues: end });
    put('log', [...lines, ...after]);
    assert.equal((await verify()).code, 0);
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const forged = (await linesOf('f', { continues: end, key: other, ends: false })).filter((line) => !line.includes('"jws"'));
    put('log', [...lines, ...forged.slice(0, 2), ...after]);
    const { code, said } = await verify();
    assert.equal(code, 1, said);
    assert.match(said, /as another chain does: one of them was inserted/);
    assert.match(said, /nobody signed, and lines after it are signed/);
  });

  test('finds a checkpoint that was brought from elsewhere', async (t) => {
    const { verify, put, lines } = await open(t);
    const { jws } = JSON.parse((await linesOf('b'))[1] as string);
    const forged = JSON.stringify({ ...JSON.parse(lines[10] as string), jws });
    put('log', [...lines.slice(0, 10), forged]);
    assert.match((await verify()).said, /^log:11: was changed$/m);
  });

  test('finds half a line at the end', async (t) => {
    const { verify, put, lines } = await open(t);
    put('log', lines.slice(0, 8), (lines[8] as string).slice(0, 40));
    const { code, said } = await verify();
    assert.match(said, /^log:9: is half a line/m);
    assert.equal(code, 1);
  });

  test('goes on over restarts and kills', async (t) => {
    const { verify, put, path, lines } = await open(t, { ends: false });
    put('log', lines, '{"type":"dec');
    const continues = await readChainEnd(path('log'));
    assert.equal(continues?.torn, hashOf('{"type":"dec'));
    put('log', [...lines, '{"type":"dec', ...(await linesOf('b', { continues }))]);
    const { code, told } = await verify();
    assert.equal(code, 0, told.join('\n'));
    assert.equal(told[0], 'note: log:11: is half a line: the process was killed while it wrote it');
    assert.match(told.at(-1) ?? '', /^22 lines in 2 chains, 7 checkpoints: whole/);
  });

  test('finds what was cut off before a restart', async (t) => {
    const { verify, put, path, lines } = await open(t, { ends: false });
    const next = await linesOf('b', { continues: await readChainEnd(path('log')) });
    put('log', [...lines.slice(0, 9), ...next]);
    const { code, said } = await verify();
    assert.match(said, /^log:10: goes on from number 9 of the chain before, which is not here or was changed$/m);
    assert.equal(code, 1);
  });

  test('takes rotated files in order, and no other', async (t) => {
    const { verify, put, path, lines } = await open(t);
    const next = await linesOf('b', { continues: await readChainEnd(path('log')) });
    put('log', lines.slice(0, 7));
    put('next', [...lines.slice(7), ...next]);
    assert.equal((await verify('log', 'next', '--key', 'key.pem')).code, 0);
    assert.equal((await verify('next', 'log', '--key', 'key.pem')).code, 1);
    const { code, told } = await verify('next', '--key', 'key.pem');
    assert.equal(code, 0);
    assert.equal(told[0], 'note: next:1: is number 7 of a chain whose beginning is not here');
  });

  test('takes several processes in one stream where it is told to', async (t) => {
    const { verify, put, lines } = await open(t);
    const other = await linesOf('b');
    put('log', [...lines.slice(0, 4), ...other.slice(0, 5), ...lines.slice(4), ...other.slice(5)]);
    assert.match((await verify()).said, /^log:5: begins a chain that goes on from no other/m);
    assert.equal((await verify('log', '--key', 'key.pem', '--restarts')).code, 0);
  });

  test('takes a key set, and the key that the checkpoint names', async (t) => {
    const { verify, path } = await open(t);
    const stranger = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
    const keys = [
      { ...stranger, kid: 'k0' },
      { ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256' },
    ];
    writeFileSync(path('keys.json'), JSON.stringify({ keys }));
    assert.equal((await verify('log', '--jwks', 'keys.json')).code, 0);
    writeFileSync(path('keys.json'), JSON.stringify({ keys: keys.slice(0, 1) }));
    assert.equal((await verify('log', '--jwks', 'keys.json')).code, 1);
  });

  test('says what it needs', async (t) => {
    const { verify, path } = await open(t);
    for (const [args, said] of [
      [['log'], /give --key PUBLIC.pem or --jwks FILE/],
      [['log', '--key', 'key.pem', '--jwks', 'keys.json'], /give --key PUBLIC.pem or --jwks FILE/],
      [['--key', 'key.pem'], /give the decision log/],
      [['absent', '--key', 'key.pem'], /there is no such file/],
      [['log', '--key', 'absent'], /there is no such file/],
      [['log', '--key', 'log'], /cannot be used/],
      [['log', '--wrong'], /./],
    ] as const) {
      const { code, err } = await verify(...args);
      assert.match(err, said);
      assert.equal(code, 2, args.join(' '));
    }
    writeFileSync(path('keys.json'), '{}');
    assert.equal((await verify('log', '--jwks', 'keys.json')).code, 2);
  });
});
