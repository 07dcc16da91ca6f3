/**
 * The official client of the second generation, in either era: `legacy` shakes hands as v1 does, `auto` asks with
 * server/discover and takes 2026-07-28 wherever the server has it.
 */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { type Connect, textOf } from './mcp-session.ts';

export function connectV2(mode: 'legacy' | 'auto'): Connect {
  return async ({ url, token, fetch, headers = {} }) => {
    const transport = new StreamableHTTPClientTransport(new URL(url), {
      fetch,
      requestInit: { headers: { ...headers, Authorization: `Bearer ${token}` } },
    });
    const client = new Client({ name: 'reference-client', version: '1.0.0' }, { versionNegotiation: { mode } });
    await client.connect(transport);
    return {
      listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
      callTool: async (name, args) => textOf(await client.callTool({ name, arguments: args })),
      close: async () => {
        // Does nothing where there is no session.
        await transport.terminateSession();
        await client.close();
      },
    };
  };
}
