/** The official client of the first generation: revisions up to 2025-11-25, with a handshake and sessions. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { type Connect, textOf } from './mcp-session.ts';

export const connectV1: Connect = async ({ url, token, fetch, headers = {} }) => {
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    fetch,
    requestInit: { headers: { ...headers, Authorization: `Bearer ${token}` } },
  });
  const client = new Client({ name: 'reference-client', version: '1.0.0' });
  // The SDK's own types clash under exactOptionalPropertyTypes.
  await client.connect(transport as Transport);
  return {
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    callTool: async (name, args) => textOf(await client.callTool({ name, arguments: args })),
    close: async () => {
      await transport.terminateSession();
      await client.close();
    },
  };
};
