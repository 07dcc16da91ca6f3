/**
 * Where the `opa` command is. It compiles and tests the policies; the sidecar itself does not need it.
 * `node scripts/opa.ts` says which one is used; `node scripts/opa.ts install` builds one into .cache/opa/.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The version `install` builds, and the one the committed bundle was built with. */
export const OPA_VERSION = '1.22.0';
/** Older ones can be talked into accepting a bundle without checking its signature (GHSA-g2pf-6v5v-qcc8). */
export const OPA_FLOOR = '1.21.3';

const CACHE = fileURLToPath(new URL('../.cache/opa/', import.meta.url));
const EXECUTABLE = process.platform === 'win32' ? 'opa.exe' : 'opa';

export type OpaSearch =
  | { readonly path: string; readonly version: string; readonly problem: null }
  | { readonly path: null; readonly version: null; readonly problem: string };

/** The path of a usable opa, or null. */
export function findOpa(): string | null {
  return searchOpa().path;
}

/** The same with its version; or why there is none, in words for whoever has to mend it. */
export function searchOpa(env: NodeJS.ProcessEnv = process.env): OpaSearch {
  const unusable: string[] = [];
  for (const path of candidates(env)) {
    const version = versionOf(path);
    if (version === null) continue;
    if (atLeast(version, OPA_FLOOR)) return { path, version, problem: null };
    unusable.push(`${path} is version ${version}`);
  }
  const found = unusable.length > 0 ? `only older ones were found (${unusable.join('; ')})` : 'none was found';
  return {
    path: null,
    version: null,
    problem: `opa ${OPA_FLOOR} or newer is needed and ${found}: run \`node scripts/opa.ts install\`, or set OPA to its path`,
  };
}

function* candidates(env: NodeJS.ProcessEnv): Generator<string> {
  for (const folder of (env.PATH ?? '').split(delimiter)) if (folder !== '') yield join(folder, EXECUTABLE);
  if (env.OPA) yield resolve(env.OPA);
  yield join(CACHE, EXECUTABLE);
  const gopath = spawnSync('go', ['env', 'GOPATH'], { encoding: 'utf8', env }).stdout?.trim();
  if (gopath) yield join(gopath, 'bin', EXECUTABLE);
  yield join(homedir(), 'go', 'bin', EXECUTABLE);
}

/** Null also for another program of that name. */
function versionOf(path: string): string | null {
  const { stdout } = spawnSync(path, ['version'], { encoding: 'utf8', timeout: 20_000 });
  return /^Version: (\d+\.\d+\.\d+)/m.exec(stdout ?? '')?.[1] ?? null;
}

function atLeast(version: string, floor: string): boolean {
  const [have, need] = [version, floor].map((text) => text.split('.').map(Number));
  for (const [at, part] of need!.entries()) if (have![at] !== part) return have![at]! > part;
  return true;
}

function install(): number {
  const module = `github.com/open-policy-agent/opa@v${OPA_VERSION}`;
  console.log(`Building opa ${OPA_VERSION} from its Go module into ${CACHE} (about a minute, 60 MB).`);
  mkdirSync(CACHE, { recursive: true });
  const env = { ...process.env, GOBIN: CACHE };
  const { status, error } = spawnSync('go', ['install', module], { stdio: 'inherit', env });
  if (error)
    console.error(`Go could not be run (${error.message}): install Go, or download opa yourself and set OPA to its path.`);
  else if (status !== 0) console.error(`\`go install ${module}\` failed.`);
  else console.log(`Done: ${join(CACHE, EXECUTABLE)}`);
  return status ?? 1;
}

function say(): number {
  const { path, version, problem } = searchOpa();
  if (path === null) console.error(problem);
  else console.log(`${path} (version ${version})`);
  return path === null ? 1 : 0;
}

if (import.meta.main) {
  const verb = process.argv[2];
  if (verb !== undefined && verb !== 'install') {
    console.error('Usage: node scripts/opa.ts [install]');
    process.exitCode = 2;
  } else process.exitCode = verb === 'install' ? install() : say();
}
