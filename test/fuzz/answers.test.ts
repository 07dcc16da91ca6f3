/** Whatever a backend answers: what is shown is what may be, what is not changed keeps its bytes, and no cut of them matters. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { createAnswerRewriter } from '../../src/mcp/answers.ts';
import { AnswerUnreadable, createEventRewriter, type ServerSentEvent } from '../../src/mcp/events.ts';
import { readJsonText } from '../../src/mcp/json.ts';
import { ANSWER_LIMITS, LISTS, type ListItem, type ListRow } from '../../src/mcp/lists.ts';
import { readMarkedId } from '../../src/mcp/marks.ts';
import { elementSpans, findSpan, type Path, splice, toBytes } from '../../src/mcp/spans.ts';
import { ok } from '../../src/result.ts';
import { filterList } from '../unit/mcp/filter-list.ts';
import { document, message } from './messages.ts';
import { runs } from './runs.ts';

/** Text that the strict reader takes. */
const strict = (text: fc.Arbitrary<string>) => text.filter((source) => readJsonText(source, ANSWER_LIMITS).ok);

const TOOLS = LISTS.get('tools/list') as ListRow;
const names = fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }), { maxLength: 6 });
const space = fc.constantFrom('', '', ' ', '\n\t');

interface Item {
  readonly name: string;
  readonly text: string;
  readonly isKept: boolean;
}

const items: fc.Arbitrary<Item[]> = names.chain((all) =>
  fc.tuple(
    ...all.map((name) =>
      fc.tuple(strict(document), space, fc.boolean(), fc.boolean()).map(([more, gap, isFirst, isKept]) => {
        const members = [`"name"${gap}:${JSON.stringify(name)}`, `"inputSchema":${more}`];
        return { name, isKept, text: `${gap}{${(isFirst ? members : members.reverse()).join(`${gap},`)}}${gap}` };
      }),
    ),
  ),
);

suite('spans', () => {
  /** Every value in it, by where it stands. */
  function judge(text: string, value: unknown, path: Path): number {
    const span = findSpan(text, path);
    assert.ok(span, JSON.stringify(path));
    assert.deepEqual(JSON.parse(text.slice(...span)), value);
    assert.equal(
      Buffer.from(text)
        .subarray(...toBytes(text, span))
        .toString(),
      text.slice(...span),
    );
    const replaced = splice(text, [{ span, put: '"put"' }]);
    assert.equal(replaced, `${text.slice(0, span[0])}"put"${text.slice(span[1])}`);
    JSON.parse(replaced);
    if (typeof value !== 'object' || value === null) return 1;
    if (Array.isArray(value)) assert.equal(elementSpans(text, span).length, value.length);
    const inner = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
    return inner.reduce((count, [step, one]) => count + judge(text, one, [...path, step]), 1);
  }
  test('of every value in any document', () => {
    let values = 0;
    fc.assert(
      fc.property(strict(fc.oneof(document, message)), (text) => {
        values += judge(text, JSON.parse(text), []);
      }),
      runs(1500),
    );
    assert.ok(values > 1500, `${values}`);
  });
});

suite('lists', () => {
  test('reading what was filtered is filtering what was read', async () => {
    let hidden = 0;
    await fc.assert(
      fc.asyncProperty(items, strict(document), fc.constantFrom('legacy', 'modern'), async (all, more, era) => {
        const write = (some: readonly Item[], scope: string) =>
          `{"id":7,"jsonrpc":"2.0","result":{${scope}"_meta":${more},"tools":[${some.map(({ text }) => text).join(',')}]}}`;
        const keep = async (asked: readonly ListItem[]) => {
          assert.deepEqual(
            asked.map(({ name }) => name),
            all.map(({ name }) => name),
          );
          return ok(all.map(({ isKept }) => isKept));
        };
        const filtered = await filterList(write(all, ''), { row: TOOLS, requestId: '7', era, keep });
        assert.ok(filtered.ok);
        const kept = all.filter(({ isKept }) => isKept);
        const scope = era === 'modern' ? '"cacheScope":"private",' : '';
        assert.deepEqual(JSON.parse(filtered.value.text), JSON.parse(write(kept, scope)));
        for (const { text } of kept) assert.ok(filtered.value.text.includes(text.trim()));
        assert.deepEqual([filtered.value.shown, filtered.value.hidden], [kept.length, all.length - kept.length]);
        hidden += filtered.value.hidden;
      }),
      runs(1500),
    );
    assert.ok(hidden > 0);
  });
});

const line = fc.oneof(
  fc.constantFrom(
    'data',
    'data:',
    'data: ',
    'id: 1',
    'id',
    'id: a\0',
    'event: message',
    'event: x',
    ': c',
    'retry: 1',
    'x',
    '',
    '',
    '',
  ),
  fc.constantFrom('data: 値', 'data: {"id":0,"method":"ping"}', 'data:{"id":1,', 'data: "result":{}}', '\ufeffdata: x'),
  message.map((text) => `data: ${text.replace(/[\r\n]/g, ' ')}`),
);
const stream = fc
  .array(fc.tuple(line, fc.constantFrom('\n', '\n', '\r', '\r\n')), { maxLength: 24 })
  .map((lines) => Buffer.from(lines.map((parts) => parts.join('')).join('')));
const cuts = fc.array(fc.nat(200), { maxLength: 40 });

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [0, ...at.filter((place) => place < bytes.length).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => Buffer.from(bytes.subarray(places[index], end)));
}

suite('events', () => {
  test('go on the same however they are cut', async () => {
    let events = 0;
    const rewrite = (seen: ServerSentEvent[]) => (event: ServerSentEvent) => {
      seen.push(event);
      events++;
      if (event.type === 'x') return 'drop' as const;
      return event.id === null ? ('keep' as const) : { id: `m~${event.id}`, data: `${event.data}!` };
    };
    const play = async (pieces: readonly Buffer[]) => {
      const seen: ServerSentEvent[] = [];
      const rewriter = createEventRewriter({ maxEventBytes: 400, rewrite: rewrite(seen) });
      const pushed: Awaited<ReturnType<typeof rewriter.push>>[] = [];
      for (const piece of pieces) pushed.push(await rewriter.push(piece));
      const fault = pushed.at(-1)?.fault?.fault ?? null;
      return { seen, fault, out: Buffer.concat(pushed.map(({ bytes }) => bytes)).toString('latin1') };
    };
    await fc.assert(
      fc.asyncProperty(stream, cuts, async (bytes, at) => assert.deepEqual(await play(cut(bytes, at)), await play([bytes]))),
      runs(2000),
    );
    assert.ok(events > 500, `${events}`);
  });
  test('that nobody changes keep every byte up to the last blank line', async () => {
    await fc.assert(
      fc.asyncProperty(stream, cuts, async (bytes, at) => {
        const rewriter = createEventRewriter({ maxEventBytes: 100_000, rewrite: () => 'keep' });
        const passed: Buffer[] = [];
        for (const piece of cut(bytes, at)) passed.push((await rewriter.push(piece)).bytes);
        const out = Buffer.concat(passed);
        assert.deepEqual(out, bytes.subarray(0, out.length));
        const { bytes: held, fault } = await rewriter.push(Buffer.from('\n\n'));
        if (fault === null) assert.deepEqual(Buffer.concat([out, held]), Buffer.concat([bytes, Buffer.from('\n\n')]));
      }),
      runs(1000),
    );
  });
});

suite('answers', () => {
  /** @param isAsked whether a list was asked for. */
  async function play(
    pieces: readonly Buffer[],
    contentType: string,
    isAsked: boolean,
  ): Promise<{ text: string; outcomes: number }> {
    let outcomes = 0;
    const answer = createAnswerRewriter({
      contentType,
      maxBytes: 100_000,
      marks: 'ledger',
      sealTask: (id) => `sealed ${id}`,
      list: {
        asked: isAsked ? { row: TOOLS, requestId: '1' } : null,
        era: 'legacy',
        keep: async (all) => ok(all.map(() => false)),
        refuse: (id) => `{"jsonrpc":"2.0","id":${id},"error":{"code":0,"message":"refused"}}`,
        onOutcome: () => outcomes++,
      },
    });
    const out: Buffer[] = [];
    for (const piece of pieces) out.push(await answer.push(piece, false));
    out.push(await answer.push(Buffer.alloc(0), true));
    return { text: Buffer.concat(out).toString(), outcomes };
  }

  test('of any kind: a list that was asked for comes to an end once, whatever comes and however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        stream,
        cuts,
        fc.constantFrom('text/event-stream', 'application/json', 'text/plain'),
        async (bytes, at, type) => {
          const whole = await play([bytes], type, true);
          assert.equal(whole.outcomes, 1);
          assert.deepEqual(await play(cut(bytes, at), type, true), whole);
          if (type !== 'text/event-stream') JSON.parse(whole.text);
        },
      ),
      runs(1500),
    );
  });

  test('every request of a backend is marked, and its mark leads back', async () => {
    let marked = 0;
    await fc.assert(
      fc.asyncProperty(message, async (text) => {
        let out: string;
        try {
          out = (await play([Buffer.from(text)], 'application/json', false)).text;
        } catch (error) {
          assert.ok(error instanceof AnswerUnreadable);
          return;
        }
        const before = readJsonText(text, ANSWER_LIMITS);
        const after = JSON.parse(out);
        assert.ok(before.ok);
        const id = before.value.members.get('id');
        if (id === undefined || typeof after.method !== 'string' || after.id === null) return;
        const token = text.slice(...id);
        assert.equal(after.id, `ledger~${token}`);
        if (/^("|-?\d+$)/.test(token)) {
          assert.deepEqual(readMarkedId(after.id), { mark: 'ledger', rest: token });
          marked++;
        }
      }),
      runs(1500),
    );
    assert.ok(marked > 100, `${marked}`);
  });
});
