/**
 * A bundle's archive as the tools use it: what the sidecar reads of it, and its Rego beside that. The one place in the tools
 * that knows how a bundle is read. Signatures are not looked at: whoever has the file judges it, nothing is enforced.
 */
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { extract } from 'tar-stream';
import type { Opa } from '../opa/opa.ts';
import { readBundle } from '../policy/bundle.ts';
import { ENTRYPOINTS, PolicyRefused } from '../policy/engine.ts';
import { describeProblems } from './policy-files.ts';

export interface ReadArchive {
  readonly revision: string;
  /** SHA-256 of the archive. */
  readonly digest: string;
  readonly wasm: Uint8Array;
  readonly data: object;
  /** Rego and data by path, for OPA. `opa build -t wasm` leaves the entry points out of it. */
  readonly files: Readonly<Record<string, string>>;
}

const MAX_BYTES = 1 << 28;

/** Plain Rego is compiled. Rejects with PolicyRefused. */
export async function readArchive(archive: Uint8Array, opa: Opa): Promise<ReadArchive> {
  const members = await textMembers(archive);
  const manifest = JSON.parse(members['.manifest'] ?? '{}') as { revision?: unknown };
  const isPlain = !('policy.wasm' in members) && Object.keys(members).some((name) => name.endsWith('.rego'));
  const usable = isPlain ? await compile(members, String(manifest.revision ?? ''), opa) : archive;
  const { wasm, data, revision } = await readBundle(usable, { maxBytes: MAX_BYTES });
  const files = Object.fromEntries(Object.entries(members).filter(([name]) => /\.rego$|(^|\/)data\.(json|ya?ml)$/.test(name)));
  return { revision, digest: createHash('sha256').update(archive).digest('hex'), wasm, data, files };
}

async function compile(files: Readonly<Record<string, string>>, revision: string, opa: Opa): Promise<Uint8Array> {
  const entrypoints = Object.values(ENTRYPOINTS);
  const { result, errors } = await opa.ask({ command: 'build', target: 'wasm', files, entrypoints, revision, as_bundle: true });
  if (errors !== undefined) throw new PolicyRefused(`its Rego does not compile:\n${describeProblems(errors)}`);
  return Buffer.from(result.bundle, 'base64');
}

/** All members that are text; `policy.wasm` by its name alone. */
async function textMembers(archive: Uint8Array): Promise<Record<string, string>> {
  const members: Record<string, string> = Object.create(null);
  try {
    const tar = extract();
    tar.end(gunzipSync(archive, { maxOutputLength: MAX_BYTES }));
    for await (const entry of tar) {
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      const name = entry.header.name.replace(/^\.?\//, '');
      if (entry.header.type === 'file') members[name] = name.endsWith('.wasm') ? '' : Buffer.concat(chunks).toString('utf8');
    }
  } catch (cause) {
    throw new PolicyRefused('the bundle is not a gzipped tar archive', { cause });
  }
  return members;
}
