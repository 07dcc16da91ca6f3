import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { suite, type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { createHttpClient, type HttpClientOptions, isSafeUrl } from '../../src/http-client.ts';
import { createAuthority } from './support/certificates.ts';
import { json, silence, startPeer } from './support/peer.ts';

function clientFor(t: TestContext, options: Partial<HttpClientOptions> = {}) {
  const client = createHttpClient({ timeoutMs: 20_000, maxResponseBytes: 1000, ...options });
  t.after(client.close);
  return client.fetch;
}

suite('the HTTP client', () => {
  test('fetches', async (t) => {
    const { url, seen } = await startPeer(t, json({ keys: [] }));
    const response = await clientFor(t)(`${url}/jwks?a=b`);
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { keys: [] });
    assert.equal(response.headers.get('content-type'), 'application/json');
    assert.equal(seen[0]?.method, 'GET');
    assert.equal(seen[0]?.path, '/jwks?a=b');
    assert.equal(seen[0]?.headers.accept, 'application/json');
  });

  test('posts a form', async (t) => {
    const { url, seen } = await startPeer(t, json({}));
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    await clientFor(t)(new URL(url), { method: 'POST', headers, body: new URLSearchParams({ a: '1 &' }) });
    assert.equal(seen[0]?.body, 'a=1+%26');
    assert.equal(seen[0]?.headers['content-type'], 'application/x-www-form-urlencoded');
  });

  test('follows no redirect', async (t) => {
    const target = await startPeer(t, json({}));
    for (const status of [301, 302, 303, 307, 308]) {
      const { url } = await startPeer(t, (response) => void response.writeHead(status, { location: target.url }).end());
      assert.equal((await clientFor(t)(url)).status, status);
    }
    assert.deepEqual(target.seen, []);
  });

  test('gives an answer without a body as one', async (t) => {
    for (const status of [204, 205, 304]) {
      const { url } = await startPeer(t, (response) => void response.writeHead(status).end());
      const response = await clientFor(t)(url);
      assert.equal(response.status, status);
      assert.equal(await response.text(), '');
    }
  });

  test('reads no more than it may, announced or not', async (t) => {
    const fetch = clientFor(t);
    for (const headers of [{ 'content-length': '1001' }, {}]) {
      const { url } = await startPeer(t, (response) => void response.writeHead(200, headers).end('x'.repeat(1001)));
      await assert.rejects(fetch(url));
    }
    const { url } = await startPeer(t, (response) => void response.end('x'.repeat(1000)));
    assert.equal((await (await fetch(url)).text()).length, 1000);
  });

  test('unpacks nothing: a bomb stays packed', async (t) => {
    const bomb = gzipSync(Buffer.alloc(500_000));
    const { url } = await startPeer(t, (response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb));
    const body = await (await clientFor(t)(url)).arrayBuffer();
    assert.ok(body.byteLength < 2000);
  });

  test('waits no longer than it may, for the answer, its body or the end of it', async (t) => {
    const fetch = clientFor(t, { timeoutMs: 60 });
    const silent = await startPeer(t, silence);
    await assert.rejects(fetch(silent.url), { name: 'TimeoutError' });
    const halting = await startPeer(t, (response) => void response.writeHead(200).write('{'));
    await assert.rejects(fetch(halting.url), { name: 'TimeoutError' });
    const dripping = await startPeer(t, (response) => {
      const drip = setInterval(() => response.write(' '), 5);
      response.on('close', () => clearInterval(drip));
    });
    await assert.rejects(fetch(dripping.url), { name: 'TimeoutError' });
  });

  test('ends with its caller', async (t) => {
    const { url, asked } = await startPeer(t, silence);
    const end = new AbortController();
    const answer = clientFor(t)(url, { signal: end.signal });
    await asked(1);
    end.abort();
    await assert.rejects(answer, { name: 'AbortError' });
  });

  test('fails where nobody listens or nobody speaks HTTP', async (t) => {
    const fetch = clientFor(t);
    await assert.rejects(fetch('http://127.0.0.1:1/'));
    const { url } = await startPeer(t, (response) => void response.socket?.end('SSH-2.0-OpenSSH\r\n'));
    await assert.rejects(fetch(url));
    for (const odd of ['not a url', 'file:///etc/passwd', 'ftp://127.0.0.1/']) await assert.rejects(async () => fetch(odd));
  });

  test('trusts the authorities it was given, and those alone', async (t) => {
    const [authority, stranger] = await Promise.all([createAuthority(), createAuthority()]);
    const { cert, key } = await authority.issue('localhost', 'server');
    const server = createServer({ cert, key }, (_request, response) => response.end('{}'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `https://localhost:${(server.address() as AddressInfo).port}/`;
    assert.equal((await clientFor(t, { ca: authority.ca })(url)).status, 200);
    await assert.rejects(clientFor(t)(url));
    await assert.rejects(clientFor(t, { ca: stranger.ca })(url));
    await assert.rejects(clientFor(t, { ca: authority.ca })(url.replace('localhost', '127.0.0.1')));
  });
});

test('a safe URL is https, or http to this very host', () => {
  const safe = [
    ...['https://as.example', 'https://as.example/realms/a?b=c', 'HTTPS://AS.EXAMPLE', 'https://10.0.0.1:8443/'],
    ...['http://localhost', 'http://localhost:9000/a', 'http://127.0.0.1:1', 'http://127.255.3.4', 'http://[::1]:9000/'],
    ...['http://127.1/', 'http://0x7f.1/', 'http://2130706433/'],
  ];
  const unsafe = [
    ...['', 'as.example', '//as.example', '/path', 'https://', 'https:', 'http://', 'javascript:alert(1)', 'file:///etc/passwd'],
    ...['http://as.example', 'http://localhost.evil.example', 'http://127.0.0.1.evil.example', 'http://evil.example#localhost'],
    ...[
      'http://10.0.0.1',
      'http://169.254.169.254/',
      'http://0.0.0.0/',
      'http://[::]/',
      'http://[::ffff:127.0.0.1]/',
      'http://128.0.0.1',
    ],
    ...[
      'http://localhost@evil.example',
      'http://evil.example/localhost',
      'http://xlocalhost',
      'http://localhostx',
      'http://[::1].evil/',
    ],
    ...['https://user@as.example', 'https://user:pass@as.example', 'https://:pass@as.example', 'https://as.example/#top'],
    ...[
      'ws://localhost',
      'wss://as.example',
      'ftp://localhost',
      'data:text/plain,https://as.example',
      'https://as.example:99999',
    ],
  ];
  assert.deepEqual(
    safe.filter((url) => !isSafeUrl(url)),
    [],
  );
  assert.deepEqual(unsafe.filter(isSafeUrl), []);
});

suite('an answer that is read as it comes', () => {
  const open = (t: TestContext, timeoutMs = 2000) => {
    const client = createHttpClient({ timeoutMs, maxResponseBytes: 10 });
    t.after(client.close);
    return client;
  };

  test('has its headers, and its pieces before its end', async (t) => {
    const peer = await startPeer(t, (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'mcp-session-id': 's-1' });
      response.write('data: a piece longer than the other limit\n\n');
    });
    const end = new AbortController();
    const headers = { 'x-a': 'b' };
    const answer = await open(t).stream(peer.url, { method: 'POST', headers, body: '{}', signal: end.signal });
    assert.deepEqual([answer.status, answer.headers.get('mcp-session-id')], [200, 's-1']);
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    assert.match(new TextDecoder().decode((await reader.read()).value), /^data: a piece/);
    end.abort();
    await assert.rejects(reader.read());
    assert.deepEqual([peer.seen[0]?.method, peer.seen[0]?.body, peer.seen[0]?.headers['x-a']], ['POST', '{}', 'b']);
  });

  test('is not fetched from elsewhere', async (t) => {
    const peer = await startPeer(t, (response) => void response.writeHead(307, { location: '/elsewhere' }).end());
    const answer = await open(t).stream(peer.url, { method: 'GET', headers: {} });
    assert.equal(answer.status, 307);
    assert.equal(peer.seen.length, 1);
  });

  test('must begin in time', async (t) => {
    const peer = await startPeer(t, () => {});
    await assert.rejects(open(t, 100).stream(peer.url, { method: 'GET', headers: {} }), /Timeout/i);
  });
});
