/** The tools of the everything-server whose call may become a task, or always does. */
import { setTimeout as sleep } from 'node:timers/promises';
import { acceptedContent, INTERNAL_ERROR, inputRequired, ProtocolError } from '@modelcontextprotocol/server';
import { type Job, knowsTasks, requireTasks } from './everything-tasks.ts';
import { type EverythingTool, stringsSchema, textResult } from './everything-tool.ts';

export const taskTools: readonly EverythingTool[] = [
  {
    name: 'slow_compute',
    description: 'Takes as long as it is told: as a task where the client knows tasks.',
    inputSchema: {
      type: 'object',
      properties: { seconds: { type: 'number' }, label: { type: 'string' } },
      required: ['seconds'],
    },
    call: ({ seconds, label = 'no label' }, ctx, { tasks }) => {
      const job: Job = async ({ signal }) => {
        await sleep(seconds * 1000, undefined, { signal });
        return textResult(`Computed for ${seconds} s (${label})`);
      };
      return knowsTasks(ctx) ? tasks.start(job) : job({ signal: ctx.mcpReq.signal, ask: cannotAsk });
    },
  },
  {
    name: 'failing_job',
    description: 'Always a task, and always one whose tool fails.',
    call: (_, ctx, { tasks }) => {
      requireTasks(ctx);
      return tasks.start(async ({ signal }) => {
        await sleep(300, undefined, { signal });
        throw new Error('This job always fails');
      });
    },
  },
  {
    name: 'protocol_error_job',
    description: 'Always a task, and always one that ends in an error of the protocol.',
    call: (_, ctx, { tasks }) => {
      requireTasks(ctx);
      return tasks.start(async () => {
        throw new ProtocolError(INTERNAL_ERROR, 'This job never gets to its tool');
      });
    },
  },
  {
    name: 'confirm_delete',
    description: 'A task that waits for a confirmation.',
    inputSchema: stringsSchema('filename'),
    call: ({ filename }, ctx, { tasks }) => {
      requireTasks(ctx);
      return tasks.start(async ({ ask }) => {
        const answers = await ask({ confirm: elicit(`Delete ${filename}?`, 'boolean', 'confirm') });
        const confirmed = acceptedContent<{ confirm?: boolean }>(answers, 'confirm')?.confirm === true;
        return textResult(`${filename} is ${confirmed ? 'deleted' : 'kept'}`);
      });
    },
  },
  {
    name: 'multi_input',
    description: 'A task that waits for two answers at once.',
    call: (_, ctx, { tasks }) => {
      requireTasks(ctx);
      return tasks.start(async ({ ask }) => {
        const answers = await ask({
          first: elicit('First name?', 'string', 'name'),
          second: elicit('Second?', 'string', 'name'),
        });
        return textResult(`Received ${Object.keys(answers).sort().join(' and ')}`);
      });
    },
  },
  {
    name: 'test_tool_with_task',
    description: 'Asks first, and becomes a task with the answer.',
    call: (_, ctx, { tasks }) => {
      requireTasks(ctx);
      const answer = acceptedContent<{ name?: string }>(ctx.mcpReq.inputResponses, 'user_name');
      if (answer === undefined) return inputRequired({ inputRequests: { user_name: elicit('Your name?', 'string', 'name') } });
      return tasks.start(async () => textResult(`Hello, ${answer.name}!`));
    },
  },
];

function elicit(message: string, type: 'string' | 'boolean', member: string) {
  const shape = type === 'string' ? { type } : { type };
  return inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties: { [member]: shape }, required: [member] },
  });
}

function cannotAsk(): never {
  throw new Error('Only a task can ask');
}
