/**
 * From a configuration to the ports that `check` works with: the composition root of everything that a reload replaces.
 * Key sets outlive a reload that does not concern them, so that an issuer that is down at that moment is not lost.
 */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Ports } from '../check.ts';
import { clientAuthentication, readCredentials } from '../client-authentication.ts';
import type { Config } from '../config.ts';
import { createExchange } from '../delegation/client.ts';
import type { Delegate } from '../delegation/delegation.ts';
import type { Mint } from '../delegation/mint.ts';
import { createHttpClient, type HttpClient } from '../http-client.ts';
import type { Policy } from '../policy/policy.ts';
import { indexResources } from '../resource.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { describeCause } from '../telemetry/redact.ts';
import { createIntrospection, type Introspect } from '../token/introspect.ts';
import { createIssuer, type Issuer } from '../token/issuer.ts';
import type { HeldKeys } from '../token/jwks.ts';
import { createVerifier, type Verifier } from '../token/verifier.ts';
import { type IssuerRules, verifyToken } from '../token/verify.ts';
import { counted } from './counted.ts';
import { exchangeRules } from './exchange-rules.ts';
import { openFacade } from './facade-settings.ts';
import { type Identify, openIdentity, openMint } from './own-identity.ts';
import { openSealer, protectedResources } from './resource-settings.ts';

/** What one configuration is made into. */
export interface Live {
  readonly config: Config;
  readonly ports: Ports;
  readonly issuers: ReadonlyMap<string, Issuer>;
  readonly verifier: Verifier;
  readonly mint: Mint | null;
  /** The gateway itself, as a caller of a backend. */
  readonly identify: Identify;
  readonly stream: HttpClient['stream'];
  readonly close: HttpClient['close'];
}

/** What the backends said of themselves, and what of it was approved. */
export type Known = Pick<Ports, 'views' | 'approvals'>;

/** What a configuration does not hold, and what outlives it. */
export interface Surroundings {
  /** The policy in force. */
  readonly policy: () => Policy | null;
  readonly known?: Known;
}

export interface Observers {
  readonly metrics: Metrics;
  readonly log: Log;
}

/** Rejects where a file cannot be read or a key not be used; nothing is changed then. */
export async function buildLive(
  config: Config,
  observers: Observers,
  previous: Live | null,
  { policy, known = UNKNOWN }: Surroundings,
): Promise<Live> {
  const now = Date.now;
  const [client, mint] = await Promise.all([openHttpClient(config), openMint(config)]);
  const issuers = openIssuers(config, client, observers, previous);
  const rules = new Map(config.issuers.map((issuer) => [issuer.issuer, issuerRules(issuer, issuers)]));
  const { metrics } = observers;
  const verifier = createVerifier({
    issuers: rules,
    introspect: await openIntrospection(config, client, issuers, rules),
    actor: config.delegation.actor,
    ...config.tokens,
    now,
    onLookup: (result) => metrics.cacheLookups.inc({ cache: 'tokens', result }),
  });
  const exchange = await openExchange(config, client, issuers);
  const resources = indexResources(protectedResources(config));
  const ports: Ports = {
    resources,
    verify: verifier.verify,
    policy,
    delegate: {
      exchange: exchange && counted('exchange', exchange, metrics, config),
      mint: mint && counted('mint', mint.delegate, metrics, config),
    },
    facade: openFacade(config, resources.all, client.fetch),
    limits: { maxBytes: config.mcp.maxBodyBytes, maxDepth: config.mcp.maxDepth, maxMembers: config.mcp.maxMembers },
    allowedOrigins: new Set(config.mcp.allowedOrigins),
    ...known,
    policyHeaders: config.policy.headers,
    tokenHeader: config.delegation.header,
    now,
    clock: () => performance.now(),
    newId: randomUUID,
    sealer: await openSealer(config),
  };
  const identify = await openIdentity(config, client.fetch, issuers);
  return {
    config,
    ports,
    issuers,
    verifier,
    mint,
    identify,
    stream: client.stream,
    close: client.close,
  };
}

const UNKNOWN: Known = { views: () => null, approvals: () => null };

async function openHttpClient({ httpClient }: Config): Promise<HttpClient> {
  const { timeoutMs, maxResponseBytes, caFile } = httpClient;
  return createHttpClient({
    timeoutMs,
    maxResponseBytes,
    ...(caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') }),
  });
}

/** Issuers of callers' tokens and the one that exchanges, each once. */
function openIssuers(
  config: Config,
  client: HttpClient,
  { metrics, log }: Observers,
  previous: Live | null,
): Map<string, Issuer> {
  const exchangeAt = config.delegation.exchange?.issuer;
  const settings = new Map<string, Partial<Config['issuers'][number]>>(exchangeAt === undefined ? [] : [[exchangeAt, {}]]);
  for (const issuer of config.issuers) settings.set(issuer.issuer, issuer);
  for (const issuer of settings.keys()) for (const outcome of ['ok', 'failed']) metrics.jwksFetches.inc({ issuer, outcome }, 0);
  return new Map(
    [...settings].map(([issuer, { jwksUri, keyCooldownMs = 30_000, keyMaxAgeMs = 600_000, keyMaxStaleMs = 86_400_000 }]) => [
      issuer,
      createIssuer({
        issuer,
        jwksUri,
        fetch: client.fetch,
        now: Date.now,
        cooldownMs: keyCooldownMs,
        maxAgeMs: keyMaxAgeMs,
        maxStaleMs: keyMaxStaleMs,
        before: heldBefore(previous, issuer, jwksUri),
        onFetch: (outcome, cause) => {
          metrics.jwksFetches.inc({ issuer, outcome });
          if (outcome === 'failed')
            log('warn', 'the keys of an issuer could not be fetched', { issuer, cause: describeCause(cause) });
        },
      }),
    ]),
  );
}

/** Keys of another address are other keys: who moves it may do so because the old ones are lost. */
function heldBefore(previous: Live | null, issuer: string, jwksUri: string | undefined): HeldKeys | null {
  const before = previous?.config.issuers.find((one) => one.issuer === issuer)?.jwksUri;
  return before === jwksUri ? (previous?.issuers.get(issuer)?.keySet.held() ?? null) : null;
}

function issuerRules(config: Config['issuers'][number], issuers: ReadonlyMap<string, Issuer>): IssuerRules {
  return {
    issuer: config.issuer,
    keySet: (issuers.get(config.issuer) as Issuer).keySet,
    tokenTypes: new Set(config.tokenTypes),
    algorithms: config.algorithms,
    audiences: new Set(config.audiences),
    clients: config.clients === undefined ? null : new Set(config.clients),
    claims: config.claims,
    maxLifetimeSeconds: config.maxLifetimeSeconds,
    clockToleranceSeconds: config.clockToleranceSeconds,
  };
}

async function openExchange(
  { delegation }: Config,
  client: HttpClient,
  issuers: ReadonlyMap<string, Issuer>,
): Promise<Delegate | null> {
  const { exchange } = delegation;
  if (exchange === undefined) return null;
  const issuer = issuers.get(exchange.issuer) as Issuer;
  const rules = exchangeRules(exchange, issuer, delegation.maxTtlSeconds);
  return createExchange({
    metadata: issuer.metadata,
    clientId: exchange.clientId,
    clientAuthentication: clientAuthentication(await readCredentials(exchange.clientAuthentication)),
    fetch: client.fetch,
    verify: (token) => verifyToken(token, rules, Date.now()),
    rules: { actor: delegation.actor, allowMissingActor: exchange.allowMissingActor },
    now: Date.now,
  });
}

async function openIntrospection(
  config: Config,
  { fetch }: HttpClient,
  issuers: ReadonlyMap<string, Issuer>,
  rules: ReadonlyMap<string, IssuerRules>,
): Promise<Introspect | null> {
  const asked = config.issuers.find(({ introspection }) => introspection !== undefined);
  if (asked?.introspection === undefined) return null;
  const { clientId, clientAuthentication: authentication } = asked.introspection;
  return createIntrospection({
    rules: rules.get(asked.issuer) as IssuerRules,
    metadata: (issuers.get(asked.issuer) as Issuer).metadata,
    clientId,
    clientAuthentication: clientAuthentication(await readCredentials(authentication)),
    fetch,
    now: Date.now,
  });
}
