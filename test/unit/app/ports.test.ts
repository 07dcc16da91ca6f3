import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { suite, type TestContext, test } from 'node:test';
import { buildLiveAlone } from '../../../src/app/live-alone.ts';
import type { Live } from '../../../src/app/ports.ts';
import { check } from '../../../src/check.ts';
import type { Config } from '../../../src/config.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { request } from '../support/facts.ts';
import { silence } from '../support/peer.ts';
import { callBody, createWorld, type World } from '../support/world.ts';

async function build(t: TestContext, config: Config, previous: Live | null = null) {
  const metrics = createMetrics('1');
  const logged: string[] = [];
  const log = (_level: string, message: string, fields: object = {}) => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const live = await buildLiveAlone(config, { metrics, log }, previous);
  t.after(live.close);
  return { ...live, metrics, logged };
}

async function decide(live: Live, world: World, claims: object = {}) {
  const lines = { authorization: `Bearer ${await world.token(claims)}` };
  return check(request({ lines, body: callBody() }), live.ports, Date.now() + 2000);
}

suite('a configuration made live', () => {
  test('decides', async (t) => {
    const world = await createWorld(t);
    const live = await build(t, world.config());
    const verdict = await decide(live, world);
    assert.equal(verdict.reason, 'allowed', String(verdict.cause));
    assert.equal(verdict.facts.delegation?.audience, 'https://backend.internal/mcp');
    assert.equal(live.ports.policy()?.revision, 'echo-1');
    assert.match(await live.metrics.register.metrics(), /delegations_total\{mode="mint",backend="ledger",outcome="ok"\} 1/);
  });

  test('takes the rules of its issuers', async (t) => {
    const world = await createWorld(t);
    const live = await build(
      t,
      world.config((config) => {
        Object.assign(config.issuers[0], {
          clients: ['agent'],
          claims: { tenant: ['acme'] },
          audiences: ['https://everywhere.example'],
        });
      }),
    );
    assert.equal((await decide(live, world, { tenant: 'acme' })).reason, 'client_forbidden');
    assert.equal((await decide(live, world, { client_id: 'agent' })).reason, 'token_claims_invalid');
    assert.equal((await decide(live, world, { client_id: 'agent', tenant: 'acme' })).reason, 'allowed');
    const elsewhere = { client_id: 'agent', tenant: 'acme', aud: 'https://everywhere.example' };
    assert.equal((await decide(live, world, elsewhere)).reason, 'allowed');
    assert.equal((await decide(live, world, { ...elsewhere, aud: 'https://other.example' })).reason, 'token_audience_mismatch');
  });

  test('keeps the keys of an issuer over a reload, so that one that is down is not lost', async (t) => {
    const world = await createWorld(t);
    const before = await build(t, world.config());
    assert.equal((await decide(before, world)).reason, 'allowed');
    world.issuer.answer = silence;
    const after = await build(t, world.config(), before);
    assert.equal((await decide(after, world)).reason, 'allowed');
    assert.equal(world.issuer.seen.length, 1);
  });

  test('keeps none of them once its keys are to come from elsewhere', async (t) => {
    const world = await createWorld(t);
    const before = await build(t, world.config());
    assert.equal((await decide(before, world)).reason, 'allowed');
    world.issuer.answer = (response) => void response.writeHead(404).end();
    const moved = world.config((config) => (config.issuers[0].jwksUri = `${world.issuer.url}/moved`));
    assert.equal((await decide(await build(t, moved, before), world)).reason, 'keys_unavailable');
  });

  test('logs and counts an issuer that cannot be had, without waiting for it to be built', async (t) => {
    const world = await createWorld(t);
    world.issuer.answer = (response) => void response.writeHead(500).end();
    const live = await build(t, world.config());
    assert.equal((await decide(live, world)).reason, 'keys_unavailable');
    assert.match(live.logged.join(), /keys of an issuer could not be fetched/);
    assert.match(await live.metrics.register.metrics(), /jwks_fetches_total\{issuer="[^"]+",outcome="failed"\} 1/);
  });
});

suite('a configuration that cannot be made live', () => {
  const cases: readonly (readonly [name: string, why: RegExp, adjust: (world: World) => Parameters<World['config']>[0]])[] = [
    [
      'its bundle is not there',
      /nowhere.*ENOENT/,
      ({ path }) =>
        (config) =>
          (config.policy.bundleFile = path('nowhere.tar.gz')),
    ],
    [
      'its bundle is none',
      /not a gzipped tar/,
      ({ path }) =>
        (config) =>
          (config.policy.bundleFile = path('mint.pem')),
    ],
    ['its bundle is too large', /larger than 10 bytes/, () => (config) => (config.policy.maxBundleBytes = 10)],
    [
      'its key is not there',
      /ENOENT.*nowhere/,
      ({ path }) =>
        (config) =>
          (config.delegation.mint.keys[0].keyFile = path('nowhere.pem')),
    ],
    [
      'its key is none',
      /PEM|decoder|key/i,
      ({ path }) =>
        (config) =>
          (config.delegation.mint.keys[0].keyFile = path('bundle.tar.gz')),
    ],
    [
      'its authorities are not there',
      /ENOENT.*nowhere/,
      ({ path }) =>
        (config) =>
          (config.httpClient = { caFile: path('nowhere.pem') }),
    ],
    ['its secret is in no file', /ENOENT.*nowhere/, ({ path }) => withExchange({ file: path('nowhere') })],
    ['its secret is an empty file', /the secret in \S+empty is empty/, ({ path }) => withExchange({ file: path('empty') })],
    [
      'its secret is in no variable',
      /the secret in \$UNIT_TEST_NOTHING is empty/,
      () => withExchange({ env: 'UNIT_TEST_NOTHING' }),
    ],
  ];
  for (const [name, why, adjust] of cases) {
    test(`(${name}) is refused`, async (t) => {
      const world = await createWorld(t);
      await writeFile(world.path('empty'), '\n');
      await assert.rejects(build(t, world.config(adjust(world))), (error: Error) => {
        assert.match(error.message, why);
        return true;
      });
    });
  }
});

function withExchange(secret: object): Parameters<World['config']>[0] {
  return (config) => {
    config.delegation.exchange = {
      issuer: 'https://as.example',
      clientId: 'gw',
      clientAuthentication: { method: 'client_secret_basic', secret },
    };
  };
}
