/** A closed-loop gRPC load: 16 callers on 2 connections send serialized CheckRequests and look at the status of the answers. */
import { Client, credentials } from '@grpc/grpc-js';
import { loadAuthorization } from '../../src/ext-authz/server.ts';

const CONNECTIONS = 2;
const CALLERS = 16;

export type Load = {
  /** Sends `count` Checks; rejects when one is not allowed. */
  readonly run: (count: number) => Promise<void>;
  readonly close: () => void;
};

export function createLoad(target: string, requests: readonly object[]): Load {
  const { path, requestSerialize, responseDeserialize } = loadAuthorization().service.Check;
  const wire = requests.map((request) => requestSerialize(request as never));
  const clients = Array.from(
    { length: CONNECTIONS },
    (_, index) =>
      new Client(target, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1, 'bench.connection': index }),
  );
  let next = 0;

  const one = (client: Client): Promise<void> =>
    new Promise((resolve, reject) => {
      const bytes = wire[next++ % wire.length] as Buffer;
      const deadline = Date.now() + 10_000;
      client.makeUnaryRequest(
        path,
        (buffer: Buffer) => buffer,
        responseDeserialize,
        bytes,
        { deadline },
        (error, response) => {
          if (error) reject(error);
          else if (response?.ok_response === undefined || response.ok_response === null)
            reject(new Error(`a Check was refused: ${response?.denied_response?.body}`));
          else resolve();
        },
      );
    });

  async function run(count: number): Promise<void> {
    let left = count;
    const caller = async (index: number) => {
      const client = clients[index % CONNECTIONS] as Client;
      while (left-- > 0) await one(client);
    };
    await Promise.all(Array.from({ length: CALLERS }, (_, index) => caller(index)));
  }

  return { run, close: () => clients.forEach((client) => void client.close()) };
}
