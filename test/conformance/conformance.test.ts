/** The official conformance suite says the same with the gateway as without; and what is compared would show a difference. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compareRuns, findFaults } from './comparison.ts';
import { type ConformanceReport, checkConformance, complaintsOf } from './conformance.ts';
import { type Check, readRequirements, type SuiteRun } from './suite.ts';

describe('the official suite', () => {
  let report: ConformanceReport;
  before(async () => {
    report = await checkConformance({ say: () => {} });
  });

  test('nothing differs, and nothing that counts fails', () => assert.deepEqual(complaintsOf(report), []));

  test('both requirement sets, whole', async () => {
    assert.deepEqual(
      report.revisions.map(({ revision }) => revision),
      ['2025-11-25', '2026-07-28'],
    );
    for (const { revision, direct, through } of report.revisions) {
      const { scored, notScored } = await readRequirements(revision);
      assert.equal(direct.scenarios, scored.length + notScored.length);
      assert.ok(direct.passed >= 2 * scored.length, `${direct.passed} passed`);
      assert.deepEqual(through, direct);
    }
  });

  test('what does not count passes too: tasks, resumption, header checks', () => {
    for (const { unscored } of report.revisions) assert.deepEqual(unscored, []);
  });

  test('headers are checked for a server that does not', () => {
    assert.ok(report.headers.direct.failed > 0);
    assert.equal(report.headers.through.failed, 0);
    assert.equal(report.headers.through.warned, 0);
  });

  test('the sidecar was asked, and said yes to more than it refused', () => {
    const scenarios = report.revisions.reduce((sum, { through }) => sum + through.scenarios, 0);
    assert.ok(report.decisions.allowed > scenarios, `${report.decisions.allowed} allowed`);
    assert.ok(report.decisions.refused > 0 && report.decisions.refused < report.decisions.allowed);
  });
});

describe('the comparison', () => {
  const check = (id: string, status: Check['status'] = 'SUCCESS'): Check => ({ id, name: id.toUpperCase(), status });
  const run = (scenarios: Record<string, Check[]>, exitCode = 0): SuiteRun => ({
    exitCode,
    scenarios: new Map(Object.entries(scenarios)),
    tail: 'the end',
  });
  const whole = run({ ping: [check('a'), check('b')], tools: [check('c')] });

  test('equal runs do not differ', () => assert.deepEqual(compareRuns(whole, structuredClone(whole)), []));

  for (const [what, other, said] of [
    ['a status', run({ ping: [check('a'), check('b', 'WARNING')], tools: [check('c')] }), /^ping: b \(B\) SUCCESS .*WARNING/],
    ['a check less', run({ ping: [check('a')], tools: [check('c')] }), /^ping: b \(B\) SUCCESS direct, nothing/],
    ['a check more', run({ ping: [check('a'), check('b'), check('x')], tools: [check('c')] }), /^ping: nothing direct, x/],
    ['a scenario less', run({ ping: [check('a'), check('b')] }), /^tools: not run through/],
    ['a scenario more', run({ ping: [check('a'), check('b')], tools: [check('c')], more: [] }), /^more: run through/],
  ] as const)
    test(`${what} is told`, () => {
      const differences = compareRuns(whole, other);
      assert.equal(differences.length, 1);
      assert.match(differences[0] as string, said);
    });

  const expected = { scored: ['ping'], notScored: ['tools'] };

  test('a run is at fault where a scored check fails, results are missing or the suite fails', () => {
    assert.deepEqual(findFaults(whole, expected), []);
    const failing = [check('c', 'FAILURE')];
    assert.deepEqual(findFaults(run({ ping: [check('a')], tools: failing }), expected), []);
    assert.match(findFaults(run({ ping: failing, tools: [check('a')] }, 1), expected).join(), /^ping: c \(C\)/);
    assert.match(findFaults(run({ ping: [check('a')], tools: [] }), expected).join(), /^no results of tools .*the end/);
    assert.match(findFaults(run({}, 1), expected).join(), /^no results of ping, tools \(exit code 1\)/);
    assert.match(findFaults({ ...whole, exitCode: 2 }, expected).join(), /^exit code 2/);
  });

  test('each is a complaint, and the exit code hangs on these', () => {
    const summary = { passed: 1, failed: 0, warned: 0, scenarios: 1 };
    const both = { direct: summary, through: summary };
    const report: ConformanceReport = {
      revisions: [{ revision: '2025-11-25', ...both, faults: ['one'], differences: ['two'], unscored: ['not this'] }],
      headers: { ...both, faults: ['three'] },
      decisions: { allowed: 1, refused: 0 },
    };
    assert.deepEqual(complaintsOf(report), ['2025-11-25 one', '2025-11-25 differs: two', 'headers: three']);
  });
});

test('Ctrl-C ends it, and nothing is left', async () => {
  const temporary = await mkdtemp(join(tmpdir(), 'conformance-test-'));
  try {
    const command = fileURLToPath(new URL('run.ts', import.meta.url));
    const env = { ...process.env, TMPDIR: temporary };
    const child = spawn(process.execPath, [command], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    const closed = once(child, 'close');
    for await (const line of createInterface({ input: child.stdout })) if (line.startsWith('2025-11-25')) child.kill('SIGINT');
    assert.deepEqual(await closed, [130, null]);
    assert.deepEqual(await readdir(temporary), []);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
});
