/** One JSON-RPC message to a deployment, for tests whose point lies elsewhere than in the bytes. */
import type { BackendName } from './cases.ts';
import { PATHS } from './cases.ts';
import type { TestDeployment } from './deployment.ts';
import type { Line } from './ndjson.ts';
import type { HeaderLine, Until, WireAnswer } from './wire.ts';

export interface Question {
  readonly to?: BackendName;
  readonly token?: string | null;
  /** A tools/call of this tool; otherwise `method`, by default tools/list. */
  readonly tool?: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly id?: string | number;
  readonly headers?: readonly HeaderLine[];
  readonly host?: string;
  readonly over?: 'http1' | 'http2';
}

export interface Reply extends WireAnswer {
  readonly requestId: string;
  /** `error.data.reason`, where we refused. */
  readonly reason: string | undefined;
  /** The body as JSON, or as the one event of a stream; null where it is neither. */
  readonly json: any;
}

export async function ask({ wire }: Pick<TestDeployment, 'wire'>, question: Question = {}): Promise<Reply> {
  const { to = 'directory', token = null, tool, id = 1, headers = [], host = 'localhost', over = 'http2' } = question;
  const params = tool === undefined ? question.params : { name: tool, arguments: question.arguments ?? {} };
  const message = { jsonrpc: '2.0', id, method: tool === undefined ? (question.method ?? 'tools/list') : 'tools/call', params };
  const answer = await wire[over]({
    method: 'POST',
    path: PATHS[to],
    authority: host,
    headers: [
      ['content-type', 'application/json'],
      ['accept', 'application/json, text/event-stream'],
      ...(token === null ? [] : [['authorization', `Bearer ${token}`] as const]),
      ...headers,
    ],
    body: Buffer.from(JSON.stringify(message)),
  });
  return toReply(answer);
}

/** A GET of a path, for documents. */
export async function get({ wire }: Pick<TestDeployment, 'wire'>, path: string, options: GetOptions = {}): Promise<Reply> {
  const { headers = [], host = 'localhost', until = 'stream' } = options;
  return toReply(await wire.http2({ method: 'GET', path, authority: host, headers, body: null, until }));
}

interface GetOptions {
  readonly headers?: readonly HeaderLine[];
  readonly host?: string;
  readonly until?: Until;
}

export function toReply(answer: WireAnswer): Reply {
  const json = readJson(answer.body);
  return { ...answer, json, reason: json?.error?.data?.reason, requestId: answer.headers.get('x-request-id')?.[0] ?? '' };
}

function readJson(body: string): any {
  const text = /^data: (\{.*\})$/m.exec(body)?.[1] ?? body;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The line of the decision log about a reply. */
export function lineOf({ decisions }: Pick<TestDeployment, 'decisions'>, { requestId }: Reply): Promise<Line> {
  return decisions.waitFor(`the line of ${requestId}`, ({ request_id }) => request_id === requestId);
}

/** How many lines the decision log has, when all that was answered so far is in it. */
export async function settledLines(deployment: Pick<TestDeployment, 'wire' | 'decisions'>): Promise<number> {
  await lineOf(deployment, await ask(deployment));
  return (await deployment.decisions.all()).length;
}
