/**
 * Which revisions were in force, so that policy does not go back by itself: whoever can answer for the bundle server, or has an
 * old signed bundle, could bring back a rule that was taken away. Pure; the store keeps it.
 */
import { compareRevisions } from './revision-order.ts';

export interface Activation {
  readonly revision: string;
  /** SHA-256 of the archive, in hex. */
  readonly digest: string;
  /** That of what is in it, however it is packed and signed. Absent in what was written before there was one. */
  readonly contentDigest?: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** The last is in force. */
export type History = readonly Activation[];

/** An archive that is to be judged. */
export type Offered = Omit<Required<Activation>, 'at'>;

/** `same`: it is the one in force, perhaps packed or signed anew. */
export type Standing = 'new' | 'same' | 'older' | 'reused';

const MAX_KEPT = 1000;
/** How far around a revision others tell whether it is a number or a hash. */
const NEIGHBOURS = 2;

export function judgeRevision(history: History, offered: Offered): Standing {
  const { revision } = offered;
  const inForce = history.at(-1);
  if (inForce === undefined) return 'new';
  if (isSame(inForce, offered)) return 'same';
  const before = history.findLast((one) => one.revision === revision);
  if (before !== undefined && !isSame(before, offered)) return 'reused';
  // The latest that can be compared: one between them that cannot be must open no way back.
  const orders = history.map((_, at) => compareWith(history, at, revision));
  const order = orders.findLast((one) => one !== null);
  if (order != null) return order < 0 ? 'older' : 'new';
  return before === undefined ? 'new' : 'older';
}

/** The revision in force where nothing says whether `revision` comes after it; null where something does. */
export function findUnordered(history: History, revision: string): string | null {
  const last = history.at(-1);
  if (last === undefined || last.revision === revision) return null;
  return compareWith(history, history.length - 1, revision) === null ? last.revision : null;
}

/** What is in force already is only told of as it came last. */
export function withActivation(history: History, activation: Offered & Activation): History {
  const last = history.at(-1);
  if (last !== undefined && isSame(last, activation)) return [...history.slice(0, -1), { ...activation, at: last.at }];
  return [...history, activation].slice(-MAX_KEPT);
}

function isSame(one: Activation, { revision, digest, contentDigest }: Offered): boolean {
  return one.revision === revision && (one.digest === digest || one.contentDigest === contentDigest);
}

function compareWith(history: History, at: number, revision: string): number | null {
  const around = [...history.slice(Math.max(0, at - NEIGHBOURS), at + NEIGHBOURS + 1), ...history.slice(-NEIGHBOURS)];
  return compareRevisions(revision, history[at]?.revision ?? '', new Set(around.map((one) => one.revision)));
}
