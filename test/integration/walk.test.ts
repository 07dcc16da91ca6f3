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
      assert.match(lines.at(-2) ?? '', /Done\..* \d+ Checks; \d+ requests reached a backend/);
      const [sum = 0] =
        /(\d+) requests/
          .exec(lines.at(-2) ?? '')
          ?.slice(1)
          .map(Number) ?? [];
      const parts = /(\d+) that clients sent, (\d+) of the front door.*, (\d+) of the catalog/.exec(lines.at(-1) ?? '');
      const counts = parts?.slice(1).map(Number) ?? [];
      assert.equal(
        counts.reduce((total, count) => total + count, 0),
        sum,
      );
      assert.ok((counts[0] ?? 0) > 10 && (counts[1] ?? 0) >= 4, counts.join());
      for (const name of ['enterprise_ledger_listAccounts', 'employee_directory_listEmployees'])
        assert.ok(
          lines.some((line) => line.includes(name)),
          `the front door lists ${name}`,
        );
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
