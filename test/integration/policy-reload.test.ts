/**
 * Policy and configuration change while requests come in: SIGHUP puts the new in force as a whole, or leaves the old in
 * force as a whole, and drops nothing.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ask, lineOf, settledLines } from '../support/ask.ts';
import { changedBundle, changeJson, committedMembers, type Members, packBundle, withRevision } from '../support/bundles.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { reload, replaceFile } from '../support/reconfigure.ts';

let deployment: TestDeployment;
let bundleFile: string;
let token: string;

const REFUSED = { bundle: 'policy', outcome: 'refused' };

before(async () => {
  const first = await changedBundle(withRevision('first'));
  deployment = await startTestDeployment({
    adjustSidecar: (config) => {
      withoutCatalog(config);
      // The configuration is written before the sidecar starts, into the folder of the deployment.
      bundleFile = join(config.decisionLog.file, '..', 'bundle.tar.gz');
      config.policy.bundleFile = bundleFile;
      // It is looked at when it is said so: a second look would be counted too.
      config.policy.polling = { minDelayMs: 3_600_000, maxDelayMs: 3_600_000 };
      config.resources[1].delegation = 'mint';
      writeFileSync(bundleFile, first);
    },
  });
  token = await deployment.tokenOf('bob', deployment.ledgerUrl);
});
after(() => deployment.stop());

async function revisionInForce(): Promise<string> {
  const line = await lineOf(deployment, await ask(deployment, { to: 'ledger', token }));
  return line.bundles.policy.revision;
}

async function putInForce(bundle: Buffer): Promise<void> {
  await replaceFile(bundleFile, bundle);
  await reload(deployment, 'applied');
}

test('a new bundle is in force after SIGHUP, and what it says counts', async () => {
  assert.equal(await revisionInForce(), 'first');
  const call = () => ask(deployment, { to: 'ledger', token, tool: 'getCustomerPII', arguments: { customerId: 'CUS-1' } });
  assert.equal((await call()).reason, 'role_missing');
  await putInForce(
    await changedBundle((members) => {
      withRevision('second')(members);
      changeJson(members, '/data.json', ({ permissions }) => {
        permissions.backends['enterprise-ledger'].tools.getCustomerPII = { scopes: ['ledger:read'], roles: 'any' };
      });
    }),
  );
  const allowed = await call();
  assert.deepEqual([allowed.reason, (await lineOf(deployment, allowed)).bundles.policy.revision], [undefined, 'second']);
  const metrics = await deployment.metrics();
  assert.deepEqual(
    metrics.series('mcp_ext_authz_bundle_info').map(({ labels }) => labels.revision),
    ['second'],
  );
  await putInForce(await changedBundle(withRevision('third')));
  assert.equal((await call()).reason, 'role_missing');
});

describe('a bundle that cannot be used is refused, and the one before stays', () => {
  /** A bundle that is in order but for what was changed in it. */
  const changed = (change: (members: Members) => void) => (members: Members) => {
    change(members);
    return packBundle(members);
  };
  const damaged: Record<string, (members: Members) => Buffer | Promise<Buffer>> = {
    'half of it': async (members) => (await packBundle(members)).subarray(0, 20_000),
    'not gzip': () => Buffer.from('policy, honestly'),
    nothing: () => Buffer.alloc(0),
    'one flipped bit': async (members) => {
      const bundle = await packBundle(members);
      bundle[30_000] = (bundle[30_000] as number) ^ 0x10;
      return bundle;
    },
    'no policy': changed((members) => members.delete('/policy.wasm')),
    'a policy that is no WebAssembly': changed((members) => members.set('/policy.wasm', Buffer.from('package mcp.inbound'))),
    'a policy that is half there': changed((members) => {
      members.set('/policy.wasm', members.get('/policy.wasm')!.subarray(0, 5000));
    }),
    'no revision': changed((members) => changeJson(members, '/.manifest', (manifest) => delete manifest.revision)),
    'a revision with a line break': changed(withRevision('evil\nrevision')),
    'data that is a list': changed((members) => members.set('/data.json', Buffer.from('[]'))),
    'data with a key twice': changed((members) => {
      members.set('/data.json', Buffer.from('{"permissions":{},"permissions":{}}'));
    }),
    'a delta bundle': changed((members) => members.set('/patch.json', Buffer.from('{"data":[]}'))),
    'a name that climbs': changed((members) => members.set('mcp/../../etc/cron.d/x', Buffer.from('x'))),
  };
  for (const [what, damage] of Object.entries(damaged)) {
    test(what, async () => {
      const before = await readFile(bundleFile);
      const revision = await revisionInForce();
      const refused = (await deployment.metrics()).value('mcp_ext_authz_bundle_loads_total', REFUSED);
      await replaceFile(bundleFile, await damage(await committedMembers()));
      await reload(deployment, 'refused');
      assert.equal(await revisionInForce(), revision);
      assert.equal((await deployment.metrics()).value('mcp_ext_authz_bundle_loads_total', REFUSED), refused + 1);
      await replaceFile(bundleFile, before);
    });
  }
});

describe('a configuration that cannot be used is refused, and the one before stays', () => {
  const mistakes: Record<string, (text: string) => string> = {
    'not YAML': (text) => `${text}\n  : [`,
    'a setting that there is not': (text) => `${text}\nfailOpen: true\n`,
    'a key file that is not there': (text) => text.replace('mint-key.pem', 'no-key.pem'),
  };
  for (const [what, change] of Object.entries(mistakes)) {
    test(what, async () => {
      const { configFile } = deployment.sidecar;
      const before = await readFile(configFile, 'utf8');
      try {
        await replaceFile(configFile, change(before));
        await reload(deployment, 'refused', 2000);
      } finally {
        await replaceFile(configFile, before);
      }
      assert.equal((await ask(deployment, { to: 'ledger', token })).reason, undefined);
    });
  }
});

const STORMS = [
  { way: 'mint', to: 'directory', tool: 'listEmployees' },
  { way: 'exchange', to: 'ledger', tool: 'listAccounts' },
] as const;
for (const { way, to, tool } of STORMS) {
  test(`twenty bundles while requests come in (${way}): none fails, each was decided by one revision`, async () => {
    const before = await settledLines(deployment);
    const caller = await deployment.tokenOf('bob', to === 'ledger' ? deployment.ledgerUrl : deployment.directoryUrl);
    const revisions = Array.from({ length: 20 }, (_, index) => `${way}-${index}`);
    const reasons: unknown[] = [];
    let done = false;
    // Some at once, each as soon as the one before it is answered: the load gives way where the machine is busy.
    const load = Array.from({ length: 5 }, async () => {
      while (!done) {
        reasons.push((await ask(deployment, { to, token: caller, tool })).reason);
        await delay(2);
      }
    });
    for (const revision of revisions) await putInForce(await changedBundle(withRevision(revision)));
    done = true;
    await Promise.all(load);
    const refused = reasons.filter((reason) => reason !== undefined);
    const lines = (await deployment.decisions.waitForCount(before + reasons.length)).slice(before);
    assert.deepEqual(
      [...new Set(lines.map(({ reason }) => reason))],
      ['allowed'],
      `${refused.length} of ${reasons.length} were refused`,
    );
    const seen = new Set(lines.map(({ bundles }) => bundles.policy.revision));
    assert.ok([...seen].filter((revision) => revisions.includes(revision)).length > 10, `${[...seen]}`);
  });
}

test('keys that are held outlive a reload: no issuer is asked again', async () => {
  const verified = async () => {
    const call = { to: 'ledger', token: deployment.testIssuer.token(deployment.ledgerUrl), tool: 'no-such-tool' } as const;
    assert.equal((await ask(deployment, call)).reason, 'tool_unknown');
  };
  await verified();
  const before = deployment.testIssuer.fetches();
  await reload(deployment, 'applied');
  await reload(deployment, 'applied');
  await verified();
  assert.equal(deployment.testIssuer.fetches(), before);
});
