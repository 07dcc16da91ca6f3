/** Ways to a service that are not straight: through a proxy, and redirected over TLS. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createProxy } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { createService, type ServiceSettings } from '../../../src/services/service.ts';
import { createAuthority } from '../support/certificates.ts';
import { json, startPeer } from '../support/peer.ts';

const GET = { method: 'GET' } as const;
const VARIABLES = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'no_proxy', 'NO_PROXY'];

function open(t: TestContext, settings: Partial<ServiceSettings> & { readonly url: string }) {
  const service = createService({ name: 'control', timeoutMs: 20_000, ...settings });
  t.after(service.close);
  return service;
}

/** These alone, for this test. */
function setEnvironment(t: TestContext, values: Readonly<Record<string, string>>): void {
  const before = VARIABLES.map((name) => [name, process.env[name]] as const);
  for (const name of VARIABLES) delete process.env[name];
  Object.assign(process.env, values);
  t.after(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
}

/** Servers of one authority, and what they saw: the path, and the name in the certificate of who asked. */
async function startTls(t: TestContext, names: readonly string[]) {
  const authority = await createAuthority();
  const dir = await mkdtemp(join(tmpdir(), 'routes-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const [caFile, certFile, keyFile] = [join(dir, 'ca.pem'), join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const client = await authority.issue('gateway', 'client');
  await Promise.all([writeFile(caFile, authority.ca), writeFile(certFile, client.cert), writeFile(keyFile, client.key)]);
  const seen: (readonly [number, string | undefined, string | undefined])[] = [];
  const locations = new Map<number, string>();
  const listen = async (name: string, index: number): Promise<number> => {
    const options = {
      ...(await authority.issue(name, 'server')),
      ca: authority.ca,
      requestCert: true,
      rejectUnauthorized: false,
    };
    const server = createServer(options, (request, response) => {
      const shown = (request.socket as TLSSocket).getPeerCertificate().subject as { readonly CN?: string } | undefined;
      seen.push([index, request.url, shown?.CN]);
      const location = locations.get(index);
      response.writeHead(location === undefined ? 200 : 302, location === undefined ? {} : { location }).end('ok');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return (server.address() as AddressInfo).port;
  };
  const ports = await Promise.all(names.map(listen));
  return { ports, seen, locations, settings: { caFile, credentials: { clientTls: { certFile, keyFile } } } };
}

/** A proxy that leads to this host, whatever was asked for. */
async function startProxy(t: TestContext, port: number) {
  const asked: (readonly [string | undefined, string | undefined])[] = [];
  const proxy = createProxy().on('connect', (request, socket) => {
    asked.push([request.url, request.headers['proxy-authorization']]);
    const onward = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    for (const end of [onward, socket]) end.on('error', () => {});
    t.after(() => onward.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => void proxy.close());
  return { asked, address: `127.0.0.1:${(proxy.address() as AddressInfo).port}` };
}

suite('a proxy of the environment', () => {
  test('is asked for plain http, with or without its scheme', async (t) => {
    const proxy = await startPeer(t, json({}));
    for (const address of [proxy.url, proxy.url.replace('http://', '')]) {
      setEnvironment(t, { HTTP_PROXY: address });
      assert.equal((await open(t, { url: 'http://bundles.test/opa' }).send('a', GET)).status, 200);
    }
    assert.deepEqual(
      proxy.seen.map(({ path, headers }) => [path, headers.host]),
      Array(2).fill(['http://bundles.test/opa/a', 'bundles.test']),
    );
  });

  test('leads to a server that is told who we are by certificate, and trusted by its own', async (t) => {
    const { ports, seen, settings } = await startTls(t, ['bundles.test']);
    const { asked, address } = await startProxy(t, ports[0] as number);
    setEnvironment(t, { https_proxy: `http://anna:sesame@${address}` });
    const { status } = await open(t, { url: 'https://bundles.test/opa', ...settings }).send('a', GET);
    assert.deepEqual(
      [status, asked, seen],
      [200, [['bundles.test:443', `Basic ${btoa('anna:sesame')}`]], [[0, '/opa/a', 'gateway']]],
    );
    const { caFile: _, ...strange } = settings;
    await assert.rejects(open(t, { url: 'https://bundles.test/opa', ...strange }).send('a', GET));
    assert.equal(seen.length, 1);
  });

  test('is not asked for this very host, nor for what NO_PROXY names', async (t) => {
    const [proxy, peer] = [await startPeer(t, json({})), await startPeer(t, json({}))];
    setEnvironment(t, { HTTP_PROXY: proxy.url, NO_PROXY: 'bundles.test' });
    for (const url of [peer.url, peer.url.replace('127.0.0.1', 'localhost')]) await open(t, { url }).send('a', GET);
    await assert.rejects(open(t, { url: 'http://bundles.test:1' }).send('a', GET));
    assert.deepEqual([peer.seen.length, proxy.seen.length], [2, 0]);
  });

  test('that is no URL is told of without its password', async (t) => {
    setEnvironment(t, { HTTP_PROXY: 'http://anna:sesame@[proxy' });
    await assert.rejects(open(t, { url: 'http://bundles.test' }).send('a', GET), (error: Error) => {
      assert.match(error.message, /^HTTP_PROXY or HTTPS_PROXY is no URL$/);
      return error.cause === undefined;
    });
  });
});

suite('a redirect over TLS', () => {
  test('to another origin takes no client certificate there', async (t) => {
    setEnvironment(t, {});
    const { ports, seen, locations, settings } = await startTls(t, ['localhost', 'localhost']);
    locations.set(0, `https://localhost:${ports[1]}/b`);
    const service = open(t, { url: `https://localhost:${ports[0]}`, ...settings });
    assert.equal((await service.send('a', { ...GET, maxRedirects: 5 })).elsewhere, `https://localhost:${ports[1]}`);
    assert.deepEqual(seen, [
      [0, '/a', 'gateway'],
      [1, '/b', undefined],
    ]);
  });

  test('to plain http is not followed, not even to this host', async (t) => {
    setEnvironment(t, {});
    const { ports, seen, locations, settings } = await startTls(t, ['localhost']);
    const plain = await startPeer(t, json({}));
    locations.set(0, `${plain.url}/b?sig=abcdef`);
    const service = open(t, { url: `https://localhost:${ports[0]}`, allowPlaintext: true, ...settings });
    await assert.rejects(service.send('a', { ...GET, maxRedirects: 5 }), {
      name: 'RedirectRefused',
      message: `it redirected to ${plain.url}, from https to plain http`,
    });
    assert.deepEqual([seen.length, plain.seen.length], [1, 0]);
  });
});
