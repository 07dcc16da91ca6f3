/** Policy bundles: the committed ones, and others made of their parts, also such as nobody should make. */
import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, gzipSync } from 'node:zlib';
import { extract, type Header, pack } from 'tar-stream';
import { type BundleRules, readBundle } from '../../../src/bundle/bundle.ts';
import { OPA_DEFAULTS } from '../../../src/opa/opa.ts';
import { loadPolicy, type Policy, type PolicyOptions } from '../../../src/policy/policy.ts';

export const bundleRules: BundleRules = { maxBytes: 1 << 24, signing: null, compile: OPA_DEFAULTS };

type Name = 'echo' | 'needy' | 'lacking' | 'heavy';

export function fixtureBundle(name: Name): Buffer {
  return readFileSync(new URL(`../../fixtures/policies/${name}.tar.gz`, import.meta.url));
}

export type Member = Pick<Header, 'name'> &
  Partial<Pick<Header, 'type' | 'linkname'>> & { readonly content?: string | Uint8Array };

/** A gzipped tar of these members, whatever they are. */
export async function packBundle(members: readonly Member[]): Promise<Buffer> {
  return gzipSync(await packTar(members));
}

export async function packTar(members: readonly Member[]): Promise<Buffer> {
  const tar = pack();
  for (const { content = '', ...header } of members) {
    if (header.type === undefined || header.type.endsWith('file')) tar.entry(header, Buffer.from(content as string));
    else tar.entry(header);
  }
  tar.finalize();
  return buffer(tar);
}

export async function unpackBundle(archive: Uint8Array): Promise<Map<string, Buffer>> {
  const members = new Map<string, Buffer>();
  const tar = extract();
  tar.end(gunzipSync(archive));
  for await (const entry of tar) members.set(entry.header.name.replace(/^\//, ''), await buffer(entry));
  return members;
}

/** The echo policy under another revision, or with other data. */
export async function echoBundle({
  revision = 'echo-1',
  answers = {} as object,
  data: more = {} as object,
} = {}): Promise<Buffer> {
  const members = await unpackBundle(fixtureBundle('echo'));
  const data = JSON.parse(String(members.get('data.json')));
  return packBundle([
    { name: '/policy.wasm', content: members.get('policy.wasm') as Buffer },
    { name: '/data.json', content: JSON.stringify({ answers: { ...data.answers, ...answers }, ...more }) },
    { name: '/.manifest', content: JSON.stringify({ revision }) },
  ]);
}

/** As the sidecar would, but with time enough for a machine that is busy with other tests. Close it. */
export async function loadArchive(archive: Uint8Array, options: Partial<PolicyOptions> = {}): Promise<Policy> {
  const bundle = await readBundle(archive, bundleRules);
  const defaults = { workers: 1, timeoutMs: 10_000, maxMemoryBytes: 1 << 25, maxTtlSeconds: 5, now: Date.now };
  return loadPolicy(bundle, { ...defaults, ...options });
}
