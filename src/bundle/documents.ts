/**
 * What OPA parses of a bundle: the manifest and the data files. Data is one document; the folder of a file is its path there.
 * YAML is read by OPA itself, because no two readers of YAML agree.
 */
import type { Members } from './archive.ts';
import { isDocument } from './hash.ts';
import { JsonRefused, type JsonTree, mergeTree, type ObjectTree, readTree, readTreeText } from './json-tree.ts';
import { PolicyRefused } from './refusal.ts';
import { type AskOpa, decodeText, describeProblems } from './run-opa.ts';

export type Documents = ReadonlyMap<string, JsonTree>;

/** OPA's are some hundred bytes, and some for each file and entry point. */
const MAX_MANIFEST_BYTES = 2 * 1024 * 1024;

/**
 * Rejects with PolicyRefused.
 * @param check throws where a document is not what it has to be. OPA is not asked to read YAML beside one that is not.
 */
export async function readDocuments(
  members: Members,
  manifest: string | null,
  ask: AskOpa,
  check: (path: string, tree: JsonTree) => void = () => {},
): Promise<Documents> {
  const documents = new Map<string, JsonTree>();
  const add = (path: string, tree: JsonTree) => {
    check(path, tree);
    documents.set(path, tree);
  };
  const yaml: string[] = [];
  for (const [path, bytes] of members) {
    if (/(^|\/)data\.ya?ml$/.test(path) && !isJson(bytes)) yaml.push(path);
    else if (isDocument(path) || path === manifest) add(path, readOne(path, bytes));
  }
  if (yaml.length > 0) for (const [path, tree] of await readYaml(yaml, members, ask)) add(path, tree);
  return documents;
}

/** The data document. Throws PolicyRefused where two files say different things about one path. */
export function mergeData(documents: Documents): ObjectTree {
  const data: ObjectTree = new Map();
  // In the order of their names, so that of two that conflict it is always the same one that is named.
  for (const path of [...documents.keys()].filter((name) => /(^|\/)data\.(json|ya?ml)$/.test(name)).sort()) {
    let tree = documents.get(path) ?? '';
    for (const folder of foldersOf(path).reverse()) tree = new Map([[folder, tree]]);
    if (typeof tree === 'string') throw new PolicyRefused('data_invalid', `${path} is not a JSON object`);
    const conflict = mergeTree(data, copyTree(tree));
    if (conflict !== null)
      throw new PolicyRefused('data_invalid', `${path} says something else of /${conflict} than another data file`);
  }
  return data;
}

/** As OPA, which drops dots and slashes at the start. */
function foldersOf(path: string): string[] {
  const folder = path.slice(0, Math.max(0, path.lastIndexOf('/'))).replace(/^[/.]+/, '');
  return folder === '' ? [] : folder.split('/');
}

/** Merging changes objects, and each document is still to be hashed. */
function copyTree(tree: ObjectTree): ObjectTree {
  return new Map([...tree].map(([key, value]) => [key, typeof value === 'string' ? value : copyTree(value)]));
}

function readOne(path: string, bytes: Uint8Array): JsonTree {
  if (path.endsWith('.manifest') && bytes.byteLength > MAX_MANIFEST_BYTES)
    throw new PolicyRefused('manifest_invalid', `${path} is larger than ${MAX_MANIFEST_BYTES} bytes`);
  return readDocument(path, () => readTree(bytes));
}

function readDocument(path: string, read: () => JsonTree): JsonTree {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof JsonRefused)) throw cause;
    const code = path.endsWith('.manifest') ? 'manifest_invalid' : 'data_invalid';
    throw new PolicyRefused(code, `${path} cannot be read: ${cause.message}`);
  }
}

/** As OPA, which takes a YAML file that is JSON for JSON. */
function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(Buffer.from(bytes).toString());
    return true;
  } catch {
    return false;
  }
}

async function readYaml(paths: readonly string[], members: Members, ask: AskOpa): Promise<[string, JsonTree][]> {
  const files = Object.fromEntries(paths.map((path, at) => [`f${at}/data.yaml`, decodeText(path, members, 'data_invalid')]));
  const query = `[${paths.map((_, at) => `json.marshal(data.f${at})`).join(',')}]`;
  const { result, errors = [] } = await ask({ command: 'eval', files, query });
  if (result === undefined || !Array.isArray(result.value))
    throw new PolicyRefused('data_invalid', `YAML data cannot be read: ${nameFiles(describeProblems(errors), paths)}`);
  const texts = result.value as string[];
  return paths.map((path, at) => [path, readDocument(path, () => readTreeText(texts[at] ?? ''))]);
}

function nameFiles(message: string, paths: readonly string[]): string {
  return message.replace(/\bf(\d+)\/data\.yaml/g, (whole, at: string) => paths[Number(at)] ?? whole);
}
