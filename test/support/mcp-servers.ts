/**
 * Two real MCP servers for the front door: one of the first SDK generation that keeps sessions, asks, logs and resumes, and
 * one of the second that speaks 2026-07-28 alone. Neither asks who is there.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type NodeIncomingMessageLike, toNodeHandler } from '@modelcontextprotocol/node';
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { McpServer as LegacyServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { type EventStore, StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { CreateMessageResultSchema, ElicitResultSchema, isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';
import { acceptedContent, createMcpHandler, inputRequired, McpServer, type ServerNotifier } from '@modelcontextprotocol/server';
import { z } from 'zod';

export interface RunningServer {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

export interface LegacyBackend extends RunningServer {
  /** The sessions that are open, in the order they began; not those of a catalog, which come and go as they like. */
  readonly sessions: ReadonlyMap<string, LegacyServer>;
  /** Calls of `wait` that were taken back. */
  readonly takenBack: () => number;
  /** Whether somebody holds the stream of a session. */
  readonly listens: (session: string) => boolean;
  /** Ends the stream of a session without telling the client, as a proxy would. */
  readonly cut: (session: string) => void;
  /** What came in, as method or HTTP method. */
  readonly requests: string[];
}

/** The name under which the sidecar asks for itself. */
const CATALOG = 'mcp-ext-authz';
const NAMED = { message: 'Your name?', requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } } as const;
const say = (text: string) => ({ content: [{ type: 'text' as const, text }] });

export async function startLegacyBackend(): Promise<LegacyBackend> {
  const sessions = new Map<string, LegacyServer>();
  const transports = new Map<string, StreamableHTTPServerTransport>();
  const requests: string[] = [];
  const listening = new Map<string, number>();
  let takenBack = 0;
  const open = async (isCaller: boolean): Promise<StreamableHTTPServerTransport> => {
    const server = createLegacyServer(() => takenBack++);
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: createEventStore(),
      retryInterval: 50,
      onsessioninitialized: (id) => {
        if (isCaller) sessions.set(id, server);
        transports.set(id, transport);
      },
      onsessionclosed: (id) => {
        sessions.delete(id);
        transports.delete(id);
      },
    });
    await server.connect(transport as Transport);
    return transport;
  };
  const running = await startServer(async (request, response, message) => {
    requests.push((message as { method?: string } | undefined)?.method ?? String(request.method));
    const id = request.headers['mcp-session-id'];
    if (request.method === 'GET') countStream(listening, String(id), response);
    const begins = id === undefined && isInitializeRequest(message);
    const transport = begins ? await open(message.params.clientInfo.name !== CATALOG) : transports.get(String(id));
    if (transport !== undefined) return transport.handleRequest(request, response, message);
    response.writeHead(id === undefined ? 400 : 404).end();
  });
  return {
    url: running.url,
    stop: async () => {
      await running.stop();
      await Promise.all([...transports.values()].map((transport) => transport.close()));
    },
    sessions,
    requests,
    takenBack: () => takenBack,
    listens: (id) => (listening.get(id) ?? 0) > 0,
    cut: (id) => transports.get(id)?.closeStandaloneSSEStream(),
  };
}

function countStream(listening: Map<string, number>, id: string, response: ServerResponse): void {
  listening.set(id, (listening.get(id) ?? 0) + 1);
  response.once('close', () => listening.set(id, (listening.get(id) ?? 0) - 1));
}

function createLegacyServer(onTakenBack: () => void): LegacyServer {
  const server = new LegacyServer(
    { name: 'legacy', version: '1' },
    { capabilities: { logging: {}, tools: { listChanged: true } } },
  );
  const { server: protocol } = server;
  server.registerTool('greet', { description: 'Asks for a name on the stream of the session.' }, async () => {
    const { action, content } = await protocol.elicitInput(NAMED as never);
    return say(`${action} ${content?.name}`);
  });
  server.registerTool('insist', { description: 'Asks whoever calls, able to answer or not.' }, async (extra) => {
    const answer = await extra.sendRequest({ method: 'elicitation/create', params: NAMED as never }, ElicitResultSchema).then(
      ({ action }) => action,
      (error: { readonly code: number }) => `refused ${error.code}`,
    );
    return say(answer);
  });
  server.registerTool('sample', { description: "Asks the client's model." }, async (extra) => {
    const messages = [{ role: 'user', content: { type: 'text', text: 'Capital of France?' } }];
    const request = { method: 'sampling/createMessage', params: { messages, maxTokens: 10 } } as never;
    return say(JSON.stringify((await extra.sendRequest(request, CreateMessageResultSchema)).content));
  });
  server.registerTool('report', { description: 'Tells how far it is.' }, async (extra) => {
    const progressToken = extra._meta?.progressToken as string;
    for (const progress of [1, 2]) {
      await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total: 2 } });
    }
    await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data: 'half way' } });
    return say('reported');
  });
  server.registerTool('interrupt', { description: 'Hangs up, and answers whoever comes back.' }, async (extra) => {
    extra.closeSSEStream?.();
    return say('resumed');
  });
  server.registerTool('wait', { description: 'Until it is taken back.' }, async (extra) => {
    const progressToken = extra._meta?.progressToken as string;
    await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress: 1 } });
    await new Promise<void>((resolve) => extra.signal.addEventListener('abort', () => resolve()));
    onTakenBack();
    return say('never heard');
  });
  server.registerResource('rules', 'legacy://rules', {}, (uri) => ({ contents: [{ uri: uri.href, text: 'none' }] }));
  const city = completable(z.string(), (value) => ['Paris', 'Prague', 'Rome'].filter((one) => one.startsWith(value)));
  server.registerPrompt('visit', { argsSchema: { city } }, (args) => ({
    messages: [{ role: 'user', content: { type: 'text', text: `Go to ${args.city}.` } }],
  }));
  return server;
}

/** Keeps everything, under ids that count up. */
function createEventStore(): EventStore {
  const events: { readonly stream: string; readonly message: Parameters<EventStore['storeEvent']>[1] }[] = [];
  return {
    storeEvent: async (stream, message) => `${events.push({ stream, message })}`,
    getStreamIdForEventId: async (id) => events[Number(id) - 1]?.stream,
    replayEventsAfter: async (lastId, { send }) => {
      const { stream } = events[Number(lastId) - 1] ?? { stream: '' };
      for (const [at, event] of events.entries()) {
        const isMissed = at >= Number(lastId) && event.stream === stream && Object.keys(event.message).length > 0;
        if (isMissed) await send(`${at + 1}`, event.message);
      }
      return stream;
    },
  };
}

export interface ModernBackend extends RunningServer {
  readonly notify: ServerNotifier;
}

export async function startModernBackend(): Promise<ModernBackend> {
  const handler = createMcpHandler(createModernServer, { legacy: 'reject' });
  const serve = toNodeHandler(handler);
  const running = await startServer((request, response, message) => serve(request as NodeIncomingMessageLike, response, message));
  return {
    url: running.url,
    notify: handler.notify,
    stop: async () => {
      await handler.close();
      await running.stop();
    },
  };
}

function createModernServer(): McpServer {
  const server = new McpServer(
    { name: 'modern', version: '1' },
    { capabilities: { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true } } },
  );
  server.registerTool('hello', { description: 'Tells how far it is, and greets.' }, async (context) => {
    const progressToken = context.mcpReq._meta?.progressToken;
    if (progressToken !== undefined) {
      await context.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: 1 } });
    }
    return say('hello');
  });
  server.registerTool('ask', { description: 'Wants a name first.' }, async () =>
    inputRequired({ inputRequests: { name: inputRequired.elicit(NAMED as never) } }),
  );
  server.registerTool('meet', { description: 'Wants a name first, and greets who has it.' }, async (context) => {
    const { name } = acceptedContent<{ name?: string }>(context.mcpReq.inputResponses, 'name') ?? {};
    return name === undefined
      ? inputRequired({ inputRequests: { name: inputRequired.elicit(NAMED as never) } })
      : say(`hello ${name}`);
  });
  server.registerTool('stall', { description: 'Wants to be asked again.' }, async () => inputRequired({ requestState: 'later' }));
  server.registerResource('people', 'modern://people', {}, (uri) => ({ contents: [{ uri: uri.href, text: 'all' }] }));
  return server;
}

async function startServer(
  handle: (request: IncomingMessage, response: ServerResponse, message: unknown) => Promise<unknown> | unknown,
): Promise<RunningServer> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    await handle(request, response, text === '' ? undefined : JSON.parse(text));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
