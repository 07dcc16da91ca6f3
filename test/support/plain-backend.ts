/** A backend that answers what a test tells it to, right or wrong, and remembers what reached it. For `adjustEnvoy`. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { type Listening, listenOnLoopback } from '../../examples/reference/listen.ts';

type Tree = Record<string, any>;

export interface Reached {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export type AnswerAs = (response: ServerResponse, request: Reached) => void;

export interface PlainBackend extends Listening {
  readonly requests: Reached[];
  readonly answerWith: (answer: AnswerAs) => void;
}

export async function startPlainBackend(): Promise<PlainBackend> {
  const requests: Reached[] = [];
  let answer: AnswerAs = (response) => void response.writeHead(500).end();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', headers } = request;
      const reached = { method, headers, body: Buffer.concat(chunks).toString('utf8') };
      requests.push(reached);
      answer(response, reached);
    });
  });
  const listening = await listenOnLoopback(server, 0);
  return {
    ...listening,
    requests,
    answerWith: (next) => {
      answer = next;
    },
  };
}

/** Has Envoy send what is for a cluster to another port. */
export function pointCluster(config: Tree, cluster: string, port: number): void {
  const found = config.static_resources.clusters.find(({ name }: Tree) => name === cluster);
  found.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address = {
    socket_address: { address: '127.0.0.1', port_value: port },
  };
}

/** The same cluster under another name, at another port. */
export function addCluster(config: Tree, like: string, name: string, port: number): void {
  const { clusters } = config.static_resources;
  const copy = structuredClone(clusters.find((cluster: Tree) => cluster.name === like));
  delete copy.health_checks;
  clusters.push({ ...copy, name, load_assignment: { ...copy.load_assignment, cluster_name: name } });
  pointCluster(config, name, port);
}
