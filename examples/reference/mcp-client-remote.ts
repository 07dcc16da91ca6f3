/**
 * `mcp-remote`, for agents that only know stdio: a process that the agent starts, here with the official v1 client in the
 * agent's place. The token comes by environment variable, so that it is not in the list of processes.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { type Connect, textOf } from './mcp-session.ts';

const command = fileURLToPath(import.meta.resolve('mcp-remote/dist/proxy.js'));

export function connectMcpRemote(protocol: 'legacy' | 'auto'): Connect {
  return async ({ url, token, caFile, headers = {} }) => {
    // It keeps sign-ins in files: these are to end with the session.
    const dir = await mkdtemp(join(tmpdir(), 'mcp-remote-'));
    const further = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]);
    const args = [command, url, '--transport', 'http-only', '--protocol', protocol, ...further];
    const transport = new StdioClientTransport({
      command: process.execPath,
      // The variable is put in by mcp-remote.
      args: [...args, '--header', `Authorization: $\{AUTHORIZATION}`],
      // With nothing on PATH it cannot open a browser, whatever it is answered.
      env: { PATH: dir, NODE_EXTRA_CA_CERTS: caFile, MCP_REMOTE_CONFIG_DIR: dir, AUTHORIZATION: `Bearer ${token}` },
      stderr: 'pipe',
    });
    let said = '';
    transport.stderr?.on('data', (chunk) => {
      said = `${said}${chunk}`.slice(-4000);
    });
    const client = new Client({ name: 'reference-client', version: '1.0.0' });
    const close = async () => {
      await client.close();
      await rm(dir, { recursive: true, force: true });
    };
    try {
      await client.connect(transport);
    } catch (cause) {
      await close();
      throw new Error(`mcp-remote did not connect:\n${said}`, { cause });
    }
    return {
      listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
      callTool: async (name, args) => textOf(await client.callTool({ name, arguments: args })),
      close,
    };
  };
}
