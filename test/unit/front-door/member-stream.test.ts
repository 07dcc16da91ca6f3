import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type FollowTimes, followMember, type MemberStream } from '../../../src/front-door/member-stream.ts';
import { BackendRefused } from '../../../src/front-door/visit.ts';

/** Plays one answer after the other and says what came of it. */
async function follow(answers: (Response | Error)[], { lasts = 0, stopAfter = 100 } = {}) {
  const leaving = new AbortController();
  const asked: (string | null)[] = [];
  const waited: number[] = [];
  const troubles: unknown[] = [];
  const none: (number | null)[] = [];
  const stream: MemberStream = {
    lastId: null,
    maxEventBytes: 1000,
    open: async (lastId) => {
      asked.push(lastId);
      const answer = answers.shift() ?? new Response(null, { status: 405 });
      if (answer instanceof Error) throw answer;
      return answer;
    },
    take: async () => {},
    onOpen: () => {},
    onEnd: () => true,
    onNone: (status) => none.push(status),
    onTrouble: (cause) => troubles.push(cause),
  };
  let now = 0;
  const times: FollowTimes = {
    // Looked at when a stream begins and when it ends.
    clock: () => {
      now += lasts;
      return now;
    },
    wait: async (ms) => {
      waited.push(ms);
      if (waited.length >= stopAfter) leaving.abort();
    },
  };
  await followMember(stream, leaving.signal, times);
  return { asked, waited, troubles, none };
}

const stream = (text: string) => new Response(text, { headers: { 'content-type': 'text/event-stream' } });
const silent = () => stream(':\n\n');

suite('a stream that is taken up again', () => {
  test('from its last event on, after the time that it asks for', async () => {
    const { asked, waited } = await follow([stream('id: 1\ndata: a\n\nid: 2\nretry: 300\ndata: b\n\n'), stream('data: c\n\n')]);
    assert.deepEqual(
      [asked, waited],
      [
        [null, '2', '2'],
        [300, 300],
      ],
    );
  });

  test('not at once, whatever it asks for', async () => {
    assert.deepEqual((await follow([stream('id: 1\nretry: 0\ndata: a\n\n')])).waited, [50]);
  });

  test('more and more seldom while it brings nothing, but for ever', async () => {
    const { waited } = await follow(Array.from({ length: 8 }, silent));
    assert.deepEqual(waited, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });

  test('soon again where it lasted, though it was silent', async () => {
    const { waited } = await follow(Array.from({ length: 3 }, silent), { lasts: 5000 });
    assert.deepEqual(waited, [1000, 1000, 1000]);
  });

  test('not while nothing answers for too long', async () => {
    const { waited, troubles, none } = await follow(Array.from({ length: 9 }, () => new TypeError('fetch failed')));
    assert.deepEqual([waited.length, troubles.length, none.length], [6, 6, 6]);
    const broken = await follow(Array.from({ length: 9 }, () => new Response('oops', { status: 502 })));
    assert.deepEqual([broken.waited.length, broken.troubles.length], [6, 6]);
  });

  test('not where there is none, or policy forbids it, which is no trouble', async () => {
    for (const answer of [new Response(null, { status: 404 }), Response.json({}), new BackendRefused('policy_denied')]) {
      const { asked, waited, troubles } = await follow([answer]);
      assert.deepEqual([asked.length, waited, troubles], [1, [], []]);
    }
  });

  test('not once the client has left', async () => {
    const { asked } = await follow([silent(), silent(), silent()], { stopAfter: 1 });
    assert.equal(asked.length, 1);
  });
});
