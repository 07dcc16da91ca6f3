/** The hashes that a bundle's signature lists: of documents that OPA parses their canonical form, of all else the bytes. */
import { createHash } from 'node:crypto';
import { type JsonTree, writeTree } from './json-tree.ts';

/** OPA's names. MD5 and SHA-1, which it knows as well, can be given two contents with one hash: they are not accepted. */
const ALGORITHMS: Readonly<Record<string, string>> = {
  'SHA-224': 'sha224',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
  'SHA-512-224': 'sha512-224',
  'SHA-512-256': 'sha512-256',
};

export function isHashAlgorithm(name: string): boolean {
  return Object.hasOwn(ALGORITHMS, name);
}

/** @returns the digest in hexadecimal. */
export function hashMember(algorithm: string, content: Uint8Array | JsonTree): string {
  const hash = createHash(ALGORITHMS[algorithm] ?? 'sha256');
  return hash.update(content instanceof Uint8Array ? content : writeTree(content)).digest('hex');
}

/** Data and manifest: hashed as what they say, not as they are written. */
export function isDocument(path: string): boolean {
  return /(^|\/)(data\.(json|ya?ml)|\.manifest)$/.test(path);
}
