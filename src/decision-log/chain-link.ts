/** A line of a decision log as it is read: its place in a chain, and whether its signature counts. */
import { isObject, type JsonObject } from '../mcp/message.ts';
import { type CheckpointClaims, hashOf, unsignedLine } from './chain.ts';
import type { VerifyCheckpoint } from './checkpoint-keys.ts';

export interface Link {
  readonly id: string;
  readonly seq: number;
  readonly prev: string | null;
}

/** Null for what is no line of a decision log. */
export function readLine(bytes: Uint8Array): JsonObject | null {
  try {
    const event: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return isObject(event) ? event : null;
  } catch {
    return null;
  }
}

/** Null for a line in no chain. */
export function linkOf({ chain }: JsonObject): Link | null {
  if (!isObject(chain)) return null;
  const { id, seq, prev } = chain;
  const isLink = typeof id === 'string' && Number.isSafeInteger(seq) && (prev === null || typeof prev === 'string');
  return isLink ? { id, seq: seq as number, prev } : null;
}

/** What a checkpoint signs, or what is wrong with it. */
export async function readCheckpoint(
  bytes: Uint8Array,
  { jws }: JsonObject,
  { id, seq, prev }: Link,
  verify: VerifyCheckpoint,
): Promise<CheckpointClaims | string> {
  const signature = String(jws);
  const claims = await verify(signature).catch((cause: unknown) => (cause instanceof Error ? cause : new Error(String(cause))));
  if (claims instanceof Error) return `its signature does not count: ${claims.message}`;
  if (claims.line !== hashOf(unsignedLine(Buffer.from(bytes).toString('utf8'), signature))) return 'was changed';
  const isHere = claims.chain === id && claims.seq === seq && claims.prev === prev;
  return isHere ? claims : 'its signature is for another place';
}
