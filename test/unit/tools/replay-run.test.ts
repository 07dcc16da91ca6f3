import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createFlips } from '../../../src/tools/flips.ts';
import type { Judge, Judged, Said } from '../../../src/tools/judge.ts';
import { reportJson, reportMarkdown, reportText } from '../../../src/tools/replay-report.ts';
import { createReplay } from '../../../src/tools/replay-run.ts';

const YES: Said = { allow: true, reason: 'allowed' };
const TOKEN = { audience: 'https://ledger', scopes: ['ledger:pay'], ttlSeconds: 5, resource: null, headers: {} };
const allowed: Judged = { inbound: YES, outbound: YES, token: TOKEN };
const refused = (reason: Said['reason']): Judged => ({ inbound: { allow: false, reason }, outbound: null, token: null });

/** Says the same to everything, and remembers what it was asked. */
function judge(answer: Judged, asked: [string, number][] = []): Judge {
  return {
    path: 'new',
    revision: 'r2',
    digest: 'd',
    isFolder: false,
    files: {},
    data: {},
    ask: (input, atMs) => {
      asked.push([input, atMs]);
      return answer;
    },
    askInTime: () => assert.fail('a thread for each would be slow'),
    openTimed: () => assert.fail('the caller opens it'),
    pare: (input) => input,
  };
}

const LINE = {
  type: 'decision',
  timestamp: '2026-11-20T09:00:00.250Z',
  decision_id: 'd-1',
  decision: 'allow',
  reason: 'allowed',
  method: 'tools/call',
  tool: 'pay',
  subject: 'alice',
  audience: 'https://ledger',
  scope: 'ledger:pay',
  bundles: { policy: { revision: 'r1' } },
  input: { version: 1, mcp: { backend: 'ledger', tool: 'pay', arguments: { to: 'bob' } } },
  result: { allow: true, reason: 'allowed' },
  outbound: { allow: true, reason: 'allowed' },
};

const inThread =
  ({ ask }: Judge) =>
  async (input: string, atMs: number) =>
    ask(input, atMs);

async function replay(lines: readonly object[], candidate: Judge, against: Judge | null = null) {
  const flips = createFlips(2);
  const { take, totals } = createReplay(inThread(candidate), against === null ? null : inThread(against), flips);
  const found = await Promise.all(lines.map((line) => take({ text: JSON.stringify(line) })));
  return { flips, totals, found, report: { candidate, against, totals, flips, seconds: 1 } };
}

describe('a decision', () => {
  test('that comes out the same is none', async () => {
    const { found, totals } = await replay([LINE], judge(allowed));
    assert.deepEqual(found, [null]);
    assert.equal(totals.replayed, 1);
  });

  test('is asked with what policy saw, at the time of its line', async () => {
    const asked: [string, number][] = [];
    await replay([LINE], judge(allowed, asked));
    assert.deepEqual(asked, [[JSON.stringify(LINE.input), Date.UTC(2026, 10, 20, 9, 0, 0, 250)]]);
  });

  test('allowed, and refused by the candidate', async () => {
    const { found } = await replay([LINE], judge(refused('role_missing')));
    const expected = {
      kind: 'allow_to_deny',
      from: 'allow',
      to: 'deny (role_missing)',
      id: 'd-1',
      backend: 'ledger',
      what: 'pay',
    };
    assert.deepEqual(found, [{ ...expected, subject: 'alice', uncertain: false }]);
  });

  const no = {
    decision: 'deny',
    reason: 'limit_exceeded',
    result: { allow: false, reason: 'limit_exceeded' },
    outbound: undefined,
  };

  test('refused, and allowed by the candidate', async () => {
    const { flips } = await replay([{ ...LINE, ...no }], judge(allowed));
    assert.equal(flips.count('deny_to_allow'), 1);
  });

  test('refused by both for another reason', async () => {
    const { found } = await replay([{ ...LINE, ...no }], judge(refused('tool_forbidden')));
    assert.equal(found[0]?.kind, 'reason');
    assert.equal(found[0]?.to, 'deny (tool_forbidden)');
  });

  test('refused by outbound counts as a refusal', async () => {
    const { found } = await replay(
      [LINE],
      judge({ inbound: YES, outbound: { allow: false, reason: 'policy_invalid' }, token: null }),
    );
    assert.equal(found[0]?.to, 'deny (policy_invalid)');
  });

  test('with another token for the backend', async () => {
    const other = { ...TOKEN, scopes: ['ledger:all'] };
    const { found } = await replay([LINE], judge({ ...allowed, token: other }));
    assert.deepEqual([found[0]?.kind, found[0]?.from, found[0]?.to], ['token', 'scope ledger:pay', 'scope ledger:all']);
  });

  test('with the same scopes in another order is none', async () => {
    const line = { ...LINE, scope: 'ledger:pay ledger:read' };
    const other = judge({ ...allowed, token: { ...TOKEN, scopes: ['ledger:read', 'ledger:pay'] } });
    assert.deepEqual((await replay([line], other)).found, [null]);
  });

  test('with another lifetime, where the line or the other policy says which it had', async () => {
    const shorter = judge({ ...allowed, token: { ...TOKEN, ttlSeconds: 2 } });
    assert.deepEqual((await replay([LINE], shorter)).found, [null], 'the line does not say');
    assert.equal((await replay([LINE], shorter, judge(allowed))).found[0]?.from, 'lifetime 5');
    const outbound = { ...LINE.outbound, ttl_seconds: 5 };
    assert.equal((await replay([{ ...LINE, outbound }], shorter)).found[0]?.to, 'lifetime 2');
  });

  test('with another resource or other headers, where it is known which they were', async () => {
    const other = judge({ ...allowed, token: { ...TOKEN, resource: 'urn:b', headers: { 'x-b': '1', 'x-c': '2' } } });
    const headers = { 'x-a': '1', 'x-c': '1' };
    assert.deepEqual((await replay([LINE], other)).found, [null], 'the line does not say');
    const was = judge({ ...allowed, token: { ...TOKEN, headers } });
    const expected = [
      'resource none, header x-a, no header x-b, header x-c',
      'resource urn:b, no header x-a, header x-b, header x-c of another value',
    ];
    const against = (await replay([LINE], other, was)).found[0];
    assert.deepEqual([against?.kind, against?.from, against?.to], ['token', ...expected]);
    const outbound = { ...LINE.outbound, resource: null, headers };
    const recorded = (await replay([{ ...LINE, outbound }], other)).found[0];
    assert.deepEqual([recorded?.from, recorded?.to], expected);
    assert.deepEqual((await replay([LINE], was, was)).found, [null]);
  });

  test('that did not end in time is counted, and the report says so', async () => {
    const { report, totals, found } = await replay([LINE, LINE], judge(refused('policy_timeout')));
    assert.deepEqual([found[0]?.to, totals.cutShort], ['deny (policy_timeout)', 2]);
    assert.match(
      reportText(report),
      /^too much {2}2 evaluations had to be ended, and came out as policy_timeout or policy_memory$/m,
    );
    const { report: many } = await replay(Array(10).fill(LINE), judge(refused('policy_timeout')));
    assert.match(reportMarkdown(many), /^- Too much: 10 evaluations .*; the rest was not replayed\.$/m);
  });

  test("whose end was not the policy's is compared by what policy said", async () => {
    const failed = { ...LINE, decision: 'error', reason: 'exchange_timeout' };
    assert.deepEqual((await replay([failed], judge(allowed))).found, [null]);
  });

  test('that was stopped between both rules is compared by the first', async () => {
    const pinned = { ...LINE, decision: 'deny', reason: 'tool_changed', outbound: undefined };
    assert.deepEqual((await replay([pinned], judge(allowed))).found, [null]);
    assert.equal((await replay([pinned], judge(refused('role_missing')))).found[0]?.kind, 'allow_to_deny');
  });
});

describe('what was erased', () => {
  const erased = { ...LINE, erased: ['/input/mcp/arguments/amount'] };

  test('makes a flip against the record uncertain: it is shown apart and does not count', async () => {
    const { flips, report, totals } = await replay([erased], judge(refused('argument_forbidden')));
    assert.equal(flips.count('allow_to_deny'), 0);
    assert.equal(flips.uncertain(), 1);
    assert.equal(totals.erased, 1);
    assert.match(reportText(report), /Cannot be told.*: 1\n +1 {2}ledger pay: allow → deny \(argument_forbidden\)/);
  });

  test('is the same for both policies where both are asked', async () => {
    const { flips } = await replay([erased], judge(refused('role_missing')), judge(allowed));
    assert.equal(flips.count('allow_to_deny'), 1);
    assert.equal(flips.uncertain(), 0);
  });

  test('outside of the input does not matter', async () => {
    const { flips } = await replay([{ ...LINE, erased: ['/requested_by'] }], judge(refused('role_missing')));
    assert.equal(flips.count('allow_to_deny'), 1);
  });
});

test('what cannot be replayed is counted by why', async () => {
  const { input: _, ...without } = LINE;
  const lines = [
    { ...without, decision: 'deny', reason: 'token_expired', bundles: undefined },
    without,
    { ...LINE, input: { version: 2 } },
    { ...LINE, result: undefined },
    { type: 'status' },
  ];
  const { totals } = await replay(lines, judge(allowed));
  const { take } = createReplay(inThread(judge(allowed)), null, createFlips(1));
  await take({ unreadable: 'broken' });
  assert.deepEqual(totals.notReplayed, { before_policy: 1, no_input: 1, another_version: 1, no_result: 1, no_decision: 1 });
  assert.equal(totals.replayed, 0);
  assert.equal(totals.lines, 5);
});

describe('the report', () => {
  const many = Array.from({ length: 50 }, (_, index) => ({ ...LINE, decision_id: `d-${index}`, subject: `user-${index}` }));

  test('has groups with counts, some examples and some subjects', async () => {
    const { flips, report } = await replay(many, judge(refused('role_missing')));
    const [group, ...others] = flips.groups();
    assert.deepEqual(others, []);
    assert.equal(group?.count, 50);
    assert.deepEqual(group?.examples, ['d-0', 'd-1']);
    assert.equal(group?.subjects.length, 20);
    assert.match(reportText(report), /^50 of 50 decisions change with new, revision r2\n/);
    assert.match(reportText(report), /user-19 and others; for example d-0, d-1\n/);
  });

  test('as Markdown has nothing of a caller that is markup', async () => {
    const odd = { ...LINE, subject: 'a|b`<img src=x>`\n# c', decision_id: '@all' };
    const text = reportMarkdown((await replay([odd], judge(refused('role_missing')))).report);
    assert.match(text, /\| `a\\\|b <img src=x> # c` \| `@all` \|\n?$/m);
  });

  test('as JSON has the groups and totals', async () => {
    const found = JSON.parse(JSON.stringify(reportJson((await replay(many, judge(refused('role_missing')))).report)));
    assert.equal(found.flips.allow_to_deny, 50);
    assert.equal(found.revisions.r1, 50);
    assert.equal(found.groups[0].what, 'pay');
  });
});

test('groups have a limit, and what is beyond it is counted', async () => {
  const lines = Array.from({ length: 2100 }, (_, index) => ({ ...LINE, tool: `tool-${index}` }));
  const { flips } = await replay(lines, judge(refused('role_missing')));
  assert.equal(flips.groups().length, 2000);
  assert.equal(flips.ungrouped(), 100);
  assert.equal(flips.count('allow_to_deny'), 2100);
});
