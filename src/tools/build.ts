/** `mcp-ext-authz policy build`: a folder of Rego and data into a bundle, perhaps signed. What would not load is not written. */
import { execFile } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isSignatureAlgorithm, readSigningKey, type SigningKey, signBundle } from '../bundle/sign.ts';
import { SIGNATURE_ALGORITHMS, type Signing } from '../bundle/signature.ts';
import { type Opa, openOpa } from '../opa/opa.ts';
import { describeFileProblem, EXIT, type Io, readArguments, readText, showProgress, UsageError } from './io.ts';
import { buildArchive, loadArchive, OPA_OPTIONS } from './loading.ts';
import { readSourceFolder, type SourceFolder, withoutTests } from './source-folder.ts';

export const HELP = `mcp-ext-authz policy build [DIR] -o BUNDLE

Makes a bundle of the Rego, data.json and data.yaml files in DIR (here: the current folder), and loads it once as the sidecar
does. A bundle that would not load is not written. Files *_test.rego and schemas/ stay outside.

  -o, --output FILE       where the bundle goes; - is standard output
  --revision REVISION     its name in every decision; else the one in .manifest, else the time and the commit
  --target rego|wasm      rego (default): the sources, which the sidecar compiles itself and \`policy explain\` can show;
                          wasm: compiled, as \`opa build -t wasm\`
  --signing-key FILE      signs it: a private key as PEM, or a file with the secret for the HS algorithms
  --signing-alg ALG       ${SIGNATURE_ALGORITHMS.join(', ')}; else RS256
  --signing-keyid ID      the id of the key in the sidecar's policy.keys
  --scope SCOPE           what the bundle is for, where the sidecar's policy.signing.scope asks for one

Exits with 0 where it is written, 1 where the policy has to be mended, 2 where it was not asked as it should be.
`;

const OPTIONS = {
  output: { type: 'string', short: 'o' },
  revision: { type: 'string' },
  target: { type: 'string', default: 'rego' },
  'signing-key': { type: 'string' },
  'signing-alg': { type: 'string' },
  'signing-keyid': { type: 'string' },
  scope: { type: 'string' },
} as const;

type Values = ReturnType<typeof readArguments<typeof OPTIONS>>['values'];

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = readArguments(args, OPTIONS, 1);
  const { output, target, revision } = values;
  if (output === undefined) throw new UsageError('say with -o where the bundle is to go');
  if (output === '-' && io.out.isTTY) throw new UsageError('-o -: standard output is a terminal, and a bundle is no text');
  if (target !== 'rego' && target !== 'wasm') throw new UsageError(`--target ${target}: give rego or wasm`);
  if (revision !== undefined && !/^[\x21-\x7e]{1,128}$/.test(revision))
    throw new UsageError('--revision: give 1 to 128 visible ASCII characters');
  const key = await readKey(values);
  const folder = await readSourceFolder(positionals[0] ?? '.');
  const opa = openOpa(OPA_OPTIONS);
  try {
    const named = revision ?? (await nameRevision(folder));
    const { archive, told } = await showProgress('building', io, () => make(opa, folder, target, named, key));
    if (output === '-') io.out.write(archive);
    else await replaceFile(output, archive);
    (output === '-' ? io.err : io.out).write(`${output}: ${told}\n`);
    return EXIT.fine;
  } finally {
    await opa.close();
  }
}

async function make(
  opa: Opa,
  folder: SourceFolder,
  target: 'rego' | 'wasm',
  revision: string | undefined,
  key: SigningKey | null,
) {
  const built = await buildArchive(opa, folder, { target, ...(revision === undefined ? {} : { revision }) });
  const archive = key === null ? built : await signBundle(built, key);
  const bundle = await loadArchive(opa, archive, key === null ? null : verificationOf(key));
  const rego = Object.keys(withoutTests(folder.files)).filter((name) => name.endsWith('.rego')).length;
  const parts = [`revision ${bundle.revision}`, `${rego} Rego file${rego === 1 ? '' : 's'}`, `${archive.length} bytes`];
  if (key !== null) parts.push(`signed with ${key.algorithm} by ${key.id}`);
  return { archive, told: parts.join(', ') };
}

/** How the sidecar would verify it. */
function verificationOf(signing: SigningKey): Signing {
  const { id, algorithm, key, scope } = signing;
  const isSecret = algorithm.startsWith('HS');
  const verifying = isSecret ? key : createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
  return { keys: [{ id, algorithm, key: verifying }], ...(scope === undefined ? {} : { scope }) };
}

async function readKey(values: Values): Promise<SigningKey | null> {
  const { 'signing-key': file, 'signing-alg': algorithm = 'RS256', 'signing-keyid': id, scope } = values;
  if (file === undefined) {
    if (values['signing-alg'] !== undefined || id !== undefined || scope !== undefined)
      throw new UsageError('--signing-alg, --signing-keyid and --scope go with --signing-key');
    return null;
  }
  if (id === undefined || id === '') throw new UsageError('--signing-keyid: give the id that the key has in policy.keys');
  if (!isSignatureAlgorithm(algorithm))
    throw new UsageError(`--signing-alg ${algorithm}: give one of ${SIGNATURE_ALGORITHMS.join(', ')}`);
  const key = await readText(file);
  const signing = { id, algorithm, key, ...(scope === undefined ? {} : { scope }) };
  try {
    readSigningKey(signing);
  } catch (cause) {
    throw new UsageError(`${file}: ${(cause as Error).message}`);
  }
  return signing;
}

/** Later ones are greater; undefined where `.manifest` has one already. */
async function nameRevision({ path, files }: SourceFolder): Promise<string | undefined> {
  if (hasRevision(files['.manifest'])) return undefined;
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const commit = await commitOf(path);
  return commit === null ? time : `${time}.${commit}`;
}

function hasRevision(manifest: string | undefined): boolean {
  try {
    const { revision } = JSON.parse(manifest ?? '{}') as { revision?: unknown };
    return typeof revision === 'string' && revision !== '';
  } catch {
    // OPA says what is wrong with it.
    return true;
  }
}

const SOURCES = ['*.rego', '*data.json', '*data.yaml', '*data.yml', '.manifest'];

/** Null where there is no git, or nothing was committed; `-changed` where the folder is not as it was committed. */
async function commitOf(folder: string): Promise<string | null> {
  const git = (...args: string[]) => promisify(execFile)('git', ['-C', folder, ...args], { timeout: 10_000 });
  try {
    const { stdout: commit } = await git('rev-parse', '--short=12', 'HEAD');
    const { stdout: changes } = await git('status', '--porcelain', '-uall', '--', ...SOURCES);
    return `${commit.trim()}${changes === '' ? '' : '-changed'}`;
  } catch {
    return null;
  }
}

/** The one before stays until the new one is whole. */
async function replaceFile(path: string, content: Uint8Array): Promise<void> {
  const fresh = `${path}.new`;
  try {
    await writeFile(fresh, content);
    await rename(fresh, path);
  } catch (cause) {
    throw describeFileProblem(path, cause);
  } finally {
    await rm(fresh, { force: true });
  }
}
