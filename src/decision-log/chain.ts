/**
 * A chain through the lines: each carries the hash of the one before, and from time to time a line is a signed checkpoint (JWS,
 * RFC 7515). Whoever changes, removes, inserts or moves a line without the key breaks it. Each process begins a chain of its
 * own and says which one of the same file it goes on from, and how much of that was signed: it vouches for no more.
 */
import { hash, type KeyObject, randomUUID } from 'node:crypto';
import { CompactSign } from 'jose';

export interface ChainOptions {
  /** Names this chain. */
  readonly id: string;
  readonly key: KeyObject;
  readonly kid: string;
  /** Lines from one checkpoint to the next. */
  readonly checkpointEvery: number;
  readonly checkpointMs: number;
  readonly labels: Readonly<Record<string, string>>;
  /** The end of the file that the lines go to, where there was one. */
  readonly continues: ChainEnd | null;
  /** It may run beside a process whose chain goes on. */
  readonly isCommand?: boolean;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** The last whole line of a file, and half a line after it that a killed process left. */
export interface ChainEnd {
  readonly id: string | null;
  readonly seq: number | null;
  /** SHA-256 of the line, hex; null where the file had no whole line. */
  readonly hash: string | null;
  readonly torn: string | null;
  /** Number of the last line that a checkpoint signed; null where none was found. Absent where nobody looked. */
  readonly signed?: number | null;
  /** That checkpoint is the last line, and ends its chain. */
  readonly ended?: boolean;
}

export interface Chain {
  /** What comes before all others. */
  readonly start: () => Promise<string[]>;
  /** The same lines in the chain, with checkpoints where they are due. */
  readonly link: (lines: readonly string[]) => Promise<string[]>;
  /** A checkpoint, if there is something to sign. */
  readonly sign: () => Promise<string[]>;
  /** The last line: the chain has ended, and was not cut off. */
  readonly end: () => Promise<string[]>;
  /** The latest checkpoint, as `audit verify --last` wants it; null before the first. */
  readonly last: () => string | null;
}

/** In `typ`: no other token of this key is a checkpoint. */
export const CHECKPOINT_TYPE = 'mcp-ext-authz-checkpoint+jws';

/** What a checkpoint signs. */
export interface CheckpointClaims {
  readonly chain: string;
  readonly seq: number;
  readonly prev: string;
  /** Epoch seconds. */
  readonly iat: number;
  /** SHA-256 of the line without this signature: see unsignedLine. */
  readonly line: string;
  readonly end?: true;
}

export function createChain(options: ChainOptions): Chain {
  const { id, key, kid, labels, now } = options;
  const header = { alg: signatureAlgorithm(key), typ: CHECKPOINT_TYPE, kid };
  const command = options.isCommand ? { command: true } : {};
  let seq = 0;
  let prev: string | null = null;
  let unsigned = 0;
  let signedAt = now();
  let last: string | null = null;

  function place(line: string): string {
    return `${line.slice(0, -1)},"chain":{"id":"${id}","seq":${seq},"prev":${prev === null ? 'null' : `"${prev}"`}}}`;
  }

  function put(placed: string): string {
    prev = hashOf(placed);
    seq += 1;
    unsigned += 1;
    return placed;
  }

  /** A line of our own; receivers of OPA's events want an id in each. */
  function ownLine(type: string, members: object): string {
    const timestamp = new Date(now()).toISOString();
    return place(JSON.stringify({ type, timestamp, labels, decision_id: randomUUID(), kid, ...members }));
  }

  async function checkpoint(isEnd = false): Promise<string> {
    const end = isEnd ? { end: true } : {};
    const unsignedText = ownLine('checkpoint', { jws: '', ...end });
    const claims = { chain: id, seq, prev, iat: Math.floor(now() / 1000), line: hashOf(unsignedText), ...end };
    const jws = await new CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader(header).sign(key);
    const line = put(unsignedText.replace(UNSIGNED, `"jws":"${jws}"`));
    unsigned = 0;
    last = `${id}:${claims.seq}`;
    signedAt = now();
    return line;
  }

  async function link(lines: readonly string[]): Promise<string[]> {
    const linked: string[] = [];
    for (const line of lines) {
      linked.push(put(place(line)));
      const isDue = unsigned >= options.checkpointEvery || now() - signedAt >= options.checkpointMs;
      if (isDue) linked.push(await checkpoint());
    }
    return linked;
  }

  return {
    start: async () => [put(ownLine('chain', { continues: options.continues, ...command })), await checkpoint()],
    link,
    sign: async () => (unsigned === 0 ? [] : [await checkpoint()]),
    end: async () => [await checkpoint(true)],
    last: () => last,
  };
}

const UNSIGNED = '"jws":""';

/** A checkpoint as it was before it had its signature. */
export function unsignedLine(line: string, jws: string): string {
  return line.replace(`"jws":"${jws}"`, UNSIGNED);
}

export function hashOf(line: string | Uint8Array): string {
  return hash('sha256', line, 'hex');
}

/** Throws a TypeError for a key of another kind. */
export function signatureAlgorithm(key: KeyObject): 'ES256' | 'ES384' | 'EdDSA' | 'PS256' {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ed25519') return 'EdDSA';
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return 'ES256';
  if (type === 'ec' && details?.namedCurve === 'secp384r1') return 'ES384';
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= 2048) return 'PS256';
  throw new TypeError('a key that signs the decision log is P-256, P-384, Ed25519 or RSA of 2048 bits or more');
}
