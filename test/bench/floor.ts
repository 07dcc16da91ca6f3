/** The floor: a Check server on the same protos that allows everything and looks at nothing. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { loadAuthorization } from '../../src/ext-authz/server.ts';

const server = new Server();
server.addService(loadAuthorization().service, {
  Check: (_call: unknown, respond: (error: null, response: object) => void) =>
    respond(null, { status: { code: 0 }, ok_response: {} }),
});
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound)));
});
const register = new Registry();
collectDefaultMetrics({ register });
const admin = createServer((_request, response) => void register.metrics().then((text) => response.end(text)));
admin.listen(0, '127.0.0.1', () => {
  const { port: adminPort } = admin.address() as AddressInfo;
  process.stderr.write(`${JSON.stringify({ target: `127.0.0.1:${port}`, admin: `http://127.0.0.1:${adminPort}` })}\n`);
});
process.once('SIGTERM', () => process.exit(0));
