/**
 * Where Keycloak is. The tests of test/integration/keycloak run against a real one and are skipped without it.
 * `node scripts/keycloak.ts` says which one is used; `node scripts/keycloak.ts install` brings it with Maven into .cache/.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The version that `install` brings. */
export const KEYCLOAK_VERSION = '26.7.3';
/** The oldest Java that it starts on. */
export const JAVA_FLOOR = 17;
/** What `kc.sh build` settles in advance; a start with the same options takes half the time. */
export const BUILD_OPTIONS = ['--db=dev-mem'];
/** For a process that lives for minutes: compiling well would take longer than it saves. */
export const JAVA_OPTIONS = '-XX:TieredStopAtLevel=1';

const CACHE = fileURLToPath(new URL('../.cache', import.meta.url));
const HOME = join(CACHE, `keycloak-${KEYCLOAK_VERSION}`);
const COPY_GOAL = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy';
const ARTIFACT = `org.keycloak:keycloak-quarkus-dist:${KEYCLOAK_VERSION}:tar.gz`;

export type KeycloakSearch =
  | { readonly home: string; readonly problem: null }
  | { readonly home: null; readonly problem: string };

/** The home of a Keycloak that can be started here, or null. Looks, installs nothing. */
export function findKeycloak(): string | null {
  return searchKeycloak().home;
}

/** The same; or why there is none, in words for whoever has to mend it. */
export function searchKeycloak(env: NodeJS.ProcessEnv = process.env): KeycloakSearch {
  const home = env.KEYCLOAK_HOME ? resolve(env.KEYCLOAK_HOME) : HOME;
  if (!existsSync(join(home, 'bin/kc.sh'))) {
    return {
      home: null,
      problem: `no Keycloak in ${home}: run \`node scripts/keycloak.ts install\`, or set KEYCLOAK_HOME to where one is unpacked`,
    };
  }
  const java = javaVersion(env);
  if (java !== null && java >= JAVA_FLOOR) return { home, problem: null };
  const found = java === null ? 'none was found' : `this is ${java}`;
  return { home: null, problem: `Keycloak needs Java ${JAVA_FLOOR} or newer, and ${found}` };
}

/** The major version of the java that kc.sh would take, or null. */
function javaVersion(env: NodeJS.ProcessEnv): number | null {
  const java = env.JAVA_HOME ? join(env.JAVA_HOME, 'bin/java') : 'java';
  const { stderr } = spawnSync(java, ['-version'], { encoding: 'utf8', env, timeout: 20_000 });
  const major = /version "(?:1\.)?(\d+)/.exec(stderr ?? '')?.[1];
  return major === undefined ? null : Number(major);
}

/** Downloads and unpacks beside the final place and moves it there last, so that half a Keycloak is never found. */
function install(): number {
  if (existsSync(join(HOME, 'bin/kc.sh'))) {
    console.log(`Keycloak ${KEYCLOAK_VERSION} is there already: ${HOME}`);
    return 0;
  }
  console.log(`Bringing Keycloak ${KEYCLOAK_VERSION} from Maven Central into ${HOME} (176 MB, once) …`);
  const advice = 'Install Maven and a JDK, or set KEYCLOAK_HOME to a Keycloak of yours';
  const building = `${HOME}.${process.pid}`;
  mkdirSync(building, { recursive: true });
  try {
    const home = join(building, `keycloak-${KEYCLOAK_VERSION}`);
    const isThere =
      run('mvn', ['-q', '-B', COPY_GOAL, `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${building}`], advice) &&
      run('tar', ['-xzf', join(building, archiveIn(building)), '-C', building], advice) &&
      run(join(home, 'bin/kc.sh'), ['build', ...BUILD_OPTIONS], advice);
    if (!isThere) return 1;
    renameSync(home, HOME);
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
  console.log(`Done: ${HOME}`);
  return 0;
}

function archiveIn(folder: string): string {
  return readdirSync(folder).find((name) => name.endsWith('.tar.gz')) ?? 'no archive';
}

/** Whether a command succeeded; if not, why is on stderr. */
function run(command: string, args: string[], advice: string): boolean {
  const env = { ...process.env, JAVA_OPTS_APPEND: JAVA_OPTIONS };
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env });
  if (status !== 0) console.error(`\`${command} ${args.join(' ')}\` failed${error ? `: ${error.message}` : ''}. ${advice}.`);
  return status === 0;
}

function say(): number {
  const { home, problem } = searchKeycloak();
  if (home === null) console.error(problem);
  else console.log(home);
  return home === null ? 1 : 0;
}

if (import.meta.main) {
  const verb = process.argv[2];
  if (verb !== undefined && verb !== 'install') {
    console.error('Usage: node scripts/keycloak.ts [install]');
    process.exitCode = 2;
  } else process.exitCode = verb === 'install' ? install() : say();
}
