/** A rule that is only watched (`log_only`), through a real Envoy: nobody is refused by it, and what it would have refused is known. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ask, lineOf } from '../support/ask.ts';
import { packBundle } from '../support/bundles.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { waitUntil } from '../support/ndjson.ts';

const INBOUND = `package mcp.inbound

default decision := {"allow": false, "reason": "policy_denied"}

decision := {"allow": true, "reason": "allowed", "log_only": watched} if input.mcp.kind == "request"

watched := [hit |
	input.mcp.tool == "searchEmployees"
	hit := {"rule": "no-search", "reason": "tool_forbidden", "message": "Nobody is to search."}
]
`;

const OUTBOUND = `package mcp.outbound

decision := {
	"allow": true,
	"reason": "allowed",
	"audience": "https://employee-directory.internal/mcp",
	"scope": "employee-directory:any",
	"ttl_seconds": 5,
}
`;

let deployment: TestDeployment;
let token: string;

before(async () => {
  const bundle = await packBundle(
    new Map([
      ['/.manifest', Buffer.from('{"revision": "1"}')],
      ['/mcp/inbound.rego', Buffer.from(INBOUND)],
      ['/mcp/outbound.rego', Buffer.from(OUTBOUND)],
    ]),
  );
  deployment = await startTestDeployment({
    delegation: 'mint',
    adjustSidecar: (config) => {
      withoutCatalog(config);
      config.policy.bundleFile = join(config.decisionLog.file, '..', 'bundle.tar.gz');
      writeFileSync(config.policy.bundleFile, bundle);
    },
  });
  token = await deployment.tokenOf('alice', deployment.directoryUrl);
});
after(() => deployment?.stop());

test('what it would refuse is let pass, counted and in the line; what it would not has no trace of it', async () => {
  const watched = await ask(deployment, { token, tool: 'searchEmployees' });
  const other = await ask(deployment, { token, tool: 'listDepartments' });
  assert.deepEqual([watched.reason, other.reason], [undefined, undefined]);
  const [line, otherLine] = [await lineOf(deployment, watched), await lineOf(deployment, other)];
  assert.deepEqual([line.decision, line.reason], ['allow', 'allowed']);
  assert.deepEqual(line.result.log_only, [{ rule: 'no-search', reason: 'tool_forbidden', message: 'Nobody is to search.' }]);
  assert.deepEqual(line.log_only, ['no-search']);
  assert.ok(!JSON.stringify(otherLine).includes('no-search'));
  await waitUntil('it is counted once', async () => {
    const samples = (await deployment.metrics()).series('mcp_ext_authz_log_only_total').filter(({ value }) => value > 0);
    if (samples.length === 0) return false;
    const labels = { rule: 'no-search', reason: 'tool_forbidden', tool: 'searchEmployees', backend: 'employee-directory' };
    assert.deepEqual(samples, [{ labels, value: 1 }]);
    return true;
  });
});
