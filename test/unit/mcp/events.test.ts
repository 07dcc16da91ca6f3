/** Server-sent events on their way through: what is seen of them, what goes on, and how they may be cut. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  createEventRewriter,
  type EventChange,
  type EventRules,
  type ServerSentEvent,
  writeEvent,
} from '../../../src/mcp/events.ts';
import { cpuMs } from '../support/cpu.ts';

interface Run {
  readonly out: string;
  readonly seen: readonly ServerSentEvent[];
  readonly fault: string | null;
}

async function run(
  stream: string | Buffer,
  rewrite: (event: ServerSentEvent) => EventChange = () => 'keep',
  { step = Number.POSITIVE_INFINITY, maxEventBytes = 1000 } = {},
): Promise<Run> {
  const seen: ServerSentEvent[] = [];
  const events = createEventRewriter({
    maxEventBytes,
    rewrite: (event) => {
      seen.push(event);
      return rewrite(event);
    },
  });
  const bytes = Buffer.from(stream as string);
  const out: Buffer[] = [];
  let fault: string | null = null;
  for (let at = 0; at < bytes.length; at += step) {
    // Written over afterwards, as a sender may.
    const piece = Buffer.from(bytes.subarray(at, at + step));
    const pushed = await events.push(piece);
    piece.fill(0x58);
    out.push(pushed.bytes);
    fault = pushed.fault?.fault ?? null;
  }
  return { out: Buffer.concat(out).toString(), seen, fault };
}

const event = (data: string | null, id: string | null = null, type: string | null = null, retry: number | null = null) => ({
  type,
  data,
  id,
  retry,
});

suite('what is seen', () => {
  const streams: [what: string, stream: string, events: ServerSentEvent[]][] = [
    ['data', 'data: x\n\n', [event('x')]],
    ['type, id and data', 'event: message\nid: 7\ndata: {"a":1}\n\n', [event('{"a":1}', '7', 'message')]],
    ['no space after the colon', 'data:x\nid:7\n\n', [event('x', '7')]],
    ['two spaces after the colon', 'data:  x\n\n', [event(' x')]],
    ['lines of data', 'data: {\ndata:  "a":1\ndata\ndata: }\n\n', [event('{\n "a":1\n\n}')]],
    ['a field without a colon', 'data\n\n', [event('')]],
    ['an event that only has an id (SEP-1699)', 'id: 7\ndata:\n\n', [event('', '7')]],
    ['the last id and type count', 'id: 1\nid: 2\nevent: a\nevent: b\n\n', [event(null, '2', 'b')]],
    ['an id with a NUL is none', 'id: 1\nid: a\0b\n\n', [event(null, '1')]],
    ['when to come again', 'retry: 50\nretry: soon\ndata: x\n\n', [event('x', null, null, 50)]],
    ['an empty id', 'id\ndata: x\n\n', [event('x', '')]],
    ['comments within', 'data: a\n: no\ndata: b\n\n', [event('a\nb')]],
    ['comments alone', ': ping\n\n:\n\n', []],
    ['blank lines alone', '\n\r\r\n', []],
    ['CR', 'data: a\rid: 1\r\rdata: b\r\r', [event('a', '1'), event('b')]],
    ['CRLF', 'data: a\r\nid: 1\r\n\r\ndata: b\r\n\r\n', [event('a', '1'), event('b')]],
    ['line ends of every kind', 'data: a\r\ndata: b\rdata: c\n\r\ndata: d\n\r', [event('a\nb\nc'), event('d')]],
    ['a byte order mark', '\ufeffdata: a\n\n', [event('a')]],
    ['a byte order mark further on', '\n\ufeffdata: a\n\n', [event(null)]],
    ['names in another case, or with a space', 'Data: a\n data: b\ndata : c\n\n', [event(null)]],
    ['characters of several bytes', 'data: 値😀\nid: é\n\n', [event('値😀', 'é')]],
  ];
  for (const [what, stream, events] of streams) {
    test(what, async () => {
      const whole = await run(stream);
      assert.deepEqual(whole, { out: stream, seen: events, fault: null });
      for (const step of [1, 2, 3]) assert.deepEqual(await run(stream, undefined, { step }), whole, `in pieces of ${step}`);
    });
  }
});

suite('what goes on', () => {
  test('an event is held back until it is whole', async () => {
    const events = createEventRewriter({ maxEventBytes: 1000, rewrite: () => 'keep' });
    const push = async (text: string) => (await events.push(Buffer.from(text))).bytes.toString();
    assert.equal(await push('data: a\n'), '');
    assert.equal(await push('\nda'), 'data: a\n\n');
    assert.equal(await push('ta: b\r\n\r'), 'data: b\r\n\r');
    assert.equal(await push('\n'), '\n');
  });
  test('comments do not wait for an event', async () => {
    const events = createEventRewriter({ maxEventBytes: 8, rewrite: () => 'keep' });
    for (let time = 0; time < 9; time++) assert.equal((await events.push(Buffer.from(':ping\n'))).bytes.toString(), ':ping\n');
  });
  test('what was not ended does not go on', async () => {
    assert.equal((await run('data: a\n\ndata: b\n')).out, 'data: a\n\n');
  });
  test('a dropped event takes its line ends with it', async () => {
    const stream = ': c\r\ndata: a\r\n\r\ndata: b\r\n\r\n';
    for (const step of [1, 2, 3, 100]) {
      const dropped = await run(stream, ({ data }) => (data === 'a' ? 'drop' : 'keep'), { step });
      assert.equal(dropped.out, ': c\r\ndata: b\r\n\r\n');
    }
  });
  test('nothing after an end', async () => {
    for (const step of [1, 2, 3, 100]) {
      const ended = await run(
        'data: a\n\n: c\ndata: b\r\n\r\n: d\n\ndata: c\n\n',
        ({ data }) => (data === 'b' ? 'end' : 'keep'),
        {
          step,
        },
      );
      assert.deepEqual([ended.out, ended.seen.length, ended.fault], ['data: a\n\n: c\n', 2, null]);
    }
  });
  test('changed data: in the place of the first line, with its line end', async () => {
    const stream = 'retry: 5\r\ndata: a\r\nid: 1\r\ndata: b\r\nx: y\r\n\r\n';
    for (const step of [1, 2, 3, 100]) {
      const changed = await run(stream, ({ data }) => ({ data: `${data}!` }), { step });
      assert.equal(changed.out, 'retry: 5\r\ndata: a\r\ndata: b!\r\nid: 1\r\nx: y\r\n\r\n');
    }
  });
  test('a changed id: once, and data as it was', async () => {
    const changed = await run('id:1\rdata:a\rid:a\0b\rdata\r\r', ({ id }) => ({ id: `m~${id}` }));
    assert.equal(changed.out, 'id: m~1\rdata:a\rdata\r\r');
  });
  test('lines named as what every object has go on as they are', async () => {
    const others = '__proto__: x\nconstructor: y\ntoString\n';
    assert.equal((await run(`${others}data: a\n\n`, () => ({ data: 'b', id: 'c' }))).out, `${others}data: b\n\n`);
  });
  test('an event of ours is one event', async () => {
    assert.deepEqual((await run(writeEvent('{"a":\n1}'))).seen, [event('{"a":\n1}', null, 'message')]);
  });
});

suite('what is refused', () => {
  test('an event that is too large; those before it go on', async () => {
    for (const step of [1, 5, 1000]) {
      const tooLarge = await run(`data: a\n\ndata: ${'b'.repeat(20)}\n\ndata: c\n\n`, undefined, { step, maxEventBytes: 20 });
      assert.deepEqual([tooLarge.out, tooLarge.fault], ['data: a\n\n', 'body_too_large']);
    }
  });
  test('one of just the size goes on', async () =>
    assert.equal((await run('data: a\n\n', undefined, { maxEventBytes: 9 })).fault, null));
  test('many lines are one event', async () => {
    assert.equal((await run('data\n'.repeat(50), undefined, { maxEventBytes: 100 })).fault, 'body_too_large');
  });
  test('more than 1,024 lines are one event too many, whatever they are', async () => {
    for (const line of ['data\n', 'x\n', 'id: 1\r\n']) {
      const rules = { maxEventBytes: 100_000 };
      assert.equal((await run(`${line.repeat(1024)}\n`, undefined, rules)).fault, null);
      const refused = await run(`data: a\n\n${line.repeat(1025)}\n`, undefined, rules);
      assert.deepEqual([refused.out, refused.fault], ['data: a\n\n', 'body_too_large']);
    }
    assert.equal((await run(':\n'.repeat(3000), undefined, { maxEventBytes: 10 })).fault, null);
  });
  test('bytes that are not UTF-8', async () => {
    const broken = await run(Buffer.concat([Buffer.from('data: a\n\ndata: '), Buffer.from([0xe9]), Buffer.from('\n\n')]));
    assert.deepEqual([broken.out, broken.fault], ['data: a\n\n', 'json_invalid']);
  });
  test('what a rule throws on its own is no fault of the stream', async () => {
    await assert.rejects(
      run('data: a\n\n', () => {
        throw new RangeError('bug');
      }),
      RangeError,
    );
  });
});

test('many lines in one piece, and many pieces of one line, take linear time', async () => {
  const rules: EventRules = { maxEventBytes: 1 << 24, rewrite: () => 'keep' };
  const started = cpuMs();
  const lines = await createEventRewriter(rules).push(Buffer.from(`${'data: x\n'.repeat(1000)}\n`.repeat(200)));
  const pieces = createEventRewriter(rules);
  for (let time = 0; time < 100_000; time++) await pieces.push(Buffer.from('data: x'));
  assert.equal(lines.bytes.length, 1_600_200);
  assert.equal((await pieces.push(Buffer.from('\n\n'))).bytes.length, 700_002);
  assert.ok(cpuMs() - started < 5000);
});
