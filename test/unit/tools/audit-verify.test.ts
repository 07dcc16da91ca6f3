import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { readChainEnd } from '../../../src/decision-log/chain-end.ts';
import { linesOf, openChainedLog as open, publicKey } from '../support/chained-log.ts';

suite('audit verify', () => {
  test('finds nothing in what was written', async (t) => {
    const { verify, lines } = await open(t);
    assert.equal(lines.length, 11);
    const { code, said } = await verify();
    const kept = 'keep for next time: --last a:10\n';
    assert.equal(said, `${kept}11 lines in 1 chain, 4 checkpoints: whole and unchanged as far as it goes\n`);
    assert.equal(code, 0);
  });

  test('finds nothing in what is still being written, but says what is not signed, and minds it with --closed', async (t) => {
    const { verify, put, lines } = await open(t);
    put('log', lines.slice(0, 8));
    const { code, told } = await verify();
    assert.equal(code, 0);
    assert.equal(told[0], 'note: log:8: is the last of its chain, which has not ended: 2 lines not signed yet');
    const said = '8 lines in 1 chain, 2 checkpoints: 6 lines whole and unchanged as far as it goes, 2 lines unsigned';
    assert.equal(told.at(-1), said);
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
      [['log', '--key', 'key.pem', '--last', 'a'], /--last a: give it as CHAIN:SEQ/],
      [['log', '--key', 'key.pem', '--killed', 'a:x'], /--killed a:x: give it as CHAIN:SEQ/],
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
