import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { type DownloadOptions, download, NO_VALIDATORS } from '../../../src/bundle/download.ts';
import { PolicyRefused } from '../../../src/bundle/refusal.ts';
import { createService } from '../../../src/services/service.ts';
import { type Answer, type Peer, silence, startPeer } from '../support/peer.ts';

async function fetchFrom(t: TestContext, answer: Answer, options: Partial<DownloadOptions> = {}) {
  const peer = await startPeer(t, answer);
  const service = createService({ name: 'control', url: `${peer.url}/opa/`, timeoutMs: 20_000 });
  t.after(service.close);
  const all = { resource: 'bundles/mcp.tar.gz', validators: NO_VALIDATORS, waitSeconds: null, timeoutMs: 20_000, maxBytes: 1000 };
  return { peer, downloaded: download(service, { ...all, ...options }) };
}

const PLAIN: DownloadOptions = {
  resource: 'b',
  validators: NO_VALIDATORS,
  waitSeconds: null,
  timeoutMs: 20_000,
  maxBytes: 1000,
};

/** A server that knows us by a token and by a header. */
async function world(t: TestContext, answer: Answer) {
  process.env.UNIT_TEST_BUNDLE_TOKEN = 'open-sesame';
  const peer = await startPeer(t, answer);
  const bearer = { env: 'UNIT_TEST_BUNDLE_TOKEN' };
  const settings = { name: 'control', url: `${peer.url}/opa`, headers: { 'x-tenant': 'acme' }, credentials: { bearer } };
  const service = createService({ ...settings, timeoutMs: 20_000 });
  t.after(service.close);
  return { peer, service };
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
    for (const status of [204, 206, 300, 304, 401, 403, 404, 500, 503]) {
      const { downloaded } = await fetchFrom(t, (response) => void response.writeHead(status, { location: '/x' }).end(), {
        resource: 'b.tar.gz?X-Amz-Signature=abcdef',
      });
      await assert.rejects(downloaded, (error: Error) => {
        assert.match(error.message, new RegExp(`answered ${status} for b.tar.gz$`));
        return refusedAs('download_failed')(error);
      });
    }
  });

  test('follows where the bundle is, with what it asks for and nothing that is for the service alone', async (t) => {
    const type = { 'content-type': 'application/vnd.openpolicyagent.bundles', etag: '"e2"' };
    const store = await startPeer(t, (response, { headers }) => {
      const isKnown = headers['if-none-match'] === '"e2"';
      response.writeHead(isKnown ? 304 : 200, type).end(isKnown ? undefined : 'archive');
    });
    const { peer, service } = await world(t, (response) => {
      response.writeHead(302, { location: `${store.url}/b?X-Amz-Signature=abcdef`, etag: '"other"' }).end();
    });
    const first = await download(service, { ...PLAIN, waitSeconds: 7 });
    assert.deepEqual([String(first.archive), first.validators.etag, first.longPolling], ['archive', '"e2"', true]);
    const second = await download(service, { ...PLAIN, validators: first.validators });
    assert.deepEqual([second.archive, second.validators.etag], [null, '"e2"']);
    assert.deepEqual(
      peer.seen.map(({ headers }) => [headers.authorization, headers['x-tenant']]),
      [
        ['Bearer open-sesame', 'acme'],
        ['Bearer open-sesame', 'acme'],
      ],
    );
    assert.deepEqual(
      store.seen.map(({ path, headers }) => [path, headers.prefer, headers['if-none-match']]),
      [
        ['/b?X-Amz-Signature=abcdef', 'modes=snapshot;wait=7', undefined],
        ['/b?X-Amz-Signature=abcdef', 'modes=snapshot', '"e2"'],
      ],
    );
    assert.doesNotMatch(JSON.stringify(store.seen), /sesame|acme/);
  });

  test('shows who it is again at the same origin, and not where another one sent it back', async (t) => {
    const away: Peer = await startPeer(t, (response) => void response.writeHead(307, { location: `${peer.url}/back` }).end());
    const { peer, service } = await world(t, (response, { path }) => {
      const location = { '/opa/b': '/moved', '/moved': `${away.url}/x` }[path];
      response.writeHead(location === undefined ? 200 : 308, location === undefined ? {} : { location }).end('archive');
    });
    assert.equal(String((await download(service, PLAIN)).archive), 'archive');
    assert.deepEqual(
      peer.seen.map(({ path, headers }) => [path, headers.authorization]),
      [
        ['/opa/b', 'Bearer open-sesame'],
        ['/moved', 'Bearer open-sesame'],
        ['/back', undefined],
      ],
    );
  });

  test('ends where redirects do not, or lead where it does not go, and tells of the target its origin alone', async (t) => {
    const cases: readonly (readonly [location: string | undefined, count: number, why: RegExp])[] = [
      ['/x?sig=abcdef', 6, /: it redirected more than 5 times, at last to http:\/\/127\.0\.0\.1:\d+$/],
      ['http://bundles.test/b?sig=abcdef', 1, /: it redirected to http:\/\/bundles\.test, plain http to another host$/],
      ['https://anna:abcdef@bundles.test/', 1, /to https:\/\/bundles\.test, with a user or a password$/],
      ['file:///abcdef', 1, /to an address of file:, which is not HTTP$/],
      ['http://[abcdef', 1, /: it answered 302 with an address that cannot be read$/],
      [undefined, 1, /: it answered 302 without saying where to$/],
    ];
    for (const [location, count, why] of cases) {
      const { peer, service } = await world(
        t,
        (response) => void response.writeHead(302, location === undefined ? {} : { location }).end(),
      );
      await assert.rejects(download(service, PLAIN), (error: Error) => {
        assert.match(error.message, why);
        assert.doesNotMatch(`${error.message}${error.cause}`, /abcdef/);
        return refusedAs('download_failed')(error);
      });
      assert.equal(peer.seen.length, count, String(why));
    }
  });

  test('says who answered where it was redirected, and has one time for all of it', async (t) => {
    const store = await startPeer(t, (response) => void response.writeHead(403).end());
    const { service } = await world(t, (response) => void response.writeHead(302, { location: `${store.url}/b?sig=a` }).end());
    await assert.rejects(download(service, PLAIN), {
      message: `${store.url}, where control redirected to, answered 403 for b`,
    });
    store.answer = silence;
    await assert.rejects(download(service, { ...PLAIN, timeoutMs: 100 }), refusedAs('timeout'));
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
