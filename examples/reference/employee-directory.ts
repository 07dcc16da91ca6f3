/**
 * Employee Directory: a real MCP server on the second generation of the TypeScript SDK. It keeps no sessions, answers
 * with JSON and serves both eras: 2026-07-28 and, for older clients, the revisions up to 2025-11-25. Every request
 * passes the delegation guard first.
 */
import { type NodeIncomingMessageLike, toNodeHandler } from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  isLegacyRequest,
  type McpHandlerRequestOptions,
  McpServer,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { employeeDirectoryTools, employees } from './employee-directory-tools.ts';
import { type BackendOptions, type RunningBackend, startGuardedServer } from './guarded-server.ts';
import { toolResult } from './tool.ts';

/**
 * Starts the directory on loopback. Its tools send nothing before their result, so every answer is one JSON body.
 * @param start the guard in front of it
 */
export async function startEmployeeDirectory(options: BackendOptions, start = startGuardedServer): Promise<RunningBackend> {
  const modern = createMcpHandler(createDirectoryServer, { legacy: 'reject' });
  const serve = toNodeHandler({
    fetch: async (request, requestOptions) =>
      (await isLegacyRequest(request, requestOptions?.parsedBody))
        ? serveLegacy(request, requestOptions)
        : modern.fetch(request, requestOptions),
  });

  const running = await start('employee-directory', options, (request, response, message) =>
    // The SDK's type of a Node request forbids the explicit undefined that Node's own has under exactOptionalPropertyTypes.
    serve(request as NodeIncomingMessageLike, response, message),
  );
  const stop = async () => {
    await running.stop();
    await modern.close();
  };
  return { ...running, stop };
}

/** One server and transport for one request; the handler's own fallback would do the same but answers over SSE. */
async function serveLegacy(request: Request, options: McpHandlerRequestOptions = {}): Promise<Response> {
  if (request.method !== 'POST') return new Response(null, { status: 405, headers: { Allow: 'POST' } });
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true });
  const server = createDirectoryServer();
  await server.connect(transport);
  return transport.handleRequest(request, options);
}

function createDirectoryServer(): McpServer {
  const server = new McpServer({ name: 'employee-directory', title: 'Employee Directory', version: '1.0.0' });
  for (const { name, run, ...definition } of employeeDirectoryTools) {
    server.registerTool(name, definition, (args) => toolResult(run(args, employees)));
  }
  return server;
}
