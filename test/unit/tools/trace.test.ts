/** Traces of the real OPA, as a person is to read them. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { evaluate } from '../../../src/tools/evaluation.ts';
import type { Judge } from '../../../src/tools/judge.ts';
import { openToolOpa } from '../../../src/tools/loading.ts';
import type { Step } from '../../../src/tools/trace.ts';
import { describeEvaluation } from '../../../src/tools/trace-text.ts';

const RULES = `package mcp.inbound

default decision := {"allow": false, "reason": "policy_denied"}

decision := {"allow": true, "reason": "allowed"} if {
	row
	not blocked
	every scope in row.scopes {
		scope in input.scopes
	}
	input.amount <= limit(row)
} else := {"allow": false, "reason": "role_missing"} if {
	upper(object.get(input, "team", "none")) == "OPS"
}

row := data.table[input.tool]

blocked if input.user in data.blocked

limit(r) := r.limit

limit(r) := max([n | some n in input.limits]) if not r.limit
`;

const DATA = {
  table: {
    pay: { scopes: ['a', 'b'], limit: 10 },
    refund: { scopes: ['a'] },
    // Longer than what a trace keeps of a value.
    large: { scopes: ['a'], limit: 5, notes: Array.from({ length: 100 }, (_, index) => `note ${index}`) },
  },
  blocked: ['mallory'],
};

const opa = openToolOpa();
after(opa.close);

async function explain(input: object) {
  const files = { 'rules.rego': RULES, 'data.json': JSON.stringify(DATA) };
  const judged = { inbound: { allow: false, reason: 'policy_denied' }, outbound: null, token: null } as const;
  const answers = {
    ask: () => judged,
    askInTime: async () => judged,
    openTimed: () => assert.fail(),
    pare: <T>(asked: T): T => asked,
  };
  const judge: Judge = { path: 'x', revision: 'r', digest: '', isFolder: true, files, data: DATA, ...answers };
  const evaluation = await evaluate(judge, opa, input, 0);
  return { evaluation, text: describeEvaluation(evaluation, false).join('\n'), steps: evaluation.inbound ?? [] };
}

const good = { tool: 'pay', user: 'alice', scopes: ['a', 'b'], amount: 1, limits: [3, 7] };
const failures = (steps: readonly Step[]) => steps.map(({ row, held, failure }) => [row, held, failure?.row, failure?.shown]);

describe('the first expression that fails', () => {
  test('a comparison, with the value of a function and the place of an input', async () => {
    const { steps, text, evaluation } = await explain({ ...good, amount: 12 });
    assert.deepEqual(failures(steps)[0], [5, false, 11, '12 <= 10']);
    assert.match(text, /11 \| input\.amount <= limit\(row\)\n +\| 12 <= 10\n +\| input\.amount = 12/);
    assert.deepEqual(
      evaluation.data.map(({ path, value }) => [path, value]),
      [
        ['data.blocked', ['mallory']],
        ['data.table.pay.limit', 10],
        ['data.table.pay.scopes[0]', 'a'],
        ['data.table.pay.scopes[1]', 'b'],
      ],
    );
  });

  test('what must not hold does', async () => {
    const { steps, text } = await explain({ ...good, user: 'mallory' });
    assert.deepEqual(failures(steps)[0], [5, false, 7, 'it holds: data.mcp.inbound.blocked']);
    assert.match(text, /\+ blocked {2}rules\.rego:18/);
  });

  test('a rule that is undefined', async () => {
    const { steps } = await explain({ ...good, tool: 'nothing' });
    assert.equal(steps[0]?.failure?.row, 6);
    const [row] = steps[0]?.steps ?? [];
    assert.deepEqual(
      [row?.rule, row?.held, row?.failure?.shown],
      ['data.mcp.inbound.row', false, 'data.table.nothing is undefined'],
    );
  });

  test('one of many in `every`', async () => {
    const { steps } = await explain({ ...good, scopes: ['a'] });
    assert.equal(steps[0]?.failure?.source, 'every scope in row.scopes {');
  });

  test('a value that a built-in made', async () => {
    const { steps } = await explain({ ...good, amount: 99 });
    assert.deepEqual(failures(steps)[1], [12, false, 13, '"NONE" == "OPS"']);
  });
});

test('what held is marked, with what it asked', async () => {
  const { steps, text } = await explain({ ...good, tool: 'refund' });
  assert.deepEqual([steps[0]?.held, steps[0]?.failure], [true, null]);
  assert.match(text, /\+ decision {2}rules\.rego:5 .*\n +\+ row .*\n +\+ limit {2}rules\.rego:22/);
});

test('a value that the trace cuts short is still known by its place', async () => {
  const { evaluation, steps } = await explain({ ...good, tool: 'large', amount: 6 });
  assert.equal(steps[0]?.failure?.shown, '6 <= 5');
  assert.deepEqual(
    evaluation.data.map(({ path }) => path),
    ['data.blocked', 'data.table.large.limit', 'data.table.large.scopes[0]'],
  );
});

test('sources that say something else than the policy that was asked are pointed out', async () => {
  const { evaluation } = await explain(good);
  assert.deepEqual(evaluation.doubts, [
    'the trace is of sources that say allowed, the policy that was asked says policy_denied: they are not the same',
  ]);
});
