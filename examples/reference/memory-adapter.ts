/**
 * Where the reference authorization server keeps sessions, grants, codes and refresh tokens: in memory, one store for
 * each server, forgotten when it stops. (oidc-provider's own memory adapter says at every start that it must not be
 * used.) Entries leave when they expire, so a long load test does not fill the memory with used client assertions.
 */
import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';

type Entry = { readonly payload: AdapterPayload; readonly expiresAt: number };

const sweepEvery = 1_000;

/** An adapter factory with a store of its own. */
export function createMemoryAdapter(): AdapterFactory {
  const entries = new Map<string, Entry>();
  let writes = 0;

  const sweep = () => {
    writes += 1;
    if (writes % sweepEvery !== 0) return;
    for (const [key, { expiresAt }] of entries) {
      if (expiresAt <= Date.now()) entries.delete(key);
    }
  };

  const findBy = (model: string, matches: (payload: AdapterPayload) => boolean): AdapterPayload | undefined => {
    for (const [key, { payload }] of entries) {
      if (key.startsWith(`${model}:`) && matches(payload)) return payload;
    }
    return undefined;
  };

  return (model): Adapter => ({
    async upsert(id, payload, expiresIn = Number.POSITIVE_INFINITY) {
      sweep();
      entries.set(`${model}:${id}`, { payload, expiresAt: Date.now() + expiresIn * 1_000 });
    },
    // oidc-provider looks at `exp` itself, and wants to see expired entries: it tells "expired" from "unknown".
    async find(id) {
      return entries.get(`${model}:${id}`)?.payload;
    },
    async findByUid(uid) {
      return findBy(model, (payload) => payload.uid === uid);
    },
    async findByUserCode(userCode) {
      return findBy(model, (payload) => payload.userCode === userCode);
    },
    async consume(id) {
      const entry = entries.get(`${model}:${id}`);
      if (entry) entry.payload.consumed = Math.floor(Date.now() / 1_000);
    },
    async destroy(id) {
      entries.delete(`${model}:${id}`);
    },
    async revokeByGrantId(grantId) {
      for (const [key, { payload }] of entries) {
        if (payload.grantId === grantId) entries.delete(key);
      }
    },
  });
}
