/**
 * Every setting with its default and what it means. docs/configuration.md and the JSON Schema for editors are generated
 * from here. Secrets stay outside: a setting names the file or the environment variable that holds one.
 */
import { z } from 'zod';
import { catalog } from './config-schema/catalog.ts';
import { decisionLog } from './config-schema/decision-log.ts';
import { authorizationServerFacade } from './config-schema/facade.ts';
import { frontDoor, processing } from './config-schema/front-door.ts';
import { labels } from './config-schema/labels.ts';
import { listen, MAX_MS, MIB, milliseconds, name, positive, secret, tokenHeader, url } from './config-schema/parts.ts';
import { policy } from './config-schema/policy.ts';
import { entrance } from './config-schema/resource.ts';
import { services } from './config-schema/services.ts';
import { status } from './config-schema/status.ts';

const server = z.strictObject({
  listen: listen.default('127.0.0.1:9191').describe('Where Envoy asks: `host:port`, or `unix:///path` for a Unix socket.'),
  tls: z
    .strictObject({
      certFile: z.string().describe('PEM certificate chain.'),
      keyFile: z.string().describe('PEM private key.'),
      clientCaFile: z.string().describe('PEM authorities of the client certificates that are accepted; mutual TLS always.'),
    })
    .optional()
    .describe('Mutual TLS with Envoy. Without it listen on loopback or on a Unix socket only.'),
  allowPlaintextNetwork: z
    .boolean()
    .default(false)
    .describe(
      'Accept a plaintext listener that other hosts can reach. Only where the network itself is trusted, such as one pod.',
    ),
  maxMessageBytes: positive(2 * MIB, 'Largest gRPC message; above `mcp.maxBodyBytes` plus headers.'),
  maxConcurrentStreams: positive(1000, 'HTTP/2 streams of one connection.'),
  maxInFlight: positive(1000, 'Checks under way; what exceeds it is answered 503 `overloaded`.'),
  deadlineReserveMs: z.int().min(0).max(MAX_MS).default(20).describe("Kept back of Envoy's deadline for the way back."),
  drainDelayMs: z
    .int()
    .min(0)
    .max(MAX_MS)
    .default(0)
    .describe('After SIGTERM: how long health says NOT_SERVING before the server stops taking calls.'),
  drainMs: milliseconds(8000, 'After that: how long calls under way may take.'),
});

const method = <M extends string>(name: M) => z.literal(name).describe('How the gateway shows who it is (RFC 6749, RFC 7523).');

const clientAuthentication = z
  .discriminatedUnion('method', [
    z.strictObject({ method: method('client_secret_basic'), secret }),
    z.strictObject({ method: method('client_secret_post'), secret }),
    z.strictObject({
      method: method('private_key_jwt'),
      keyFile: z.string().describe('PEM private key (PKCS #8).'),
      kid: z.string().optional().describe('`kid` of the assertion, where the server tells keys apart by it.'),
    }),
  ])
  .describe('How the gateway authenticates there.');

const tokenTypes = z.array(z.string().toLowerCase()).min(1).default(['at+jwt']);

const issuer = z.strictObject({
  issuer: url.describe('Exactly the `iss` of its tokens. Its metadata is found by RFC 8414 or OpenID Connect Discovery.'),
  jwksUri: url.optional().describe('Where its keys are, in place of discovery.'),
  tokenTypes: tokenTypes.describe(
    'Accepted `typ` headers, without `application/`. Keycloak writes `jwt`: then say in `claims` what an access token carries.',
  ),
  algorithms: z
    .array(z.enum(['ES256', 'ES384', 'ES512', 'EdDSA', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']))
    .min(1)
    .default(['ES256', 'EdDSA', 'RS256', 'PS256'])
    .describe('Accepted signature algorithms.'),
  audiences: z
    .array(z.string().min(1))
    .default([])
    .describe('Audiences accepted from this issuer at every resource, such as its own URL in client-credentials tokens.'),
  introspection: z
    .strictObject({ clientId: z.string().min(1).describe('The gateway as a client of the issuer.'), clientAuthentication })
    .optional()
    .describe('For an issuer whose access tokens are not JWTs: ask it about them (RFC 7662). One issuer at most.'),
  clients: z.array(z.string().min(1)).optional().describe('Clients that may call; all that the issuer registered, if absent.'),
  claims: z
    .record(z.string(), z.array(z.union([z.string(), z.number(), z.boolean()])).min(1))
    .default({})
    .describe('Claims that must have one of the values listed.'),
  maxLifetimeSeconds: positive(86_400, 'A token that lives longer (exp - iat) is refused.'),
  clockToleranceSeconds: z.int().min(0).max(300).default(5).describe('How far clocks may differ.'),
  keyCooldownMs: milliseconds(30_000, 'No second fetch of its keys within this time.'),
  keyMaxAgeMs: milliseconds(600_000, 'Keys older than this are fetched again.'),
  keyMaxStaleMs: milliseconds(86_400_000, 'Keys older than this are not used, even while the issuer is out of reach.'),
});

const tool = z.strictObject({
  title: z.string().optional().describe('For people.'),
  annotations: z.record(z.string(), z.unknown()).default({}).describe('As in tools/list: `readOnlyHint`, `destructiveHint` …'),
});

const delegationMode = z.enum(['exchange', 'mint', 'none']);

const resource = z.strictObject({
  name: name.describe("The backend's name in policy, metrics and logs."),
  ...entrance,
  delegation: delegationMode.optional().describe('How its delegation tokens are made; `delegation.mode`, if absent.'),
  url: url
    .optional()
    .describe('Where the sidecar itself reaches the backend, for the catalog and the front door; may be a listener of Envoy.'),
  tools: z
    .record(z.string(), tool)
    .default({})
    .describe('Its tools by name: bounds the metric label and tells policy what it calls.'),
});

const delegation = z.strictObject({
  actor: z.string().min(1).describe("The gateway's name in `act.sub`."),
  mode: delegationMode
    .default('exchange')
    .describe('`exchange` asks an authorization server (RFC 8693), `mint` signs here, `none` sends no token.'),
  header: tokenHeader.default('authorization').describe('Request header that carries the delegation token.'),
  maxTtlSeconds: z.int().min(1).max(60).default(5).describe('No delegation token lives longer.'),
  exchange: z
    .strictObject({
      issuer: url.describe('The authorization server; found as in `issuers`.'),
      clientId: z.string().min(1).describe('The gateway as a client of the authorization server.'),
      clientAuthentication,
      tokenTypes: tokenTypes.describe('`typ` headers accepted in what it issues.'),
      allowMissingActor: z
        .boolean()
        .default(false)
        .describe(
          'Accept tokens without `act`, from servers that cannot issue one. Backends then cannot tell the gateway from the caller.',
        ),
      clockToleranceSeconds: z.int().min(0).max(60).default(5).describe('How far its clock may differ.'),
    })
    .optional()
    .describe('Token exchange (RFC 8693).'),
  mint: z
    .strictObject({
      issuer: url.describe('`iss` of what we sign; backends find our keys at /.well-known/jwks.json of its host.'),
      keys: z
        .array(
          z.strictObject({
            kid: z.string().min(1).describe('Names the key in our JWKS.'),
            keyFile: z.string().describe('PEM private key, P-256 or Ed25519.'),
          }),
        )
        .min(1)
        .describe('The first signs, all are published: announce a new key second, move it to the front, remove the old one.'),
    })
    .optional()
    .describe('Delegation tokens signed here.'),
});

export const configSchema = z.strictObject({
  server: server.prefault({}).describe('The gRPC service that Envoy asks.'),
  admin: z
    .strictObject({ listen: listen.default('127.0.0.1:9192').describe('Serves /metrics, /livez and /readyz.') })
    .prefault({})
    .describe('For Prometheus and for whoever keeps the process running.'),
  wellKnown: z
    .strictObject({ listen: listen.describe('Serves our JWKS, its issuer metadata and the resource metadata over plain HTTP.') })
    .optional()
    .describe('Needed with `mint`, unless backends get our keys in another way.'),
  mcp: z
    .strictObject({
      maxBodyBytes: positive(262_144, "Largest message; not above Envoy's `max_request_bytes`."),
      maxDepth: z.int().min(8).max(512).default(64).describe('Nesting of JSON.'),
      maxMembers: z.int().min(64).max(10_000).default(512).describe('Members of one JSON object.'),
      allowedOrigins: z
        .array(z.string().regex(/^[a-z][a-z0-9+.-]*:\/\/[^/\s]+$/, 'use scheme://host[:port]'))
        .default([])
        .describe('Origins of browser-based clients; a request with another Origin is refused.'),
    })
    .prefault({})
    .describe('What a message may be.'),
  httpClient: z
    .strictObject({
      timeoutMs: milliseconds(5000, "For keys, metadata and exchange; an exchange also ends with Envoy's deadline."),
      maxResponseBytes: positive(MIB, 'Largest answer read.'),
      caFile: z.string().optional().describe("PEM authorities to trust in place of the system's."),
    })
    .prefault({})
    .describe('How the sidecar fetches.'),
  issuers: z.array(issuer).min(1).describe('Who issues the tokens that callers bring.'),
  authorizationServerFacade,
  tokens: z
    .strictObject({
      cacheEntries: positive(10_000, 'Verified tokens kept.', 1_000_000),
      cacheTtlMs: milliseconds(60_000, 'How long a verified token is kept at most; never longer than it lives.'),
    })
    .prefault({})
    .describe('Tokens that were verified.'),
  resources: z.array(resource).min(1).describe('The MCP servers behind Envoy.'),
  catalog: catalog.prefault({}).describe('What the sidecar asks the backends itself: docs/catalog.md.'),
  processing,
  frontDoor,
  services,
  policy,
  delegation: delegation.describe('The token that a backend gets.'),
  labels,
  decisionLog,
  status,
});

export type Config = z.output<typeof configSchema>;
