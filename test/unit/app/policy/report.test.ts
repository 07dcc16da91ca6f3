import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPolicyReport } from '../../../../src/app/policy/report.ts';
import { createSlot } from '../../../../src/app/policy/slot.ts';
import { describeRefusal } from '../../../../src/app/policy/state.ts';
import { type BundleRefusal, PolicyRefused } from '../../../../src/bundle/refusal.ts';
import { createMetrics } from '../../../../src/telemetry/metrics.ts';

function report() {
  const lines: Record<string, unknown>[] = [];
  const metrics = createMetrics('test');
  const log = (_level: string, _message: string, fields: object = {}) => void lines.push({ ...fields });
  const { onRefused } = createPolicyReport('policy', { metrics, log } as unknown as Parameters<typeof createPolicyReport>[1]);
  return { lines, metrics, refuse: (cause: unknown) => onRefused(describeRefusal(cause, 0), cause) };
}

/** As a slot refuses it: the revision is known where the manifest was read, the digest always. */
async function refusal(digest: string, code: BundleRefusal, revision: string | null = null): Promise<unknown> {
  const slot = createSlot({ now: () => 0, store: null, isFree: false }, () => {});
  return slot
    .load(Buffer.from(digest), digest, async (_archive, admit) => {
      if (revision !== null) admit(revision, digest);
      throw new PolicyRefused(code, 'a member is not what was signed');
    })
    .catch((cause: unknown) => cause);
}

test('each bundle that is refused has a line of its own with its digest, and none two in a row', async () => {
  const { lines, metrics, refuse } = report();
  for (const digest of ['a1', 'a1', 'b2', 'c3', 'a1']) refuse(await refusal(digest, 'digest_mismatch'));
  const line = { bundle: 'policy', code: 'digest_mismatch', problem: 'a member is not what was signed' };
  assert.deepEqual(
    lines,
    ['a1', 'b2', 'c3', 'a1'].map((digest) => ({ ...line, digest })),
  );
  const { values } = await metrics.bundleRefusals.get();
  assert.equal(values.find(({ labels }) => labels.reason === 'digest_mismatch')?.value, 5);
});

test('a line names the revision where the bundle said it', async () => {
  const { lines, refuse } = report();
  refuse(await refusal('a1', 'answer_invalid', '42'));
  assert.deepEqual([lines[0]?.digest, lines[0]?.revision], ['a1', '42']);
});

test('a server that is down is told of once', () => {
  const { lines, refuse } = report();
  for (let look = 0; look < 3; look++) refuse(new PolicyRefused('download_failed', 'control answered 503 for b'));
  assert.deepEqual(lines, [{ bundle: 'policy', code: 'download_failed', problem: 'control answered 503 for b' }]);
});
