/** The catalog against servers of the official SDKs that tell of changes, and against what no honest server would say. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite, type TestContext, test } from 'node:test';
import { type NodeIncomingMessageLike, toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer as LegacyServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { type Catalog, type CatalogOptions, createCatalog } from '../../../src/catalog/catalog.ts';
import type { McpFetch } from '../../../src/catalog/connection.ts';
import { fingerprintOf } from '../../../src/catalog/fingerprint.ts';
import { describeCause } from '../../../src/telemetry/redact.ts';
import { type Answer, startPeer } from '../support/peer.ts';

interface Refresh {
  readonly backend: string;
  readonly outcome: string;
  readonly cause: string;
}

interface Kept {
  readonly catalog: Catalog;
  readonly refreshes: Refresh[];
  readonly changes: string[];
  readonly watchFailures: string[];
  /** Resolves once that holds; looked at after each event. */
  readonly once: (holds: () => boolean) => Promise<void>;
  /** What waits for its time, and lets it come. */
  readonly timers: { readonly ms: number; readonly fire: () => void }[];
}

const plainFetch: McpFetch = (url, init) => fetch(url, init);

function keep(t: TestContext, url: string, changes: Partial<CatalogOptions> = {}): Kept {
  const wakers = new Set<() => void>();
  const wake = (): void => {
    for (const one of wakers) one();
  };
  const timers: { ms: number; fire: () => void }[] = [];
  const refreshes: Refresh[] = [];
  const changed: string[] = [];
  const watchFailures: string[] = [];
  const catalog = createCatalog({
    backends: [{ name: 'one', settings: url, connect: () => ({ url, fetch: plainFetch }) }],
    refreshMs: 300_000,
    timeoutMs: 20_000,
    maxItems: 100,
    maxBytes: 100_000,
    now: () => performance.now(),
    random: () => 0.5,
    later: (ms, work) => {
      const timer = {
        ms,
        fire: () => {
          timers.splice(timers.indexOf(timer), 1);
          work();
        },
      };
      timers.push(timer);
      wake();
      return () => {
        if (timers.includes(timer)) timers.splice(timers.indexOf(timer), 1);
      };
    },
    onRefresh: (backend, outcome, _told, cause) => {
      refreshes.push({ backend, outcome, cause: cause === undefined ? '' : describeCause(cause) });
      wake();
    },
    onWatchFailure: (_backend, cause) => {
      watchFailures.push(describeCause(cause));
      wake();
    },
    ...changes,
  });
  catalog.onListChanged((backend, list) => {
    changed.push(`${backend} ${list}`);
    wake();
  });
  t.after(() => catalog.stop());
  const once = (holds: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!holds()) return;
        wakers.delete(look);
        resolve();
      };
      wakers.add(look);
      look();
    });
  return { catalog, refreshes, changes: changed, watchFailures, once, timers };
}

const legacyTools = (server: LegacyServer, description: string): void => {
  server.registerTool('greet', { description, annotations: { readOnlyHint: true } }, () => ({ content: [] }));
};

/** A stateful server up to 2025-11-25. */
async function startLegacy(t: TestContext) {
  const sessions = new Map<string, { transport: StreamableHTTPServerTransport; server: LegacyServer }>();
  let opened = 0;
  let description = 'Says hello.';
  const http = createServer(async (request, response) => {
    const known = sessions.get(String(request.headers['mcp-session-id']));
    if (known !== undefined) return known.transport.handleRequest(request, response);
    const server = new LegacyServer({ name: 'legacy', version: '1' });
    legacyTools(server, description);
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => {
        opened++;
        sessions.set(id, { transport, server });
      },
      onsessionclosed: (id) => void sessions.delete(id),
    });
    await server.connect(transport as Transport);
    await transport.handleRequest(request, response);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    http.closeAllConnections();
    return new Promise((resolve) => http.close(resolve));
  });
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    sessions,
    opened: () => opened,
    change: (text: string) => {
      description = text;
      for (const { server } of sessions.values()) server.sendToolListChanged();
    },
    endStreams: () => http.closeAllConnections(),
  };
}

/** A server of both eras, without sessions. */
async function startDual(t: TestContext) {
  let description = 'Says hello.';
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'dual', version: '1' }, { instructions: 'Be kind.' });
    server.registerTool('greet', { description, annotations: { readOnlyHint: true } }, () => ({ content: [] }));
    return server;
  });
  const serve = toNodeHandler(handler);
  const http = createServer((request, response) => void serve(request as NodeIncomingMessageLike, response));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  t.after(async () => {
    await handler.close();
    http.closeAllConnections();
    return new Promise((resolve) => http.close(resolve));
  });
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    change: (text: string) => {
      description = text;
      handler.notify.toolsChanged();
    },
  };
}

const descriptionOf = ({ views }: Catalog): string | null | undefined => views('one')?.tools.get('greet')?.description;

suite('a server up to 2025-11-25', () => {
  test('is known as such, and its session ended', async (t) => {
    const server = await startLegacy(t);
    const { catalog, refreshes } = keep(t, server.url);
    assert.equal(catalog.views('one'), null);
    await catalog.refresh();
    assert.deepEqual(refreshes, [{ backend: 'one', outcome: 'ok', cause: '' }]);
    const view = catalog.views('one');
    assert.deepEqual([view?.eras, view?.reachable], [{ legacy: true, modern: false }, true]);
    assert.deepEqual(view?.tools.get('greet')?.annotations, { readOnlyHint: true });
    assert.deepEqual([server.opened(), server.sessions.size], [1, 0]);
  });

  test('is asked again when it tells of a change, and listened to again when the stream ends', async (t) => {
    const server = await startLegacy(t);
    const { catalog, refreshes, changes, once, timers } = keep(t, server.url);
    catalog.start();
    await once(() => refreshes.length === 1);
    assert.deepEqual(changes, ['one tools', 'one prompts', 'one resources']);
    const told = new Promise<void>((resolve) => {
      const look = setInterval(() => {
        server.change('Says goodbye.');
        if (timers.some(({ ms }) => ms === 1000)) {
          clearInterval(look);
          resolve();
        }
      }, 5);
    });
    await told;
    timers.find(({ ms }) => ms === 1000)?.fire();
    await once(() => refreshes.length === 2);
    assert.equal(descriptionOf(catalog), 'Says goodbye.');
    assert.deepEqual(changes.slice(3), ['one tools']);
    const regular = timers.length;
    server.endStreams();
    await once(() => timers.length > regular);
    await catalog.stop();
  });
});

suite('a server of both eras', () => {
  test('is known as such', async (t) => {
    const { url } = await startDual(t);
    const { catalog } = keep(t, url);
    await catalog.refresh();
    const view = catalog.views('one');
    assert.deepEqual(view?.eras, { legacy: true, modern: true });
    assert.equal(view?.instructions, 'Be kind.');
  });

  test('is asked again when it tells of a change', async (t) => {
    const server = await startDual(t);
    const { catalog, refreshes, once, timers } = keep(t, server.url);
    catalog.start();
    await once(() => refreshes.length === 1);
    await new Promise<void>((resolve) => {
      const look = setInterval(() => {
        server.change('Says goodbye.');
        if (timers.some(({ ms }) => ms === 1000)) {
          clearInterval(look);
          resolve();
        }
      }, 5);
    });
    timers.find(({ ms }) => ms === 1000)?.fire();
    await once(() => refreshes.length === 2);
    assert.equal(descriptionOf(catalog), 'Says goodbye.');
  });
});

const tool = (name: unknown, more: object = {}) => ({ name, inputSchema: { type: 'object' }, ...more });

/** A stateless server of the legacy era that lists what it is told to. */
function listing(pages: (cursor: string | undefined) => object): Answer {
  return (response, { method, body }) => {
    const json = (status: number, value: object) =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (method !== 'POST') return json(405, {});
    const message = JSON.parse(body);
    const result = (value: object) => json(200, { jsonrpc: '2.0', id: message.id, result: value });
    if (message.method === 'server/discover') return json(400, {});
    if (message.method === 'notifications/initialized') return void response.writeHead(202).end();
    if (message.method === 'initialize') {
      const serverInfo = { name: 'peer', version: '1' };
      return result({ protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo });
    }
    return result(pages(message.params.cursor));
  };
}

suite('what cannot be used is refused as a whole', () => {
  const deep = (depth: number): object => (depth === 0 ? {} : { a: deep(depth - 1) });
  const lists: readonly (readonly [what: string, pages: Parameters<typeof listing>[0], cause: RegExp])[] = [
    ['a name twice', () => ({ tools: [tool('a'), tool('a')] }), /"a" is there twice/],
    [
      'a name twice, on two pages',
      (cursor) => ({ tools: [tool('a')], ...(cursor === undefined && { nextCursor: 'x' }) }),
      /"a" is there twice/,
    ],
    ['too many items', () => ({ tools: Array.from({ length: 101 }, (_, at) => tool(`t${at}`)) }), /more than 100 items/],
    ['too many bytes', () => ({ tools: [tool('a', { description: 'x'.repeat(100_000) })] }), /more than 100000 bytes/],
    ['pages in a circle', () => ({ tools: [], nextCursor: 'x' }), /a cursor came twice/],
    [
      'pages without end',
      (cursor = '') => ({ tools: [], nextCursor: `${cursor}x` }),
      /more than 256 pages|more than 100000 bytes/,
    ],
    ['a cursor that is no text', () => ({ tools: [], nextCursor: 7 }), /a cursor that is no text|nextCursor/],
    ['no list', () => ({ tools: { a: 1 } }), /without tools/],
    ['nothing', () => ({}), /without tools/],
    ['a tool that is no object', () => ({ tools: ['a'] }), /is no object/],
    ['no name', () => ({ tools: [tool(undefined)] }), /has no name/],
    ['a name that is no text', () => ({ tools: [tool(1)] }), /has no name/],
    ['a name too long', () => ({ tools: [tool('n'.repeat(2049))] }), /more than 2048 characters/],
    ['no schema', () => ({ tools: [{ name: 'a' }] }), /no inputSchema/],
    ['a schema of another type', () => ({ tools: [{ name: 'a', inputSchema: { type: 'array' } }] }), /no inputSchema/],
    ['annotations that are a list', () => ({ tools: [tool('a', { annotations: [] })] }), /annotations that are no object/],
    ['a description that is a number', () => ({ tools: [tool('a', { description: 5 })] }), /description that is no text/],
    [
      'a schema without bottom',
      () => ({ tools: [tool('a', { inputSchema: { type: 'object', x: deep(100) } })] }),
      /nested more than/,
    ],
    ['half a character', () => ({ tools: [tool('a', { description: '\ud800' })] }), /not Unicode/],
  ];
  for (const [what, pages, cause] of lists) {
    test(what, async (t) => {
      const honest = { tools: [tool('greet', { description: 'Says hello.' })] };
      const peer = await startPeer(
        t,
        listing(() => honest),
      );
      const { catalog, refreshes } = keep(t, peer.url);
      await catalog.refresh();
      peer.answer = listing(pages);
      await catalog.refresh();
      assert.deepEqual(
        refreshes.map(({ outcome }) => outcome),
        ['ok', 'invalid'],
        refreshes[1]?.cause ?? '',
      );
      assert.match(refreshes[1]?.cause ?? '', cause);
      assert.equal(descriptionOf(catalog), 'Says hello.', 'what it said before is kept');
      assert.equal(catalog.views('one')?.reachable, true);
    });
  }

  test('something that is no MCP server', async (t) => {
    const peer = await startPeer(t, (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'));
    const { catalog, refreshes } = keep(t, peer.url);
    await catalog.refresh();
    assert.notEqual(refreshes[0]?.outcome, 'ok');
    assert.equal(catalog.views('one'), null);
  });

  test('a redirect', async (t) => {
    const other = await startPeer(
      t,
      listing(() => ({ tools: [] })),
    );
    const peer = await startPeer(t, (response) => void response.writeHead(307, { location: other.url }).end());
    const { catalog, refreshes } = keep(t, peer.url, {
      backends: [
        {
          name: 'one',
          settings: '',
          connect: () => ({ url: peer.url, fetch: (url, init) => fetch(url, { ...init, redirect: 'manual' }) }),
        },
      ],
    });
    await catalog.refresh();
    assert.notEqual(refreshes[0]?.outcome, 'ok');
    assert.equal(other.seen.length, 0);
  });
});

suite('a backend that does not answer', () => {
  test('has no view, and is asked again, later each time', async (t) => {
    const peer = await startPeer(t, (response) => void response.writeHead(503).end());
    const { catalog, refreshes, once, timers } = keep(t, peer.url);
    catalog.start();
    for (const [index, ms] of [1000, 2000, 4000].entries()) {
      await once(() => refreshes.length === index + 1 && timers.length > 0);
      assert.deepEqual([timers[0]?.ms, refreshes[index]?.outcome], [ms, 'unreachable']);
      timers[0]?.fire();
    }
    assert.equal(catalog.views('one'), null);
  });

  test('keeps what it said, and is said to be out of reach', async (t) => {
    const peer = await startPeer(
      t,
      listing(() => ({ tools: [tool('greet')] })),
    );
    const { catalog } = keep(t, peer.url);
    await catalog.refresh();
    peer.answer = (response) => void response.destroy();
    await catalog.refresh();
    assert.equal(catalog.views('one')?.reachable, false);
    assert.equal(catalog.views('one')?.tools.size, 1);
    peer.answer = listing(() => ({ tools: [] }));
    await catalog.refresh();
    assert.equal(catalog.views('one')?.reachable, true);
    assert.equal(catalog.views('one')?.tools.size, 0);
  });

  test('is waited for no longer than that', async (t) => {
    const peer = await startPeer(t, () => {});
    const { catalog, refreshes } = keep(t, peer.url, { timeoutMs: 50 });
    await catalog.refresh();
    assert.equal(refreshes[0]?.outcome, 'unreachable');
  });
});

suite('another configuration', () => {
  test('keeps what is known of backends that stay as they are', async (t) => {
    const peer = await startPeer(
      t,
      listing(() => ({ tools: [tool('greet')] })),
    );
    const { catalog, refreshes } = keep(t, peer.url);
    await catalog.refresh();
    const limits = { refreshMs: 1000, timeoutMs: 1000, maxItems: 10 };
    const connect = () => ({ url: peer.url, fetch: plainFetch });
    catalog.replace({ ...limits, backends: [{ name: 'one', settings: peer.url, connect }] });
    assert.equal(catalog.views('one')?.tools.size, 1);
    catalog.replace({ ...limits, backends: [{ name: 'one', settings: 'other', connect }] });
    assert.equal(catalog.views('one'), null);
    catalog.replace({ ...limits, backends: [] });
    await catalog.refresh();
    assert.equal(refreshes.length, 1);
  });
});

test('the fingerprint in the view is that of the tool as it is listed', async (t) => {
  const greet = tool('greet', { title: 'Greet', description: 'Says hello.', _meta: { x: 1 } });
  const peer = await startPeer(
    t,
    listing(() => ({ tools: [greet] })),
  );
  const { catalog } = keep(t, peer.url);
  await catalog.refresh();
  assert.equal(catalog.views('one')?.tools.get('greet')?.fingerprint, fingerprintOf(greet));
});
