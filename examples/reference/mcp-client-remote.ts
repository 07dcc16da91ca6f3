/**
 * `mcp-remote`, for agents that only know stdio: a process that the agent starts, here with the official v1 client in the
 * agent's place. It gets a token by environment variable, so that none is in the list of processes, or signs in by itself.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { type Connect, type McpSession, textOf } from './mcp-session.ts';

export type McpRemoteOptions = {
  readonly url: string;
  readonly caFile: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Every line of its log. */
  readonly onLine?: (line: string) => void;
  /** In the agent's place; a plain one where it is left out. */
  readonly client?: Client;
};

const command = fileURLToPath(import.meta.resolve('mcp-remote/dist/proxy.js'));

export function connectMcpRemote(protocol: 'legacy' | 'auto'): Connect {
  return ({ url, token, caFile, headers = {} }) => {
    const further = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]);
    // The variable is put in by mcp-remote.
    const args = ['--protocol', protocol, ...further, '--header', `Authorization: $\{AUTHORIZATION}`];
    return startMcpRemote({ url, caFile, args, env: { AUTHORIZATION: `Bearer ${token}` } });
  };
}

/** Rejects with the end of its log where it does not connect. */
export async function startMcpRemote({
  url,
  caFile,
  args,
  env = {},
  onLine,
  client = new Client({ name: 'reference-client', version: '1.0.0' }),
}: McpRemoteOptions): Promise<McpSession> {
  // It keeps sign-ins in files: these are to end with the session.
  const dir = await mkdtemp(join(tmpdir(), 'mcp-remote-'));
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [command, url, '--transport', 'http-only', ...args],
    // With neither a PATH nor a display it cannot open a browser, whatever it is answered.
    env: { ...env, PATH: dir, NODE_EXTRA_CA_CERTS: caFile, MCP_REMOTE_CONFIG_DIR: dir },
    stderr: 'pipe',
  });
  const tail: string[] = [];
  createInterface({ input: transport.stderr as NodeJS.ReadableStream }).on('line', (line) => {
    onLine?.(line);
    tail.push(line);
    if (tail.length > 20) tail.shift();
  });
  const close = async () => {
    await client.close();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await client.connect(transport);
  } catch (cause) {
    await close();
    throw new Error(`mcp-remote did not connect:\n${tail.join('\n')}`, { cause });
  }
  return {
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    callTool: async (name, args) => textOf(await client.callTool({ name, arguments: args })),
    close,
  };
}
