/** Policy bundles: the committed ones, and others made of their parts, also such as nobody should make. */
import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, gzipSync } from 'node:zlib';
import { extract, type Header, pack } from 'tar-stream';
import type { BundleRules } from '../../../src/bundle/bundle.ts';
import { OPA_DEFAULTS } from '../../../src/opa/opa.ts';

export const bundleRules: BundleRules = { maxBytes: 1 << 24, signing: null, compile: OPA_DEFAULTS };

type Name = 'echo' | 'needy' | 'lacking';

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
export async function echoBundle({ revision = 'echo-1', answers = {} as object } = {}): Promise<Buffer> {
  const members = await unpackBundle(fixtureBundle('echo'));
  const data = JSON.parse(String(members.get('data.json')));
  return packBundle([
    { name: '/policy.wasm', content: members.get('policy.wasm') as Buffer },
    { name: '/data.json', content: JSON.stringify({ answers: { ...data.answers, ...answers } }) },
    { name: '/.manifest', content: JSON.stringify({ revision }) },
  ]);
}
