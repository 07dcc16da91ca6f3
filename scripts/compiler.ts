/**
 * OPA as WebAssembly: `node scripts/compiler.ts build` writes compiler/opa.wasm.zst and compiler/LICENSES.md out of compiler/*.go
 * with the versions that go.mod names; `check` builds anew and compares, byte for byte. Both need Go.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

const FOLDER = fileURLToPath(new URL('../compiler/', import.meta.url));
const MODULE = join(FOLDER, 'opa.wasm.zst');
const LICENSES = join(FOLDER, 'LICENSES.md');

const TARGET = { GOOS: 'wasip1', GOARCH: 'wasm', CGO_ENABLED: '0' };
/** No path of the machine, no state of the clone, no symbols: nothing but the sources decides the bytes. */
const FLAGS = ['-trimpath', '-buildvcs=false', '-ldflags=-s -w -buildid='];

/** A failure that whoever runs this can mend; its message is all that is shown. */
class Refusal extends Error {}

export interface Built {
  readonly wasm: Buffer;
  readonly licenses: string;
}

/** Why there is no Go here, or null. */
export function missingGo(): string | null {
  const { error, status } = spawnSync('go', ['version']);
  if (error === undefined && status === 0) return null;
  return 'the `go` command is needed to compile OPA and was not found: install Go and put it on PATH';
}

/** The module as Go makes it here and now, and the licences of all that is in it. */
export function compile(): Built {
  const scratch = mkdtempSync(join(tmpdir(), 'compiler-'));
  try {
    const output = join(scratch, 'opa.wasm');
    go(['build', ...FLAGS, '-o', output, '.']);
    return { wasm: readFileSync(output), licenses: describeLicenses() };
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** The same two as they are committed. */
export function readCommitted(): Built {
  return { wasm: zstdDecompressSync(readFileSync(MODULE)), licenses: existsSync(LICENSES) ? readFileSync(LICENSES, 'utf8') : '' };
}

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function build(): void {
  say('compiling OPA to WebAssembly (about a minute, if Go has done none of it before)');
  const { wasm, licenses } = compile();
  say(`packing ${wasm.length} bytes (about half a minute)`);
  const params = { [constants.ZSTD_c_compressionLevel]: 21, [constants.ZSTD_c_windowLog]: 25 };
  const packed = zstdCompressSync(wasm, { params });
  writeFileSync(MODULE, packed);
  writeFileSync(LICENSES, licenses);
  say(`written to compiler/opa.wasm.zst: ${packed.length} bytes, unpacked sha256 ${hashOf(wasm)}`);
}

function check(): void {
  say('compiling OPA to WebAssembly, to compare');
  const [fresh, committed] = [compile(), readCommitted()];
  const [now, before] = [hashOf(fresh.wasm), hashOf(committed.wasm)];
  if (now !== before) {
    throw new Refusal(
      `compiler/opa.wasm.zst is not what compiler/ gives: it has ${before}, the sources ${now}. Run \`node scripts/compiler.ts build\``,
    );
  }
  if (fresh.licenses !== committed.licenses) {
    throw new Refusal('compiler/LICENSES.md is not what go.mod gives: run `node scripts/compiler.ts build`');
  }
  say(`the same: unpacked sha256 ${now}`);
}

interface GoModule {
  readonly path: string;
  readonly version: string;
  readonly folder: string;
}

/** Of each module that has a package in the result, and of Go itself, whose runtime and standard library are in it too. */
function describeLicenses(): string {
  const version = toolchain();
  const modules: GoModule[] = [
    { path: 'Go', version: version.slice(2), folder: go(['env', 'GOROOT']).trim() },
    ...compiledModules(),
  ];
  const rows = modules.map(({ path, version: one, folder }) => `| ${path} | ${one} | ${kindOf(textsOf(folder))} |\n`);
  const texts = modules.map(({ path, folder }) => {
    const found = textsOf(folder);
    return `\n## ${path}\n${found.map(([, text]) => `\n\`\`\`text\n${text.trim()}\n\`\`\`\n`).join('')}`;
  });
  return `# Licences of what is compiled into opa.wasm.zst

Written by \`node scripts/compiler.ts build\`. The sources of this folder itself are under the licence of this repository.

| module | version | licence |
|---|---|---|
${rows.join('')}${texts.join('')}`;
}

function compiledModules(): GoModule[] {
  const format = '{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}';
  const lines = new Set(go(['list', '-deps', '-f', format, '.']).split('\n').filter(Boolean));
  return [...lines].sort().map((line) => {
    const [path = '', version = '', folder = ''] = line.split('\t');
    return { path, version, folder };
  });
}

function textsOf(folder: string): [name: string, text: string][] {
  const names = readdirSync(folder).filter((name) => /^(licen[cs]e|copying|notice|patents)/i.test(name));
  if (names.length === 0) throw new Refusal(`no licence was found in ${folder}`);
  return names
    .sort()
    .map((name) => [name, readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n').replaceAll('```', "'''")]);
}

function kindOf(texts: readonly (readonly [string, string])[]): string {
  const all = texts.map(([, text]) => text).join('\n');
  const kinds: readonly (readonly [string, RegExp])[] = [
    ['Apache-2.0', /Apache License\s+Version 2\.0/],
    ['MIT', /Permission is hereby granted, free of charge/],
    ['BSD-3-Clause', /Redistribution and use in source and binary forms[\s\S]*(Neither the name|names? of)/],
    ['BSD-2-Clause', /Redistribution and use in source and binary forms/],
  ];
  const found = kinds.filter(([, pattern]) => pattern.test(all)).map(([name]) => name);
  const known = found.includes('BSD-3-Clause') ? found.filter((name) => name !== 'BSD-2-Clause') : found;
  if (known.length === 0) throw new Refusal(`a licence is of no known kind: ${all.slice(0, 100)}`);
  return known.join(' and ');
}

/** `go1.26.8`: exactly what go.mod says, since another Go gives other bytes. Go fetches it where it is another itself. */
function toolchain(): string {
  const named = /^toolchain (\S+)$/m.exec(readFileSync(join(FOLDER, 'go.mod'), 'utf8'))?.[1];
  if (named === undefined) throw new Refusal('compiler/go.mod names no toolchain');
  return named;
}

function go(args: readonly string[]): string {
  const env = { ...process.env, ...TARGET, GOTOOLCHAIN: toolchain(), GOFLAGS: '-mod=readonly', GOWORK: 'off' };
  const { status, stdout, stderr, error } = spawnSync('go', args, { cwd: FOLDER, encoding: 'utf8', env, maxBuffer: 1 << 26 });
  if (error) throw new Refusal(missingGo() ?? error.message);
  if (status !== 0) throw new Refusal(`\`go ${args[0]}\` failed:\n${stderr}`.trimEnd());
  return stdout;
}

function say(text: string): void {
  if (import.meta.main) console.log(text);
}

if (import.meta.main) {
  const act = { build, check }[process.argv[2] ?? ''];
  const problem = missingGo();
  if (act === undefined) {
    console.error('Usage: node scripts/compiler.ts build | check');
    process.exitCode = 2;
  } else if (problem !== null) {
    console.error(problem);
    process.exitCode = 1;
  } else {
    try {
      act();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      console.error(error.message);
      process.exitCode = 1;
    }
  }
}
