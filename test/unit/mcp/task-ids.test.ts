/** Task ids of a server: found at the places that MCP and its Tasks extension name, and at no other. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readJsonText } from '../../../src/mcp/json.ts';
import { splice } from '../../../src/mcp/spans.ts';
import { replaceTaskIds } from '../../../src/mcp/task-ids.ts';
import { cpuMs } from '../support/cpu.ts';

const RELATED = 'io.modelcontextprotocol/related-task';

function replace(message: object): unknown {
  const text = JSON.stringify(message);
  const document = readJsonText(text, { maxDepth: 64 });
  assert.ok(document.ok);
  return JSON.parse(
    splice(
      text,
      replaceTaskIds(document.value, (id) => `sealed "${id}"`),
    ),
  );
}

/** A message that a function makes with one id before and another after. */
const of = (make: (id: string) => object) => () => assert.deepEqual(replace(make('t')), make('sealed "t"'));
const task = (taskId: string) => ({ taskId, status: 'working', ttl: null });
const response = (result: object) => ({ jsonrpc: '2.0', id: 1, result });

suite('replaced', () => {
  test(
    'tasks/get and the created task of 2026-07-28',
    of((id) => response({ resultType: 'task', ...task(id) })),
  );
  test(
    'the created task of 2025-11-25',
    of((id) => response({ task: task(id), _meta: {} })),
  );
  test(
    'tasks/list',
    of((id) => response({ tasks: [task(id), { status: 'x' }, 'y', task(id)], nextCursor: 't' })),
  );
  test(
    'the related task of a result',
    of((id) => response({ content: [], _meta: { [RELATED]: { taskId: id } } })),
  );
  for (const method of ['notifications/tasks', 'notifications/tasks/status'])
    test(
      method,
      of((id) => ({ method, params: task(id) })),
    );
  test(
    'the related task of a request and of a notification',
    of((id) => ({ id: 1, method: 'elicitation/create', params: { _meta: { [RELATED]: { taskId: id } } } })),
  );
  test(
    'the tasks that a subscription is granted',
    of((id) => ({
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications: { toolsListChanged: true, taskIds: [id, 7, id] } },
    })),
  );
  test('escapes in an id are read', () => {
    const text = '{"id":1,"result":{"task\\u0049d":"\\u0074"}}';
    const document = readJsonText(text, { maxDepth: 64 });
    assert.ok(document.ok);
    assert.equal(
      splice(
        text,
        replaceTaskIds(document.value, (id) => id.toUpperCase()),
      ),
      '{"id":1,"result":{"task\\u0049d":"T"}}',
    );
  });
});

suite('left alone', () => {
  const messages = {
    'content and what is structured': response({
      content: [{ type: 'text', taskId: 't', _meta: { [RELATED]: { taskId: 't' } } }],
      structuredContent: { taskId: 't', task: task('t') },
    }),
    'what a finished task returned': response({ result: { taskId: 't' } }),
    'a request about the client’s task': { id: 1, method: 'tasks/get', params: { taskId: 't' } },
    arguments: { id: 1, method: 'sampling/createMessage', params: { arguments: { taskId: 't' }, task: { ttl: 1 } } },
    'another notification': { method: 'notifications/message', params: { taskId: 't', data: { taskId: 't' } } },
    'ids that are no text': response({ taskId: 7, task: 'x', tasks: { taskId: 't' }, _meta: [] }),
    'an error': { id: 1, error: { code: 1, message: 'x', data: { taskId: 't' } } },
    'the root': { id: 1, taskId: 't', result: {} },
    'no object': ['taskId'],
  };
  for (const [what, message] of Object.entries(messages)) test(what, () => assert.deepEqual(replace(message), message));
});

test('a long list takes linear time', () => {
  const tasks = Array.from({ length: 20_000 }, (_, at) => task(`t${at}`));
  const started = cpuMs();
  const { result } = replace(response({ tasks })) as { result: { tasks: { taskId: string }[] } };
  assert.equal(result.tasks[19_999]?.taskId, 'sealed "t19999"');
  assert.ok(cpuMs() - started < 3000);
});
