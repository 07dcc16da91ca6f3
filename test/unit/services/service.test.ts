import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { createService, type ServiceInit, type ServiceSettings } from '../../../src/services/service.ts';
import { VERSION } from '../../../src/version.ts';
import { createAuthority } from '../support/certificates.ts';
import { folder } from '../support/folder.ts';
import { json, type Peer, startPeer } from '../support/peer.ts';

function open(t: TestContext, settings: Partial<ServiceSettings> & { readonly url: string }, now?: () => number) {
  const service = createService({ name: 'control', timeoutMs: 20_000, ...settings }, now);
  t.after(service.close);
  return service;
}

suite('a service', () => {
  test('is sent bytes, and answers with bytes', async (t) => {
    const packed = Buffer.from([31, 139, 8, 0, 255]);
    const { url, seen } = await startPeer(t, (response) => void response.writeHead(207, { 'x-a': ['1', '2'] }).end(packed));
    const service = open(t, { url: `${url}/base/`, headers: { 'x-tenant': 'acme' } });
    const answer = await service.send('/logs?a=b', { method: 'POST', headers: { 'content-encoding': 'gzip' }, body: 'abc' });
    assert.deepEqual([answer.status, answer.headers['x-a'], Buffer.from(answer.body)], [207, '1, 2', packed]);
    const [request] = seen;
    assert.deepEqual([request?.method, request?.path, request?.body], ['POST', '/base/logs?a=b', 'abc']);
    assert.deepEqual([request?.headers['x-tenant'], request?.headers['content-encoding']], ['acme', 'gzip']);
  });

  test('is told who asks, unless its settings say otherwise', async (t) => {
    const { url, seen } = await startPeer(t, json({}));
    await open(t, { url }).send('a', { method: 'GET' });
    await open(t, { url, headers: { 'user-agent': 'ours' } }).send('a', { method: 'GET' });
    assert.deepEqual(
      seen.map(({ headers }) => headers['user-agent']),
      [`mcp-ext-authz/${VERSION}`, 'ours'],
    );
  });

  test('is given no more than its time and its bytes, and follows no redirect', async (t) => {
    const target = await startPeer(t, json({}));
    const peer = await startPeer(t, (response) => void response.writeHead(307, { location: target.url }).end('x'.repeat(100)));
    const service = open(t, { url: peer.url });
    assert.equal((await service.send('a', { method: 'GET', maxBytes: 100 })).status, 307);
    await assert.rejects(service.send('a', { method: 'GET', maxBytes: 99 }), { name: 'AnswerTooLarge' });
    peer.answer = (response) => void response.write('never all of it');
    await assert.rejects(service.send('a', { method: 'GET', timeoutMs: 50 }), { name: 'TimeoutError' });
    assert.equal(target.seen.length, 0);
  });

  test('gets the bearer token that its file has now', async (t) => {
    const [dir, peer] = [await folder(t), await startPeer(t, json({}))];
    const file = join(dir, 'token');
    const service = open(t, { url: peer.url, credentials: { bearer: { file } } });
    for (const token of ['first', 'second']) {
      await writeFile(file, `${token}\n`);
      await service.send('a', { method: 'GET', headers: { authorization: 'Bearer mine' } });
    }
    assert.deepEqual(
      peer.seen.map(({ headers }) => headers.authorization),
      ['Bearer first', 'Bearer second'],
    );
  });

  test('is not asked with a token that no header can carry, and no error tells it', async (t) => {
    const [dir, peer] = [await folder(t), await startPeer(t, json({}))];
    const file = join(dir, 'token');
    const service = open(t, { url: peer.url, credentials: { bearer: { file } } });
    for (const token of ['', 'sec ret', 'sec\nret', 'geheimn\u00efs']) {
      await writeFile(file, token);
      await assert.rejects(
        service.send('a', { method: 'GET' }),
        (error: Error) => !/sec|ret|geheim/.test(error.message.replace('secret', '')),
      );
    }
    assert.equal(peer.seen.length, 0);
  });
});

suite('client credentials', () => {
  async function world(t: TestContext, expiresIn: number | undefined = 60) {
    process.env.UNIT_TEST_SERVICE_SECRET = 'open sesame';
    t.after(() => delete process.env.UNIT_TEST_SERVICE_SECRET);
    let issued = 0;
    const issue = () => json({ access_token: `token-${++issued}`, token_type: 'bearer', expires_in: expiresIn });
    const issuer = await startPeer(t, (response, seen) => issue()(response, seen));
    const peer = await startPeer(t, json({}));
    let nowMs = 0;
    const oauth2 = {
      tokenUrl: `${issuer.url}/token`,
      clientId: 'gw',
      secret: { env: 'UNIT_TEST_SERVICE_SECRET' },
      scopes: ['a', 'b'],
    };
    const service = open(t, { url: peer.url, credentials: { oauth2 } }, () => nowMs);
    const send = (init: ServiceInit = { method: 'POST', body: 'twice' }) => service.send('x', init);
    const tokens = (to: Peer) => to.seen.map(({ headers }) => headers.authorization);
    return { issuer, peer, send, tokens, pass: (ms: number) => (nowMs += ms) };
  }

  test('get a token, once for all who wait, kept until shortly before it expires', async (t) => {
    const { issuer, peer, send, tokens, pass } = await world(t);
    await Promise.all([send(), send(), send()]);
    pass(49_000);
    await send();
    assert.equal(issuer.seen.length, 1);
    pass(1000);
    await send();
    assert.equal(issuer.seen.length, 2);
    assert.deepEqual(tokens(peer), [...Array(4).fill('Bearer token-1'), 'Bearer token-2']);
    const [asked] = issuer.seen;
    assert.deepEqual(Object.fromEntries(new URLSearchParams(asked?.body)), { grant_type: 'client_credentials', scope: 'a b' });
    assert.equal(asked?.headers.authorization, `Basic ${btoa('gw:open+sesame')}`);
  });

  test('get another where the service no longer takes it, once, with the same request', async (t) => {
    const { issuer, peer, send, tokens } = await world(t);
    peer.answer = (response, { headers }) =>
      void response.writeHead(headers.authorization === 'Bearer token-1' ? 401 : 200).end();
    assert.equal((await send()).status, 200);
    assert.deepEqual(tokens(peer), ['Bearer token-1', 'Bearer token-2']);
    assert.deepEqual(
      peer.seen.map(({ body }) => body),
      ['twice', 'twice'],
    );
    peer.answer = (response) => void response.writeHead(401).end();
    assert.equal((await send()).status, 401);
    assert.deepEqual([peer.seen.length, issuer.seen.length], [4, 3]);
  });

  test('are not asked for anew because another origin does not take us', async (t) => {
    const { issuer, peer, send } = await world(t);
    const other = await startPeer(t, (response) => void response.writeHead(401).end());
    peer.answer = (response) => void response.writeHead(302, { location: other.url }).end();
    assert.equal((await send({ method: 'GET', maxRedirects: 1 })).elsewhere, other.url);
    assert.deepEqual([issuer.seen.length, peer.seen.length, other.seen[0]?.headers.authorization], [1, 1, undefined]);
  });

  test('are told of no more than status and code where they are refused', async (t) => {
    const { issuer, peer, send } = await world(t);
    const echo = { error: 'invalid_client', error_description: 'open sesame is wrong' };
    const answers: [Parameters<typeof json>[0], number, RegExp][] = [
      [echo, 401, /^the token endpoint answered 401, error invalid_client$/],
      ['open sesame', 500, /^the token endpoint answered 500, error none$/],
      [{}, 200, /without a bearer token/],
      [{ access_token: 'open sesame', token_type: 'bearer' }, 200, /without a bearer token/],
      [{ access_token: 'opensesame', token_type: 'dpop' }, 200, /without a bearer token/],
    ];
    for (const [body, status, message] of answers) {
      issuer.answer = json(body, status);
      await assert.rejects(send(), (error: Error) => {
        assert.match(error.message, message);
        assert.ok(!JSON.stringify([error.message, error.cause]).includes('sesame'));
        return true;
      });
    }
    assert.equal(peer.seen.length, 0);
  });
});

test('mutual TLS: the certificate that the file has now, and only servers of its authority', async (t) => {
  const dir = await folder(t);
  const [authority, stranger] = await Promise.all([createAuthority(), createAuthority()]);
  const [server, first, second] = await Promise.all([
    authority.issue('localhost', 'server'),
    authority.issue('gateway-1', 'client'),
    authority.issue('gateway-2', 'client'),
  ]);
  const names: (string | undefined)[] = [];
  const listener = createServer(
    { ...server, ca: authority.ca, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      names.push((request.socket as TLSSocket).getPeerCertificate().subject.CN as string);
      response.end('ok');
    },
  );
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    listener.closeAllConnections();
    listener.close();
  });
  const [caFile, certFile, keyFile] = [join(dir, 'ca.pem'), join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const url = `https://localhost:${(listener.address() as AddressInfo).port}`;
  const use = async ({ cert, key }: typeof first) => {
    await writeFile(certFile, cert);
    await writeFile(keyFile, key);
  };
  await writeFile(caFile, authority.ca);
  await use(first);
  const service = open(t, { url, caFile, credentials: { clientTls: { certFile, keyFile } } });
  await service.send('a', { method: 'GET' });
  await use(second);
  await service.send('a', { method: 'GET' });
  assert.deepEqual(names, ['gateway-1', 'gateway-2']);
  await assert.rejects(open(t, { url, caFile }).send('a', { method: 'GET' }));
  await writeFile(caFile, stranger.ca);
  await assert.rejects(service.send('a', { method: 'GET' }));
  assert.equal(names.length, 2);
});
