/** What somebody without the key can do to a log before, between and after processes that write it, and what honest ones leave. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hashOf } from '../../../src/decision-log/chain.ts';
import { readChainEnd } from '../../../src/decision-log/chain-end.ts';
import { forge, linesOf, markOf, openChainedLog as open } from '../support/chained-log.ts';

const KEY = ['--key', 'key.pem'];
const UNSIGNED = /is the last of a chain of which nothing here is signed/;
const FOLLOWED = /which has not ended.*, and a later process went on: killed, or cut off or forged; if killed: --killed a:\d+/;

suite('what is forged without the key', () => {
  test('alone, is found', async (t) => {
    const { verify, put } = await open(t);
    put('log', forge(6, 'f'));
    for (const args of [KEY, [...KEY, '--restarts'], [...KEY, '--killed', 'any']]) {
      const { code, told } = await verify('log', ...args);
      assert.equal(code, 1);
      assert.match(told[0] ?? '', UNSIGNED);
      assert.match(told.at(-1) ?? '', /1 finding, 6 lines unsigned$/);
    }
  });

  test('after a stop, is found, and no process that goes on from it vouches for it', async (t) => {
    const { verify, put, lines, restart } = await open(t);
    put('log', [...lines, ...forge(6, 'f', lines.at(-1))]);
    assert.match((await verify()).said, UNSIGNED);
    const [first] = await restart('b');
    assert.deepEqual(JSON.parse(first as string).continues.signed, null);
    for (const args of [KEY, [...KEY, '--killed', 'any'], [...KEY, '--restarts', '--closed']]) {
      const { code, told } = await verify('log', ...args);
      assert.equal(code, 1);
      assert.match(told[0] ?? '', /^log:17: is the last of a chain of which nothing/);
      assert.match(told.at(-1) ?? '', /6 lines unsigned$/);
    }
  });

  test('in the place of signed lines, is found once a process went on', async (t) => {
    const { verify, put, lines, restart } = await open(t);
    put('log', [...lines.slice(0, 2), ...forge(5, 'a', lines[1])]);
    const [first] = await restart('b');
    const { id, seq, signed, ended } = JSON.parse(first as string).continues;
    assert.deepEqual([id, seq, signed, ended], ['a', 6, 1, false]);
    const { code, told } = await verify();
    assert.equal(code, 1);
    assert.match(told[0] ?? '', FOLLOWED);
    assert.match(told.at(-1) ?? '', /1 finding, 5 lines unsigned$/);
    // Who says that it was killed is told how much nobody signed.
    const killed = await verify('log', ...KEY, '--killed', 'a:6');
    assert.equal(killed.code, 0);
    assert.match(killed.said, /18 lines in 2 chains, .*: 13 lines whole and unchanged as far as it goes, 5 lines unsigned$/m);
    assert.equal((await verify('log', ...KEY, '--killed', 'a:5')).code, 1);
  });

  test('beside two real chains that go on from the same line, is found', async (t) => {
    const { verify, put, lines, path } = await open(t);
    const continues = await readChainEnd(path('log'));
    const [b, c] = [await linesOf('b', { continues }), await linesOf('c', { continues })];
    put('log', [...lines, ...b.slice(0, 2), ...c, ...b.slice(2)]);
    const { code, said } = await verify();
    assert.equal(code, 0, said);
    assert.match(said, /^keep for next time: --last b:10 --last c:10$/m);
    put('log', [...lines, ...b.slice(0, 2), ...forge(4, 'f', lines.at(-1)), ...c, ...b.slice(2)]);
    assert.match((await verify()).said, UNSIGNED);
  });

  test('is not signed by a checkpoint that is there twice', async (t) => {
    const { verify, put, lines } = await open(t);
    put('log', [...lines.slice(0, 6), ...forge(3, 'a', lines[5]), lines[5] as string]);
    const { told } = await verify();
    assert.match(told.at(-1) ?? '', /1 finding, 3 lines unsigned$/);
  });

  test('as half a line after a stop, is found though the next process found it', async (t) => {
    const { verify, put, lines, restart } = await open(t);
    put('log', lines, '{"decision":"allow"');
    await restart('b');
    assert.match((await verify()).said, /^log:12: is half a line after the end of a chain/m);
  });
});

suite('what is cut off', () => {
  test('is found once a process went on, wherever it was cut', async (t) => {
    const { verify, put, lines, restart } = await open(t);
    for (let count = 2; count < lines.length; count += 1) {
      put('log', lines.slice(0, count));
      await restart('b');
      const { code, said } = await verify();
      assert.match(said, FOLLOWED, `${count} lines left`);
      assert.equal(code, 1);
    }
  });

  test('after a process went on, breaks what that one said', async (t) => {
    const { verify, put, lines, restart } = await open(t);
    const next = await restart('b');
    put('log', [...lines.slice(0, 9), ...next]);
    assert.match(
      (await verify()).said,
      /^log:10: goes on from number 10 of the chain before, which is not here or was changed$/m,
    );
    put('log', [...next]);
    assert.equal((await verify('log', ...KEY, '--last', 'a:9')).code, 1);
    assert.equal((await verify('log', ...KEY, '--last', 'a:10')).code, 0);
  });

  test('is found by what was kept: a tail, a run, all of them, all lines', async (t) => {
    const { verify, put, lines, restart } = await open(t);
    const [b, c] = [await restart('b'), await restart('c')];
    const kept = ['--last', markOf(c.at(-1))];
    assert.match((await verify()).said, /^keep for next time: --last c:10$/m);
    assert.equal((await verify('log', ...KEY, ...kept, '--closed')).code, 0);
    for (const left of [[...lines, ...b, ...c.slice(0, 6)], [...lines, ...b], lines]) {
      put('log', left);
      // Without it nobody can know.
      assert.equal((await verify()).code, 0);
      const { code, told } = await verify('log', ...KEY, ...kept);
      assert.match(told[0] ?? '', /^c:10 was there last time/);
      assert.equal(code, 1);
    }
    await restart('d');
    assert.equal((await verify('log', ...KEY, '--closed')).code, 0);
    assert.equal((await verify('log', ...KEY, '--closed', ...kept)).code, 1);
    put('log', [...lines, ...b, ...c.slice(0, 8), ...forge(4, 'c', c[7])]);
    assert.match((await verify('log', ...KEY, ...kept)).said, /^c:10 was there last time, signed, and is not here/m);
    put('log', []);
    const { code, told } = await verify();
    assert.deepEqual([code, told[0]], [1, 'there are no lines: a process writes two as it begins']);
  });

  test('is not hidden by taking out where the next process began, which was there last time', async (t) => {
    const { verify, put, lines, restart } = await open(t);
    put('log', lines.slice(0, 6));
    const b = await restart('b');
    put('log', [...lines.slice(0, 6), ...b.slice(1)]);
    assert.match(
      (await verify('log', ...KEY, '--last', 'b:5')).said,
      /^log:7: is number 1 of a chain whose beginning is not here/m,
    );
    assert.equal((await verify('log', ...KEY, '--last', 'b:5')).code, 1);
  });

  test('is found where the file before is not given', async (t) => {
    const { verify, put, lines, restart } = await open(t);
    put('log', lines.slice(0, 8));
    const next = await restart('b');
    put('next', next);
    const { code, told } = await verify('next', ...KEY);
    assert.equal(code, 1);
    assert.match(
      told[0] ?? '',
      /^next:1: goes on from a:7, which is not here, which had not ended, 2 lines of it unsigned: killed, or cut/,
    );
    assert.equal((await verify('next', ...KEY, '--killed', 'a:7')).code, 0);
  });

  test('is not hidden by lines that changed places: a checkpoint says when it was signed', async (t) => {
    const { verify, put, lines, path } = await open(t, { ends: false });
    // Of a command that came while the first process wrote.
    const early = await linesOf('c', {
      continues: { id: 'a', seq: 5, hash: hashOf(lines[5] as string), torn: null },
      isCommand: true,
      lines: 0,
    });
    put('log', early);
    const late = await linesOf('b', { continues: await readChainEnd(path('log')), at: 5000 });
    put('log', [...lines.slice(0, 6), ...early, ...late.slice(0, 2), ...lines.slice(6), ...late.slice(2)]);
    assert.match((await verify()).said, FOLLOWED);
  });
});

suite('what honest processes leave', () => {
  test('stops and restarts: nothing', async (t) => {
    const { verify, restart } = await open(t);
    await restart('b');
    const { code, said } = await verify('log', ...KEY, '--closed', '--last', 'a:10');
    assert.equal(code, 0);
    assert.doesNotMatch(said, /note/);
  });

  for (const [name, left, torn, unsigned] of [
    ['with lines that nobody signed', 8, '', 2],
    ['with half a line', 10, '{"type":"dec', 1],
    ['right after a checkpoint', 10, '', 0],
    ['while it wrote its first lines', 1, '{"type":"checkpoint"', 2],
  ] as const) {
    test(`a kill ${name}: one finding, and a note for who knows of it`, async (t) => {
      const { verify, put, lines, restart } = await open(t);
      put('log', lines.slice(0, left), torn);
      await restart('b');
      const { code, told } = await verify();
      assert.equal(code, 1);
      assert.match(told.at(-1) ?? '', /: 1 finding/);
      const [, said] = /--killed (a:\d+)/.exec(told[0] ?? '') ?? [];
      assert.equal(said, `a:${left - 1}`);
      for (const which of [said as string, 'any']) {
        const known = await verify('log', ...KEY, '--killed', which, '--closed');
        assert.equal(known.code, 0, known.said);
        assert.match(known.said, unsigned === 0 ? /: whole and unchanged/ : new RegExp(`, ${unsigned} lines? unsigned$`, 'm'));
        assert.match(known.said, /^keep for next time: --last b:10$/m);
      }
    });
  }

  test('two that begin at once after a kill end the half line twice', async (t) => {
    const { verify, put, lines, path } = await open(t);
    put('log', lines.slice(0, 9), '{"half');
    const continues = await readChainEnd(path('log'));
    const [b, c] = [await linesOf('b', { continues }), await linesOf('c', { continues })];
    put('log', [...lines.slice(0, 9), '{"half', '', ...b, ...c]);
    const { code, said } = await verify('log', ...KEY, '--killed', 'a:8');
    assert.equal(code, 0, said);
  });

  test('a command beside a process that goes on, or is idle: notes', async (t) => {
    const { verify, put, lines, restart } = await open(t);
    for (const count of [6, 8]) {
      put('log', lines.slice(0, count));
      const command = await restart('c', { isCommand: true });
      assert.equal((await verify()).code, 0);
      put('log', [...lines.slice(0, count), ...command, ...lines.slice(count)]);
      const { code, said } = await verify('log', ...KEY, '--closed');
      assert.equal(code, 0, said);
      // Neither goes on from the last line of the other.
      assert.match(said, /^keep for next time: --last a:10 --last c:10$/m);
    }
  });

  test('a log that is copied and truncated: what was kept tells that nothing is missing', async (t) => {
    const { verify, put, lines } = await open(t);
    put('next', lines.slice(6));
    assert.equal((await verify('next', ...KEY, '--last', 'a:5')).code, 0);
    put('next', lines.slice(7));
    assert.equal((await verify('next', ...KEY)).code, 0);
    assert.match((await verify('next', ...KEY, '--last', 'a:5')).said, /^a:5 was there last time and is not here/m);
  });

  test('a file that has no checkpoint yet since it was truncated needs the one before', async (t) => {
    const { verify, put, lines } = await open(t);
    put('log', lines.slice(0, 6));
    put('next', lines.slice(6, 8));
    assert.match((await verify('next', ...KEY)).said, UNSIGNED);
    assert.equal((await verify('log', 'next', ...KEY)).code, 0);
  });

  test('chains of before say nothing of what is signed, and are read', async (t) => {
    const { verify, put, lines, path } = await open(t);
    const continues = await readChainEnd(path('log'));
    assert.deepEqual(Object.keys(continues ?? {}), ['id', 'seq', 'hash', 'torn']);
    put('log', [...lines, ...(await linesOf('b', { continues }))]);
    assert.equal((await verify()).code, 0);
    put('next', await linesOf('b', { continues }));
    assert.equal((await verify('next', ...KEY)).code, 0);
  });
});
