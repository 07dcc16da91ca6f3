/** A real MCP server of the first SDK generation with the tasks of 2025-11-25: one tool that runs until it is told to end. */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks/stores/in-memory.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { listenOnLoopback } from '../../examples/reference/listen.ts';

export type TaskServer = Awaited<ReturnType<typeof startTaskServer>>;

/** @param toolName what the policy has a row for. */
export async function startTaskServer(toolName: string) {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const taskIds: string[] = [];
  const ends = new Map<string, () => Promise<void>>();
  const store = new InMemoryTaskStore();
  let requests = 0;

  function createTaskServer(): McpServer {
    const tasks = { list: {}, cancel: {}, requests: { tools: { call: {} } } };
    const server = new McpServer({ name: 'tasks', version: '1' }, { capabilities: { tasks }, taskStore: store });
    server.experimental.tasks.registerToolTask(
      toolName,
      { description: 'Runs until it is told to end.', execution: { taskSupport: 'required' } },
      {
        createTask: async ({ taskStore }) => {
          const task = await taskStore.createTask({ ttl: 60_000, pollInterval: 20 });
          taskIds.push(task.taskId);
          ends.set(task.taskId, () =>
            taskStore.storeTaskResult(task.taskId, 'completed', { content: [{ type: 'text', text: 'done' }] }),
          );
          return { task };
        },
        getTask: async ({ taskId, taskStore }) => taskStore.getTask(taskId),
        getTaskResult: async ({ taskId, taskStore }) => (await taskStore.getTaskResult(taskId)) as never,
      },
    );
    return server;
  }

  async function open(): Promise<StreamableHTTPServerTransport> {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    await createTaskServer().connect(transport as Transport);
    return transport;
  }

  const http = createServer(async (request, response) => {
    requests += 1;
    const id = request.headers['mcp-session-id'];
    const transport = id === undefined ? await open() : sessions.get(String(id));
    if (transport === undefined) response.writeHead(404).end();
    else await transport.handleRequest(request, response);
  });
  const listening = await listenOnLoopback(http, 0);
  return {
    port: listening.port,
    /** Its own ids, in the order in which the tasks began. */
    taskIds,
    requests: () => requests,
    end: (taskId: string) => ends.get(taskId)?.(),
    stop: async () => {
      await Promise.all([...sessions.values()].map((transport) => transport.close()));
      store.cleanup();
      await listening.stop();
    },
  };
}
