import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createFolder, runPolicyVerb } from './support.ts';

const POLICY = `package mcp.inbound

default decision := {"allow": false, "reason": "policy_denied"}

decision := {"allow": true, "reason": "allowed"} if {
	input.mcp.method == "ping"
} else := {"allow": false, "reason": "read_only"} if {
	input.mcp.method == "never asked"
	input.mcp.tool == "x"
}
`;
const TESTS = `package mcp.inbound_test

import data.mcp.inbound

test_ping if inbound.decision.allow with input.mcp.method as "ping"

test_pong if {
	method := "pong"
	print("asked about", method)
	inbound.decision.reason == "allowed" with input.mcp.method as method
}

test_never if inbound.nothing

test_value := false

todo_test_later if false
`;

async function run(t: Parameters<typeof createFolder>[0], tests: string, ...args: string[]) {
  const folder = await createFolder(t, { 'mcp/inbound.rego': POLICY, 'mcp/inbound_test.rego': tests });
  const { code, output, errors } = await runPolicyVerb('test', folder, ...args);
  return { code, errors, lines: output.replaceAll(`${folder}/`, '').split('\n') };
}

suite('policy test', { timeout: 300_000 }, () => {
  test('shows of a failed test where, what does not hold, and what was printed', async (t) => {
    const { code, lines } = await run(t, TESTS);
    assert.equal(code, 1);
    assert.deepEqual(lines.slice(0, -2), [
      'FAILED data.mcp.inbound_test.test_pong',
      '  mcp/inbound_test.rego:10',
      '    not true: inbound.decision.reason == "allowed" with input.mcp.method as method',
      '    inbound.decision.reason is "policy_denied"',
      '    printed: asked about pong',
      'FAILED data.mcp.inbound_test.test_never',
      '  mcp/inbound_test.rego:13',
      '    not true: inbound.nothing',
      'FAILED data.mcp.inbound_test.test_value',
      '  mcp/inbound_test.rego:15',
      '    not true: the rule itself',
      '',
    ]);
    assert.match(lines.at(-2) ?? '', /^1 passed, 3 failed, 1 skipped \(todo_\) in \d+\.\d s$/);
  });

  test('runs those that are asked for, and names them', async (t) => {
    const { code, lines } = await run(t, TESTS, '--run', 'inbound_test\\.test_pi', '-v');
    assert.equal(code, 0);
    assert.match(lines[0] ?? '', /^ok {6}data\.mcp\.inbound_test\.test_ping \(\d+\.\d ms\)$/);
    assert.match(lines[1] ?? '', /^1 passed in /);
    const none = await run(t, TESTS, '--run', 'nothing');
    assert.deepEqual([none.code, none.lines], [1, ['']]);
    assert.match(none.errors, /no test has a name that matches nothing/);
  });

  test('takes the patterns that OPA takes', async (t) => {
    assert.equal((await run(t, TESTS, '--run', '(?i)TEST_PING')).code, 0);
    for (const wrong of ['(', '(?=x)']) {
      const { code, errors } = await run(t, TESTS, '--run', wrong);
      assert.equal(code, 2, wrong);
      assert.match(errors, /^--run: error parsing regexp: /);
    }
  });

  test('names the cases that fail', async (t) => {
    const cases = `package mcp.inbound_test

import data.mcp.inbound

test_some[name] if {
	some name, method in {"a": "ping", "b": "pong", "c": "ping", "d": "pung"}
	inbound.decision.reason == "allowed" with input.mcp.method as method
}

test_nested[kind][tc.name] if {
	some kind, tcs in {"x": [{"name": "y", "sum": 3}, {"name": "z", "sum": 4}]}
	some tc in tcs
	tc.sum == 1 + 2
}

test_all[name] if some name in ["e"]
`;
    const { code, lines } = await run(t, cases);
    assert.equal(code, 1);
    assert.deepEqual(lines.slice(0, -2), [
      'FAILED data.mcp.inbound_test.test_some',
      '  b: mcp/inbound_test.rego:7',
      '    not true: inbound.decision.reason == "allowed" with input.mcp.method as method',
      '    inbound.decision.reason is "policy_denied"',
      '  d: mcp/inbound_test.rego:7',
      '    not true: inbound.decision.reason == "allowed" with input.mcp.method as method',
      '    inbound.decision.reason is "policy_denied"',
      'FAILED data.mcp.inbound_test.test_nested',
      '  x: z: mcp/inbound_test.rego:13',
      '    not true: tc.sum == 1 + 2',
      '    tc.sum is 4',
      '    1 + 2 is 3',
      '',
    ]);
    assert.match(lines.at(-2) ?? '', /^1 passed, 2 failed in /);
  });

  test('ends a test that takes too long, and runs the others', async (t) => {
    const slow = 'count([1 | some a in numbers.range(1, 30000); some b in numbers.range(1, 30000); a + b == 1]) == 0';
    const { code, lines } = await run(
      t,
      `${TESTS.slice(0, TESTS.indexOf('test_pong'))}test_slow if ${slow}\n`,
      '--timeout',
      '0.5',
    );
    assert.equal(code, 1);
    assert.deepEqual(lines.slice(0, 4), [
      'FAILED data.mcp.inbound_test.test_slow',
      '  mcp/inbound_test.rego:7',
      '    error: took longer than 500ms',
      '',
    ]);
    assert.match(lines[4] ?? '', /^1 passed, 1 failed in \d\.\d s$/);
    for (const wrong of ['0', 'x', '1000']) assert.equal((await run(t, TESTS, '--timeout', wrong)).code, 2, wrong);
  });

  test('names the lines that no test reaches, and fails below the threshold', async (t) => {
    const ping = TESTS.slice(0, TESTS.indexOf('test_pong'));
    const shown = await run(t, ping, '--coverage');
    assert.equal(shown.code, 0);
    assert.deepEqual(shown.lines.slice(1, -1), [
      'no test reaches',
      '  mcp/inbound.rego:3',
      '  mcp/inbound.rego:7-9',
      'coverage: 33.3 % (2 of 6 lines)',
    ]);
    const low = await run(t, ping, '--threshold', '50');
    assert.equal(low.code, 1);
    assert.match(low.lines.join('\n'), /coverage: 33\.3 % \(2 of 6 lines\), and 50 % are asked for/);
    assert.equal((await run(t, ping, '--threshold', '30')).code, 0);
    for (const wrong of ['101', 'x', '-1']) assert.equal((await run(t, ping, `--threshold=${wrong}`)).code, 2, wrong);
  });

  test('a policy without tests, and one that does not compile, have not passed', async (t) => {
    const none = await run(t, 'package mcp.inbound_test\n');
    assert.equal(none.code, 1);
    assert.match(none.errors, /there are no tests/);
    const broken = await run(t, 'package mcp.inbound_test\n\ntest_x if y\n');
    assert.equal(broken.code, 1);
    assert.match(broken.errors, /inbound_test\.rego:3:11: var y is unsafe/);
  });
});
