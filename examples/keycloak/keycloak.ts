/**
 * A Keycloak on loopback with the realm of realm.json, in a folder of its own: the installation is linked to, not written
 * to, so that any number can run beside each other and nothing stays behind.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { copyFile, cp, mkdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { BUILD_OPTIONS, JAVA_OPTIONS } from '../../scripts/keycloak.ts';
import { freePort } from '../reference/free-port.ts';

/** One node, plain HTTP, named as it is addressed: for this machine only. */
const LOCAL = ['--cache=local', '--http-enabled=true', '--http-host=127.0.0.1', '--hostname-strict=false'];
const REALM_FILE = fileURLToPath(new URL('realm.json', import.meta.url));

export type KeycloakOptions = {
  /** Where Keycloak is unpacked. */
  readonly home: string;
  /** An empty folder, for its data and its log. */
  readonly dir: string;
  /** Under which clients know the gateway, e.g. `https://localhost:8443`: the beginning of every audience. */
  readonly gatewayOrigin: string;
  /** It takes 20 s where nothing else runs, and several times that where much does. */
  readonly timeoutMs?: number;
};

export type Keycloak = {
  readonly pid: number;
  readonly origin: string;
  readonly issuer: string;
  readonly jwksUri: string;
  readonly logFile: string;
  readonly secrets: RealmSecrets;
  /** The bootstrap administrator, of the master realm. */
  readonly admin: { readonly username: string; readonly password: string };
  readonly stop: () => Promise<void>;
};

/** What realm.json leaves open: each is made anew at every start. */
export type RealmSecrets = {
  readonly gatewaySecret: string;
  readonly agentCoreSecret: string;
  readonly passwords: Readonly<Record<'alice' | 'bob' | 'carol', string>>;
};

/** Resolves when the realm answers. Rejects with the last lines of the log when Keycloak ends before that. */
export async function startKeycloak(options: KeycloakOptions): Promise<Keycloak> {
  const { dir, gatewayOrigin, timeoutMs = 600_000 } = options;
  const home = join(dir, 'home');
  const logFile = join(dir, 'keycloak.log');
  await linkHome(options.home, home);
  const origin = `http://127.0.0.1:${await freePort()}`;
  const issuer = `${origin}/realms/mcp`;
  const admin = { username: 'admin', password: makeSecret() };
  const secrets: RealmSecrets = {
    gatewaySecret: makeSecret(),
    agentCoreSecret: makeSecret(),
    passwords: { alice: makeSecret(), bob: makeSecret(), carol: makeSecret() },
  };

  const args = ['start', '--import-realm', ...BUILD_OPTIONS, ...LOCAL, `--http-port=${new URL(origin).port}`];
  // A group of its own: kc.sh runs Java as a child, and may run two of them one after the other.
  const child = spawn(join(home, 'bin/kc.sh'), args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment(gatewayOrigin, admin, secrets) },
  });
  const log = createWriteStream(logFile);
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const ended = once(child, 'exit').then(([code, signal]) => `ended (${code ?? signal})`);
  const signalAll = (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) process.kill(-child.pid, signal);
  };
  const killAll = () => signalAll('SIGKILL');
  process.once('exit', killAll);

  async function stop(): Promise<void> {
    signalAll('SIGTERM');
    const killer = setTimeout(killAll, 20_000);
    await ended.catch(() => {});
    clearTimeout(killer);
    process.off('exit', killAll);
    log.end();
  }

  const waiting = new AbortController();
  const ending = ended.catch((error: Error) => error.message);
  const problem = await Promise.race([ending, untilAnswered(issuer, timeoutMs, waiting.signal)]);
  waiting.abort();
  if (problem !== null) {
    await stop();
    const tail = (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-20).join('\n');
    throw new Error(`Keycloak ${problem}:\n${tail}`);
  }
  const jwksUri = `${issuer}/protocol/openid-connect/certs`;
  return { pid: child.pid as number, origin, issuer, jwksUri, logFile, secrets, admin, stop };
}

/** Null once the realm is there. */
async function untilAnswered(issuer: string, timeoutMs: number, signal: AbortSignal): Promise<string | null> {
  const end = performance.now() + timeoutMs;
  while (performance.now() < end && !signal.aborted) {
    const answer = await fetch(`${issuer}/.well-known/openid-configuration`).catch(() => null);
    await answer?.arrayBuffer();
    if (answer?.status === 200) return null;
    await delay(250);
  }
  return `did not answer within ${timeoutMs / 1000} s`;
}

/**
 * As small as a home can be. kc.sh finds the home by its own place, so it is a copy; a first start writes into lib/quarkus,
 * every start into data.
 */
async function linkHome(installed: string, home: string): Promise<void> {
  for (const folder of ['bin', 'lib', 'data/import']) await mkdir(join(home, folder), { recursive: true });
  await copyFile(join(installed, 'bin/kc.sh'), join(home, 'bin/kc.sh'));
  await cp(join(installed, 'lib/quarkus'), join(home, 'lib/quarkus'), { recursive: true });
  await copyFile(join(installed, 'lib/quarkus-run.jar'), join(home, 'lib/quarkus-run.jar'));
  for (const name of ['lib/app', 'lib/lib', 'bin/client', 'conf', 'providers', 'themes', 'version.txt']) {
    await symlink(join(installed, name), join(home, name));
  }
  await copyFile(REALM_FILE, join(home, 'data/import/realm.json'));
}

/** What kc.sh reads, and the values that stand as `${NAME}` in realm.json. */
function environment(gatewayOrigin: string, admin: Keycloak['admin'], secrets: RealmSecrets): NodeJS.ProcessEnv {
  const { alice, bob, carol } = secrets.passwords;
  return {
    KC_BOOTSTRAP_ADMIN_USERNAME: admin.username,
    KC_BOOTSTRAP_ADMIN_PASSWORD: admin.password,
    JAVA_OPTS_KC_HEAP: '-Xms128m -Xmx768m',
    JAVA_OPTS_APPEND: JAVA_OPTIONS,
    GATEWAY_ORIGIN: gatewayOrigin,
    GATEWAY_SECRET: secrets.gatewaySecret,
    AGENTCORE_SECRET: secrets.agentCoreSecret,
    ALICE_PASSWORD: alice,
    BOB_PASSWORD: bob,
    CAROL_PASSWORD: carol,
  };
}

function makeSecret(): string {
  return randomBytes(24).toString('base64url');
}
