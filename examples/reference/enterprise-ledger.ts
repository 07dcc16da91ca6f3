/**
 * Enterprise Ledger: a real MCP server on the first generation of the TypeScript SDK. It keeps sessions
 * (`Mcp-Session-Id`), answers over SSE, offers a GET stream and ends a session on DELETE, as servers up to the
 * 2025-11-25 revision do. Every request passes the delegation guard first.
 */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { createLedger, type Ledger } from './enterprise-ledger-data.ts';
import { enterpriseLedgerTools } from './enterprise-ledger-tools.ts';
import { type BackendOptions, type McpHandler, type RunningBackend, startGuardedServer } from './guarded-server.ts';
import { toolResult } from './tool.ts';

type Session = { readonly transport: StreamableHTTPServerTransport; readonly subject: string };

/** Starts the ledger on loopback with fresh data. */
export async function startEnterpriseLedger(options: BackendOptions): Promise<RunningBackend> {
  const ledger = createLedger();
  const sessions = new Map<string, Session>();

  const open = async (subject: string): Promise<StreamableHTTPServerTransport> => {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, { transport, subject }),
      onsessionclosed: (id) => void sessions.delete(id),
    });
    // The SDK's own types disagree under exactOptionalPropertyTypes: its class has `onclose?: … | undefined`.
    await createLedgerServer(ledger).connect(transport as Transport);
    return transport;
  };

  const handle: McpHandler = async (request, response, message, { sub }) => {
    const id = request.headers['mcp-session-id'];
    if (id === undefined && isInitializeRequest(message)) {
      const transport = await open(sub);
      return transport.handleRequest(request, response, message);
    }
    const session = sessions.get(String(id));
    if (session?.subject !== sub) return refuseSession(response, id === undefined ? 400 : session ? 403 : 404);
    await session.transport.handleRequest(request, response, message);
  };

  const running = await startGuardedServer('enterprise-ledger', options, handle);
  const stop = async () => {
    await running.stop();
    await Promise.all([...sessions.values()].map(({ transport }) => transport.close()));
  };
  return { ...running, stop };
}

/** Unknown is 404: the client starts a new session. Someone else's is 403: a session id proves nothing. */
function refuseSession(response: ServerResponse, status: 400 | 403 | 404): void {
  const error = { code: -32600, message: 'There is no such session for this subject.' };
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error }));
}

function createLedgerServer(ledger: Ledger): McpServer {
  const server = new McpServer({ name: 'enterprise-ledger', title: 'Enterprise Ledger', version: '1.0.0' });

  for (const { name, run, ...definition } of enterpriseLedgerTools) {
    server.registerTool(name, definition, (args) => toolResult(run(args, ledger)));
  }

  server.registerResource(
    'retention-policy',
    'ledger://policies/retention',
    { title: 'Retention policy', description: 'How long bookings are kept.', mimeType: 'text/plain' },
    (uri) => ({ contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'Bookings are kept for ten years.' }] }),
  );

  server.registerPrompt(
    'monthly-close',
    {
      title: 'Monthly close',
      description: 'Guides through closing a month.',
      argsSchema: { month: z.string().regex(/^\d{4}-\d{2}$/) },
    },
    ({ month }) => {
      const text = `Close ${month}: list the accounts, check each balance against its bookings, report what differs.`;
      return { messages: [{ role: 'user', content: { type: 'text', text } }] };
    },
  );
  return server;
}
