/**
 * The Tasks extension of the everything-server (SEP-2663), by hand because the SDK has none: where tasks are kept, and the
 * three methods that look at them, feed them and end them.
 */
import { randomUUID } from 'node:crypto';
import {
  type CallToolResult,
  INVALID_PARAMS,
  type InputRequests,
  type InputResponses,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  type Server,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { clientCapabilities, textResult, type World } from './everything-tool.ts';

export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

const TTL_MS = 600_000;
const POLL_INTERVAL_MS = 100;

/** What a job may do while it runs as a task: wait, give up when it is cancelled, and ask. */
interface TaskRun {
  readonly signal: AbortSignal;
  /** Parks the task until each question has its answer. */
  readonly ask: (inputRequests: InputRequests) => Promise<InputResponses>;
}

export type Job = (run: TaskRun) => Promise<CallToolResult>;

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

export function knowsTasks(ctx: ServerContext): boolean {
  return clientCapabilities(ctx).extensions?.[TASKS_EXTENSION] !== undefined;
}

export function requireTasks(ctx: ServerContext): void {
  if (knowsTasks(ctx)) return;
  throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } } });
}
