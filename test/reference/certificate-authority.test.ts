/**
 * The certificates of the reference deployment, judged by a real TLS handshake.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { createCertificates } from '../../examples/reference/certificate-authority.ts';

test('a client that trusts the CA accepts every host of the certificate, and no other', async (t) => {
  const { port, caPem } = await startServer(t, ['localhost', 'gateway.example', '127.0.0.1']);
  for (const host of ['localhost', 'gateway.example', '127.0.0.1']) {
    assert.equal(await handshake(port, host, caPem), 'authorized', host);
  }
  assert.equal(await handshake(port, 'other.example', caPem), 'ERR_TLS_CERT_ALTNAME_INVALID');
});

test('a client that trusts another CA of the same name does not', async (t) => {
  const { port } = await startServer(t, ['localhost']);
  const { caPem } = await startServer(t, ['localhost']);
  assert.notEqual(await handshake(port, 'localhost', caPem), 'authorized');
});

test('the private key is for its owner only, and no polyfill is left behind', async (t) => {
  const { keyFile } = await certificatesFor(t, ['localhost']);
  assert.equal((await stat(keyFile)).mode & 0o777, 0o600);
  assert.match(await readFile(keyFile, 'utf8'), /^-----BEGIN PRIVATE KEY-----\n/);
  assert.equal('getMetadata' in Reflect, false);
});

async function certificatesFor(t: TestContext, hosts: string[]) {
  const dir = await mkdtemp(join(tmpdir(), 'certificates-'));
  t.after(() => rm(dir, { recursive: true }));
  return createCertificates({ dir: join(dir, 'pki'), hosts });
}

async function startServer(t: TestContext, hosts: string[]) {
  const { certFile, keyFile, caFile, caPem } = await certificatesFor(t, hosts);
  assert.equal(await readFile(caFile, 'utf8'), caPem);
  const server = createServer({ cert: await readFile(certFile), key: await readFile(keyFile) }, (socket) => socket.end());
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, caPem };
}

/** `authorized`, or the code of the error. */
async function handshake(port: number, host: string, ca: string): Promise<string> {
  const servername = host === '127.0.0.1' ? '' : host;
  const socket = connect({ host: '127.0.0.1', port, ca, servername });
  try {
    await once(socket, 'secureConnect');
    return socket.authorized ? 'authorized' : String(socket.authorizationError);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    socket.destroy();
  }
}
