import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { applyMask, type Event, escapePart, readMaskRules } from '../../../src/decision-log/mask-rules.ts';

const event = () => ({
  decision_id: 'd',
  input: { a: { b: [1, { c: 2 }, 3] }, 'x y': 1, list: ['p', 'q'] },
  result: { allow: true },
});

function masked(rules: unknown, of: Event = event()): Event {
  applyMask(of, readMaskRules(rules));
  return of;
}

suite('a mask', () => {
  test('erases what a path leads to, and says so', () => {
    const { input, erased, masked: put } = masked(['/input/a/b/1/c', '/result/allow']);
    assert.deepEqual(input, { a: { b: [1, {}, 3] }, 'x y': 1, list: ['p', 'q'] });
    assert.deepEqual(erased, ['/input/a/b/1/c', '/result/allow']);
    assert.equal(put, undefined);
  });

  test('erases items of lists, and whole documents', () => {
    assert.deepEqual((masked(['/input/list/0']).input as Event).list, ['q']);
    const whole = masked(['/input', '/result']);
    assert.ok(!('input' in whole) && !('result' in whole));
    assert.deepEqual(whole.erased, ['/input', '/result']);
  });

  test('puts something in a place, also in one that was not there', () => {
    const { input, masked: put } = masked([
      { op: 'upsert', path: '/input/a/b/0', value: '**' },
      { op: 'upsert', path: '/input/new/deep', value: { v: 1 } },
      { op: 'upsert', path: '/result', value: null },
    ]);
    assert.deepEqual((input as { a: { b: unknown[] } }).a.b[0], '**');
    assert.deepEqual((input as Event).new, { deep: { v: 1 } });
    assert.deepEqual(put, ['/input/a/b/0', '/input/new/deep', '/result']);
  });

  test('leaves alone what is not there', () => {
    const before = event();
    const after = masked([
      '/input/nothing',
      '/input/a/b/7',
      '/input/a/b/x',
      '/input/list/0/deeper',
      '/nd_builtin_cache/http.send',
      { op: 'upsert', path: '/input/a/b/7', value: 1 },
      { op: 'upsert', path: '/nd_builtin_cache/x', value: 1 },
      { op: 'upsert', path: '/result/allow/deeper', value: 1 },
    ]);
    assert.deepEqual(after, before);
  });

  test('adds to what was erased before', () => {
    assert.deepEqual(masked(['/result'], { ...event(), erased: ['/input/mcp/arguments/x'] }).erased, [
      '/input/mcp/arguments/x',
      '/result',
    ]);
  });

  test("looks for names as OPA does: percent-encoded, without JSON pointer's tilde", () => {
    assert.ok('x y' in (masked(['/input/x y']).input as Event));
    const of = { input: { 'a~1b': 1, 'c%20d': 2 } };
    assert.deepEqual(masked(['/input/a~1b'], of).input, { 'c%20d': 2 });
  });

  test('reaches what is ours and names people', () => {
    const of = masked(['/subject', '/http/path'], { ...event(), subject: 's', http: { path: '/p', method: 'GET' } });
    assert.ok(!('subject' in of));
    assert.deepEqual(of.http, { method: 'GET' });
  });

  test('does not reach prototypes', () => {
    masked([{ op: 'upsert', path: '/input/__proto__/polluted', value: 1 }]);
    assert.equal(({} as Event).polluted, undefined);
  });

  for (const [name, rules] of [
    ['no list', { a: 1 }],
    ['a number', [1]],
    ['a path without a slash', ['input/a']],
    ['an empty path', ['']],
    ['a path elsewhere', ['/decision_id']],
    ['a broken escape', ['/input/%zz']],
    ['no op', [{ path: '/input/a' }]],
    ['an op that there is not', [{ op: 'replace', path: '/input/a' }]],
    ['a path that is no text', [{ op: 'remove', path: 1 }]],
  ] as const) {
    test(`is void as a whole with ${name}`, () => {
      assert.throws(() => readMaskRules(rules), TypeError);
    });
  }

  test("writes names as Go's url.PathEscape does", () => {
    const text = "az09-_.~$&+:=@/;,?!'()*%é\u0001 ";
    assert.equal(escapePart(text), 'az09-_.~$&+:=@%2F%3B%2C%3F%21%27%28%29%2A%25%C3%A9%01%20');
  });
});
