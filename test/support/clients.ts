/** The official clients of both generations and `mcp-remote`, in one shape, connected through the gateway with a bearer token. */
import * as v2 from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ResourceListChangedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { startMcpRemote } from '../../examples/reference/mcp-client-remote.ts';
import type { TestDeployment } from './deployment.ts';

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onprogress?: (step: { readonly progress: number }) => void;
}

/** What all of them can do. Results are what the server said; errors are the client's own. */
export interface AnyClient {
  readonly revision: () => string | undefined;
  readonly listTools: () => Promise<string[]>;
  readonly callTool: (name: string, args?: Record<string, unknown>, options?: CallOptions) => Promise<any>;
  readonly listPrompts: () => Promise<string[]>;
  readonly getPrompt: (name: string, args: Record<string, string>) => Promise<any>;
  readonly listResources: () => Promise<string[]>;
  readonly readResource: (uri: string) => Promise<any>;
  readonly complete: (prompt: string, argument: string, value: string) => Promise<string[]>;
  /** Ends the session where there is one. */
  readonly close: () => Promise<void>;
}

/** What a client does when it is asked or told. */
export interface Ears {
  readonly onElicit?: (message: string, id: unknown) => object;
  readonly onSample?: () => object;
  readonly onToolsChanged?: () => void;
}

export type ConnectAny = (deployment: TestDeployment, url: string, token: string, ears?: Ears) => Promise<AnyClient>;

export interface ClientKind {
  readonly name: string;
  readonly connect: ConnectAny;
  readonly era: 'legacy' | 'modern';
}

const NAME = { name: 'test', version: '1.0.0' };
const names = (items: readonly { readonly name: string }[]) => items.map(({ name }) => name);

const capabilitiesOf = ({ onElicit, onSample }: Ears) => ({
  ...(onElicit === undefined ? {} : { elicitation: {} }),
  ...(onSample === undefined ? {} : { sampling: {} }),
});

function createV1(ears: Ears): Client {
  const { onElicit, onSample, onToolsChanged } = ears;
  const client = new Client(NAME, { capabilities: capabilitiesOf(ears) });
  if (onElicit !== undefined)
    client.setRequestHandler(
      ElicitRequestSchema,
      ({ params }, { requestId }) => onElicit(params.message, requestId) as { action: 'accept' },
    );
  if (onSample !== undefined) client.setRequestHandler(CreateMessageRequestSchema, () => onSample() as never);
  if (onToolsChanged !== undefined) {
    client.setNotificationHandler(ToolListChangedNotificationSchema, onToolsChanged);
    client.setNotificationHandler(ResourceListChangedNotificationSchema, () => {});
  }
  return client;
}

function fromV1(client: Client, revision: () => string | undefined, close: () => Promise<void>): AnyClient {
  return {
    ...sharedBy(client as unknown as v2.Client),
    revision,
    callTool: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, undefined, options),
    close,
  };
}

/** Both generations spell these alike. */
function sharedBy(client: v2.Client): Omit<AnyClient, 'revision' | 'callTool' | 'close'> {
  return {
    listTools: async () => names((await client.listTools()).tools),
    listPrompts: async () => names((await client.listPrompts()).prompts),
    getPrompt: (name, args) => client.getPrompt({ name, arguments: args }),
    listResources: async () => (await client.listResources()).resources.map(({ uri }) => uri),
    readResource: (uri) => client.readResource({ uri }),
    complete: async (name, argument, value) =>
      (await client.complete({ ref: { type: 'ref/prompt', name }, argument: { name: argument, value } })).completion.values,
  };
}

const connectV1: ConnectAny = async ({ fetch }, url, token, ears = {}) => {
  const requestInit = { headers: { Authorization: `Bearer ${token}` } };
  const transport = new StreamableHTTPClientTransport(new URL(url), { fetch, requestInit });
  const client = createV1(ears);
  await client.connect(transport as Transport);
  return fromV1(
    client,
    () => transport.protocolVersion,
    async () => {
      await transport.terminateSession();
      await client.close();
    },
  );
};

function connectV2(mode: 'legacy' | 'auto'): ConnectAny {
  return async ({ fetch }, url, token, ears = {}) => {
    const requestInit = { headers: { Authorization: `Bearer ${token}` } };
    const transport = new v2.StreamableHTTPClientTransport(new URL(url), { fetch, requestInit });
    const { onElicit, onSample, onToolsChanged } = ears;
    const client = new v2.Client(NAME, { versionNegotiation: { mode }, capabilities: capabilitiesOf(ears) });
    if (onElicit !== undefined)
      client.setRequestHandler(
        'elicitation/create',
        ({ params }, { mcpReq }) => onElicit(params.message, mcpReq.id) as { action: 'accept' },
      );
    if (onSample !== undefined) client.setRequestHandler('sampling/createMessage', () => onSample() as never);
    if (onToolsChanged !== undefined) client.setNotificationHandler('notifications/tools/list_changed', onToolsChanged);
    await client.connect(transport);
    return {
      ...sharedBy(client),
      revision: () => client.getNegotiatedProtocolVersion(),
      callTool: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, options),
      close: async () => {
        await transport.terminateSession();
        await client.close();
      },
    };
  };
}

/** To the agent on its stdio it is a server of the legacy era, whichever it speaks to us. */
function connectRemote(protocol: 'legacy' | 'auto'): ConnectAny {
  return async ({ certificates }, url, token, ears = {}) => {
    const client = createV1(ears);
    const args = ['--protocol', protocol, '--header', `Authorization: $\{AUTHORIZATION}`];
    const env = { AUTHORIZATION: `Bearer ${token}` };
    const { close } = await startMcpRemote({ url, caFile: certificates.caFile, args, env, client });
    return fromV1(client, () => undefined, close);
  };
}

export const SDK_V1: ClientKind = { name: 'SDK v1', connect: connectV1, era: 'legacy' };
export const SDK_V2_LEGACY: ClientKind = { name: 'SDK v2, legacy era', connect: connectV2('legacy'), era: 'legacy' };
export const SDK_V2_MODERN: ClientKind = { name: 'SDK v2, modern era', connect: connectV2('auto'), era: 'modern' };
export const MCP_REMOTE: ClientKind = { name: 'mcp-remote', connect: connectRemote('legacy'), era: 'legacy' };
export const MCP_REMOTE_AUTO: ClientKind = {
  name: 'mcp-remote --protocol auto',
  connect: connectRemote('auto'),
  era: 'modern',
};

export const CLIENT_KINDS: readonly ClientKind[] = [SDK_V1, SDK_V2_LEGACY, SDK_V2_MODERN, MCP_REMOTE, MCP_REMOTE_AUTO];

/** The text of a tool's result. */
export function textOf(result: { readonly content: readonly { readonly text?: string }[] }): string | undefined {
  return result.content[0]?.text;
}

/** What a call was rejected with. */
export async function rejection(call: Promise<unknown>): Promise<any> {
  return call.then(
    (value) => {
      throw new Error(`not rejected: ${JSON.stringify(value)}`);
    },
    (error: unknown) => error,
  );
}
