/**
 * A candidate beside the live policy, through a real Envoy: its flips are counted and written down, nobody is refused or kept
 * waiting for it, and it is promoted by command and by its bundle taking the live one's place. A service is told of it all.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ask, lineOf, type Question } from '../support/ask.ts';
import { changedBundle, changeJson, packBundle, withRevision } from '../support/bundles.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { waitUntil } from '../support/ndjson.ts';
import { replaceFile } from '../support/reconfigure.ts';

const BACKEND = 'enterprise-ledger';
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

let deployment: TestDeployment;
let service: Server;
let dir: string;
let bob: string;
const updates: any[] = [];

/** Bob may read what is his role's no longer needed for, and lists no accounts. */
const candidate = (revision: string) =>
  changedBundle((members) => {
    withRevision(revision)(members);
    changeJson(members, '/data.json', ({ permissions }) => {
      const { tools } = permissions.backends[BACKEND];
      tools.getCustomerPII = { scopes: ['ledger:read'], roles: 'any' };
      delete tools.listAccounts;
    });
  });

before(async () => {
  service = createServer(async (incoming, response) => {
    updates.push({ path: incoming.url, ...JSON.parse(await text(incoming)) });
    response.end();
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  const [first, second] = await Promise.all([changedBundle(withRevision('1')), candidate('2')]);
  const polling = { minDelayMs: 50, maxDelayMs: 100 };
  deployment = await startTestDeployment({
    adjustSidecar: (config) => {
      withoutCatalog(config);
      dir = join(config.decisionLog.file, '..');
      config.policy = {
        ...config.policy,
        bundleFile: join(dir, 'live.tar.gz'),
        polling,
        persistDirectory: join(dir, 'persisted'),
        shadow: { bundleFile: join(dir, 'candidate.tar.gz'), polling },
      };
      config.services = [{ name: 'control', url: `http://127.0.0.1:${(service.address() as AddressInfo).port}` }];
      config.status = { service: 'control', partition: 'gateway', minIntervalMs: 50 };
      writeFileSync(join(dir, 'live.tar.gz'), first);
      writeFileSync(join(dir, 'candidate.tar.gz'), second);
    },
  });
  bob = await deployment.tokenOf('bob', deployment.ledgerUrl);
  await waitUntil('the candidate is loaded', async () => (await shadowState())?.revision === '2');
});
after(async () => {
  await deployment?.stop();
  service.close();
});

const askLedger = (tool: string, args = {}) =>
  ask(deployment, { to: 'ledger', token: bob, tool, arguments: args } satisfies Question);

async function shadowState(): Promise<{ revision: string; promoted: boolean } | undefined> {
  const response = await fetch(`${deployment.sidecar.ready.admin}/readyz`);
  return ((await response.json()) as any).shadow;
}

async function flips(tool: string, direction: string): Promise<number> {
  return (await deployment.metrics()).value('mcp_ext_authz_shadow_flips_total', { tool, backend: BACKEND, direction });
}

async function evaluations(outcome: string): Promise<number> {
  return (await deployment.metrics()).value('mcp_ext_authz_shadow_evaluations_total', { outcome });
}

const told = (what: string, fits: (update: any) => boolean) => waitUntil(what, () => updates.some(fits));

test('what it would decide otherwise is counted and written down, and decides nothing', async () => {
  const allowed = await askLedger('listAccounts');
  assert.equal(allowed.reason, undefined);
  const refused = await askLedger('getCustomerPII', { customerId: 'CUS-1' });
  assert.equal(refused.reason, 'role_missing');
  await waitUntil('both flips are counted', async () => {
    return (await flips('listAccounts', 'allow_to_deny')) === 1 && (await flips('getCustomerPII', 'deny_to_allow')) === 1;
  });
  const own = await lineOf(deployment, refused);
  const line = await deployment.decisions.waitFor('the line of a flip', ({ type, tool }) => {
    return type === 'shadow' && tool === 'getCustomerPII';
  });
  assert.equal(line.decision_id, own.decision_id);
  assert.equal(own.type, 'decision');
  assert.equal(line.direction, 'deny_to_allow');
  assert.deepEqual(line.bundles, { policy: { revision: '1' }, shadow: { revision: '2' } });
  assert.deepEqual(line.results, {
    policy: { allow: false, reason: 'role_missing' },
    shadow: { allow: true, reason: 'allowed' },
  });
  assert.deepEqual([line.subject, line.client_id], [own.subject, own.client_id]);
  assert.ok(!JSON.stringify(line).includes('CUS-1'), 'an argument is in the line');
});

test('the status tells of both', async () => {
  await told('both bundles', ({ bundles }) => bundles.policy.active_revision === '1' && bundles.shadow?.active_revision === '2');
  const update = updates.at(-1);
  const { labels } = await lineOf(deployment, await askLedger('listAccounts'));
  assert.equal(update.path, '/status/gateway');
  assert.deepEqual(update.labels, labels);
  assert.equal(update.plugins.bundle.state, 'OK');
  assert.ok(Date.parse(update.bundles.policy.last_successful_activation) > Date.now() - 600_000);
  assert.equal(update.bundles.policy.size, (await readFile(join(dir, 'live.tar.gz'))).byteLength);
});

test('one that is refused leaves the one before, and the status says why', async () => {
  await replaceFile(join(dir, 'candidate.tar.gz'), 'not a bundle');
  await told('the refusal', ({ bundles }) => bundles.shadow.errors?.[0].code === 'archive_invalid');
  const { bundles, plugins } = updates.at(-1);
  assert.equal(bundles.shadow.active_revision, '2');
  assert.equal(bundles.shadow.code, 'bundle_error');
  assert.equal(bundles.policy.code, undefined);
  assert.equal(plugins.bundle.state, 'OK');
  assert.equal((await shadowState())?.revision, '2');
});

test('one that never ends is killed, left alone, and keeps nobody waiting', async (t) => {
  const quiet = await latencies(200);
  await replaceFile(join(dir, 'candidate.tar.gz'), await endlessBundle());
  await waitUntil('it is loaded', async () => (await shadowState())?.revision === 'endless', 30_000);
  await deployment.metrics(); // begins the measurement of the event loop anew
  const during = await latencies(200);
  const lag = (await deployment.metrics()).value('nodejs_eventloop_lag_max_seconds');
  await waitUntil('it was killed', async () => (await evaluations('error')) >= 1);
  assert.ok((await evaluations('skipped')) > 100, 'it was asked again at once');
  t.diagnostic(`median and worst of 200 calls: ${show(quiet)} before, ${show(during)} beside it; event loop ${lag} s at most`);
  assert.ok(during.worst < 10_000, `a call took ${during.worst} ms`);
  assert.ok(during.median < 5 * quiet.median + 20, `${show(quiet)} became ${show(during)}`);
});

test('a command promotes it: at once, whole, and for good', async () => {
  await replaceFile(join(dir, 'candidate.tar.gz'), await candidate('2'));
  await waitUntil('the candidate is back', async () => (await shadowState())?.revision === '2');
  const promote = ['policy', 'promote', '--config', deployment.sidecar.configFile];
  const other = await runCommand([...promote, '--revision', '1.5']);
  assert.equal(other.code, 1, other.output);
  assert.deepEqual(await shadowState(), { revision: '2', promoted: false });
  const { code, output } = await runCommand([...promote, '--revision', '2']);
  assert.equal(code, 0, output);
  assert.match(output, /2 is in force/);
  assert.deepEqual(await shadowState(), { revision: '2', promoted: true });
  const refused = await askLedger('listAccounts');
  assert.equal(refused.reason, 'tool_unknown');
  assert.equal((await lineOf(deployment, refused)).bundles.policy.revision, '2');
  assert.equal(await flips('listAccounts', 'allow_to_deny'), 0, 'there is nothing left to compare');
  await waitUntil('it counts as the same', async () => (await evaluations('same')) > 0);
  await told('the promotion', ({ bundles }) => bundles.policy.active_revision === '2');
});

test('its bundle in place of the live one promotes it too', async () => {
  const bundle = await candidate('3');
  await replaceFile(join(dir, 'candidate.tar.gz'), bundle);
  await waitUntil('the next candidate is there', async () => (await shadowState())?.revision === '3');
  assert.deepEqual(await shadowState(), { revision: '3', promoted: false });
  await replaceFile(join(dir, 'live.tar.gz'), bundle);
  await waitUntil('it is promoted', async () => (await shadowState())?.promoted === true);
  assert.equal((await lineOf(deployment, await askLedger('listAccounts'))).bundles.policy.revision, '3');
});

interface Latencies {
  readonly median: number;
  readonly worst: number;
}

async function latencies(count: number): Promise<Latencies> {
  const all: number[] = [];
  for (let at = 0; at < count; at += 1) {
    const start = performance.now();
    assert.equal((await askLedger('getCustomerPII', { customerId: 'CUS-1' })).reason, 'role_missing');
    all.push(performance.now() - start);
  }
  all.sort((a, b) => a - b);
  return { median: all[count >> 1] as number, worst: all.at(-1) as number };
}

const show = ({ median, worst }: Latencies): string => `${median.toFixed(1)}/${worst.toFixed(1)} ms`;

/** Plain Rego that takes for ever over one tool, and is sound elsewhere. */
function endlessBundle(): Promise<Buffer> {
  const inbound = `package mcp.inbound

default decision := {"allow": false, "reason": "policy_denied"}

decision := {"allow": true, "reason": "allowed"} if {
	input.mcp.tool == "getCustomerPII"
	many := numbers.range(1, 3000)
	every a in many {
		every b in many {
			every c in many { a + b + c > 0 }
		}
	}
}
`;
  const outbound = `package mcp.outbound

default decision := {"allow": false, "reason": "policy_denied"}
`;
  return packBundle(
    new Map([
      ['/.manifest', Buffer.from('{"revision": "endless"}')],
      ['/mcp/inbound.rego', Buffer.from(inbound)],
      ['/mcp/outbound.rego', Buffer.from(outbound)],
    ]),
  );
}

function runCommand(args: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { timeout: 300_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr });
    });
  });
}
