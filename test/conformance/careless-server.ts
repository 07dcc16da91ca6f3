/**
 * A server of 2026-07-28 that looks at the body alone and validates nothing: no header, no revision, no schema. Servers of
 * this kind exist, and the gateway has to make up for it.
 */
import { createServer, type IncomingMessage } from 'node:http';
import { type Listening, listenOnLoopback } from '../../examples/reference/listen.ts';

const tools = [{ name: 'anything', description: 'Does anything.', inputSchema: { type: 'object' } }];

const RESULTS: Readonly<Record<string, object>> = {
  'tools/list': { tools, resultType: 'complete', ttlMs: 0, cacheScope: 'private' },
  'tools/call': { content: [{ type: 'text', text: 'Done.' }], resultType: 'complete' },
};

export async function startCarelessServer(): Promise<Listening & { readonly url: string }> {
  const server = createServer((request, response) => {
    readJson(request).then(
      ({ id, method }) => {
        const result = RESULTS[method];
        const answer = result === undefined ? { error: { code: -32601, message: 'Method not found' } } : { result };
        response.writeHead(result === undefined ? 404 : 200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
      },
      () => response.destroy(),
    );
  });
  const listening = await listenOnLoopback(server, 0);
  return { ...listening, url: `http://127.0.0.1:${listening.port}/mcp` };
}

async function readJson(request: IncomingMessage): Promise<{ id: unknown; method: string }> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}
