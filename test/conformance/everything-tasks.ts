/**
 * The Tasks extension of the everything-server (SEP-2663), by hand because the SDK has none: tools whose call may become a
 * task, where these are kept, and the three methods that look at them, feed them and end them.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  acceptedContent,
  type CallToolResult,
  INTERNAL_ERROR,
  INVALID_PARAMS,
  type InputRequests,
  type InputResponses,
  inputRequired,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  type Server,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { clientCapabilities, type EverythingTool, stringsSchema, textResult, type World } from './everything-tool.ts';

export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

const TTL_MS = 600_000;
const POLL_INTERVAL_MS = 100;

/** What a job may do while it runs as a task: wait, give up when it is cancelled, and ask. */
interface TaskRun {
  readonly signal: AbortSignal;
  /** Parks the task until each question has its answer. */
  readonly ask: (inputRequests: InputRequests) => Promise<InputResponses>;
}

type Job = (run: TaskRun) => Promise<CallToolResult>;

interface Task {
  readonly taskId: string;
  readonly createdAt: string;
  lastUpdatedAt: string;
  status: 'working' | 'input_required' | 'completed' | 'failed' | 'cancelled';
  readonly controller: AbortController;
  open: InputRequests;
  readonly answers: InputResponses;
  resume: () => void;
  result?: CallToolResult;
  error?: { code: number; message: string };
}

export type TaskStore = ReturnType<typeof createTaskStore>;

export function createTaskStore() {
  const tasks = new Map<string, Task>();

  const move = (task: Task, status: Task['status'], change: Partial<Pick<Task, 'result' | 'error'>> = {}) => {
    // A task that has come to its end stays there.
    if (!['working', 'input_required'].includes(task.status)) return;
    Object.assign(task, change, { status, lastUpdatedAt: new Date().toISOString() });
  };

  function ask(task: Task, inputRequests: InputRequests): Promise<InputResponses> {
    task.open = inputRequests;
    move(task, 'input_required');
    return new Promise((resolve, reject) => {
      task.controller.signal.addEventListener('abort', () => reject(task.controller.signal.reason), { once: true });
      task.resume = () => {
        if (Object.keys(task.open).length > 0) return;
        move(task, 'working');
        resolve(task.answers);
      };
    });
  }

  async function follow(task: Task, job: Job): Promise<void> {
    try {
      const result = await job({ signal: task.controller.signal, ask: (requests) => ask(task, requests) });
      move(task, 'completed', { result });
    } catch (error) {
      if (error instanceof ProtocolError) move(task, 'failed', { error: { code: error.code, message: error.message } });
      else move(task, 'completed', { result: { ...textResult((error as Error).message), isError: true } });
    }
  }

  return {
    /** The task is there before its id is told. */
    start: (job: Job): Record<string, unknown> => {
      const now = new Date().toISOString();
      const task: Task = {
        taskId: randomUUID(),
        createdAt: now,
        lastUpdatedAt: now,
        status: 'working',
        controller: new AbortController(),
        open: {},
        answers: {},
        resume: () => {},
      };
      tasks.set(task.taskId, task);
      void follow(task, job);
      return { resultType: 'task', ...summaryOf(task) };
    },
    get: (taskId: string): Task => {
      const task = tasks.get(taskId);
      if (task === undefined) throw new ProtocolError(INVALID_PARAMS, 'No such task');
      return task;
    },
    answer: (task: Task, inputResponses: InputResponses) => {
      for (const [key, value] of Object.entries(inputResponses)) {
        if (!Object.hasOwn(task.open, key)) continue;
        task.answers[key] = value;
        const { [key]: _, ...open } = task.open;
        task.open = open;
      }
      task.resume();
    },
    cancel: (task: Task) => {
      move(task, 'cancelled');
      task.controller.abort(new Error('cancelled'));
    },
    stop: () => {
      for (const { controller } of tasks.values()) controller.abort(new Error('stopped'));
    },
  };
}

function summaryOf({ taskId, status, createdAt, lastUpdatedAt }: Task) {
  return { taskId, status, createdAt, lastUpdatedAt, ttlMs: TTL_MS, pollIntervalMs: POLL_INTERVAL_MS };
}

function detailsOf(task: Task) {
  return {
    ...summaryOf(task),
    ...(task.status === 'completed' ? { result: task.result } : {}),
    ...(task.status === 'failed' ? { error: task.error } : {}),
    ...(task.status === 'input_required' ? { inputRequests: task.open } : {}),
  };
}

/** The SDK takes `inputResponses` out of the params of every method before they are looked at. */
const byId = { params: z.looseObject({ taskId: z.string() }) };

/** Serves tasks/get, tasks/update and tasks/cancel to clients that know the extension. */
export function addTaskMethods(server: Server, { tasks }: World): void {
  server.setRequestHandler('tasks/get', byId, ({ taskId }, ctx) => {
    requireTasks(ctx);
    return detailsOf(tasks.get(taskId));
  });
  server.setRequestHandler('tasks/update', byId, ({ taskId }, ctx) => {
    requireTasks(ctx);
    tasks.answer(tasks.get(taskId), (ctx.mcpReq.inputResponses ?? {}) as InputResponses);
    return {};
  });
  server.setRequestHandler('tasks/cancel', byId, ({ taskId }, ctx) => {
    requireTasks(ctx);
    tasks.cancel(tasks.get(taskId));
    return {};
  });
}

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

function knowsTasks(ctx: ServerContext): boolean {
  return clientCapabilities(ctx).extensions?.[TASKS_EXTENSION] !== undefined;
}

function requireTasks(ctx: ServerContext): void {
  if (knowsTasks(ctx)) return;
  throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } } });
}

function cannotAsk(): never {
  throw new Error('Only a task can ask');
}
