/**
 * Values that leave this process and must come back unread and unchanged (AES-256-GCM, NIST SP 800-38D): session ids that a
 * client keeps, plans that Envoy carries from one filter to the next. Replicas that share the keys read each other's.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';

/** What a sealed value is for: one that was made for another purpose does not open. */
export type Purpose = 'session' | 'plan' | 'task';

export interface Sealer {
  /** @returns base64url text; for a task the same each time, since clients compare its id with the one they hold. */
  readonly seal: (purpose: Purpose, value: unknown) => string;
  /** The value; undefined where it was not sealed for this purpose by one of our keys. */
  readonly open: (purpose: Purpose, sealed: string) => unknown;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Characters. Nobody makes us decode more than this. */
export const MAX_SEALED = 65_536;

/** @param secrets at least 32 bytes each; the first seals, all of them open. */
export function createSealer(secrets: readonly [Uint8Array, ...Uint8Array[]]): Sealer {
  const keys = secrets.map((secret) => ({
    session: deriveKey(secret, 'session'),
    plan: deriveKey(secret, 'plan'),
    task: deriveKey(secret, 'task'),
    nonce: deriveKey(secret, 'task nonce'),
  }));
  return {
    seal: (purpose, value) => {
      const [first] = keys as [(typeof keys)[number]];
      const text = JSON.stringify(value);
      return encrypt(first[purpose], text, purpose === 'task' ? nonceOf(first.nonce, text) : randomBytes(NONCE_BYTES));
    },
    open: (purpose, sealed) => {
      if (sealed.length > MAX_SEALED || !/^[A-Za-z0-9_-]+$/.test(sealed)) return undefined;
      const bytes = Buffer.from(sealed, 'base64url');
      // One text for one value: base64url leaves room for others that decode to the same bytes.
      if (bytes.length < NONCE_BYTES + TAG_BYTES || bytes.toString('base64url') !== sealed) return undefined;
      for (const key of keys) {
        const text = decrypt(key[purpose], bytes);
        if (text !== null) return JSON.parse(text);
      }
      return undefined;
    },
  };
}

/** A key for each purpose out of one secret (HKDF, RFC 5869). */
function deriveKey(secret: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `mcp-ext-authz ${purpose}`, 32));
}

/** Another for every other text, without chance: a nonce that comes twice seals the same text twice. */
function nonceOf(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest().subarray(0, NONCE_BYTES);
}

function encrypt(key: Buffer, text: string, nonce: Buffer): string {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const sealed = cipher.update(text, 'utf8');
  return Buffer.concat([nonce, sealed, cipher.final(), cipher.getAuthTag()]).toString('base64url');
}

function decrypt(key: Buffer, bytes: Buffer): string | null {
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    const opened = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
    return Buffer.concat([opened, decipher.final()]).toString('utf8');
  } catch {
    return null;
  }
}
