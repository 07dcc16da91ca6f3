/**
 * The gateway's own identities: the key it signs with, and who it is where it asks a backend something itself. That is its
 * client at the authorization server where tokens are exchanged, the actor it names in what it signs where it mints them.
 */
import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { clientAuthentication, readCredentials } from '../client-authentication.ts';
import type { Config } from '../config.ts';
import { createMint, type Mint, type MintKey } from '../delegation/mint.ts';
import { createOwnTokens, type OwnToken } from '../delegation/own-token.ts';
import type { Fetch } from '../http-client.ts';
import type { Resource } from '../resource.ts';
import { ok, type Result } from '../result.ts';
import type { Issuer } from '../token/issuer.ts';
import type { Principal } from '../token/principal.ts';
import { verifyToken } from '../token/verify.ts';
import { exchangeRules } from './exchange-rules.ts';

export type Identify = (resource: Resource) => Promise<Result<OwnToken>>;

/** An authorization server may let its machines have a token for a day. */
const MAX_LIFETIME_SECONDS = 86_400;

/** Rejects where the credentials cannot be read. */
export async function openIdentity(config: Config, fetch: Fetch, issuers: ReadonlyMap<string, Issuer>): Promise<Identify> {
  const { catalog, delegation } = config;
  const ownToken = await openOwnTokens(config, fetch, issuers);
  return async (resource) => {
    if (resource.delegation !== 'exchange' || ownToken === null) {
      return ok({ subjectToken: '', principal: selfNamed(resource, delegation, catalog.scopes) });
    }
    return ownToken({ resource: resource.publicNames[0]?.url ?? '', scopes: catalog.scopes });
  };
}

async function openOwnTokens({ delegation }: Config, fetch: Fetch, issuers: ReadonlyMap<string, Issuer>) {
  const { exchange } = delegation;
  if (exchange === undefined) return null;
  const issuer = issuers.get(exchange.issuer) as Issuer;
  const rules = exchangeRules(exchange, issuer, MAX_LIFETIME_SECONDS);
  return createOwnTokens({
    metadata: issuer.metadata,
    clientId: exchange.clientId,
    clientAuthentication: clientAuthentication(await readCredentials(exchange.clientAuthentication)),
    fetch,
    verify: (token) => verifyToken(token, rules, Date.now()),
    now: Date.now,
  });
}

/** Nobody issued a token for it: we say who we are, as in everything we sign. */
function selfNamed(resource: Resource, { actor, mint }: Config['delegation'], scopes: readonly string[]): Principal {
  return {
    issuer: mint?.issuer ?? actor,
    subject: actor,
    clientId: actor,
    scopes,
    audience: [resource.publicNames[0]?.url ?? ''],
    actor: [],
    claims: {},
    expiresAt: Math.floor(Date.now() / 1000) + 60,
    tokenId: null,
    binding: null,
  };
}

export async function openMint({ delegation }: Config): Promise<Mint | null> {
  if (delegation.mint === undefined) return null;
  const keys = await Promise.all(
    delegation.mint.keys.map(
      async ({ kid, keyFile }): Promise<MintKey> => ({ kid, key: createPrivateKey(await readFile(keyFile)) }),
    ),
  );
  return createMint({
    issuer: delegation.mint.issuer,
    actor: delegation.actor,
    keys: keys as [MintKey, ...MintKey[]],
    now: Date.now,
  });
}
