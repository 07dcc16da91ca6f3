/**
 * Bundles over real HTTP: what the sidecar asks a bundle server, what it makes of every answer, what is in force while the
 * server is down or hands out what must not be, and how long it takes from published to enforced.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { suite, type TestContext, test } from 'node:test';
import { startAuthorizationServer } from '../../examples/reference/authorization-server.ts';
import { startApp } from '../../src/app.ts';
import { writeOrder } from '../../src/bundle/orders.ts';
import { run as runAccept } from '../../src/tools/accept.ts';
import { run as runPromote } from '../../src/tools/promote.ts';
import { type BundleServer, type Manner, startBundleServer } from '../support/bundle-server.ts';
import { waitUntil } from '../support/ndjson.ts';
import { echoBundle, packBundle, unpackBundle } from '../unit/support/bundles.ts';
import { createAuthority } from '../unit/support/certificates.ts';
import { checkRequest, connectEnvoy } from '../unit/support/envoy.ts';
import { bundleByOpa, createSigner, OPA_KEYS, type Signer, signatures } from '../unit/support/signing.ts';
import { createSink } from '../unit/support/sink.ts';
import { callBody, createWorld, type World } from '../unit/support/world.ts';

/** Short, so that tests are; a millisecond would keep two cores busy with nothing. */
const POLLING = { minDelayMs: 20, maxDelayMs: 40 };

type Settings = Record<string, any>;

interface Sidecar {
  readonly world: World;
  readonly readyz: () => Promise<{ status: number; policy: Settings }>;
  readonly metric: (name: string) => Promise<number>;
  /** The reason, and the revision of the policy in force. */
  readonly decide: () => Promise<string>;
  readonly inForce: (revision: string) => Promise<void>;
  readonly refused: (code: string) => Promise<void>;
  readonly logged: string[];
  readonly stop: () => Promise<void>;
  readonly config: () => string;
}

/** What runs in a folder ends before the folder does. */
const running = new WeakMap<World, (() => Promise<void>)[]>();

async function openWorld(t: TestContext): Promise<World> {
  const stops: (() => Promise<void>)[] = [];
  t.after(() => Promise.all(stops.map((stop) => stop())));
  const world = await createWorld(t);
  running.set(world, stops);
  return world;
}

async function startSidecar(
  t: TestContext,
  url: string,
  adjust: (config: Settings) => void = () => {},
  given?: World,
): Promise<Sidecar> {
  const world = given ?? (await openWorld(t));
  const change = (config: Settings): void => {
    config.services = [{ name: 'control', url }];
    config.policy = {
      bundle: { service: 'control', resource: 'b.tar.gz' },
      polling: POLLING,
      persistDirectory: world.path('kept'),
    };
    adjust(config);
    config.policy.timeoutMs = 500;
  };
  const logged: string[] = [];
  const app = await startApp(world.config(change as never), (_level, message, fields = {}) => {
    logged.push(`${message} ${JSON.stringify(fields)}`);
  });
  const envoy = connectEnvoy(app.target);
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    envoy.close();
    stopped ??= app.stop();
    return stopped;
  };
  running.get(world)?.push(stop);
  const readyz: Sidecar['readyz'] = async () => {
    const response = await fetch(`${app.adminUrl}/readyz`);
    return { status: response.status, ...((await response.json()) as { policy: Settings }) };
  };
  const decide = async (): Promise<string> => {
    const headers = { authorization: `Bearer ${await world.token()}` };
    const { ok_response: ok, denied_response: denied } = await envoy.check(checkRequest(callBody({}), { headers }), 5000);
    return ok ? 'allowed' : JSON.parse(denied?.body ?? '').error.data.reason;
  };
  return {
    world,
    readyz,
    decide,
    logged,
    stop,
    config: () => world.yaml(change as never),
    metric: async (name) => {
      const text = await (await fetch(`${app.adminUrl}/metrics`)).text();
      return Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`mcp_ext_authz_${name} `))
          ?.split(' ')
          .at(-1) ?? Number.NaN,
      );
    },
    inForce: (revision) => waitUntil(`${revision} is in force`, async () => (await readyz()).policy.revision === revision),
    refused: (code) => waitUntil(`a bundle is refused as ${code}`, async () => (await readyz()).policy.last_error?.code === code),
  };
}

async function serve(t: TestContext, manner: Manner = 'etag'): Promise<BundleServer> {
  const server = await startBundleServer(manner);
  t.after(() => server.die());
  return server;
}

const made = new Map<string, Promise<Buffer>>();

/** The same bytes each time: packed a second later they would be others. */
function bundle(revision: string, answers: object = {}): Promise<Buffer> {
  const key = JSON.stringify([revision, answers]);
  const archive = made.get(key) ?? echoBundle({ revision, answers });
  made.set(key, archive);
  return archive;
}

const READ_ONLY = { inbound: { allow: false, reason: 'read_only' } };

async function signedBundle(revision: string, signer: Signer, answers?: object): Promise<Buffer> {
  const parts = await unpackBundle(await bundle(revision, answers));
  const members = [...parts].map(([name, content]) => ({ name, content }));
  return packBundle([...members, signatures(await signer.sign(members))]);
}

suite('a bundle from a server', () => {
  for (const manner of ['etag', 'plain', 'long-polling'] as const) {
    test(`is in force, and the next one too (${manner})`, async (t) => {
      const server = await serve(t, manner);
      server.publish(await bundle('1'));
      const sidecar = await startSidecar(t, server.url, ({ policy }) => {
        policy.polling = { ...POLLING, longPollingTimeoutMs: 30_000 };
      });
      assert.equal(await sidecar.decide(), 'allowed');
      assert.equal((await sidecar.readyz()).status, 200);
      server.publish(await bundle('2', READ_ONLY));
      await sidecar.inForce('2');
      assert.equal(await sidecar.decide(), 'read_only');
      const [first, ...others] = server.requests;
      assert.deepEqual([first?.headers.prefer, first?.headers['if-none-match']], ['modes=snapshot', undefined]);
      const asked = new Set(others.map(({ headers }) => headers.prefer));
      assert.deepEqual([...asked], [manner === 'long-polling' ? 'modes=snapshot;wait=30' : 'modes=snapshot']);
      assert.equal(
        others.every(({ headers }) => headers['if-none-match'] !== undefined),
        manner !== 'plain',
      );
      assert.equal(await sidecar.metric('bundle_loads_total{bundle="policy",outcome="activated"}'), 2);
      assert.equal(await sidecar.metric('bundle_failing{bundle="policy"}'), 0);
    });
  }

  test('that can wait is asked once while nothing changes', async (t) => {
    const server = await serve(t, 'long-polling');
    server.publish(await bundle('1'));
    const sidecar = await startSidecar(t, server.url, ({ policy }) => {
      policy.polling = { ...POLLING, longPollingTimeoutMs: 1000 };
    });
    await waitUntil(
      'it was told that nothing changed',
      () => server.requests.filter(({ status }) => status === 304).length === 2,
    );
    assert.deepEqual(server.requests.map(({ status }) => status).slice(0, 3), [200, 304, 304]);
    assert.ok((await sidecar.metric('bundle_downloads_total{bundle="policy",outcome="unchanged"}')) >= 1);
  });

  test('of Python, as it serves any folder', async (t) => {
    const world = await openWorld(t);
    await writeFile(world.path('b.tar.gz'), await bundle('1'));
    const python = spawn('python3', ['-u', '-m', 'http.server', '0', '--bind', '127.0.0.1', '--directory', world.dir]);
    t.after(() => python.kill());
    const [line] = await once(python.stdout, 'data');
    const port = /port (\d+)/.exec(String(line))?.[1];
    const sidecar = await startSidecar(t, `http://127.0.0.1:${port}`, () => {}, world);
    assert.equal(await sidecar.decide(), 'allowed');
    await writeFile(world.path('b.tar.gz'), await bundle('2', READ_ONLY));
    await sidecar.inForce('2');
    assert.equal(await sidecar.decide(), 'read_only');
  });
});

test('plain Rego, as OPA packed and signed it, is compiled and in force', async (t) => {
  const server = await serve(t);
  server.publish(bundleByOpa('rs256'));
  const world = await openWorld(t);
  const { id, algorithm, key } = OPA_KEYS.rs256;
  await writeFile(world.path('key.pem'), key);
  const sidecar = await startSidecar(
    t,
    server.url,
    ({ policy }) => {
      policy.keys = [{ id, algorithm, publicKeyFile: world.path('key.pem') }];
      policy.signing = { keyId: id };
    },
    world,
  );
  await waitUntil('it is in force', async () => (await sidecar.readyz()).status === 200, 30_000);
  assert.notEqual(await sidecar.decide(), 'policy_undefined');
});

suite('a candidate', () => {
  test('is beside what is in force, and takes its place where a person says so', async (t) => {
    const server = await serve(t);
    server.publish(await bundle('1'));
    const world = await openWorld(t);
    const candidate = world.path('candidate.tar.gz');
    await writeFile(candidate, await bundle('2', READ_ONLY));
    const sidecar = await startSidecar(
      t,
      server.url,
      ({ policy }) => (policy.shadow = { bundleFile: candidate, polling: POLLING }),
      world,
    );
    const activated = 'bundle_loads_total{bundle="shadow",outcome="activated"}';
    await waitUntil('it is loaded', async () => (await sidecar.metric(activated)) === 1);
    assert.equal(await sidecar.decide(), 'allowed');
    await writeFile(world.path('config.yaml'), sidecar.config());
    const sink = createSink();
    const promote = (...args: string[]) => runPromote(['--config', world.path('config.yaml'), ...args], { out: sink, err: sink });
    // Something else was reviewed than what is there now.
    assert.equal(await promote('--revision', '1.5'), 1);
    assert.match(sink.text(), /^in force is 1, as before: .*, is not 1\.5, or was refused; see the log\n$/);
    await waitUntil('the log says so', () => sidecar.logged.some((line) => line.includes('the candidate is 2, and not 1.5')));
    assert.equal(await sidecar.decide(), 'allowed');
    assert.equal(await promote('--revision', '2'), 0);
    assert.match(sink.text(), /\n2 is in force\n$/);
    assert.equal(await sidecar.decide(), 'read_only');
    // Of what is in force already nothing is left to promote.
    assert.equal(await promote(), 1);
    // What it replaced does not come back by itself, but what is newer does.
    await sidecar.stop();
    const again = await startSidecar(t, server.url, () => {}, world);
    assert.equal(await again.decide(), 'read_only');
    server.publish(await bundle('3'));
    await again.inForce('3');
  });

  test('that cannot be had keeps nothing from starting', async (t) => {
    const server = await serve(t);
    server.publish(await bundle('1'));
    const sidecar = await startSidecar(
      t,
      server.url,
      ({ policy }) => (policy.shadow = { bundleFile: '/nowhere', polling: POLLING }),
    );
    await waitUntil('it is told of', async () => (await sidecar.metric('bundle_failing{bundle="shadow"}')) === 1);
    assert.deepEqual([await sidecar.decide(), (await sidecar.readyz()).status], ['allowed', 200]);
  });
});

suite('while the server is down', () => {
  test('the sidecar starts, is not ready, refuses everything, and recovers by itself', async (t) => {
    const server = await serve(t);
    server.publish(await bundle('1'));
    await server.die();
    const sidecar = await startSidecar(t, server.url);
    const { status, policy } = await sidecar.readyz();
    assert.deepEqual([status, policy.revision, policy.last_error.code], [503, null, 'download_failed']);
    assert.equal(await sidecar.decide(), 'policy_undefined');
    assert.equal(await sidecar.metric('bundle_failing{bundle="policy"}'), 1);
    await server.rise();
    await sidecar.inForce('1');
    assert.deepEqual([await sidecar.decide(), (await sidecar.readyz()).status], ['allowed', 200]);
  });

  test('what is in force stays, the sidecar stays ready and says so, and the next bundle comes by itself', async (t) => {
    const server = await serve(t);
    server.publish(await bundle('1'));
    const sidecar = await startSidecar(t, server.url);
    await server.die();
    await sidecar.refused('download_failed');
    assert.deepEqual([await sidecar.decide(), (await sidecar.readyz()).status], ['allowed', 200]);
    assert.ok((await sidecar.metric('bundle_downloads_total{bundle="policy",outcome="failed"}')) > 0);
    server.publish(await bundle('2'));
    await server.rise();
    await sidecar.inForce('2');
    assert.equal((await sidecar.readyz()).policy.last_error, null);
  });

  test('a restart begins with what was persisted, and asks only for what is newer', async (t) => {
    const server = await serve(t);
    server.publish(await bundle('1', READ_ONLY));
    const first = await startSidecar(t, server.url);
    await first.stop();
    await server.die();
    const second = await startSidecar(t, server.url, () => {}, first.world);
    assert.deepEqual([await second.decide(), (await second.readyz()).status], ['read_only', 200]);
    const before = server.requests.length;
    await server.rise();
    await waitUntil('it was told that nothing changed', () => server.requests.slice(before).some(({ status }) => status === 304));
    server.publish(await bundle('2'));
    await second.inForce('2');
  });

  test('what was persisted of another server does not count, nor what was changed on disk', async (t) => {
    const server = await serve(t);
    const signer = createSigner('ES256');
    server.publish(await signedBundle('1', signer));
    const first = await startSidecar(t, server.url);
    await first.stop();
    await server.die();
    const elsewhere = await startSidecar(t, 'http://127.0.0.1:1', () => {}, first.world);
    assert.equal(await elsewhere.decide(), 'policy_undefined');
    await elsewhere.stop();
    await writeFile(first.world.path('key.pem'), createSigner('ES256').key.key);
    const strict = await startSidecar(
      t,
      server.url,
      ({ policy }) => {
        policy.keys = [{ id: 'k1', algorithm: 'ES256', publicKeyFile: first.world.path('key.pem') }];
        policy.signing = { keyId: 'k1' };
      },
      first.world,
    );
    assert.equal(await strict.decide(), 'policy_undefined');
    assert.equal(await strict.metric('bundle_refusals_total{bundle="policy",reason="signature_invalid"}'), 1);
  });
});

suite('what must not be in force', () => {
  test('never is, says why, and the next good one is by itself', async (t) => {
    const server = await serve(t);
    const signer = createSigner('ES256');
    server.publish(await signedBundle('10', signer));
    const world = await openWorld(t);
    await writeFile(world.path('key.pem'), signer.key.key);
    const signed = ({ policy }: Settings): void => {
      policy.keys = [{ id: 'k1', algorithm: 'ES256', publicKeyFile: world.path('key.pem') }];
      policy.signing = { keyId: 'k1' };
      policy.maxBundleBytes = 1_000_000;
    };
    const sidecar = await startSidecar(t, server.url, signed, world);
    const { digest } = (await sidecar.readyz()).policy;
    const good = await signedBundle('11', signer);
    const parts = await unpackBundle(good);
    const repacked = (change: (members: Map<string, Buffer>) => void): Promise<Buffer> => {
      const members = new Map(parts);
      change(members);
      return packBundle([...members].map(([name, content]) => ({ name, content })));
    };
    const wrong: [code: string, archive: Buffer][] = [
      ['signature_missing', await bundle('11')],
      ['signature_invalid', await signedBundle('11', createSigner('ES256'))],
      ['digest_mismatch', await repacked((members) => members.set('data.json', Buffer.from('{"answers":{}}')))],
      ['delta_refused', await repacked((members) => members.set('patch.json', Buffer.from('{"data":[]}')))],
      ['revision_older', await signedBundle('9', signer)],
      ['revision_reused', await signedBundle('10', signer, READ_ONLY)],
      ['archive_invalid', Buffer.from('<html>sign in</html>')],
      ['too_large', Buffer.alloc(1_000_001)],
    ];
    for (const [code, archive] of wrong) {
      server.publish(archive);
      await sidecar.refused(code);
      const { status, policy } = await sidecar.readyz();
      assert.deepEqual([status, policy.revision, policy.digest], [200, '10', digest], code);
      assert.equal(await sidecar.decide(), 'allowed');
      assert.ok((await sidecar.metric(`bundle_refusals_total{bundle="policy",reason="${code}"}`)) >= 1, code);
      assert.ok(
        sidecar.logged.some((line) => line.includes(`"code":"${code}"`)),
        code,
      );
      assert.equal(await sidecar.metric('bundle_failing{bundle="policy"}'), 1);
    }
    // Signed anew, ES256 gives other bytes for the same files: these are in force already.
    server.publish(await signedBundle('10', signer));
    await waitUntil('it is in force', async () => (await sidecar.readyz()).policy.digest !== digest);
    assert.equal(await sidecar.metric('bundle_failing{bundle="policy"}'), 0);
    server.publish(good);
    await sidecar.inForce('11');
    assert.equal(await sidecar.metric('bundle_failing{bundle="policy"}'), 0);
    // What was in force is known across a restart.
    await sidecar.stop();
    server.publish(await signedBundle('9', signer));
    const again = await startSidecar(t, server.url, signed, world);
    await again.refused('revision_older');
    assert.equal((await again.readyz()).policy.revision, '11');
  });

  test('is not downloaded again and again', async (t) => {
    const server = await serve(t);
    server.publish(await bundle('2'));
    const sidecar = await startSidecar(t, server.url);
    server.publish(await bundle('1'));
    await sidecar.refused('revision_older');
    const before = server.requests.length;
    await waitUntil('it looked five times', () => server.requests.length >= before + 5);
    assert.deepEqual(new Set(server.requests.slice(before).map(({ status }) => status)), new Set([304]));
    assert.equal(await sidecar.metric('bundle_refusals_total{bundle="policy",reason="revision_older"}'), 1);
  });

  test('an older revision comes back where a person says so, once', async (t) => {
    const server = await serve(t);
    server.publish(await bundle('1', READ_ONLY));
    const sidecar = await startSidecar(t, server.url);
    server.publish(await bundle('2'));
    await sidecar.inForce('2');
    server.publish(await bundle('1', READ_ONLY));
    await sidecar.refused('revision_older');
    await writeFile(sidecar.world.path('config.yaml'), sidecar.config());
    const sink = createSink();
    assert.equal(await runAccept(['1', '--config', sidecar.world.path('config.yaml')], { out: sink, err: sink }), 0);
    assert.equal(sink.text(), '1 is in force\n');
    assert.deepEqual([await sidecar.decide(), (await sidecar.readyz()).policy.last_error], ['read_only', null]);
    server.publish(await bundle('2'));
    await sidecar.inForce('2');
    server.publish(await bundle('1', READ_ONLY));
    await sidecar.refused('revision_older');
  });
});

const BUNDLES = { name: 'bundles', audience: 'https://bundles.internal', frontDoors: ['https://bundles.example/opa'], tools: [] };

suite('credentials', () => {
  test('a token by client credentials, from a real authorization server', async (t) => {
    const issuer = await startAuthorizationServer({ backends: [BUNDLES], accessTokenSeconds: 60 });
    t.after(() => issuer.stop());
    const server = await serve(t);
    const world = await openWorld(t);
    await writeFile(world.path('secret'), issuer.agentCoreSecret);
    const taken = new Set<string>();
    server.authorize = ({ headers: { authorization = '' } }) => {
      if (!/^Bearer [\w.-]{20,}$/.test(authorization)) return 401;
      taken.add(authorization);
      return null;
    };
    server.publish(await bundle('1'));
    const oauth2 = {
      tokenUrl: `${issuer.issuer}/token`,
      clientId: 'bedrock-agentcore',
      secret: { file: world.path('secret') },
      parameters: { resource: 'https://bundles.example/opa' },
    };
    const sidecar = await startSidecar(t, server.url, ({ services }) => (services[0].credentials = { oauth2 }), world);
    assert.equal(await sidecar.decide(), 'allowed', sidecar.logged.join());
    await waitUntil('it was asked five times', () => server.requests.length >= 5);
    assert.equal(taken.size, 1);
    // Revoked: a fresh one is fetched, and nobody notices.
    const [revoked] = taken;
    server.authorize = ({ headers: { authorization } }) => (authorization === revoked ? 401 : null);
    server.publish(await bundle('2'));
    await sidecar.inForce('2');
    const told = JSON.stringify([sidecar.logged, await sidecar.readyz()]);
    assert.ok(!told.includes(issuer.agentCoreSecret) && !told.includes(String(revoked).slice(7)));
  });

  test('a client certificate', async (t) => {
    const authority = await createAuthority();
    const [forServer, forClient] = await Promise.all([
      authority.issue('localhost', 'server'),
      authority.issue('gateway', 'client'),
    ]);
    const server = await startBundleServer('etag', {
      ...forServer,
      ca: authority.ca,
      requestCert: true,
      rejectUnauthorized: true,
    });
    t.after(() => server.die());
    server.publish(await bundle('1'));
    const world = await openWorld(t);
    const write = (name: string, pem: string) => writeFile(world.path(name), pem);
    await Promise.all([write('ca.pem', authority.ca), write('cert.pem', forClient.cert), write('key.pem', forClient.key)]);
    const without = await startSidecar(t, server.url, ({ services }) => (services[0].caFile = world.path('ca.pem')), world);
    assert.equal((await without.readyz()).policy.last_error.code, 'download_failed');
    await without.stop();
    const clientTls = { certFile: world.path('cert.pem'), keyFile: world.path('key.pem') };
    const shown = await startSidecar(
      t,
      server.url,
      ({ services }) => Object.assign(services[0], { caFile: world.path('ca.pem'), credentials: { clientTls } }),
      world,
    );
    assert.equal(await shown.decide(), 'allowed');
  });
});

suite('a bundle in a file', () => {
  test('is in force by itself, and one that is refused is mended by the next', async (t) => {
    const world = await openWorld(t);
    const fromFile = (config: Settings): void => {
      config.policy = { bundleFile: world.path('bundle.tar.gz'), polling: POLLING };
    };
    const sidecar = await startSidecar(t, 'http://127.0.0.1:1', fromFile, world);
    await writeFile(world.path('bundle.tar.gz'), 'half of it');
    await sidecar.refused('archive_invalid');
    assert.equal((await sidecar.readyz()).policy.revision, 'echo-1');
    await world.writeBundle({ revision: 'echo-2' });
    await sidecar.inForce('echo-2');
    assert.equal((await sidecar.readyz()).policy.last_error, null);
  });

  test('that is older than what was in force does not start over it, and an order before the start lets it in', async (t) => {
    const world = await openWorld(t);
    const kept = (config: Settings): void => {
      config.policy = { bundleFile: world.path('bundle.tar.gz'), polling: POLLING, persistDirectory: world.path('kept') };
    };
    await world.writeBundle({ revision: '2' });
    await (await startSidecar(t, 'http://127.0.0.1:1', kept, world)).stop();
    await world.writeBundle({ revision: '1' });
    const second = await startSidecar(t, 'http://127.0.0.1:1', kept, world);
    const { policy } = await second.readyz();
    assert.deepEqual([policy.revision, policy.last_error.code], ['2', 'revision_older']);
    await second.stop();
    await writeOrder(world.path('kept'), { order: 'accept', revision: '1' });
    const third = await startSidecar(t, 'http://127.0.0.1:1', kept, world);
    assert.equal((await third.readyz()).policy.revision, '1');
  });
});
