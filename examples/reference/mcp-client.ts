/** The official MCP client, connected through the gateway with one bearer token. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';

export type McpSession = {
  readonly listTools: () => Promise<string[]>;
  /** The text of the result. Rejects with the SDK's own error where the gateway or the server says no. */
  readonly callTool: (name: string, args: Record<string, unknown>) => Promise<string>;
  readonly close: () => Promise<void>;
};

export type ConnectOptions = {
  readonly url: string;
  readonly token: string;
  readonly fetch: typeof globalThis.fetch;
  /** Further headers on every request: what a hostile client would add. */
  readonly headers?: Readonly<Record<string, string>>;
};

export async function connect({ url, token, fetch, headers = {} }: ConnectOptions): Promise<McpSession> {
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    fetch,
    requestInit: { headers: { ...headers, Authorization: `Bearer ${token}` } },
  });
  const client = new Client({ name: 'reference-client', version: '1.0.0' });
  // The SDK's own types clash under exactOptionalPropertyTypes.
  await client.connect(transport as Transport);
  return {
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    callTool: async (name, args) => {
      const { content } = (await client.callTool({ name, arguments: args })) as CallToolResult;
      return content.map((part) => (part.type === 'text' ? part.text : `(${part.type})`)).join('\n');
    },
    close: async () => {
      await transport.terminateSession();
      await client.close();
    },
  };
}
