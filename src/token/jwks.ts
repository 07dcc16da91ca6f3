/**
 * The keys of one issuer (RFC 7517): fetched when first needed, kept, and fetched again for an unknown `kid`, at most once
 * in a cooldown and never twice at the same time. While the issuer is out of reach the last keys serve on, up to a limit.
 * Refused: keys that are no sound public signing keys, RSA under 2048 bits or with a small exponent, oversized sets.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { type CompactJWSHeaderParameters, type CryptoKey, createLocalJWKSet, errors, type JSONWebKeySet, type JWK } from 'jose';
import { isObject, type JsonObject } from '../mcp/message.ts';

export interface KeySetOptions {
  /** Resolves the JWKS as parsed JSON, or throws. */
  readonly fetchKeys: () => Promise<unknown>;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** No second fetch within this time, whatever the outcome of the first; where no keys are left, within a second. */
  readonly cooldownMs: number;
  /** Keys older than this are fetched again. */
  readonly maxAgeMs: number;
  /** Keys older than this are not used, even if the issuer is down. */
  readonly maxStaleMs: number;
  /** Keys that an earlier set held, to go on with. */
  readonly before?: HeldKeys | null;
  readonly onFetch?: (outcome: 'ok' | 'failed', cause?: unknown) => void;
}

export interface HeldKeys {
  readonly find: ReturnType<typeof createLocalJWKSet>;
  /** When they were fetched, epoch milliseconds. */
  readonly at: number;
  readonly size: number;
}

export interface KeySet {
  /** The key for a token header. Throws KeysUnavailable, or jose's JWKSNoMatchingKey. */
  readonly keyFor: (header: CompactJWSHeaderParameters) => Promise<CryptoKey>;
  /** The keys in force; null before the first fetch. */
  readonly held: () => HeldKeys | null;
  /** Fetches now, unless it cools down: so that keys are there before the first caller is. */
  readonly warm: () => Promise<void>;
}

/** No keys could be had and none are left. */
export class KeysUnavailable extends Error {
  override name = 'KeysUnavailable';
}

const MAX_KEYS = 100;
/** Without keys no call can succeed: an issuer that is back should not be waited for. */
const COOLDOWN_WITHOUT_KEYS_MS = 1000;
/** Of ES256, ES384, ES512 and EdDSA. */
const CURVES: ReadonlySet<unknown> = new Set(['P-256', 'P-384', 'P-521', 'Ed25519']);
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

export function createKeySet(options: KeySetOptions): KeySet {
  const { fetchKeys, now, cooldownMs, maxAgeMs, maxStaleMs, onFetch } = options;
  let keys: HeldKeys | null = options.before ?? null;
  let attemptedAt = Number.NEGATIVE_INFINITY;
  let pending: Promise<void> | null = null;

  /** Since a moment; a clock that was set back makes everything old rather than keep it young. */
  const since = (moment: number): number => Math.abs(now() - moment);
  const isStale = (held: HeldKeys): boolean => since(held.at) > maxStaleMs;

  async function load(): Promise<void> {
    attemptedAt = now();
    try {
      const usable = usableKeys(await fetchKeys());
      keys = { find: createLocalJWKSet(usable), at: now(), size: usable.keys.length };
      onFetch?.('ok');
    } catch (cause) {
      onFetch?.('failed', cause);
      if (keys === null) throw new KeysUnavailable('keys could not be fetched', { cause });
    }
  }

  /** Joins the fetch under way, starts one, or does nothing while it cools down. */
  function refresh(): Promise<void> {
    const wait = keys === null || isStale(keys) ? Math.min(cooldownMs, COOLDOWN_WITHOUT_KEYS_MS) : cooldownMs;
    if (pending === null && since(attemptedAt) < wait) return Promise.resolve();
    pending ??= load().finally(() => {
      pending = null;
    });
    return pending;
  }

  /** Keys to go on with: the first fetch and one after too long are waited for, one in between runs beside. */
  async function usable(): Promise<HeldKeys> {
    if (keys === null || isStale(keys)) await refresh();
    else if (since(keys.at) > maxAgeMs) void refresh();
    if (keys === null || isStale(keys)) throw new KeysUnavailable('no keys');
    return keys;
  }

  async function keyFor(header: CompactJWSHeaderParameters): Promise<CryptoKey> {
    const before = await usable();
    try {
      return await before.find(header);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await refresh();
      if (keys === null || keys === before) throw error;
      return keys.find(header);
    }
  }

  return { keyFor, held: () => keys, warm: refresh };
}

/** Drops what must not verify a token; throws where the document is no key set or nothing is left. */
export function usableKeys(document: unknown): JSONWebKeySet {
  if (!isObject(document) || !Array.isArray(document.keys)) throw new TypeError('the document is not a JWK Set');
  if (document.keys.length > MAX_KEYS) throw new TypeError(`the JWK Set holds more than ${MAX_KEYS} keys`);
  const keys = document.keys.filter(isUsable);
  if (keys.length === 0) throw new TypeError('the JWK Set holds no usable signing key');
  return { keys };
}

function isUsable(key: unknown): key is JWK {
  if (!isObject(key) || PRIVATE_MEMBERS.some((member) => Object.hasOwn(key, member))) return false;
  if (key.use !== undefined && key.use !== 'sig') return false;
  if (key.key_ops !== undefined && !(Array.isArray(key.key_ops) && key.key_ops.includes('verify'))) return false;
  return key.kty === 'RSA' ? isStrongRsa(key) : CURVES.has(key.crv) && publicKey(key) !== null;
}

/** The key as OpenSSL reads it; null where it is none, such as a point beside its curve. */
function publicKey(key: JsonObject): KeyObject | null {
  try {
    return createPublicKey({ key, format: 'jwk' });
  } catch {
    return null;
  }
}

function isStrongRsa(key: JsonObject): boolean {
  const { modulusLength = 0, publicExponent = 0n } = publicKey(key)?.asymmetricKeyDetails ?? {};
  if (modulusLength < 2048 || modulusLength > 16384) return false;
  return publicExponent >= 65537n && publicExponent % 2n === 1n && !hasRocaFingerprint(Buffer.from(key.n as string, 'base64url'));
}

/** Primes for which 65537 does not generate every residue. A ROCA modulus (CVE-2017-15361) is a power of 65537 for each. */
const ROCA_RESIDUES: readonly (readonly [bigint, ReadonlySet<bigint>])[] = [
  11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
].map((prime) => {
  const residues = new Set<bigint>();
  for (let power = 1n; !residues.has(power); power = (power * 65537n) % BigInt(prime)) residues.add(power);
  return [BigInt(prime), residues] as const;
});

function hasRocaFingerprint(modulus: Buffer): boolean {
  const value = BigInt(`0x0${modulus.toString('hex')}`);
  return ROCA_RESIDUES.every(([prime, residues]) => residues.has(value % prime));
}
