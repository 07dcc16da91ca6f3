import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { suite, type TestContext, test } from 'node:test';
import { type HttpListener, type Page, serveHttp } from '../../src/http-server.ts';
import { removeStaleSocket, socketPath } from '../../src/socket-file.ts';
import { folder } from './support/folder.ts';

async function serve(t: TestContext, page: Parameters<typeof serveHttp>[1], listen = '127.0.0.1:0'): Promise<HttpListener> {
  const listener = await serveHttp(listen, page);
  t.after(listener.close);
  return listener;
}

const hello = (path: string): Page | null => (path === '/hello' ? { body: '{"hello":"wörld"}' } : null);

suite('the small HTTP listener', () => {
  test('serves GET and HEAD on exact paths, whatever the query', async (t) => {
    const { url } = await serve(t, hello);
    for (const path of ['/hello', '/hello?', '/hello?a=/b']) {
      const response = await fetch(url + path);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-type'), 'application/json');
      assert.deepEqual(await response.json(), { hello: 'wörld' });
    }
    const head = await fetch(`${url}/hello`, { method: 'HEAD' });
    assert.equal(head.headers.get('content-length'), '18');
    assert.equal(await head.text(), '');
  });

  test('has nothing else, and says so', async (t) => {
    const { url } = await serve(t, hello);
    for (const path of ['/', '/hello/', '/Hello', '//hello', '/x/../hello%00', '/%68ello']) {
      assert.equal((await fetch(url + path)).status, 404, path);
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      const response = await fetch(`${url}/hello`, { method });
      assert.equal(response.status, 405);
      assert.equal(response.headers.get('allow'), 'GET, HEAD');
    }
  });

  test('keeps what went wrong to itself', async (t) => {
    const pages: Parameters<typeof serveHttp>[1][] = [
      () => {
        throw new Error('secret');
      },
      () => Promise.reject(new Error('secret')),
      () => ({ body: 'x', headers: { 'x-a': 'b\r\nc' } }),
      () => ({ body: undefined as unknown as string }),
    ];
    for (const page of pages) {
      const { url } = await serve(t, page);
      const response = await fetch(`${url}/`);
      assert.equal(response.status, 500);
      assert.equal(await response.text(), '{"error":"internal error"}');
    }
  });

  test('outlives clients that speak no HTTP, hang up or say too much', async (t) => {
    const { url } = await serve(t, hello);
    const port = Number(new URL(url).port);
    for (const bytes of ['\0\0\0', 'GET /hello HTTP/9.9\r\n\r\n', `GET /hello HTTP/1.1\r\nx: ${'a'.repeat(10_000)}\r\n\r\n`]) {
      const socket = connect(port, '127.0.0.1');
      socket.end(bytes);
      await once(
        socket.resume().on('error', () => {}),
        'close',
      );
    }
    const early = connect(port, '127.0.0.1');
    early.write('GET /hello HTTP/1.1\r\nhost: x\r\n\r\n', () => early.resetAndDestroy());
    await once(
      early.on('error', () => {}),
      'close',
    );
    assert.equal((await fetch(`${url}/hello`)).status, 200);
  });

  test('tells the page under which host it was asked', async (t) => {
    const { url } = await serve(t, (_path, host) => ({ body: host }));
    assert.equal(await (await fetch(url)).text(), new URL(url).host);
  });

  test('listens where it is told', async (t) => {
    const v6 = await serve(t, hello, '[::1]:0');
    assert.match(v6.url, /^http:\/\/\[::1\]:\d+$/);
    assert.equal((await fetch(`${v6.url}/hello`)).status, 200);
    const named = await serve(t, hello, 'localhost:0');
    assert.equal((await fetch(`${named.url}/hello`)).status, 200);
  });

  test('listens on a Unix socket, and takes it away when it closes', async (t) => {
    const socketFile = join(await folder(t), 'a.sock');
    const listener = await serveHttp(`unix://${socketFile}`, hello);
    assert.equal(listener.url, `unix://${socketFile}`);
    const asked = request({ socketPath: socketFile, path: '/hello' });
    asked.end();
    const [response] = await once(asked, 'response');
    assert.equal(await text(response), '{"hello":"wörld"}');
    await listener.close();
    await assert.rejects(stat(socketFile), { code: 'ENOENT' });
  });

  test('does not start where it cannot', async (t) => {
    const { url } = await serve(t, hello);
    await assert.rejects(serveHttp(new URL(url).host, hello), { code: 'EADDRINUSE' });
    await assert.rejects(serveHttp('unix:///nowhere/at/all.sock', hello));
    await assert.rejects(serveHttp('127.0.0.1:99999', hello), { code: 'ERR_SOCKET_BAD_PORT' });
  });

  test('closes with clients still connected', async () => {
    const listener = await serveHttp('127.0.0.1:0', () => new Promise<Page>(() => {}));
    const answer = fetch(listener.url);
    answer.catch(() => {});
    const idle = connect(Number(new URL(listener.url).port), '127.0.0.1').on('error', () => {});
    await once(idle, 'connect');
    await listener.close();
    await assert.rejects(answer);
  });
});

suite('a Unix socket left behind', () => {
  test('is told from other addresses', () => {
    assert.equal(socketPath('unix:///run/a.sock'), '/run/a.sock');
    assert.equal(socketPath('127.0.0.1:80'), null);
  });

  test('by a process that was killed is taken away', async (t) => {
    const file = join(await folder(t), 'a.sock');
    const listening = "process.send('ready')";
    const script = `require('node:net').createServer().listen(${JSON.stringify(file)}, () => ${listening})`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    await once(child, 'message');
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.ok((await stat(file)).isSocket());
    const listener = await serveHttp(`unix://${file}`, hello);
    await listener.close();
  });

  test('stays while somebody listens on it', async (t) => {
    const file = join(await folder(t), 'a.sock');
    await serve(t, hello, `unix://${file}`);
    await removeStaleSocket(`unix://${file}`);
    assert.ok((await stat(file)).isSocket());
    await assert.rejects(serveHttp(`unix://${file}`, hello), { code: 'EADDRINUSE' });
  });

  test('that is no socket is not touched', async (t) => {
    const file = join(await folder(t), 'precious');
    await writeFile(file, 'data');
    await assert.rejects(serveHttp(`unix://${file}`, hello), { code: 'EADDRINUSE' });
    assert.ok((await stat(file)).isFile());
    await removeStaleSocket('127.0.0.1:80');
    await removeStaleSocket(`unix://${file}.other`);
  });
});
