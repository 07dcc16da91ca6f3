/**
 * `.signatures.json`: one JWS over the names and hashes of all members, as `opa sign` and `opa build --signing-key` write it
 * (OPA documentation, "Bundles: Signing"). The key is one that is configured, with the algorithm that is configured for it;
 * nothing in the bundle says which key counts but its id. Refused: a member that is not listed, a listed one that is not
 * there, the same name twice, `crit`, and headers that bring a key along.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { compactVerify } from 'jose';
import { isObject, type JsonObject } from '../mcp/message.ts';
import type { Members } from './archive.ts';
import { isHashAlgorithm } from './hash.ts';
import { PolicyRefused } from './refusal.ts';

export const SIGNATURE_ALGORITHMS = [
  ...(['RS256', 'RS384', 'RS512'] as const),
  ...(['PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512'] as const),
  ...(['HS256', 'HS384', 'HS512'] as const),
  'EdDSA',
] as const;

export type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[number];

export interface VerificationKey {
  readonly id: string;
  readonly algorithm: SignatureAlgorithm;
  /** A public key or certificate as PEM; of the HS algorithms the secret, every character of it. */
  readonly key: string;
  /** What bundles signed with it are for, unless Signing says so. */
  readonly scope?: string;
}

/** With it a bundle has to be signed. */
export interface Signing {
  readonly keys: readonly VerificationKey[];
  /** The one key that counts; without it the signature says which of `keys` it is by. */
  readonly keyId?: string;
  readonly scope?: string;
  /** Members that need not be signed: patterns as of Go's `filepath.Match`, over the whole name. */
  readonly excludeFiles?: readonly string[];
}

/** A signature that was verified. What it says of the members has to be compared with them. */
export interface Signature {
  readonly keyId: string;
  readonly files: ReadonlyMap<string, SignedFile>;
}

export interface SignedFile {
  readonly algorithm: string;
  /** Hexadecimal. */
  readonly hash: string;
}

export const SIGNATURES_FILE = '.signatures.json';

const MAX_TOKEN_LENGTH = 4 * 1024 * 1024;
const COMPACT_JWS = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+$/;
/** Parameters by which a token would say with what it is to be verified, or how (RFC 7515, section 4.1). */
const REFUSED_PARAMETERS = ['jku', 'jwk', 'x5u', 'x5c', 'crit', 'b64'];
const MIN_RSA_BITS = 2048;

/** Throws where the key is not one for its algorithm: for whoever reads the configuration. */
export function readVerificationKey({ algorithm, key }: VerificationKey): KeyObject | Uint8Array {
  if (algorithm.startsWith('HS')) {
    if (key === '') throw new Error('the secret is empty');
    return Buffer.from(key);
  }
  if (/PRIVATE KEY-----/.test(key)) throw new Error('a private key: the sidecar gets the public one');
  const read = createPublicKey(key);
  checkKeyType(read, algorithm);
  const bits = read.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < MIN_RSA_BITS) throw new Error(`an RSA key has at least ${MIN_RSA_BITS} bits`);
  return read;
}

/** Throws where it is of another kind. */
export function checkKeyType({ asymmetricKeyType }: KeyObject, algorithm: SignatureAlgorithm): void {
  const needed = algorithm === 'EdDSA' ? 'ed25519' : algorithm.startsWith('ES') ? 'ec' : 'rsa';
  if (asymmetricKeyType !== needed) throw new Error(`a key for ${algorithm} is ${needed}, this is ${asymmetricKeyType}`);
}

/** Rejects with PolicyRefused. */
export async function verifySignature(members: Members, signing: Signing): Promise<Signature> {
  const token = readToken(members);
  const header = decode(token.header, 'header');
  const refused = REFUSED_PARAMETERS.find((name) => Object.hasOwn(header, name));
  if (refused !== undefined) throw invalid(`its header has ${refused}`);
  const key = chooseKey(signing, header, token.payload);
  const payload = await verify(token.compact, key);
  const claims = parseObject(payload, 'payload');
  checkScope(claims.scope, signing.scope ?? key.scope ?? '');
  return { keyId: key.id, files: readFiles(claims.files) };
}

/** Whether a member is one that need not be signed. */
export function isExcluded(path: string, { excludeFiles = [] }: Signing): boolean {
  return excludeFiles.some((pattern) => compilePattern(pattern)?.test(path) === true);
}

function invalid(why: string, cause?: unknown): PolicyRefused {
  return new PolicyRefused('signature_invalid', `the bundle's signature is not accepted: ${why}`, { cause });
}

interface Token {
  readonly compact: string;
  readonly header: string;
  readonly payload: string;
}

function readToken(members: Members): Token {
  const bytes = members.get(SIGNATURES_FILE);
  if (bytes === undefined) throw new PolicyRefused('signature_missing', `the bundle is not signed: it has no ${SIGNATURES_FILE}`);
  const { signatures = [], plugin = '' } = parseObject(bytes, SIGNATURES_FILE);
  if (plugin !== '' && plugin !== '_default') throw invalid('it is by a plugin');
  if (!Array.isArray(signatures)) throw invalid('`signatures` is no array');
  if (signatures.length === 0) throw new PolicyRefused('signature_missing', `${SIGNATURES_FILE} has no signature`);
  const compact: unknown = signatures[0];
  if (signatures.length > 1) throw invalid('there is more than one');
  if (typeof compact !== 'string' || compact.length > MAX_TOKEN_LENGTH) throw invalid('it is no token');
  const [, header, payload] = COMPACT_JWS.exec(compact) ?? [];
  if (header === undefined || payload === undefined) throw invalid('it is no token');
  return { compact, header, payload };
}

function decode(part: string, name: string): JsonObject {
  return parseObject(Buffer.from(part, 'base64url'), name);
}

function parseObject(bytes: Uint8Array, name: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw invalid(`its ${name} is not JSON`);
  }
  if (!isObject(value)) throw invalid(`its ${name} is no object`);
  return value;
}

/** As OPA does: the configured one, else the header's `kid`, else the payload's `keyid`; which nobody has vouched for yet. */
function chooseKey({ keys, keyId }: Signing, header: JsonObject, payload: string): VerificationKey {
  const id = keyId ?? (stringOf(header.kid, 'kid') || stringOf(decode(payload, 'payload').keyid, 'keyid'));
  if (id === '') throw invalid('it does not say by which key it is (`keyid`)');
  const key = keys.find((one) => one.id === id);
  if (key === undefined) throw invalid(`no key ${JSON.stringify(id.slice(0, 100))} is configured`);
  return key;
}

function stringOf(value: unknown, name: string): string {
  if (value === undefined) return '';
  if (typeof value !== 'string') throw invalid(`${name} is no string`);
  return value;
}

async function verify(compact: string, key: VerificationKey): Promise<Uint8Array> {
  try {
    const { payload } = await compactVerify(compact, readVerificationKey(key), { algorithms: [key.algorithm] });
    return payload;
  } catch (cause) {
    throw invalid(`it is not one with ${key.algorithm} by the key ${key.id}`, cause);
  }
}

function checkScope(signed: unknown = '', expected: string): void {
  if (signed !== expected) {
    const said = typeof signed === 'string' ? JSON.stringify(signed.slice(0, 100)) : 'no string';
    throw new PolicyRefused('scope_mismatch', `the bundle is signed for the scope ${said}, not for ${JSON.stringify(expected)}`);
  }
}

function readFiles(listed: unknown): Map<string, SignedFile> {
  if (!Array.isArray(listed)) throw invalid('it lists no files');
  const files = new Map<string, SignedFile>();
  for (const file of listed as unknown[]) {
    if (!isObject(file)) throw invalid('a file it lists is no object');
    const { name, hash, algorithm } = file;
    if (typeof name !== 'string' || typeof hash !== 'string' || typeof algorithm !== 'string')
      throw invalid('a file it lists lacks name, hash or algorithm');
    if (files.has(name)) throw invalid(`it lists ${JSON.stringify(name.slice(0, 200))} twice`);
    if (!isHashAlgorithm(algorithm))
      throw invalid(`the hash algorithm ${JSON.stringify(algorithm.slice(0, 50))} is not accepted`);
    files.set(name, { algorithm, hash: hash.toLowerCase() });
  }
  return files;
}

/** Null for a pattern that is none: as in OPA it excludes nothing. */
function compilePattern(pattern: string): RegExp | null {
  const parts = pattern.match(/\*|\?|\[\^?(?:\\[\s\S]|[^\]\\])+\]|\\[\s\S]|[^[\\]/gu) ?? [];
  if (parts.join('') !== pattern) return null;
  try {
    return new RegExp(`^${parts.map(patternPart).join('')}$`, 'u');
  } catch {
    return null;
  }
}

function patternPart(part: string): string {
  if (part === '*') return '[^/]*';
  if (part === '?') return '[^/]';
  if (!part.startsWith('[')) return RegExp.escape(part.replace(/^\\/, ''));
  const isNegated = part[1] === '^';
  const inner = part
    .slice(isNegated ? 2 : 1, -1)
    .replace(/\\([\s\S])|([^\\])/gu, (_, escaped: string, plain: string) =>
      plain === '-' ? '-' : `\\u{${(escaped ?? plain).codePointAt(0)?.toString(16)}}`,
    );
  return isNegated ? `(?!/)[^${inner}]` : `(?!/)[${inner}]`;
}
