/** What is said of an input where there is a verdict, and perhaps no trace of it. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openJudge } from '../../../src/tools/judge.ts';
import { openToolOpa } from '../../../src/tools/loading.ts';
import { idOf, recordedLine } from '../../support/decision-lines.ts';
import { createFolder, OUTBOUND, runPolicyVerb } from './support.ts';

const ASKED = ['--as', 'bob', '--client', 'c', '--backend', 'a', '--tool'];

describe('rules that say two things at once', () => {
  const inbound = `package mcp.inbound

default decision := {"allow": false, "reason": "policy_denied"}

decision := {"allow": true, "reason": "allowed"} if input.mcp.tool == "getBalance"

decision := {"allow": false, "reason": "tool_forbidden"} if input.principal.subject == "bob"
`;
  const conflict = { 'mcp/inbound.rego': inbound, 'mcp/outbound.rego': OUTBOUND };

  test('are policy_failed to eval, with where they are', async (t) => {
    const folder = await createFolder(t, conflict);
    const { code, output } = await runPolicyVerb('eval', folder, ...ASKED, 'getBalance', '--expect', 'policy_failed');
    assert.match(output, /^deny \(policy_failed\)\n[\s\S]*asked {5}bob by c/);
    assert.match(output, /eval_conflict_error.*\n.*"allowed".* at mcp\/inbound\.rego:5\n.*"tool_forbidden".*:7\n/);
    assert.equal(code, 0);
  });

  test('are explained as any other decision', async (t) => {
    const folder = await createFolder(t, conflict);
    const log = join(folder, 'decisions.ndjson');
    const opa = openToolOpa();
    const judge = await openJudge(folder, opa, { maxTtlSeconds: 5 });
    await opa.close();
    await writeFile(log, recordedLine(judge, { who: 'bob', tool: 'getBalance' }, 0));
    const { code, output } = await runPolicyVerb('explain', idOf(0), '--log', log, '--policy', folder);
    assert.match(output, /who {7}bob by [\s\S]*as recorded: deny \(policy_failed\)\.[\s\S]*eval_conflict_error/);
    assert.equal(code, 0);
  });
});

test('a decision that is put together out of several rules has a trace', async (t) => {
  const inbound = `package mcp.inbound

default ok := false

ok if input.mcp.tool == "pay"

decision.allow := ok

decision.reason := "allowed" if ok

decision.reason := "tool_forbidden" if not ok
`;
  const folder = await createFolder(t, { 'mcp/inbound.rego': inbound, 'mcp/outbound.rego': OUTBOUND });
  const { output } = await runPolicyVerb('eval', folder, ...ASKED, 'look');
  assert.match(output, /inbound\n {2}\+ allow {2}mcp\/inbound\.rego:7[\s\S]*\+ reason {2}mcp\/inbound\.rego:11/);
});
