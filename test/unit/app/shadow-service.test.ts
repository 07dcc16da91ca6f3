import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createShadowService, type LoadedCandidate, type WatchedFacts } from '../../../src/app/shadow-service.ts';
import { denied, newFacts } from '../../../src/check/authorize.ts';
import { decisionRecord } from '../../../src/check/record.ts';
import { type Config, parseConfig } from '../../../src/config.ts';
import { type ShadowEvent, shadowLine } from '../../../src/decision-log/shadow-line.ts';
import { readOperation } from '../../../src/mcp/operation.ts';
import type { CandidateWord } from '../../../src/policy/flips.ts';
import { policyInput } from '../../../src/policy/input.ts';
import type { Reason } from '../../../src/reasons.ts';
import { deny, ok } from '../../../src/result.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { yamlOf } from '../support/config.ts';
import { alice, callOf, ledger, NOW_MS, outbound, request } from '../support/facts.ts';

const YES: CandidateWord = { inbound: ok(null), outbound: ok(outbound) };
const no = (reason: Reason): CandidateWord => ({ inbound: deny({ reason }), outbound: null });

interface Fake extends LoadedCandidate {
  readonly inputs: any[];
}

function candidateOf(revision: string, word: CandidateWord): Fake {
  const inputs: any[] = [];
  return {
    revision,
    digest: `digest of ${revision}`,
    inputs,
    declaredArguments: () => null,
    ask: async ({ input }) => {
      inputs.push(JSON.parse(input));
      return word;
    },
  };
}

/** A request that was answered, with what the live policy was asked and said. */
function answered(refusal?: Reason, args: object = {}, tool = 'getBalance') {
  const http = request({ body: callOf(tool, args) });
  const read = readOperation(http, { maxBytes: 65_536, maxDepth: 64, maxMembers: 64 });
  const operation = read.ok ? read.value : assert.fail('the message cannot be read');
  const known = ledger.tools.get(tool) ?? { title: null, annotations: {}, known: false };
  const allow = { allow: true, reason: 'allowed' } as const;
  const asked = {
    input: policyInput(http, ledger, operation, alice, known, [], null),
    revision: 'live-1',
    inbound: refusal === undefined ? allow : { allow: false, reason: refusal },
    outbound: refusal === undefined ? allow : null,
  };
  const facts = { ...newFacts(http, 'd1'), resource: ledger, operation, principal: alice, tool: known, asked };
  if (refusal === undefined) facts.outbound = outbound;
  const verdict = denied({ reason: refusal ?? 'internal_error' }, facts, { allowedOrigins: new Set() });
  const watched: WatchedFacts = facts;
  return { facts: watched, record: decisionRecord(verdict) };
}

interface Rules {
  readonly sampleRatio?: number;
  readonly maxLinesPerSecond?: number;
}

function configOf(rules: Rules): Config {
  return parseConfig(
    yamlOf((config) => {
      config.policy.shadow = { bundleFile: 'candidate.tar.gz', ...rules };
    }),
  );
}

function start(first: Fake | null, rules: Rules = {}) {
  const world = {
    candidate: first,
    live: { digest: 'digest of live-1' },
    config: configOf(rules),
    now: NOW_MS,
    changed: () => {},
  };
  const metrics = createMetrics('1');
  const events: ShadowEvent[] = [];
  const logged: string[] = [];
  const service = createShadowService({
    config: () => world.config,
    live: () => world.live,
    candidate: () => world.candidate,
    watch: (onChanged) => {
      world.changed = onChanged;
    },
    write: (event) => events.push(event),
    metrics,
    log: (_level, message, fields) => logged.push(`${message} ${fields?.revision}`),
    now: () => world.now,
    random: () => 0.5,
  });
  const see = async (...asked: Parameters<typeof answered>): Promise<void> => {
    const { facts, record } = answered(...asked);
    service.observe(facts, record);
    await service.settle();
  };
  const evaluations = async () =>
    Object.fromEntries((await metrics.shadowEvaluations.get()).values.map(({ labels, value }) => [labels.outcome, value]));
  const flips = async () => (await metrics.shadowFlips.get()).values.filter(({ value }) => value > 0);
  const info = async () => (await metrics.shadowInfo.get()).values.map(({ labels }) => labels.revision);
  return { ...service, world, metrics, events, logged, see, evaluations, flips, info };
}

describe('the shadow', () => {
  test('counts what would be another answer, by tool, backend and direction', async () => {
    const { see, flips, evaluations, world } = start(candidateOf('c1', no('limit_exceeded')));
    await see();
    await see();
    await see('limit_exceeded');
    await see('role_missing');
    assert.deepEqual(
      (await flips()).map(({ labels, value }) => [labels, value]),
      [
        [{ tool: 'getBalance', backend: 'ledger', direction: 'allow_to_deny' }, 2],
        [{ tool: 'getBalance', backend: 'ledger', direction: 'reason' }, 1],
      ],
    );
    assert.deepEqual(await evaluations(), { same: 1, flip: 3, error: 0, skipped: 0 });
    world.candidate = candidateOf('c2', YES);
    await see('role_missing');
    assert.deepEqual(
      (await flips()).map(({ labels }) => labels.direction),
      ['deny_to_allow'],
      'another candidate has counts of its own',
    );
  });

  test('shows every direction of a tool from the first request on', async () => {
    const { see, metrics } = start(candidateOf('c1', YES));
    await see();
    assert.equal((await metrics.shadowFlips.get()).values.length, 4);
  });

  test('knows no tool that the catalog does not', async () => {
    const { see, flips } = start(candidateOf('c1', no('tool_unknown')));
    for (const name of ['made-up-1', 'made-up-2']) await see(undefined, {}, name);
    assert.deepEqual(
      (await flips()).map(({ labels }) => labels.tool),
      ['other'],
    );
  });

  test('writes a line for a flip and for an error, with no argument in it', async () => {
    const { see, events, world } = start(candidateOf('c1', no('limit_exceeded')));
    await see(undefined, { amount: 123_456 });
    await see('limit_exceeded');
    world.candidate = candidateOf('c2', no('policy_undefined'));
    await see();
    assert.deepEqual(
      events.map(({ direction, revisions, results }) => ({ direction, revisions, results })),
      [
        {
          direction: 'allow_to_deny',
          revisions: { policy: 'live-1', shadow: 'c1' },
          results: { policy: { allow: true, reason: 'allowed' }, shadow: { allow: false, reason: 'limit_exceeded' } },
        },
        {
          direction: 'error',
          revisions: { policy: 'live-1', shadow: 'c2' },
          results: { policy: { allow: true, reason: 'allowed' }, shadow: { allow: false, reason: 'policy_undefined' } },
        },
      ],
    );
    const line = shadowLine(events[0]!, {});
    assert.ok(!line.includes('123456') && !line.includes('amount'), line);
    assert.equal(JSON.parse(line).subject, 'alice');
  });

  test('writes both tokens where they differ, and no header of theirs', async () => {
    const token = { ...outbound, scopes: ['ledger:all'], headers: { 'x-secret': 'value' } };
    const { see, events } = start(candidateOf('c1', { inbound: ok(null), outbound: ok(token) }));
    await see();
    assert.deepEqual(events[0]?.changed, ['scope', 'headers']);
    const { policy, shadow } = events[0]!.results;
    assert.deepEqual([policy.token?.scope, shadow.token?.scope], ['ledger:getBalance', 'ledger:all']);
    assert.ok(!shadowLine(events[0]!, {}).includes('value'));
  });

  test('writes a share of the lines and counts all', async () => {
    const { see, events, flips } = start(candidateOf('c1', no('limit_exceeded')), { sampleRatio: 0.5 });
    await see();
    assert.equal(events.length, 0, 'random says 0.5, which is not below it');
    assert.equal((await flips()).length, 1);
    const few = start(candidateOf('c1', no('limit_exceeded')), { maxLinesPerSecond: 2 });
    for (let count = 0; count < 5; count += 1) await few.see();
    assert.equal(few.events.length, 2);
  });

  test('goes by the rules of another configuration, and does not begin anew for one that says the same', async () => {
    const { see, events, world, evaluations } = start(candidateOf('c1', no('limit_exceeded')));
    await see();
    world.config = configOf({});
    await see();
    assert.equal((await evaluations()).flip, 2);
    world.config = configOf({ sampleRatio: 0 });
    await see();
    assert.equal(events.length, 2);
    assert.equal((await evaluations()).flip, 1);
  });

  test('asks with all arguments, though the live policy saw fewer', async () => {
    const candidate = candidateOf('c1', YES);
    const { observe, settle } = start(candidate);
    const { facts, record } = answered(undefined, { amount: 1 });
    const { input } = facts.asked!;
    observe({ ...facts, asked: { ...facts.asked!, input: { ...input, mcp: { ...input.mcp, arguments: {} as never } } } }, record);
    await settle();
    assert.deepEqual(candidate.inputs[0].mcp.arguments, { amount: 1 });
  });

  test('leaves what is for several backends to the requests that each of them gets', async () => {
    const candidate = candidateOf('c1', YES);
    const { observe, settle } = start(candidate);
    const { facts, record } = answered();
    observe({ ...facts, resource: { ...facts.resource!, name: 'front-door' } }, record);
    await settle();
    assert.equal(candidate.inputs.length, 0);
  });

  test('has nothing to do where policy was not asked, or there is no candidate', async () => {
    const { observe, settle, evaluations, see, world, state, info } = start(candidateOf('c1', YES));
    const { facts, record } = answered();
    observe({ ...facts, asked: null }, record);
    await settle();
    world.candidate = null;
    await see();
    assert.deepEqual(await evaluations(), { same: 0, flip: 0, error: 0, skipped: 0 });
    assert.equal(state(), null);
    assert.deepEqual(await info(), []);
  });

  test('says which candidate there is', async () => {
    const { state, world, info } = start(candidateOf('c1', YES));
    assert.deepEqual(state(), { revision: 'c1', promoted: false });
    assert.deepEqual(await info(), ['c1']);
    world.candidate = candidateOf('c2', YES);
    assert.deepEqual(state(), { revision: 'c2', promoted: false });
    assert.deepEqual(await info(), ['c2']);
  });
});

describe('where nobody asks for anything', () => {
  test('the candidate is shown from the start, and another one as soon as it is there', async () => {
    const { world, info } = start(candidateOf('c1', YES));
    assert.deepEqual(await info(), ['c1']);
    world.candidate = candidateOf('c2', YES);
    world.changed();
    assert.deepEqual(await info(), ['c2']);
    world.candidate = null;
    world.changed();
    assert.deepEqual(await info(), []);
  });

  test('a promotion is told', () => {
    const { world, logged } = start(candidateOf('c1', YES));
    world.live = { digest: 'digest of c1' };
    world.changed();
    world.changed();
    assert.deepEqual(logged, ['the candidate policy is in force c1']);
  });

  test('nothing is begun after the end', async () => {
    const { world, info, close } = start(candidateOf('c1', YES));
    await close();
    world.candidate = candidateOf('c2', YES);
    world.changed();
    assert.deepEqual(await info(), ['c1']);
  });
});

describe('a promotion', () => {
  test('is seen by itself; then there is nothing left to compare', async () => {
    const candidate = candidateOf('c1', no('limit_exceeded'));
    const { state, world, logged, see, evaluations } = start(candidate);
    const before = world.live;
    world.live = { digest: candidate.digest };
    assert.deepEqual(state(), { revision: 'c1', promoted: true });
    assert.deepEqual(logged, ['the candidate policy is in force c1']);
    await see();
    assert.equal(candidate.inputs.length, 0);
    assert.equal((await evaluations()).same, 1);
    world.live = before;
    assert.deepEqual(state(), { revision: 'c1', promoted: false });
    await see();
    assert.equal(candidate.inputs.length, 1);
    assert.equal(logged.length, 1);
  });

  test('is that of the bundle, not of a revision of the same name', async () => {
    const { state, world } = start(candidateOf('c1', YES));
    world.live = { digest: 'of something else' };
    assert.equal(state()?.promoted, false);
  });
});
