/**
 * Signs a bundle as `opa build --signing-key` does: one JWS over the name and hash of each member, in `.signatures.json`.
 * What comes out is the same for the same bundle and key, but for the algorithms whose signatures are random (PS, ES).
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { CompactSign } from 'jose';
import { pack } from 'tar-stream';
import { unpackArchive } from './archive.ts';
import { hashMember, isDocument } from './hash.ts';
import { readTree } from './json-tree.ts';
import { checkKeyType, SIGNATURE_ALGORITHMS, SIGNATURES_FILE, type SignatureAlgorithm } from './signature.ts';

export interface SigningKey {
  readonly id: string;
  readonly algorithm: SignatureAlgorithm;
  /** A private key as PEM; of the HS algorithms the secret, every character of it. */
  readonly key: string;
  /** What the bundle is for; a sidecar that is configured for another scope refuses it. */
  readonly scope?: string;
}

const HASH = 'SHA-256';
const MAX_BYTES = 1024 * 1024 * 1024;

export function isSignatureAlgorithm(name: string): name is SignatureAlgorithm {
  return SIGNATURE_ALGORITHMS.some((one) => one === name);
}

/** @param archive as OPA builds one: its documents are JSON. */
export async function signBundle(archive: Uint8Array, signing: SigningKey): Promise<Buffer> {
  const key = readSigningKey(signing);
  const members = new Map(await unpackArchive(archive, MAX_BYTES));
  members.delete(SIGNATURES_FILE);
  const files = [...members].map(([name, bytes]) => ({
    name,
    hash: hashMember(HASH, isDocument(name) ? readTree(bytes) : bytes),
    algorithm: HASH,
  }));
  const claims = { files, keyid: signing.id, ...(signing.scope === undefined ? {} : { scope: signing.scope }) };
  const token = await new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ alg: signing.algorithm, kid: signing.id, typ: 'JWT' })
    .sign(key);
  members.set(SIGNATURES_FILE, Buffer.from(JSON.stringify({ signatures: [token] })));
  return packArchive(members);
}

/** Throws where the key is not one for its algorithm. */
export function readSigningKey({ algorithm, key }: SigningKey): KeyObject | Uint8Array {
  if (algorithm.startsWith('HS')) {
    if (key === '') throw new Error('the secret is empty');
    return Buffer.from(key);
  }
  const read = readPrivateKey(key);
  checkKeyType(read, algorithm);
  return read;
}

function readPrivateKey(pem: string): KeyObject {
  if (/PUBLIC KEY-----|CERTIFICATE-----/.test(pem)) throw new Error('a public key: signing needs the private one');
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error('no private key as PEM, without a passphrase');
  }
}

/** Owner and time are nobody's, as OPA writes them. */
async function packArchive(members: ReadonlyMap<string, Buffer>): Promise<Buffer> {
  const tar = pack();
  for (const [name, bytes] of members) tar.entry({ name: `/${name}`, mode: 0o600, mtime: new Date(0) }, bytes);
  tar.finalize();
  return gzipSync(await buffer(tar));
}
