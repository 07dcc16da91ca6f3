/**
 * The front door out of reach, ext_proc with other keys than the Check: nothing passes unprocessed. And a change of keys,
 * step by step. What else can go wrong with ext_proc: lists.test.ts.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../../examples/reference/free-port.ts';
import { ask, type Reply } from '../support/ask.ts';
import { startTestDeployment, type TestDeployment } from '../support/deployment.ts';
import { closedPort } from '../support/memory.ts';
import { waitUntil } from '../support/ndjson.ts';
import { reconfigure } from '../support/reconfigure.ts';

type Tree = Record<string, any>;

let deployment: TestDeployment;

/** Points a cluster of the running file elsewhere; nobody asks for its health, so that Envoy tries. */
function redirect(config: Tree, name: string, port: number): void {
  const cluster = config.static_resources.clusters.find((one: Tree) => one.name === name);
  delete cluster.health_checks;
  const [{ endpoint }] = cluster.load_assignment.endpoints[0].lb_endpoints;
  endpoint.address = { socket_address: { address: '127.0.0.1', port_value: port } };
}

async function newKey(dir: string): Promise<{ readonly file: string }> {
  const file = join(dir, `processing-key-${randomBytes(4).toString('hex')}`);
  await writeFile(file, randomBytes(32).toString('base64'));
  return { file };
}

async function listAtTheDoor(): Promise<{ readonly status: number; readonly body: string }> {
  const token = await deployment.tokenOf('alice', deployment.frontDoorUrl);
  const response = await deployment.fetch(deployment.frontDoorUrl, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${token}`,
      'mcp-protocol-version': '2025-11-25',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
  });
  return { status: response.status, body: await response.text() };
}

/** What a server saw since then of anybody but the gateway itself, whose catalog asks when it likes. */
function seenSince(count: number): typeof deployment.requests {
  return deployment.requests.slice(count).filter(({ delegation }) => delegation?.sub !== 'ai-identity-gateway');
}

/** The server's tools, in an answer that shows any. */
const TOOLS = /listEmployees|listAccounts/;

describe('the front door out of reach', () => {
  before(async () => {
    const nobody = await closedPort();
    deployment = await startTestDeployment({ adjustEnvoy: (config) => redirect(config, 'front_door', nobody) });
  });
  after(() => deployment.stop());

  test('is 503, which is not the end of a session', async () => {
    const { status, body } = await listAtTheDoor();
    assert.equal(status, 503);
    assert.doesNotMatch(body, TOOLS);
  });
});

describe('another replica, with other keys', () => {
  before(async () => {
    const port = await freePort();
    deployment = await startTestDeployment({ adjustEnvoy: (config) => redirect(config, 'mcp_ext_proc', port) });
    const key = await newKey(deployment.dir);
    await deployment.startAnotherSidecar('replica', (config) => {
      config.server.listen = `127.0.0.1:${port}`;
      config.wellKnown = undefined;
      config.processing.keys = [key];
    });
  });
  after(() => deployment.stop());

  test('does not process what this one checked: an error, and the server is not asked', async () => {
    const token = await deployment.tokenOf('alice', deployment.directoryUrl);
    const before = deployment.requests.length;
    const reply = await ask(deployment, { token });
    assert.equal(reply.status, 500);
    assert.equal(reply.reason, 'request_invalid');
    assert.deepEqual(seenSince(before), []);
  });
});

describe('a change of keys', () => {
  let token: string;
  before(async () => {
    deployment = await startTestDeployment();
    token = await deployment.tokenOf('alice', deployment.ledgerUrl);
  });
  after(() => deployment.stop());

  const inSession = (id: string): Promise<Reply> =>
    ask(deployment, {
      to: 'ledger',
      token,
      headers: [
        ['mcp-session-id', id],
        ['mcp-protocol-version', '2025-11-25'],
      ],
    });

  async function begin(): Promise<string> {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'keys', version: '1' } };
    const reply = await ask(deployment, { to: 'ledger', token, method: 'initialize', params });
    assert.equal(reply.status, 200);
    return reply.headers.get('mcp-session-id')?.[0] ?? '';
  }

  test('loses no session while the old one is there, and ends them with it', async () => {
    const [first, second] = [{ file: join(deployment.dir, 'processing-key') }, await newKey(deployment.dir)];
    const use = (...keys: object[]) =>
      reconfigure(deployment, (config) => {
        config.processing.keys = keys;
      });
    const early = await begin();
    await waitUntil('the session answers', async () => (await inSession(early)).status === 200);

    await use(first, second);
    assert.match((await inSession(early)).body, TOOLS);
    await use(second, first);
    const late = await begin();
    assert.match((await inSession(early)).body, TOOLS);
    assert.match((await inSession(late)).body, TOOLS);
    await use(second);
    const gone = await inSession(early);
    assert.deepEqual([gone.status, gone.reason], [404, 'session_unknown']);
    assert.match((await inSession(late)).body, TOOLS);
  });
});
