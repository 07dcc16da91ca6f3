/** One Check after another, straight at a sidecar, and what became of each. */
import { type Client, status } from '@grpc/grpc-js';
import { loadAuthorization } from '../../src/ext-authz/server.ts';

/** As Envoy may be told to wait. */
const DEADLINE_MS = 1000;
const { path, requestSerialize, responseDeserialize } = loadAuthorization().service.Check;
const asIs = (buffer: Buffer) => buffer;

/** @returns why it was refused, or `allowed`; `late` where no answer came in time. */
export function ask(client: Client, request: object): Promise<string> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      asIs,
      responseDeserialize,
      requestSerialize(request as never),
      { deadline: Date.now() + DEADLINE_MS },
      (error, answer) => {
        if (error?.code === status.DEADLINE_EXCEEDED) return resolve('late');
        if (error) return reject(error);
        if (answer?.ok_response) return resolve('allowed');
        const reason = /"reason":"([a-z_]+)"/.exec(answer?.denied_response?.body ?? '')?.[1];
        resolve(reason ?? 'unknown');
      },
    );
  });
}
