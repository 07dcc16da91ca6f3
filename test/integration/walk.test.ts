/** The walk of the demo, taken by every client that it knows: what is told of the gateway holds for each of them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CLIENTS, findClient, type McpClient } from '../../examples/reference/mcp-clients.ts';
import { exactClocks, walk } from '../../examples/reference/walk.ts';
import { startTestDeployment, type TestDeployment } from '../support/deployment.ts';

let deployment: TestDeployment;
before(async () => {
  deployment = await startTestDeployment({ adjustSidecar: exactClocks });
});
after(() => deployment.stop());

async function take(client: McpClient): Promise<string[]> {
  const lines: string[] = [];
  await walk(deployment, (line = '') => void lines.push(line), client);
  return lines;
}

describe('the walk passes with', () => {
  for (const client of Object.values(CLIENTS)) {
    test(client.name, async () => {
      const lines = await take(client);
      assert.match(lines.at(-1) ?? '', /Done\..* \d+ Checks, \d+ of them reached a backend/);
      for (const [backend, revision] of Object.entries(client.revisions)) {
        const told = `${client.name} spoke ${revision} to ${backend}`;
        assert.ok(
          lines.some((line) => line.includes(told)),
          told,
        );
      }
    });
  }
});

describe('the walk fails with a client that', () => {
  test('shows a refusal otherwise than it is said to', async () => {
    const client = { ...CLIENTS.v1, showRefusal: () => 'something else' };
    await assert.rejects(take(client), /not as told: SDK v1 shows “something else”; seen: "MCP error -31403: /);
  });

  test('speaks another revision than it is said to', async () => {
    const client = { ...CLIENTS['v2-modern'], revisions: CLIENTS.v1.revisions };
    await assert.rejects(take(client), /speaks 2025-11-25 to employee-directory; seen: \["2026-07-28"\]/);
  });

  test('says that every call went well', async () => {
    const connect: McpClient['connect'] = async (options) => {
      const session = await CLIENTS.v1.connect(options);
      return { ...session, callTool: (name, args) => session.callTool(name, args).catch(() => '{}') };
    };
    await assert.rejects(take({ ...CLIENTS.v1, connect }), /not as told: SDK v1 shows .*; seen: null/);
  });
});

test('a client that is not known is not found, and neither is what every object has', () => {
  assert.deepEqual([findClient('v3'), findClient('toString')], [null, null]);
  assert.equal(findClient('v1'), CLIENTS.v1);
});
