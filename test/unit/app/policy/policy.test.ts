import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { startPolicy } from '../../../../src/app/policy/policy.ts';
import { createMetrics } from '../../../../src/telemetry/metrics.ts';
import { packBundle } from '../../support/bundles.ts';
import { createWorld } from '../../support/world.ts';

/** Plain Rego, so that it takes OPA a while. */
const PLAIN = [
  { name: '/.manifest', content: JSON.stringify({ revision: 'plain-1', rego_version: 1 }) },
  { name: '/in.rego', content: 'package mcp.inbound\n\ndecision := {"allow": true, "reason": "allowed"}\n' },
  { name: '/out.rego', content: 'package mcp.outbound\n\ndecision := {"allow": true, "reason": "allowed"}\n' },
];

async function start(t: TestContext, candidate: Uint8Array | string) {
  const world = await createWorld(t);
  await writeFile(world.path('candidate.tar.gz'), candidate);
  const metrics = createMetrics('1');
  const logged: string[] = [];
  const withCandidate = world.config((config) => {
    config.policy.shadow = { bundleFile: world.path('candidate.tar.gz') };
  });
  const policy = await startPolicy(withCandidate, {
    metrics,
    log: (level, message, fields) => logged.push(`${level} ${message} ${fields?.bundle}`),
  });
  t.after(policy.stop);
  const shown = async () => (await metrics.register.metrics()).split('\n').filter((line) => line.includes('bundle="shadow"'));
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await nextTurn();
  };
  const remove = async (): Promise<void> => (await policy.prepare(world.config()))();
  return { world, withCandidate, policy, logged, shown, until, remove };
}

suite('a candidate that the configuration no longer has', { timeout: 60_000 }, () => {
  test('fails no more: nothing is left to alert on', async (t) => {
    const { policy, shown, until, remove, withCandidate } = await start(t, 'no archive');
    await until(() => policy.candidateState()?.lastError != null);
    assert.ok((await shown()).includes('mcp_ext_authz_bundle_failing{bundle="shadow"} 1'));
    await remove();
    assert.deepEqual(await shown(), []);
    assert.equal(policy.candidateState(), null);
    (await policy.prepare(withCandidate))();
    assert.ok(
      (await shown()).some((line) => line.startsWith('mcp_ext_authz_bundle_failing')),
      'another one is counted again',
    );
  });

  test('was not refused because reading it was ended', async (t) => {
    const { policy, shown, until, remove, logged } = await start(t, await packBundle(PLAIN));
    await until(() => policy.candidateState()?.answeredAt != null);
    await remove();
    await policy.stop();
    assert.deepEqual(
      logged.filter((line) => line.startsWith('error')),
      [],
    );
    assert.deepEqual(await shown(), []);
  });
});
