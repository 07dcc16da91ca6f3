import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { type DownloadOptions, download, NO_VALIDATORS } from '../../../src/bundle/download.ts';
import { PolicyRefused } from '../../../src/bundle/refusal.ts';
import { createService } from '../../../src/services/service.ts';
import { type Answer, silence, startPeer } from '../support/peer.ts';

async function fetchFrom(t: TestContext, answer: Answer, options: Partial<DownloadOptions> = {}) {
  const peer = await startPeer(t, answer);
  const service = createService({ name: 'control', url: `${peer.url}/opa/`, timeoutMs: 1000 });
  t.after(service.close);
  const all = { resource: 'bundles/mcp.tar.gz', validators: NO_VALIDATORS, waitSeconds: null, timeoutMs: 1000, maxBytes: 1000 };
  return { peer, downloaded: download(service, { ...all, ...options }) };
}

const refusedAs = (code: string) => (error: unknown) => error instanceof PolicyRefused && error.code === code;

suite('a download', () => {
  test('asks for whole bundles, by path below the service', async (t) => {
    const { peer, downloaded } = await fetchFrom(t, (response) => void response.writeHead(200, { etag: '"e1"' }).end('archive'));
    const { archive, validators, longPolling } = await downloaded;
    assert.deepEqual([String(archive), validators, longPolling], ['archive', { etag: '"e1"', lastModified: null }, null]);
    const [seen] = peer.seen;
    assert.deepEqual([seen?.path, seen?.headers.prefer], ['/opa/bundles/mcp.tar.gz', 'modes=snapshot']);
    assert.equal(seen?.headers['if-none-match'], undefined);
  });

  test('tells what is held, and how long the server may wait', async (t) => {
    const type = { 'content-type': 'application/vnd.openpolicyagent.bundles' };
    const { peer, downloaded } = await fetchFrom(t, (response) => void response.writeHead(304, type).end(), {
      validators: { etag: 'W/"e1"', lastModified: 'Mon, 05 Oct 2026 10:00:00 GMT' },
      waitSeconds: 7,
    });
    const { archive, validators, longPolling } = await downloaded;
    assert.deepEqual([archive, validators.etag, longPolling], [null, 'W/"e1"', true]);
    const headers = peer.seen[0]?.headers;
    assert.deepEqual([headers?.prefer, headers?.['if-none-match']], ['modes=snapshot;wait=7', 'W/"e1"']);
    assert.equal(headers?.['if-modified-since'], undefined);
  });

  test('goes by the time of change where that is all there is, but not while it may change within the same second', async (t) => {
    const date = 'Mon, 05 Oct 2026 10:00:10 GMT';
    const held = async (modified: string) => {
      const headers = { date, 'last-modified': modified };
      return (await (await fetchFrom(t, (response) => void response.writeHead(200, headers).end('x'))).downloaded).validators;
    };
    assert.equal((await held('Mon, 05 Oct 2026 10:00:08 GMT')).lastModified, 'Mon, 05 Oct 2026 10:00:08 GMT');
    assert.equal((await held('Mon, 05 Oct 2026 10:00:09 GMT')).lastModified, null);
    const validators = { etag: null, lastModified: 'Mon, 05 Oct 2026 10:00:08 GMT' };
    const { peer, downloaded } = await fetchFrom(t, (response) => void response.writeHead(304).end(), { validators });
    assert.equal((await downloaded).archive, null);
    assert.equal(peer.seen[0]?.headers['if-modified-since'], validators.lastModified);
  });

  test('is refused for any other answer, and never names the query, which may be a signature', async (t) => {
    for (const status of [204, 206, 301, 302, 304, 401, 403, 404, 500, 503]) {
      const { downloaded } = await fetchFrom(t, (response) => void response.writeHead(status, { location: '/x' }).end(), {
        resource: 'b.tar.gz?X-Amz-Signature=abcdef',
      });
      await assert.rejects(downloaded, (error: Error) => {
        assert.match(error.message, new RegExp(`answered ${status} for b.tar.gz$`));
        return refusedAs('download_failed')(error);
      });
    }
  });

  test('is bounded in bytes and in time', async (t) => {
    const large = await fetchFrom(t, (response) => void response.writeHead(200).end('x'.repeat(1001)));
    await assert.rejects(large.downloaded, refusedAs('too_large'));
    const slow = await fetchFrom(t, silence, { timeoutMs: 50 });
    await assert.rejects(slow.downloaded, refusedAs('timeout'));
    const dead = createService({ name: 'dead', url: 'http://127.0.0.1:1', timeoutMs: 1000 });
    t.after(dead.close);
    const options = { resource: 'b', validators: NO_VALIDATORS, waitSeconds: null, timeoutMs: 1000, maxBytes: 10 };
    await assert.rejects(download(dead, options), refusedAs('download_failed'));
  });

  test('ends with its caller', async (t) => {
    const end = new AbortController();
    const { peer, downloaded } = await fetchFrom(t, silence, { signal: end.signal, waitSeconds: 60 });
    await peer.asked(1);
    end.abort();
    await assert.rejects(downloaded, { name: 'AbortError' });
  });
});
