import assert from 'node:assert/strict';
import { test } from 'node:test';
import { follow } from '../../../src/services/redirects.ts';

const LIMITS = { maxRedirects: 5, allowPlaintext: true };

/** What one redirect comes to. */
async function sentFrom(from: string, location: string, status = 302): Promise<readonly (readonly [string, boolean])[]> {
  const seen: [string, boolean][] = [];
  await follow(new URL(from), LIMITS, async (url, isHome) => {
    seen.push([url.href, isHome]);
    const headers: Record<string, string> = seen.length === 1 ? { location } : {};
    return { status: seen.length === 1 ? status : 200, headers, body: Buffer.alloc(0) };
  });
  return seen;
}

test('a redirect is followed to the same origin as at home, and to another as a stranger', async () => {
  for (const status of [301, 302, 303, 307, 308])
    assert.deepEqual((await sentFrom('https://a.test/x/b', 'c#part', status))[1], ['https://a.test/x/c', true]);
  for (const [location, href] of [
    ['//b.test/b', 'https://b.test/b'],
    ['https://a.test:8443/b', 'https://a.test:8443/b'],
    ['https://sub.a.test/b', 'https://sub.a.test/b'],
  ] as const)
    assert.deepEqual((await sentFrom('https://a.test/b', location))[1], [href, false]);
  assert.deepEqual((await sentFrom('http://a.test/b', 'http://b.test/b'))[1], ['http://b.test/b', false]);
  assert.equal((await sentFrom('https://a.test/b', '/c', 300)).length, 1);
});

test('a redirect is not followed to this very host from another, nor from https to plain http', async () => {
  for (const location of ['https://localhost/', 'https://127.0.0.2:1/', 'https://[::1]/', 'https://0x7f.1/'])
    await assert.rejects(sentFrom('https://a.test/b', location), /which is this very host$/);
  await assert.rejects(sentFrom('http://a.test/b', 'http://localhost:8181/v1/data'), /this very host$/);
  await assert.rejects(sentFrom('https://a.test/b', 'http://a.test/b'), /to http:\/\/a\.test, from https to plain http$/);
});
