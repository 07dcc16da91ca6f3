/**
 * One place for a policy: what is in force there, what was before, and whether an archive may take over. What takes over does so
 * at once and whole; what it replaces ends when its questions are answered. What may not changes nothing.
 */
import type { Validators } from '../../bundle/download.ts';
import { findUnordered, judgeRevision, type Offered, withActivation } from '../../bundle/history.ts';
import { PolicyRefused } from '../../bundle/refusal.ts';
import type { Past, Store } from '../../bundle/store.ts';
import type { Policy } from '../../policy/policy.ts';

export type LoadedPolicy = Policy & { readonly close?: () => Promise<void> };

/**
 * Makes a policy of an archive; rejects with PolicyRefused.
 * @param admit is asked as soon as the revision is known, before anything is made of it; throws PolicyRefused.
 */
export type LoadArchive = (archive: Uint8Array, admit: Admit) => Promise<LoadedPolicy>;

/** @param contentDigest says what is in the archive, however that is packed and signed. */
export type Admit = (revision: string, contentDigest: string) => void;

/** An archive that has become a policy. */
export interface Loaded {
  readonly policy: LoadedPolicy;
  readonly digest: string;
  readonly contentDigest: string;
  readonly archive: Uint8Array;
}

export interface InForce extends Loaded {
  /** Epoch milliseconds. */
  readonly activatedAt: number;
  /** The revision before it, where nothing says which of them is the older one. */
  readonly unorderedAfter: string | null;
}

export interface Origin {
  readonly source: string;
  readonly validators: Validators;
}

export interface Slot {
  readonly inForce: () => InForce | null;
  /** Rejects with PolicyRefused. @param anyRevision a person said so. */
  readonly load: (archive: Uint8Array, digest: string, make: LoadArchive, anyRevision?: boolean) => Promise<Loaded>;
  readonly activate: (loaded: Loaded) => void;
  /** What is in force, on disk; resolves without it where there is no store. */
  readonly persist: (origin: Origin) => Promise<void>;
  /** A person lets this revision in once, whatever was in force before. */
  readonly accept: (revision: string) => Promise<void>;
  /** What the store knows of the past. Rejects where it cannot be read. */
  readonly remember: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface SlotOptions {
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly store: Store | null;
  /** Revisions may go back. */
  readonly isFree: boolean;
}

/** @param onActivated is called at the moment of the swap. */
export function createSlot({ now, store, isFree }: SlotOptions, onActivated: (inForce: InForce) => void): Slot {
  let current: InForce | null = null;
  let past: Past = { history: [], accepted: null };
  let persisted = '';

  function admit(offered: Offered): void {
    const { revision } = offered;
    const standing = judgeRevision(past.history, offered);
    if (standing === 'new' || standing === 'same' || past.accepted === revision) return;
    const before = past.history.at(-1)?.revision;
    throw standing === 'reused'
      ? new PolicyRefused('revision_reused', `revision ${revision} was in force before with other content`)
      : new PolicyRefused('revision_older', `revision ${revision} is older than ${before}, which is or was in force`);
  }

  async function load(archive: Uint8Array, digest: string, make: LoadArchive, anyRevision = isFree): Promise<Loaded> {
    let contentDigest = digest;
    let named: string | null = null;
    try {
      const policy = await make(archive, (revision, found) => {
        [named, contentDigest] = [revision, found];
        if (!anyRevision) admit({ revision, digest, contentDigest });
      });
      return { policy, digest, contentDigest, archive };
    } catch (cause) {
      if (cause instanceof PolicyRefused) Object.assign(cause, { digest, revision: cause.revision ?? named });
      throw cause;
    }
  }

  function activate(loaded: Loaded): void {
    const previous = current;
    const at = now();
    const { digest, contentDigest, policy } = loaded;
    const offered = { revision: policy.revision, digest, contentDigest };
    const isHeld = judgeRevision(past.history, offered) === 'same';
    current = { ...loaded, activatedAt: at, unorderedAfter: isFree ? null : findUnordered(past.history, policy.revision) };
    past = {
      history: withActivation(past.history, { ...offered, at }),
      accepted: !isHeld && past.accepted === policy.revision ? null : past.accepted,
    };
    onActivated(current);
    previous?.policy.close().catch(() => {});
  }

  async function persist(origin: Origin): Promise<void> {
    if (store === null || current === null) return;
    const content = JSON.stringify([current.digest, current.policy.revision, origin]);
    if (content === persisted) return;
    // In this order: a bundle that the history does not know yet is new, one that it is ahead of would be old.
    await store.writeBundle({ archive: current.archive, ...origin }, current.digest);
    await store.writePast(past);
    persisted = content;
  }

  return {
    inForce: () => current,
    load,
    activate,
    persist,
    accept: async (revision) => {
      past = { ...past, accepted: revision };
      await store?.writePast(past);
    },
    remember: async () => {
      if (store !== null) past = await store.readPast();
    },
    close: async () => {
      await current?.policy.close();
    },
  };
}

/** What another plan would put in force. */
export interface Candidate extends Loaded {
  /** Null where it did not come from the source. */
  readonly origin: Origin | null;
  readonly remember: (() => void) | undefined;
}

/** SHA-256 in hexadecimal, off the event loop. */
export async function digestOf(archive: Uint8Array): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', archive as Uint8Array<ArrayBuffer>)).toString('hex');
}
