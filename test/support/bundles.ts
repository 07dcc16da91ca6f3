/** OPA bundles made from the committed one: another revision, other data, a member more or less, or plain damage. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { readBundle } from '../../scripts/policies.ts';

const COMMITTED = fileURLToPath(new URL('../../policies/bundle.tar.gz', import.meta.url));

export type Members = Map<string, Buffer>;

/** The committed bundle, by member. */
export async function committedMembers(): Promise<Members> {
  return readBundle(await readFile(COMMITTED));
}

/** A bundle of these members. */
export async function packBundle(members: Members): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of members) tar.entry({ name }, content);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}

/** The committed bundle with changes. */
export async function changedBundle(change: (members: Members) => void): Promise<Buffer> {
  const members = await committedMembers();
  change(members);
  return packBundle(members);
}

export function withRevision(revision: string): (members: Members) => void {
  return (members) => changeJson(members, '/.manifest', (manifest) => Object.assign(manifest, { revision }));
}

export function changeJson(members: Members, name: string, change: (document: any) => void): void {
  const document = JSON.parse(String(members.get(name)));
  change(document);
  members.set(name, Buffer.from(JSON.stringify(document)));
}
