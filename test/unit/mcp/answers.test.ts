/** A backend's answers as a whole: JSON and events, lists and errors in their place, marks and task ids. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type AnswerRules, createAnswerRewriter, kindOfAnswer } from '../../../src/mcp/answers.ts';
import { AnswerUnreadable } from '../../../src/mcp/events.ts';
import type { ListOutcome, ListRules } from '../../../src/mcp/list-answer.ts';
import { LISTS, type ListRow } from '../../../src/mcp/lists.ts';
import { deny, ok } from '../../../src/result.ts';

const TOOLS = LISTS.get('tools/list') as ListRow;
const SSE = 'text/event-stream; charset=utf-8';

interface Run {
  readonly out: string;
  readonly outcomes: readonly (readonly [reason: string | null, cause: unknown, shown: number, hidden: number])[];
}

interface Given extends Partial<Omit<AnswerRules, 'list'>> {
  readonly list?: Partial<ListRules> | null;
  readonly step?: number;
}

async function run(body: string | Buffer, given: Given): Promise<Run> {
  const { list = null, step = Number.POSITIVE_INFINITY, ...rules } = given;
  const outcomes: ListOutcome[] = [];
  const answer = createAnswerRewriter({
    contentType: 'application/json',
    maxBytes: 2000,
    marks: null,
    sealTask: null,
    ...rules,
    list:
      list === null
        ? null
        : {
            asked: { row: TOOLS, requestId: '1' },
            era: 'legacy',
            keep: async (items) => ok(items.map(({ name }) => name.startsWith('get'))),
            refuse: (id, { reason }) => `{"id":${id},"error":"${reason}"}`,
            onOutcome: (outcome) => outcomes.push(outcome),
            ...list,
          },
  });
  const bytes = Buffer.from(body as string);
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += step) out.push(await answer.push(Buffer.from(bytes.subarray(at, at + step)), false));
  out.push(await answer.push(Buffer.alloc(0), true));
  return {
    out: Buffer.concat(out).toString(),
    outcomes: outcomes.map(({ denial, shown, hidden }) => [denial?.reason ?? null, denial?.cause, shown, hidden]),
  };
}

const LIST = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"getA"},{"name":"putA"}],"x":1.10}}';
const SHORT = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"getA"}],"x":1.10}}';
const REFUSAL = '{"id":1,"error":"list_invalid"}';
const ERROR = '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"x"}}';
const PROGRESS = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1}}';
const PING = '{"jsonrpc":"2.0","id":0,"method":"ping"}';
const FILTERED = [null, undefined, 1, 1] as const;
const refused = (cause: string) => ['list_invalid', cause, 0, 0] as const;
const event = (data: string) => `event: message\ndata: ${data}\n\n`;

test('kindOfAnswer', () => {
  const kinds = ['application/json', 'Application/JSON;charset=utf-8', SSE, 'text/plain', 'application/jsonp', '', null];
  assert.deepEqual(kinds.map(kindOfAnswer), ['json', 'json', 'events', 'other', 'other', 'other', 'other']);
});

test('without a rule everything passes as it comes', async () => {
  for (const contentType of ['application/json', SSE, null])
    assert.equal((await run('data: {"id":0,\n', { contentType, step: 3 })).out, 'data: {"id":0,\n');
});

suite('a list as JSON', () => {
  test('is filtered at its end', async () => {
    for (const step of [1, 7, 1000]) assert.deepEqual(await run(LIST, { list: {}, step }), { out: SHORT, outcomes: [FILTERED] });
  });
  test('an error of the backend passes', async () => {
    assert.deepEqual(await run(ERROR, { list: {} }), { out: ERROR, outcomes: [[null, undefined, 0, 0]] });
    for (const id of ['', '"id":null,']) {
      const text = `{"jsonrpc":"2.0",${id}"error":{"code":-32600,"message":"x"}}`;
      assert.deepEqual(await run(text, { list: {} }), { out: text, outcomes: [[null, undefined, 0, 0]] });
    }
  });
  const bad: [what: string, body: string, cause: string][] = [
    ['nothing', '', 'not the answer'],
    ['cut in half', LIST.slice(0, 60), 'json_invalid'],
    ['a batch', `[${LIST}]`, 'batch_unsupported'],
    ['a notification', PROGRESS, 'not the answer'],
    ['the answer to another request', LIST.replace('"id":1', '"id":2'), 'another answer'],
    ['the answer to what a client could take for the request', LIST.replace('"id":1', '"id":"1"'), 'another answer'],
    ['a list with an error that has no id', LIST.replace('"id":1', '"error":{},"id":null'), 'another answer'],
    ['no list', '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}', 'no tools'],
    ['a name twice', LIST.replace('putA', 'getA'), 'a name twice'],
    ['a byte order mark', `\ufeff${LIST}`, 'json_invalid'],
    ['too large', `${LIST}${' '.repeat(2000)}`, 'body_too_large'],
  ];
  for (const [what, body, cause] of bad) {
    test(`${what}: one error in its place`, async () => {
      for (const step of [10, 5000])
        assert.deepEqual(await run(body, { list: {}, step }), { out: REFUSAL, outcomes: [refused(cause)] });
    });
  }
  test('bytes that are not UTF-8', async () => {
    const body = Buffer.concat([Buffer.from('"'), Buffer.from([0xff]), Buffer.from('"')]);
    assert.deepEqual((await run(body, { list: {} })).outcomes, [refused('json_invalid')]);
  });
  test('neither JSON nor events', async () => {
    for (const contentType of ['text/html', null])
      assert.deepEqual(await run(LIST, { list: {}, contentType, step: 9 }), {
        out: REFUSAL,
        outcomes: [refused('neither JSON nor events')],
      });
  });
  test('policy that fails', async () => {
    const failed = await run(LIST, { list: { keep: async () => deny({ reason: 'policy_failed' }) } });
    assert.deepEqual(failed, { out: '{"id":1,"error":"policy_failed"}', outcomes: [['policy_failed', undefined, 0, 0]] });
  });
});

suite('a list as events', () => {
  const contentType = SSE;
  test('is filtered; what is no answer passes', async () => {
    const before = `: hi\n\nid: 1\ndata:\n\n${event(PROGRESS)}`;
    const stream = `${before}id: 2\n${event(LIST)}${event(PING)}`;
    for (const step of [1, 7, 1000]) {
      const filtered = await run(stream, { contentType, list: {}, step });
      assert.deepEqual(filtered, { out: `${before}id: 2\n${event(SHORT)}${event(PING)}`, outcomes: [FILTERED] });
    }
  });
  test('data on several lines', async () => {
    const stream = `data: ${LIST.replaceAll(',"', ',\r\ndata: "')}\r\n\r\n`;
    const { out } = await run(stream, { contentType, list: {} });
    assert.equal(out, `data: ${SHORT.replaceAll(',"', ',\r\ndata: "')}\r\n\r\n`);
  });
  const bad: [what: string, stream: string, out: string, cause: string][] = [
    ['cut in half', event(LIST).slice(0, -1), '', 'ended without the answer'],
    ['ended without it', event(PROGRESS), event(PROGRESS), 'ended without the answer'],
    ['nothing', '', '', 'ended without the answer'],
    ['another answer first', event(LIST.replace('"id":1', '"id":2')) + event(LIST), '', 'another answer'],
    ['in another type of event', `event: x\ndata: [${LIST}]\n\n${event(LIST)}`, '', 'batch_unsupported'],
    ['a message that nobody can read', event(`${PROGRESS}}`) + event(LIST), '', 'json_invalid'],
    ['too large', `${event(PROGRESS)}data: ${' '.repeat(2000)}`, event(PROGRESS), 'body_too_large'],
    ['a name twice', `: a\n${event(LIST.replace('putA', 'getA'))}: b\n\n`, ': a\n', 'a name twice'],
  ];
  for (const [what, stream, out, cause] of bad) {
    test(`${what}: one error, and nothing after it`, async () => {
      for (const step of [1, 7, 5000])
        assert.deepEqual(await run(stream, { contentType, list: {}, step }), {
          out: out + event(REFUSAL),
          outcomes: [refused(cause)],
        });
    });
  }
  test('a second answer does not pass, nor anything after what cannot be read', async () => {
    const stream = event(LIST) + event(LIST) + event(ERROR) + event('{') + event(PROGRESS);
    assert.deepEqual(await run(stream, { contentType, list: {} }), { out: event(SHORT), outcomes: [FILTERED] });
  });
});

suite('lists that come again', () => {
  const list = { asked: null };
  const contentType = SSE;
  test('are filtered whatever their id, by what they hold', async () => {
    const prompts = '{"id":"a","result":{"prompts":[{"name":"x"}]}}';
    const stream = event(PING) + event(LIST) + event(prompts) + event(LIST);
    const { out, outcomes } = await run(stream, { contentType, list, step: 5 });
    assert.equal(out, event(PING) + event(SHORT) + event('{"id":"a","result":{"prompts":[]}}') + event(SHORT));
    assert.deepEqual(outcomes, [FILTERED, [null, undefined, 0, 1], FILTERED]);
  });
  test('are replaced where they cannot be shown; the stream goes on', async () => {
    const stream = `id: 9\n${event('{"id":"a","result":{"tools":7}}')}${event(PING)}`;
    const { out, outcomes } = await run(stream, { contentType, list });
    assert.equal(out, `id: 9\n${event('{"id":"a","error":"list_invalid"}')}${event(PING)}`);
    assert.deepEqual(outcomes, [refused('no tools')]);
  });
  test('two lists, or one beside what a tool answers, do not pass', async () => {
    const members = { 'prompts beside tools': '"prompts":[]', 'tools beside content': '"content":[]' };
    for (const [cause, member] of Object.entries(members)) {
      const stream = event(LIST.replace('"x":1.10', member)) + event(LIST);
      const { out, outcomes } = await run(stream, { contentType, list });
      assert.equal(out, event(REFUSAL) + event(SHORT));
      assert.deepEqual(outcomes, [refused(cause), FILTERED]);
    }
  });
  test('what a tool answers is no list', async () => {
    const text = event('{"id":1,"result":{"content":[],"tools":7}}');
    assert.deepEqual(await run(text, { contentType, list }), { out: text, outcomes: [] });
  });
  test('nothing need come', async () => assert.deepEqual(await run('', { contentType, list }), { out: '', outcomes: [] }));
  test('what cannot be read is thrown', () => assert.rejects(run(event('{'), { contentType, list }), AnswerUnreadable));
});

suite('marks and task ids', () => {
  const marks = 'ledger';
  const sealTask = (id: string) => `~${id}~`;
  const request = '{"id":0,"method":"x","params":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}}';
  const changed = '{"id":"ledger~0","method":"x","params":{"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"~t~"}}}}';
  test('in events, with their ids', async () => {
    const stream = `id: 1\ndata:\n\nid: 2\ndata: ${request}\n\nid\nevent: other\ndata: {\n\ndata: ${ERROR}\n\n`;
    for (const step of [1, 7, 1000]) {
      assert.equal(
        (await run(stream, { contentType: SSE, marks, sealTask, step })).out,
        `id: ledger~1\ndata:\n\nid: ledger~2\ndata: ${changed}\n\nid\nevent: other\ndata: {\n\ndata: ${ERROR}\n\n`,
      );
    }
  });
  test('in JSON', async () => assert.equal((await run(request, { marks, sealTask, step: 9 })).out, changed));
  test('together with a list', async () => {
    const stream = `${event(PING)}id: 4\n${event(LIST)}`;
    const { out } = await run(stream, { contentType: SSE, marks, sealTask, list: {} });
    assert.equal(out, `${event(PING.replace('0,', '"ledger~0",'))}id: ledger~4\n${event(SHORT)}`);
  });
  test('no body, and what is no message, pass', async () => {
    assert.equal((await run('', { marks })).out, '');
    assert.equal((await run('{"error":"invalid_token"}', { marks, sealTask })).out, '{"error":"invalid_token"}');
    assert.equal(
      (await run('upstream connect error', { marks, sealTask, contentType: 'text/plain' })).out,
      'upstream connect error',
    );
  });
  const unreadable: [what: string, body: string, fault: string][] = [
    ['no JSON', '{"id":0', 'json_invalid'],
    ['a key twice', '{"id":0,"id":1,"method":"x"}', 'json_duplicate_key'],
    ['a batch', `[${request}]`, 'batch_unsupported'],
    ['no message', '7', 'message_invalid'],
    ['too large', `${request}${' '.repeat(2000)}`, 'body_too_large'],
  ];
  for (const [what, body, fault] of unreadable) {
    test(`${what}: thrown, as JSON and as an event`, async () => {
      for (const given of [{ marks }, { sealTask }, { marks, contentType: SSE }]) {
        const text = 'contentType' in given ? `data: ${body}\n\n` : body;
        await assert.rejects(run(text, given), (error) => error instanceof AnswerUnreadable && error.fault === fault);
      }
    });
  }
  test('an event cut in half does not pass', async () =>
    assert.equal((await run(`data: ${PING}\n`, { marks, contentType: SSE })).out, ''));
  test('a number that no double holds is no fault', async () => {
    const text = '{"id":1,"result":{"x":9223372036854775807}}';
    assert.equal((await run(text, { marks, sealTask })).out, text);
  });
});
