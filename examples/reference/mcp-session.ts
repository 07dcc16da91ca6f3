/** What the walk needs of an MCP client, whichever it is: connected through the gateway with one bearer token. */

export type McpSession = {
  readonly listTools: () => Promise<string[]>;
  /** The text of the result. Rejects with the client's own error where the gateway or the server says no. */
  readonly callTool: (name: string, args: Record<string, unknown>) => Promise<string>;
  readonly close: () => Promise<void>;
};

export type ConnectOptions = {
  readonly url: string;
  readonly token: string;
  /** Trusts the authority in `caFile`. */
  readonly fetch: typeof globalThis.fetch;
  /** For clients that are a process of their own. */
  readonly caFile: string;
  /** Further headers on every request: what a hostile client would add. */
  readonly headers?: Readonly<Record<string, string>>;
};

export type Connect = (options: ConnectOptions) => Promise<McpSession>;

type Content = { readonly type: string; readonly text?: unknown };

/** The text of a tool's result, as the official clients of both generations return it. */
export function textOf(result: object): string {
  const { content = [] } = result as { content?: readonly Content[] };
  return content.map(({ type, text }) => (type === 'text' ? String(text) : `(${type})`)).join('\n');
}
