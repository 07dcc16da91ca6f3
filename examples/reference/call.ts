/**
 * `npm run call -- --as alice transferFunds '{"amount": 25000}'`: one tool of a lab that is up, called through its gateway by
 * the official client. Exits 0 when it was allowed, 1 when it was refused, 2 when it could not be asked.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Agent, fetch as undiciFetch } from 'undici';
import { type Endpoints, readEndpoints } from './lab-endpoints.ts';
import { connectV2 } from './mcp-client-v2.ts';
import { no, wrong, yes } from './paint.ts';
import { clientCredentials, signIn } from './sign-in.ts';

const USAGE = `npm run call -- --as USER [--on BACKEND] [--scope "A B"] TOOL ['{"argument": "value"}']

  --as      alice, bob or carol, who sign in with claude-code; or bedrock-agentcore, which calls for itself
  --on      enterprise-ledger (default) or employee-directory
  --scope   what the token is asked for; default: every scope that the caller may have there
`;

const SCOPES: Readonly<Record<string, string>> = {
  'enterprise-ledger': 'ledger:read ledger:write pii:read audit:read',
  'employee-directory': 'directory:read',
};
const AGENT = 'bedrock-agentcore';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    as: { type: 'string' },
    on: { type: 'string', default: 'enterprise-ledger' },
    scope: { type: 'string' },
  },
});
const [tool, args = '{}'] = positionals;
const { as: caller, on: backend } = values;

if (tool === undefined || caller === undefined || SCOPES[backend] === undefined) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else {
  process.exitCode = await call(tool, args, caller).catch((cause: Error) => {
    process.stderr.write(`${wrong('not asked')}  ${cause.message}\n`);
    return 2;
  });
}

async function call(name: string, text: string, username: string): Promise<number> {
  const endpoints = await readEndpoints();
  if (endpoints === null) throw new Error('no lab is up: start one with `npm run lab` in another terminal');
  const dispatcher = new Agent({ connect: { ca: await readFile(endpoints.caFile, 'utf8') } });
  const fetch = ((input: string | URL, init?: object) =>
    undiciFetch(input, { ...init, dispatcher })) as unknown as typeof globalThis.fetch;
  const url = endpoints.resources[backend] as string;
  const session = await connectV2('legacy')({
    url,
    token: await tokenFor(endpoints, username, url),
    fetch,
    caFile: endpoints.caFile,
  });
  try {
    const answer = await session.callTool(name, JSON.parse(text) as Record<string, unknown>);
    process.stdout.write(`${yes('allowed')}  ${name} as ${username}: ${answer.replaceAll(/\s+/g, ' ').slice(0, 200)}\n`);
    return 0;
  } catch (cause) {
    const { data, message } = cause as Error & { readonly data?: { readonly reason?: string; readonly decision_id?: string } };
    const why = data?.reason === undefined ? '' : ` (${data.reason}, decision ${data.decision_id})`;
    process.stdout.write(`${no('refused')}  ${name} as ${username}: ${message}${why}\n`);
    return 1;
  } finally {
    await session.close().catch(() => {});
    await dispatcher.close();
  }
}

async function tokenFor({ issuer, users, clients }: Endpoints, username: string, resource: string): Promise<string> {
  const asked = { issuer, resource, scope: values.scope ?? (SCOPES[backend] as string) };
  if (username === AGENT) {
    const clientSecret = clients[AGENT].client_secret;
    const scope = values.scope ?? asked.scope.split(' ')[0] ?? '';
    return (await clientCredentials({ ...asked, scope, clientId: AGENT, clientSecret })).access_token;
  }
  const password = users[username];
  if (password === undefined) throw new Error(`nobody is called ${username}: use ${Object.keys(users).join(', ')} or ${AGENT}`);
  return (await signIn({ ...asked, clientId: 'claude-code', username, password })).access_token;
}
