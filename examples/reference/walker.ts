/** What every step of the walk uses: how it speaks, how it gets tokens, how it asks the gateway, and what it insists on. */
import type { Deployment } from './deployment.ts';
import type { McpClient } from './mcp-clients.ts';
import type { McpSession } from './mcp-session.ts';
import { bold, dim, no, yes } from './paint.ts';
import { clientCredentials, signIn } from './sign-in.ts';

export type Say = (line?: string) => void;

/** The answer to one JSON-RPC request by hand, where the raw answer is what is to be seen. */
export type RawAnswer = { status: number; challenge: string | null; body: any };

export type Walker = ReturnType<typeof createWalker>;

export function createWalker(deployment: Deployment, client: McpClient, say: Say) {
  const { authorizationServer, certificates, fetch, requests } = deployment;
  const { issuer, agentCoreSecret, passwords } = authorizationServer;
  const sessions: McpSession[] = [];
  return {
    deployment,
    client,
    say,
    title: (text: string) => {
      say();
      say(bold(text));
    },
    allowed: (text: string) => say(`  ${yes('allowed')}  ${text}`),
    refused: (text: string) => say(`  ${no('refused')}  ${text}`),
    shown: (text: string) => say(`  ${dim(text)}`),

    agentToken: async (resource: string, scope: string): Promise<string> => {
      const options = { issuer, clientId: 'bedrock-agentcore', clientSecret: agentCoreSecret, resource, scope };
      return (await clientCredentials(options)).access_token;
    },
    userToken: async (username: string, resource: string, scope: string): Promise<string> => {
      const password = passwords[username] ?? '';
      return (await signIn({ issuer, clientId: 'claude-code', username, password, resource, scope })).access_token;
    },

    /** A session of the client that takes the walk. */
    open: async (url: string, token: string, headers: Readonly<Record<string, string>> = {}): Promise<McpSession> => {
      const session = await client.connect({ url, token, fetch, caFile: certificates.caFile, headers });
      sessions.push(session);
      return session;
    },
    closeSessions: async () => {
      for (const session of sessions.splice(0)) await session.close();
    },
    /** One tools/call by hand; without a token where there is none. */
    post: async (url: string, token: string | null, name: string, args: object): Promise<RawAnswer> => {
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }),
      });
      return { status: response.status, challenge: response.headers.get('www-authenticate'), body: await response.json() };
    },
    /** The last request with that tool that reached a backend. */
    lastCall: (tool: string) => {
      const found = requests.findLast(({ body }) => body.includes(`"${tool}"`));
      if (found === undefined) throw new Error(`no backend saw a call of ${tool}`);
      return found;
    },
  };
}

export function expect(condition: boolean, what: string, seen: unknown): asserts condition {
  if (!condition) throw new Error(`not as told: ${what}; seen: ${JSON.stringify(seen)}`);
}
