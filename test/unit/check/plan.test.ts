import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPlan, type ProcessingPlan, sealPlan, type VisitPlan } from '../../../src/check/plan.ts';
import { createSealer } from '../../../src/seal.ts';
import { alice, NOW_MS } from '../support/facts.ts';

const sealer = createSealer([Buffer.alloc(32, 1)]);
const facts = {
  decisionId: 'd',
  resource: 'ledger',
  http: {},
  operation: {},
  principal: alice,
} as unknown as ProcessingPlan['facts'];
const processing: ProcessingPlan = {
  kind: 'process',
  expiresAt: NOW_MS + 1000,
  facts,
  backend: 'ledger',
  set: [['authorization', 'Bearer t']],
  splice: { start: 1, end: 2, from: 'a', to: 'é' },
  filtersList: true,
  bindsSession: false,
  sealsTasks: false,
  marks: null,
};
const visit: VisitPlan = {
  kind: 'visit',
  expiresAt: NOW_MS + 1000,
  facts,
  subjectToken: 't',
  bodySha256: 'h',
  session: null,
};

test('a plan comes back as it was, to whom it is for', () => {
  assert.deepEqual(openPlan(sealer, 'process', sealPlan(sealer, processing), NOW_MS), processing);
  assert.deepEqual(openPlan(sealer, 'visit', sealPlan(sealer, visit), NOW_MS), visit);
});

test('one of the other kind is none', () => {
  assert.equal(openPlan(sealer, 'visit', sealPlan(sealer, processing), NOW_MS), null);
  assert.equal(openPlan(sealer, 'process', sealPlan(sealer, visit), NOW_MS), null);
});

test('it ends', () => {
  const sealed = sealPlan(sealer, processing);
  assert.ok(openPlan(sealer, 'process', sealed, NOW_MS + 1000));
  assert.equal(openPlan(sealer, 'process', sealed, NOW_MS + 1001), null);
});

test('what was sealed for something else, by somebody else or not at all is none', () => {
  const others = [
    '',
    'x',
    sealer.seal('session', processing),
    createSealer([Buffer.alloc(32, 2)]).seal('plan', processing),
    JSON.stringify(processing),
  ];
  for (const sealed of others) assert.equal(openPlan(sealer, 'process', sealed, NOW_MS), null);
  for (const odd of [null, 7, 'process', [], {}])
    assert.equal(openPlan(sealer, 'process', sealer.seal('plan', odd), NOW_MS), null);
});

test('one that would not open again is not made', () => {
  const large = { ...visit, subjectToken: 't'.repeat(60_000) };
  assert.throws(() => sealPlan(sealer, large), /too large/);
  const fits = { ...visit, subjectToken: 't'.repeat(40_000) };
  assert.deepEqual(openPlan(sealer, 'visit', sealPlan(sealer, fits), NOW_MS), fits);
});
