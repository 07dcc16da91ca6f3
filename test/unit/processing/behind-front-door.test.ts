import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Verdict } from '../../../src/check/authorize.ts';
import { PLAN_HEADER, type ProcessingPlan, sealPlan } from '../../../src/check/plan.ts';
import type { Exchange } from '../../../src/ext-proc/exchange.ts';
import { readOperation } from '../../../src/mcp/operation.ts';
import { createProcessing } from '../../../src/processing/processing.ts';
import type { Resource } from '../../../src/resource.ts';
import { createSealer } from '../../../src/seal.ts';
import { alice, callOf, headers, ledger, NOW_MS, request } from '../support/facts.ts';

const sealer = createSealer([Buffer.alloc(32, 7)]);
const door: Resource = { ...ledger, name: 'door', path: '/mcp', members: [{ resource: ledger, prefix: 'ledger' }] };
const TEXT = headers({ 'content-type': 'text/plain' });

interface World {
  readonly exchange: Exchange;
  readonly refused: Verdict[];
}

/** An exchange whose Check has sent it to the ledger, from where it came in. */
function begin(entrance: Resource, changes: Partial<ProcessingPlan> = {}): World {
  const { headers: _, body: __, ...http } = request();
  const operation = readOperation(request({ body: callOf('getBalance', {}, 'x') }), { maxBytes: 1000, maxDepth: 9 });
  assert.ok(operation.ok);
  const plan: ProcessingPlan = {
    kind: 'process',
    expiresAt: NOW_MS + 1000,
    facts: {
      decisionId: 'd',
      resource: entrance.name,
      http: { ...http, headers: [] },
      operation: operation.value,
      principal: alice,
    },
    backend: ledger.name,
    set: [],
    splice: null,
    filtersList: false,
    bindsSession: false,
    sealsTasks: false,
    marks: null,
    ...changes,
  };
  const refused: Verdict[] = [];
  const open = createProcessing(
    () => ({
      sealer,
      resources: { all: [door, ledger], byPath: new Map() } as never,
      allowedOrigins: new Set(),
      maxAnswerBytes: 1000,
      maxListItems: 10,
      now: () => NOW_MS,
      newId: () => 'later',
      policy: () => null,
      policyHeaders: [],
      showsStepUp: false,
      views: () => null,
      approvals: () => null,
    }),
    { onRefused: (verdict) => refused.push(verdict), onList: () => {} },
  );
  const exchange = open();
  const step = exchange.requestHeaders(headers({ [PLAN_HEADER]: sealPlan(sealer, plan) }));
  assert.equal(step.kind, 'continue');
  if (entrance === door) assert.ok(step.kind === 'continue' && step.wantsResponse, 'its answer is looked at');
  return { exchange, refused };
}

suite('a backend behind the front door that is out of reach', () => {
  for (const marks of [null, 'ledger']) {
    test(`is an error with the id of the request, and recorded: ${marks === null ? 'modern' : 'legacy'}`, async () => {
      const { exchange, refused } = begin(door, { marks });
      const step = await exchange.responseHeaders(503, TEXT, false);
      assert.ok(step.kind === 'respond');
      const { status, body } = step.response;
      const { id, error } = JSON.parse(body);
      assert.deepEqual([status, id, error.data.reason], [503, 'x', 'backend_unavailable']);
      const [verdict, ...more] = refused;
      assert.deepEqual([verdict?.reason, verdict?.facts.resource?.name, more.length], ['backend_unavailable', 'ledger', 0]);
    });
  }

  test('is not one that says so itself, or that merely refuses', async () => {
    for (const [status, type] of [
      [503, 'application/json'],
      [500, 'text/event-stream'],
      [404, 'text/plain'],
    ] as const) {
      const { exchange, refused } = begin(door, { marks: 'ledger' });
      assert.equal((await exchange.responseHeaders(status, headers({ 'content-type': type }), false)).kind, 'continue');
      assert.deepEqual(refused, []);
    }
  });

  test('has its word passed on where clients know it by its own address', async () => {
    const { exchange } = begin(ledger, { bindsSession: true });
    assert.equal((await exchange.responseHeaders(503, TEXT, false)).kind, 'continue');
  });
});
