/**
 * The folder a policy is written in, read as `opa build --bundle` reads one: Rego, `data.json` and `data.yaml` wherever they
 * are, `.manifest` at the top. Other files, folders that begin with a dot, and node_modules are left alone; the last OPA would read.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describeFileProblem, ToolError } from './io.ts';

/** Text by path below the folder, with slashes. */
export type Files = Readonly<Record<string, string>>;

export interface SourceFolder {
  readonly path: string;
  readonly files: Files;
  /** JSON Schemas of `schemas/`, by the names that annotations have for them. */
  readonly schemas: Readonly<Record<string, unknown>>;
}

const MAX_FILES = 10_000;
const MAX_BYTES = 256 * 1024 * 1024;

/** Rejects with ToolError where it cannot be read, or holds no Rego. */
export async function readSourceFolder(path: string): Promise<SourceFolder> {
  const names = await listFiles(path);
  const sources = names.filter((name) => /\.rego$|(^|\/)data\.(json|ya?ml)$|^\.manifest$/.test(name));
  if (!sources.some((name) => name.endsWith('.rego') && !isTest(name))) {
    throw new ToolError(`${path}: there is no Rego in this folder; \`mcp-ext-authz policy init\` writes a policy to begin with`);
  }
  const schemas = names.filter((name) => /^schemas\/.*\.json$/.test(name));
  const texts = await readTexts(path, sources);
  return { path, files: texts, schemas: parseSchemas(path, await readTexts(path, schemas)) };
}

export function isTest(name: string): boolean {
  return name.endsWith('_test.rego');
}

/** What belongs into a bundle. */
export function withoutTests(files: Files): Files {
  return Object.fromEntries(Object.entries(files).filter(([name]) => !isTest(name)));
}

async function listFiles(path: string): Promise<string[]> {
  const found: string[] = [];
  const visit = async (folder: string): Promise<void> => {
    for (const entry of await readdir(join(path, folder), { withFileTypes: true })) {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (!entry.isDirectory()) found.push(name);
      else if (!isSkipped(entry.name)) await visit(name);
    }
    if (found.length > MAX_FILES) throw new ToolError(`${path}: more than ${MAX_FILES} files; is this the folder of a policy?`);
  };
  try {
    await visit('');
  } catch (cause) {
    throw cause instanceof ToolError ? cause : describeFileProblem(path, cause);
  }
  return found.sort();
}

function isSkipped(folder: string): boolean {
  return folder.startsWith('.') || folder === 'node_modules';
}

async function readTexts(path: string, names: readonly string[]): Promise<Files> {
  const texts: Record<string, string> = {};
  let bytes = 0;
  for (const name of names) {
    const content = await readRegular(join(path, name));
    bytes += content.byteLength;
    if (bytes > MAX_BYTES) throw new ToolError(`${path}: more than ${MAX_BYTES} bytes of policy`);
    texts[name] = decode(content, join(path, name));
  }
  return texts;
}

/** A pipe would be waited for. */
async function readRegular(path: string): Promise<Buffer> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new ToolError(`${path}: is ${found.isDirectory() ? 'a folder' : 'no regular file'}`);
    return await readFile(path);
  } catch (cause) {
    throw cause instanceof ToolError ? cause : describeFileProblem(path, cause);
  }
}

function decode(content: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    throw new ToolError(`${path}: is not UTF-8`);
  }
}

function parseSchemas(path: string, texts: Files): Record<string, unknown> {
  const parse = ([name, text]: [string, string]): [string, unknown] => {
    try {
      return [name.slice('schemas/'.length, -'.json'.length), JSON.parse(text)];
    } catch (cause) {
      throw new ToolError(`${join(path, name)}: is not JSON: ${(cause as Error).message}`);
    }
  };
  return Object.fromEntries(Object.entries(texts).map(parse));
}
