/**
 * Two sidecars behind one Envoy, with the same key and nothing else in common: whichever of them is asked, sessions, calls,
 * lists, streams and the ids of what servers ask go on, and when one dies the other has all that is needed.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../../examples/reference/free-port.ts';
import type { Sidecar } from '../../examples/reference/gateway.ts';
import { type AnyClient, type ClientKind, type Ears, SDK_V1, SDK_V2_LEGACY, SDK_V2_MODERN, textOf } from '../support/clients.ts';
import { LEDGER } from '../support/deployment.ts';
import { backendsKnown, beginSession, DOOR, send } from '../support/door.ts';
import { stats } from '../support/envoy-admin.ts';
import { followLines, type LineFile, waitUntil } from '../support/ndjson.ts';
import { startTalkingDeployment, type TalkingDeployment } from '../support/talking-deployment.ts';

type Tree = Record<string, any>;

const OURS = ['mcp_ext_authz', 'mcp_ext_proc', 'front_door'];
const ROUNDS = 12;

let deployment: TalkingDeployment;
let second: Sidecar;
let logs: readonly [LineFile, LineFile];
let alice: string;
const [authzPort, doorPort] = [await freePort(), await freePort()];

before(async () => {
  deployment = await startTalkingDeployment({
    adjustEnvoy: ({ static_resources: { clusters } }) => {
      for (const cluster of clusters as Tree[]) {
        if (!OURS.includes(cluster.name)) continue;
        const port = cluster.name === 'front_door' ? doorPort : authzPort;
        const endpoint = { address: { socket_address: { address: '127.0.0.1', port_value: port } } };
        cluster.load_assignment.endpoints[0].lb_endpoints.push({ endpoint });
        Object.assign(cluster.health_checks?.[0] ?? {}, { interval: '0.2s', no_traffic_interval: '0.2s', timeout: '0.5s' });
      }
    },
  });
  second = await deployment.startAnotherSidecar('second', (config) => {
    config.server.listen = `127.0.0.1:${authzPort}`;
    config.frontDoor.listen = `127.0.0.1:${doorPort}`;
    config.processing.keys = [{ file: join(deployment.dir, 'processing-key') }];
    config.wellKnown = undefined;
  });
  logs = [deployment.decisions, followLines(second.decisionLogFile)];
  await backendsKnown(deployment, second.ready.admin);
  await waitUntil(
    'both are healthy',
    async () => (await healthy('mcp_ext_authz')) === 2 && (await healthy('mcp_ext_proc')) === 2,
  );
  alice = await deployment.tokenOf('alice', deployment.frontDoorUrl);
});
after(() => deployment.stop());

async function healthy(cluster: string): Promise<number | undefined> {
  const name = `cluster.${cluster}.membership_healthy`;
  return (await stats(deployment.envoy.adminSocket, name)).get(name);
}

const connect = ({ connect: open }: ClientKind, ears: Ears = {}): Promise<AnyClient> =>
  open(deployment, deployment.frontDoorUrl, alice, ears);

/** How many allowed requests of alice each of the two has recorded. */
async function counts(): Promise<readonly number[]> {
  return Promise.all(
    logs.map(
      async (log) => (await log.all()).filter(({ subject, decision }) => subject === 'alice' && decision === 'allow').length,
    ),
  );
}

/** Both had their part in what `work` does. */
async function sharedBy(work: () => Promise<void>): Promise<void> {
  const before = await counts();
  await work();
  await waitUntil('both were asked', async () => (await counts()).every((count, at) => count > (before[at] as number)));
}

describe('two replicas are as one', () => {
  for (const kind of [SDK_V1, SDK_V2_LEGACY, SDK_V2_MODERN]) {
    test(`${kind.name} at the front door: lists and calls of both servers`, async (t) => {
      const client = await connect(kind);
      t.after(client.close);
      await sharedBy(async () => {
        for (let round = 0; round < ROUNDS; round++) {
          assert.ok((await client.listTools()).includes('enterprise_ledger_report'));
          assert.equal(textOf(await client.callTool('enterprise_ledger_report')), 'reported');
          assert.equal(textOf(await client.callTool('employee_directory_hello')), 'hello');
          assert.equal((await client.readResource('legacy://rules')).contents[0].text, 'none');
        }
      });
    });
  }

  for (const kind of [SDK_V1, SDK_V2_LEGACY]) {
    test(`${kind.name}: what a server asks, on the stream of the session and on that of a call`, async (t) => {
      let asked = 0;
      const onElicit = () => ({ action: 'accept', content: { name: `Ada ${++asked}` } });
      const held = new Set(deployment.legacy.sessions.keys());
      const client = await connect(kind, { onElicit });
      t.after(client.close);
      const [id] = [...deployment.legacy.sessions.keys()].filter((one) => !held.has(one));
      await waitUntil('its stream is open', () => deployment.legacy.listens(id as string));
      await sharedBy(async () => {
        for (let round = 0; round < ROUNDS; round += 2) {
          assert.equal(textOf(await client.callTool('enterprise_ledger_greet')), `accept Ada ${round + 1}`);
          assert.equal(textOf(await client.callTool('enterprise_ledger_insist')), 'accept');
        }
      });
    });

    test(`${kind.name}: a session with a single server`, async (t) => {
      const token = await deployment.tokenOf('alice', deployment.ledgerUrl);
      const client = await kind.connect(deployment, deployment.ledgerUrl, token);
      t.after(client.close);
      await sharedBy(async () => {
        for (let round = 0; round < ROUNDS; round++) {
          assert.ok((await client.listTools()).includes('report'));
          assert.equal(textOf(await client.callTool('report')), 'reported');
        }
      });
    });
  }

  test('each session is refused to others by both', async () => {
    const session = await beginSession(deployment, alice);
    const token = await deployment.tokenOf('bob', deployment.frontDoorUrl);
    const refused = async () =>
      Promise.all(logs.map(async (log) => (await log.all()).filter(({ reason }) => reason === 'session_forbidden').length));
    for (let round = 0; round < ROUNDS; round++) {
      const { status } = await send(deployment, { token, session, text: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' });
      assert.equal(status, 403);
    }
    await waitUntil('both refused it', async () => (await refused()).every((count) => count > 0));
  });
});

describe('one of two dies', () => {
  test('sessions that it took part in go on, without a failure', async (t) => {
    const clients = await Promise.all([SDK_V1, SDK_V2_LEGACY, SDK_V2_MODERN].map((kind) => connect(kind)));
    t.after(() => Promise.all(clients.map(({ close }) => close())));
    const token = await deployment.tokenOf('alice', deployment.ledgerUrl);
    const atLedger = await beginSession(deployment, token, { path: LEDGER });
    const atDoor = await beginSession(deployment, alice);
    const calls = [
      { token, session: atLedger, path: LEDGER, name: 'report' },
      { token: alice, session: atDoor, path: DOOR, name: 'enterprise_ledger_report' },
    ].map(({ name, ...letter }) => ({
      ...letter,
      text: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${name}"}}`,
    }));
    const exited = once(second.child, 'exit');
    second.child.kill('SIGKILL');
    await exited;
    const statuses: (number | null)[] = [];
    for (let round = 0; round < ROUNDS; round++) for (const call of calls) statuses.push((await send(deployment, call)).status);
    assert.deepEqual(new Set(statuses), new Set([200]), 'not one of them fails, though Envoy need not know of it yet');
    for (const client of clients) {
      for (let round = 0; round < ROUNDS; round++) {
        assert.ok((await client.listTools()).includes('enterprise_ledger_report'));
        assert.equal(textOf(await client.callTool('enterprise_ledger_report')), 'reported');
      }
    }
  });
});
