/**
 * An MCP server that has everything the official conformance suite asks for, in both eras: sessions with streams that can be
 * resumed up to 2025-11-25, one request at a time from 2026-07-28 on. It knows nothing of tokens: what stands in front does.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { hostHeaderValidation, type NodeIncomingMessageLike, originValidation, toNodeHandler } from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  createRequestStateCodec,
  fromJsonSchema,
  INVALID_PARAMS,
  isInitializeRequest,
  isLegacyRequest,
  type JsonSchemaType,
  McpServer,
  ProtocolError,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { type Listening, listenOnLoopback } from '../../examples/reference/listen.ts';
import { createEventStore } from './event-store.ts';
import { addPrompts, addResources } from './everything-content.ts';
import { askingTools } from './everything-questions.ts';
import { taskTools } from './everything-task-tools.ts';
import { addTaskMethods, createTaskStore, TASKS_EXTENSION } from './everything-tasks.ts';
import { type Answer, textResult, type World } from './everything-tool.ts';
import { extraTool, plainTools } from './everything-tools.ts';

export type EverythingServer = Listening & { readonly url: string };

interface Session {
  readonly server: McpServer;
  readonly transport: WebStandardStreamableHTTPServerTransport;
}

const PATH = '/mcp';
/** How soon a client that was cut off is to come back. */
const RETRY_MS = 100;
const NO_ARGUMENTS: JsonSchemaType = { type: 'object', properties: {} };

export async function startEverythingServer(hosts: string[] = ['localhost', '127.0.0.1']): Promise<EverythingServer> {
  const sessions = new Map<string, Session>();
  const announce: World['announce'] = (what) => {
    if (what === 'tools') modern.notify.toolsChanged();
    else modern.notify.promptsChanged();
    for (const { server } of sessions.values()) {
      if (what === 'tools') server.sendToolListChanged();
      else server.sendPromptListChanged();
    }
  };
  const states = createRequestStateCodec<{ round: number }>({ key: randomBytes(32) });
  const world: World = { tasks: createTaskStore(), states, extra: { tool: false, prompt: false }, announce };
  const modern = createMcpHandler(() => createEverything(world), { legacy: 'reject' });

  const serve = toNodeHandler({
    fetch: async (request) => {
      if (new URL(request.url).pathname !== PATH) return new Response(null, { status: 404 });
      return (await isLegacyRequest(request)) ? serveSession(request, sessions, world) : modern.fetch(request);
    },
  });
  // Against DNS rebinding: a page of another site must not reach a server on loopback.
  const checks = [hostHeaderValidation(hosts), originValidation(hosts)];
  const server = createServer((request, response) => {
    if (!checks.every((check) => check(request, response))) return;
    // The SDK's type of a Node request forbids the explicit undefined that Node's own has under exactOptionalPropertyTypes.
    serve(request as NodeIncomingMessageLike, response).catch(() => response.destroy());
  });
  const listening = await listenOnLoopback(server, 0);
  const stop = async () => {
    await listening.stop();
    await modern.close();
    for (const session of sessions.values()) await session.server.close();
    world.tasks.stop();
  };
  return { port: listening.port, url: `http://127.0.0.1:${listening.port}${PATH}`, stop };
}

/** The legacy era: `initialize` opens a session, its id finds it again, DELETE ends it. */
async function serveSession(request: Request, sessions: Map<string, Session>, world: World): Promise<Response> {
  const id = request.headers.get('mcp-session-id');
  if (id !== null) {
    const session = sessions.get(id);
    return session === undefined ? refuse(404, -32001, 'Session not found') : session.transport.handleRequest(request);
  }
  const message: unknown = await request
    .clone()
    .json()
    .catch(() => undefined);
  if (!isInitializeRequest(message)) return refuse(400, -32000, 'A session begins with initialize');
  const server = createEverything(world);
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (sessionId) => void sessions.set(sessionId, { server, transport }),
    onsessionclosed: (sessionId) => void sessions.delete(sessionId),
    eventStore: createEventStore(),
    retryInterval: RETRY_MS,
  });
  await server.connect(transport);
  return transport.handleRequest(request);
}

function refuse(status: number, code: number, message: string): Response {
  return Response.json({ jsonrpc: '2.0', id: null, error: { code, message } }, { status });
}

/** One server object: for a session, or for a single request of the modern era. */
function createEverything(world: World): McpServer {
  const listChanged = true;
  const server = new McpServer(
    { name: 'everything', title: 'Everything', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged },
        prompts: { listChanged },
        resources: { listChanged, subscribe: true },
        logging: {},
        completions: {},
        extensions: { [TASKS_EXTENSION]: {} },
      },
      requestState: { verify: world.states.verify },
    },
  );
  addTools(server, world);
  addPrompts(server, world);
  addResources(server);
  addTaskMethods(server.server, world);
  server.server.setRequestHandler('resources/subscribe', () => ({}));
  server.server.setRequestHandler('resources/unsubscribe', () => ({}));
  return server;
}

/**
 * McpServer lists the tools and checks the headers that mirror arguments; calls are dispatched here, because it makes a tool
 * error of every protocol error.
 */
function addTools(server: McpServer, world: World): void {
  const listed = [...plainTools, ...askingTools, ...taskTools, ...(world.extra.tool ? [extraTool] : [])];
  const tools = new Map(listed.map((tool) => [tool.name, tool]));
  const call = async (name: string, args: Record<string, unknown>, ctx: Parameters<(typeof plainTools)[0]['call']>[1]) => {
    const tool = tools.get(name);
    if (tool === undefined) throw new ProtocolError(INVALID_PARAMS, `Unknown tool: ${name}`);
    try {
      return (await tool.call(args, ctx, world)) as Answer;
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      return { ...textResult((error as Error).message), isError: true };
    }
  };
  for (const { name, description, inputSchema = NO_ARGUMENTS } of listed) {
    const schema = fromJsonSchema<Record<string, unknown>>(inputSchema);
    server.registerTool(name, { description, inputSchema: schema }, (args, ctx) => call(name, args, ctx) as never);
  }
  server.server.setRequestHandler('tools/call', ({ params }, ctx) => call(params.name, params.arguments ?? {}, ctx) as never);
}
