import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type BundleFacts, fingerprint, type StatusFacts, statusUpdate as update } from '../../../src/telemetry/status-update.ts';

const AT = Date.UTC(2026, 10, 21, 12);
const ACTIVE: BundleFacts = {
  name: 'policy',
  revision: 'r1',
  sizeBytes: 261,
  activatedAt: AT,
  downloadedAt: AT,
  requestedAt: AT + 1000,
  answeredAt: AT + 1000,
  error: null,
};
const NOTHING: BundleFacts = {
  name: 'shadow',
  revision: null,
  sizeBytes: null,
  activatedAt: null,
  downloadedAt: null,
  requestedAt: null,
  answeredAt: null,
  error: null,
};
const factsOf = (changes: Partial<StatusFacts> = {}): StatusFacts => ({
  labels: { id: 'i', version: '1', app: 'mcp-ext-authz' },
  bundles: [ACTIVE],
  decisionLogError: null,
  uploadFailure: null,
  ...changes,
});

const statusUpdate = (facts: StatusFacts) => update(facts, null);

describe('the status', () => {
  test('of a policy in force', () => {
    assert.deepEqual(statusUpdate(factsOf()), {
      labels: { id: 'i', version: '1', app: 'mcp-ext-authz' },
      bundles: {
        policy: {
          name: 'policy',
          active_revision: 'r1',
          last_successful_activation: '2026-11-21T12:00:00.000Z',
          type: 'snapshot',
          size: 261,
          last_successful_download: '2026-11-21T12:00:00.000Z',
          last_successful_request: '2026-11-21T12:00:01.000Z',
          last_request: '2026-11-21T12:00:01.000Z',
        },
      },
      decision_logs: {},
      plugins: { bundle: { state: 'OK' }, decision_logs: { state: 'OK' }, status: { state: 'OK' } },
    });
  });

  test('of a bundle that was refused while the one before stays', () => {
    const error = { code: 'signature_invalid', message: 'no key fits' };
    const { bundles, plugins } = statusUpdate(factsOf({ bundles: [{ ...ACTIVE, error }] })) as any;
    assert.equal(bundles.policy.active_revision, 'r1');
    assert.equal(bundles.policy.code, 'bundle_error');
    assert.equal(bundles.policy.message, 'signature_invalid: no key fits');
    assert.deepEqual(bundles.policy.errors, [error]);
    assert.equal(plugins.bundle.state, 'OK');
  });

  test('before the first activation is not ready, and what never was has the time that Go writes', () => {
    const { bundles, plugins } = statusUpdate(factsOf({ bundles: [{ ...NOTHING, name: 'policy' }] })) as any;
    assert.deepEqual(bundles.policy, {
      name: 'policy',
      last_successful_activation: '0001-01-01T00:00:00Z',
      last_successful_download: '0001-01-01T00:00:00Z',
      last_successful_request: '0001-01-01T00:00:00Z',
      last_request: '0001-01-01T00:00:00Z',
    });
    assert.equal(plugins.bundle.state, 'NOT_READY');
  });

  test('a candidate that is missing does not make the policy in force less so', () => {
    const { bundles, plugins } = statusUpdate(factsOf({ bundles: [ACTIVE, NOTHING] })) as any;
    assert.deepEqual(Object.keys(bundles), ['policy', 'shadow']);
    assert.equal(plugins.bundle.state, 'OK');
  });

  test('of a decision log that takes nothing more', () => {
    const { decision_logs, plugins } = statusUpdate(factsOf({ decisionLogError: 'full' })) as any;
    assert.deepEqual(decision_logs, { code: 'decision_log_error', message: 'full' });
    assert.deepEqual(plugins.decision_logs, { state: 'ERROR', message: 'full' });
  });

  test('of lines that do not arrive says why, and that the plugin does what it should', () => {
    const uploadFailure = { message: 'the service answered 503', httpCode: 503 };
    const { decision_logs, plugins } = statusUpdate(factsOf({ uploadFailure })) as any;
    assert.deepEqual(decision_logs, { code: 'decision_log_error', message: 'the service answered 503', http_code: 503 });
    assert.deepEqual(plugins.decision_logs, { state: 'OK' });
    const unanswered = statusUpdate(factsOf({ uploadFailure: { message: 'refused', httpCode: null } })) as any;
    assert.deepEqual(unanswered.decision_logs, { code: 'decision_log_error', message: 'refused' });
  });

  test('of a log that is full because nothing arrives says both', () => {
    const uploadFailure = { message: 'the service answered 503', httpCode: 503 };
    const { decision_logs, plugins } = statusUpdate(factsOf({ uploadFailure, decisionLogError: 'full' })) as any;
    assert.deepEqual([decision_logs.http_code, plugins.decision_logs], [503, { state: 'ERROR', message: 'full' }]);
  });
});

test('being asked again is no change; everything else is', () => {
  const before = fingerprint(factsOf());
  assert.equal(fingerprint(factsOf({ bundles: [{ ...ACTIVE, requestedAt: AT + 9000, answeredAt: null }] })), before);
  for (const changes of [
    { bundles: [{ ...ACTIVE, revision: 'r2' }] },
    { bundles: [{ ...ACTIVE, activatedAt: AT + 1 }] },
    { bundles: [{ ...ACTIVE, error: { code: 'timeout', message: '' } }] },
    { bundles: [ACTIVE, NOTHING] },
    { decisionLogError: 'full' },
    { uploadFailure: { message: 'm', httpCode: null } },
    { uploadFailure: { message: 'm', httpCode: 503 } },
  ])
    assert.notEqual(fingerprint(factsOf(changes)), before, JSON.stringify(changes));
});
