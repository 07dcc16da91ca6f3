/**
 * Every query of the dashboard and of the rules returns data from the sidecar of a real run. Through Envoy come calls that
 * are exchanged for, minted for, denied and, their issuer being out of reach, refused; lists are shown, refused for their
 * length, and at the front door left out; reloads bring a good bundle and a bad one.
 */
import { writeFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { changedBundle, changeJson, packBundle, withRevision } from '../support/bundles.ts';
import { startTestDeployment } from '../support/deployment.ts';
import { closedPort } from '../support/memory.ts';
import { missing } from './support/prometheus.ts';
import { assertQueriesReturnData } from './support/returns-data.ts';

/** The reference policy in plain Rego, with a rule on trial that would refuse whatever is allowed, and a mask that fails. */
async function watchingBundle(): Promise<Buffer> {
  const policies = (path: string) => readFile(new URL(`../../policies/${path}`, import.meta.url), 'utf8');
  const inbound = (await policies('mcp/inbound.rego')).replace('package mcp.inbound', 'package house.inbound');
  const watched = `package mcp.inbound

decision := object.union(data.house.inbound.decision, {"log_only": [{"rule": "trial", "reason": "limit_exceeded"}]}) if {
	data.house.inbound.decision.allow
} else := data.house.inbound.decision
`;
  const members = {
    '/.manifest': '{"revision": "watching"}',
    '/house/inbound.rego': inbound,
    '/mcp/inbound.rego': watched,
    '/mcp/outbound.rego': await policies('mcp/outbound.rego'),
    // Two values for one rule: it cannot be evaluated.
    '/system/log.rego': 'package system.log\n\nmask := {"/a"} if input.decision\n\nmask := {"/b"} if input.decision\n',
    '/permissions/data.yaml': await policies('permissions/data.yaml'),
  };
  return packBundle(new Map(Object.entries(members).map(([name, text]) => [name, Buffer.from(text)])));
}

test('every query returns data from a real run', { skip: missing('prometheus'), timeout: 300_000 }, async (t) => {
  const deadIssuer = `http://127.0.0.1:${await closedPort()}`;
  const deadBackend = `http://127.0.0.1:${await closedPort()}`;
  const candidate = await changedBundle((members) => {
    withRevision('candidate')(members);
    changeJson(members, '/data.json', ({ permissions }) => {
      delete permissions.backends['enterprise-ledger'].tools.listAccounts;
    });
  });
  const watching = await watchingBundle();
  const deployment = await startTestDeployment({
    adjustSidecar: (config, urls) => {
      for (const resource of config.resources) resource.url = urls[resource.name];
      config.resources[1].url = `${deadBackend}/mcp`; // for the sidecar itself; Envoy reaches it
      config.processing.maxListItems = 7; // of the ledger's eight tools
      config.catalog = { scopes: ['catalog:read'], refreshMs: 200 };
      config.issuers.push({ issuer: deadIssuer, jwksUri: `${deadIssuer}/jwks`, algorithms: ['ES256'] });
      config.resources[1].delegation = 'mint';
      config.decisionLog.maxBufferedBytes = 1; // so that calls at the same time lose lines
      config.policy.bundleFile = join(config.decisionLog.file, '..', 'watching.tar.gz');
      writeFileSync(config.policy.bundleFile, watching);
      config.policy.shadow = { bundleFile: join(config.decisionLog.file, '..', 'candidate.tar.gz') };
      writeFileSync(config.policy.shadow.bundleFile, candidate);
      config.services = [{ name: 'nobody', url: `http://127.0.0.1:${new URL(deadIssuer).port}` }];
      config.status = { service: 'nobody' };
      config.decisionLog.upload = { service: 'nobody', minDelayMs: 100, maxDelayMs: 200, maxBufferBytes: 10_000 };
    },
  });
  t.after(deployment.stop);
  const { ledgerUrl, directoryUrl, frontDoorUrl, tokenOf, testIssuer, sidecar } = deployment;
  const alice = await tokenOf('alice', ledgerUrl);
  const aliceAtDirectory = await tokenOf('alice', directoryUrl);
  const aliceAtTheDoor = await tokenOf('alice', frontDoorUrl);
  const homeless = testIssuer.token(ledgerUrl, { claims: { iss: deadIssuer } });

  async function call(url: string, tool: string, token?: string): Promise<void> {
    await post(url, { id: 1, method: 'tools/call', params: { name: tool, arguments: {} } }, token);
  }

  async function list(url: string, token: string): Promise<void> {
    const clientInfo = { name: 'real-run', version: '1' };
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
    const session = await post(url, { id: 1, method: 'initialize', params }, token);
    await post(url, { method: 'notifications/initialized' }, token, session);
    await post(url, { id: 2, method: 'tools/list' }, token, session);
  }

  /** Resolves with the session that the answer begins. */
  async function post(url: string, message: object, token?: string, session: string | null = null): Promise<string | null> {
    const response = await deployment.fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2025-11-25',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(session === null ? {} : { 'mcp-session-id': session }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });
    await response.arrayBuffer();
    return response.headers.get('mcp-session-id');
  }

  const badBundle = join(deployment.dir, 'bad-bundle.tar.gz');
  await writeFile(badBundle, 'not a bundle');
  const good = await readFile(sidecar.configFile, 'utf8');
  const bad = good.replace(/bundleFile: .*/, `bundleFile: ${badBundle}`);
  let reloads = 0;

  await assertQueriesReturnData(`${sidecar.ready.admin}/metrics`, {
    drive: async () => {
      await writeFile(sidecar.configFile, reloads++ % 2 === 0 ? bad : good);
      sidecar.child.kill('SIGHUP');
      await Promise.all([
        call(ledgerUrl, 'listAccounts', alice),
        call(directoryUrl, 'listDepartments', aliceAtDirectory),
        call(ledgerUrl, 'getAuditTrail', alice),
        call(ledgerUrl, 'listAccounts'),
        call(ledgerUrl, 'listAccounts', homeless),
        list(ledgerUrl, alice),
        list(directoryUrl, aliceAtDirectory),
        list(frontDoorUrl, aliceAtTheDoor),
      ]);
    },
  });
});
