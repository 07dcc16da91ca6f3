import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { suite, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startPolicy } from '../../../../src/app/policy/policy.ts';
import { createMetrics } from '../../../../src/telemetry/metrics.ts';
import { echoBundle, packBundle } from '../../support/bundles.ts';
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
    config.policy.polling = { minDelayMs: 10, maxDelayMs: 20 };
    config.policy.shadow = { bundleFile: world.path('candidate.tar.gz'), polling: { minDelayMs: 10, maxDelayMs: 20 } };
  });
  const policy = await startPolicy(withCandidate, {
    metrics,
    log: (level, message, fields) => logged.push(`${level} ${message} ${fields?.bundle}`),
  });
  t.after(policy.stop);
  const shown = async () => (await metrics.register.metrics()).split('\n').filter((line) => line.includes('bundle="shadow"'));
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await pause(5);
  };
  const remove = async (): Promise<void> => (await policy.prepare(world.config()))();
  return { world, withCandidate, policy, logged, shown, until, remove };
}

suite('a candidate that the configuration no longer has', { timeout: 300_000 }, () => {
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

test('who watches is told of what is in force, what is beside it, and of another configuration', {
  timeout: 300_000,
}, async (t) => {
  const { world, policy, until, remove } = await start(t, await echoBundle({ revision: 'candidate-1' }));
  await until(() => policy.candidate()?.revision === 'candidate-1');
  const seen: string[] = [];
  policy.watch(() => seen.push(`${policy.state().revision} ${policy.candidate()?.revision}`));
  await writeFile(world.path('candidate.tar.gz'), await echoBundle({ revision: 'candidate-2' }));
  await until(() => seen.length === 1);
  await policy.promote();
  await world.writeBundle({ revision: 'echo-2' });
  await until(() => seen.length === 3);
  assert.deepEqual(seen, ['echo-1 candidate-2', 'candidate-2 candidate-2', 'echo-2 candidate-2']);
  await remove();
  assert.equal(seen.at(-1), 'echo-2 undefined');
});
