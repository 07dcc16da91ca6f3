/**
 * The one table of reasons that a Check can end with. A reason is the metric label, the field in the decision log, `error.data.reason` for the client and the anchor in
 * docs/denials.md. Nothing else in the code decides an HTTP status.
 */

/** `deny` means "no"; `error` means "something is broken, so no". */
export type Outcome = 'allow' | 'deny' | 'error';

interface ReasonRow {
  readonly outcome: Outcome;
  /** HTTP status of the answer; 200 = a JSON-RPC error for a request with an id (403 where `strict`, or without an id). */
  readonly status: number;
  /** JSON-RPC error code. Ours lie outside the range that JSON-RPC and MCP reserve. */
  readonly code: number;
  /** Error code of the `WWW-Authenticate` challenge (RFC 6750 section 3.1); null: no challenge or one without a code. */
  readonly oauth: 'invalid_token' | 'insufficient_scope' | null;
  /** What the client is told, one sentence without quotes. */
  readonly message: string;
  /** What whoever runs the thing can do about it. */
  readonly help: string;
}

const PARSE_ERROR = -32700;
const INVALID_REQUEST = -32600;
export const METHOD_NOT_FOUND = -32601;
const INVALID_PARAMS = -32602;
const HEADER_MISMATCH = -32020;
const MISSING_CAPABILITY = -32021;
export const UNSUPPORTED_VERSION = -32022;
const UNAUTHENTICATED = -31401;
const FORBIDDEN = -31403;
const UNAVAILABLE = -31503;

const allow = (message: string, help: string): ReasonRow => ({
  outcome: 'allow',
  status: 200,
  code: 0,
  oauth: null,
  message,
  help,
});
const refuse = (status: number, code: number, message: string, help: string): ReasonRow => ({
  outcome: 'deny',
  status,
  code,
  oauth: null,
  message,
  help,
});
const challenge = (message: string, help: string): ReasonRow => ({
  outcome: 'deny',
  status: 401,
  code: UNAUTHENTICATED,
  oauth: 'invalid_token',
  message,
  help,
});
const forbid = (message: string, help: string): ReasonRow => refuse(200, FORBIDDEN, message, help);
const broken = (message: string, help: string, status = 503): ReasonRow => ({
  outcome: 'error',
  status,
  code: UNAVAILABLE,
  oauth: null,
  message,
  help,
});

export const REASONS = {
  allowed: allow('The call is allowed.', 'Nothing to do.'),
  metadata_served: allow('Protected resource metadata was served.', 'Nothing to do: RFC 9728 metadata is public.'),
  preflight_answered: allow('A CORS preflight was answered.', 'Nothing to do.'),
  facade_served: allow(
    'Authorization server metadata was served for the real authorization server.',
    'Nothing to do: a client that knows no RFC 9728 looked for it here, see `authorizationServerFacade.issuer`.',
  ),
  client_registered: allow(
    'A client was told the client id that it may use.',
    'Nothing to do: it is public and was registered beforehand, see `authorizationServerFacade.registration`.',
  ),
  registration_refused: refuse(
    400,
    INVALID_REQUEST,
    'The client cannot be registered with this metadata.',
    'The cause in the log has the redirect URI that is not among `authorizationServerFacade.registration.redirectUris`, or what is wrong with the body. The answer is that of RFC 7591: `error` and `error_description`.',
  ),
  facade_unavailable: broken(
    'The metadata of the authorization server cannot be had at the moment.',
    'Look at the issuer in `authorizationServerFacade.issuer` and at the way to it. The answer is that of OAuth: `error` and `error_description`.',
  ),

  resource_unknown: refuse(
    404,
    INVALID_REQUEST,
    'There is no MCP endpoint here.',
    'Compare the path with `resources[].path`; it must match exactly.',
  ),
  method_not_allowed: refuse(
    405,
    INVALID_REQUEST,
    'This HTTP method is not served here.',
    'MCP uses POST, and in revisions up to 2025-11-25 also GET and DELETE.',
  ),
  origin_forbidden: refuse(
    403,
    INVALID_REQUEST,
    'Requests from this origin are not accepted.',
    'A browser-based client needs its origin in `mcp.allowedOrigins`.',
  ),
  query_forbidden: refuse(
    400,
    INVALID_REQUEST,
    'An MCP endpoint takes no query parameters.',
    'Remove the query; a token belongs in the Authorization header.',
  ),
  header_invalid: refuse(
    400,
    INVALID_REQUEST,
    'A header that may be sent once was sent more than once, or is malformed.',
    'Look at what the client or a proxy in between adds.',
  ),
  media_type_unsupported: refuse(
    415,
    INVALID_REQUEST,
    'The body must be application/json in UTF-8.',
    'Send `Content-Type: application/json`.',
  ),
  content_encoding_unsupported: refuse(
    415,
    INVALID_REQUEST,
    'The body must not be compressed.',
    'Send the body without Content-Encoding.',
  ),
  body_too_large: refuse(
    413,
    INVALID_REQUEST,
    'The body is too large.',
    'Raise `mcp.maxBodyBytes` together with max_request_bytes in Envoy, or send less.',
  ),
  body_incomplete: refuse(
    413,
    INVALID_REQUEST,
    'The body did not arrive whole at the gateway.',
    'Envoy handed over part of a body: put body_size_limit first in the filter chain, with the number of ext_authz.',
  ),

  json_invalid: refuse(
    400,
    PARSE_ERROR,
    'The body is not one well-formed JSON document in UTF-8.',
    'Compare the body with RFC 8259; a byte order mark and trailing bytes are refused too.',
  ),
  json_too_deep: refuse(
    400,
    PARSE_ERROR,
    'The JSON is nested too deeply.',
    'Flatten the arguments; the limit is `mcp.maxDepth`.',
  ),
  json_too_wide: refuse(
    400,
    INVALID_REQUEST,
    'An object has too many members.',
    'Send a list, or less; the limit is `mcp.maxMembers`. Objects with very many keys can be made slow to read on purpose.',
  ),
  json_duplicate_key: refuse(
    400,
    INVALID_REQUEST,
    'An object has the same key twice, or two keys that differ only in case or in invisible characters.',
    'Parsers disagree on such objects, so none is let through: send each key once.',
  ),
  json_number_imprecise: refuse(
    400,
    INVALID_REQUEST,
    'A number cannot be read exactly.',
    'Send integers beyond 2^53-1 as strings.',
  ),
  message_invalid: refuse(
    400,
    INVALID_REQUEST,
    'The body is not a JSON-RPC 2.0 message that MCP knows.',
    'Compare the message with the MCP schema: no members besides jsonrpc, id, method, params, result and error.',
  ),
  batch_unsupported: refuse(400, INVALID_REQUEST, 'JSON-RPC batches are not accepted.', 'Send one message in each request.'),
  params_invalid: refuse(
    400,
    INVALID_PARAMS,
    'The params do not have the shape that this method needs.',
    'Compare params with the MCP schema of the revision.',
  ),
  envelope_missing: refuse(
    400,
    INVALID_PARAMS,
    'The request lacks the _meta fields that its protocol version requires.',
    'From 2026-07-28 on params._meta carries protocolVersion and clientCapabilities.',
  ),
  method_unknown: refuse(
    404,
    METHOD_NOT_FOUND,
    'This method does not exist in this protocol version.',
    'See docs/protocol.md for the closed table; a new method needs a new release.',
  ),
  protocol_version_unsupported: refuse(
    400,
    UNSUPPORTED_VERSION,
    'This MCP protocol version is not supported.',
    'See docs/protocol.md for the versions served.',
  ),
  header_mismatch: refuse(
    400,
    HEADER_MISMATCH,
    'The Mcp headers do not agree with the body.',
    'Mcp-Method, Mcp-Name and MCP-Protocol-Version must say what the body says.',
  ),

  session_unknown: refuse(
    404,
    INVALID_REQUEST,
    'There is no such session.',
    'The client starts a new one. An id is good at one resource only, and not beyond a change of `processing.keys`.',
  ),
  session_forbidden: refuse(
    403,
    INVALID_REQUEST,
    'This session belongs to another caller.',
    'A session is bound to issuer, subject and client of the token that began it: somebody holds the id of somebody else.',
  ),
  capability_missing: refuse(
    400,
    MISSING_CAPABILITY,
    'The client has not declared a capability that this method needs.',
    'From 2026-07-28 on each request of the Tasks extension declares `io.modelcontextprotocol/tasks` among its client capabilities.',
  ),
  task_unknown: refuse(200, INVALID_PARAMS, 'There is no such task.', 'An id is not good beyond a change of `processing.keys`.'),
  task_forbidden: forbid(
    'This task belongs to another caller.',
    'A task is bound to issuer, subject and client of the token that began it: somebody holds the id of somebody else.',
  ),
  target_unknown: refuse(
    200,
    INVALID_PARAMS,
    'No server here has what the request names.',
    'Names begin with the prefix of their backend, see `frontDoor.backends`; resources are known from the catalog.',
  ),

  token_missing: {
    ...challenge('A bearer token is required.', 'Follow resource_metadata in WWW-Authenticate to the authorization server.'),
    oauth: null,
  },
  token_malformed: challenge(
    'The Authorization header does not hold one well-formed bearer token.',
    'Send exactly one header `Authorization: Bearer <access token>`.',
  ),
  token_scheme_unsupported: challenge('Only the Bearer scheme is accepted.', 'DPoP, Basic and others are not served.'),
  token_type_wrong: challenge(
    'This kind of token is not an access token for this server.',
    'The `typ` header must be one of `issuers[].tokenTypes`.',
  ),
  token_algorithm_forbidden: challenge(
    'The token is signed with an algorithm that is not accepted.',
    'See `issuers[].algorithms`.',
  ),
  token_issuer_unknown: challenge(
    'The token comes from an issuer that is not trusted here.',
    'Add the issuer to `issuers` and name it at the resource.',
  ),
  token_key_unknown: challenge(
    'The key that signed the token is not known.',
    'The issuer may have rotated; keys are fetched again after the cooldown.',
  ),
  token_signature_invalid: challenge(
    'The signature of the token is not valid.',
    'The token was changed on the way, or signed by somebody else.',
  ),
  token_claims_invalid: challenge(
    'A claim that is required is missing or has an unexpected value.',
    'RFC 9068 requires iss, exp, aud, sub, client_id, iat and jti; see also `issuers[].claims`.',
  ),
  token_expired: challenge('The token has expired.', 'Get a fresh token; compare the clocks if it happens at once.'),
  token_not_yet_valid: challenge('The token is not valid yet.', 'Compare the clocks of the issuer and of this host.'),
  token_lifetime_excessive: challenge(
    'The token lives longer than is accepted here.',
    'Shorten it at the issuer, or raise `issuers[].maxLifetimeSeconds`.',
  ),
  token_audience_mismatch: challenge(
    'The token was issued for another audience.',
    'Ask for the token with the `resource` that the metadata names (RFC 8707).',
  ),
  token_bound: challenge(
    'The token is bound to a key, and no proof of possession is accepted here.',
    'Ask for a plain bearer token.',
  ),
  token_is_delegation: challenge(
    'A delegation token is not accepted at the front door.',
    'Somebody replays what the gateway sent to a backend: look where it leaked.',
  ),
  keys_unavailable: broken(
    'The keys of the token issuer cannot be had at the moment.',
    'Look at the issuer and at the way to it; `mcp_ext_authz_jwks_fetches_total` has the count.',
  ),
  introspection_unavailable: broken(
    'The authorization server could not be asked about the token.',
    'Look at the introspection endpoint and at the way to it.',
  ),
  token_inactive: challenge('The authorization server says that the token is not active.', 'Get a fresh token.'),

  policy_denied: forbid(
    'Policy does not allow this.',
    'The catch-all of the inbound policy; the decision id leads to the log line.',
  ),
  tool_forbidden: forbid('Policy does not allow this tool to this caller.', 'See the permissions in the policy data.'),
  tool_unknown: forbid('Policy does not know this tool.', 'Add the tool to the policy data before it can be called.'),
  argument_forbidden: forbid('Policy does not allow these arguments.', 'See the rule for this tool in the policy data.'),
  limit_exceeded: forbid('An argument exceeds the limit that policy sets for this caller.', 'See the limits in the policy data.'),
  insufficient_scope: {
    ...refuse(
      403,
      FORBIDDEN,
      'The token lacks a scope that this operation needs.',
      'The client asks for the scopes named in the challenge and tries again.',
    ),
    oauth: 'insufficient_scope',
  },
  client_forbidden: forbid('This client is not allowed here.', 'See `issuers[].clients` and the clients in the policy data.'),
  role_missing: forbid('The caller lacks the role that this operation needs.', 'See the roles in the policy data.'),
  method_forbidden: forbid('Policy does not allow this method.', 'See the methods in the policy data.'),
  read_only: forbid('Only reading is allowed.', 'The tool is not marked readOnlyHint, or the policy is in read-only mode.'),
  tenant_mismatch: forbid('The caller belongs to another tenant.', 'See the tenants in the policy data.'),

  policy_undefined: broken('Policy gave no decision.', 'Give `decision` a default in the Rego package.'),
  policy_invalid: broken(
    'Policy gave a decision of the wrong shape.',
    'Compare with docs/policy.md; nothing but the documented members is accepted.',
  ),
  policy_failed: broken('Policy could not be evaluated.', 'The cause is in the log under this decision id.'),
  policy_memory: broken(
    'Policy needed more memory than it may have.',
    'Look for a rule that grows with the arguments; the limit is `policy.maxMemoryBytes`.',
  ),
  policy_timeout: broken(
    'Policy took longer than it may.',
    'Look for a rule that grows with the arguments; the limit is `policy.timeoutMs`.',
  ),

  tool_changed: forbid(
    'This tool is not the one that was approved.',
    'Look at `mcp-ext-authz catalog diff`; `catalog approve` lets it be called again. See docs/catalog.md.',
  ),
  catalog_unavailable: broken(
    'What this server offers could not be compared with what was approved.',
    'The backend has never answered the gateway itself; `mcp_ext_authz_catalog_refreshes_total` and the log say why.',
  ),

  exchange_refused: forbid(
    'The authorization server refused to delegate this operation.',
    'Look at what the authorization server allows the gateway; its error code is in the log.',
  ),
  exchange_unavailable: broken(
    'No delegation token could be obtained.',
    'Look at the authorization server and at the way to it.',
  ),
  exchange_timeout: broken(
    'The authorization server did not answer in time.',
    'Raise the timeout of ext_authz in Envoy, or look at the authorization server.',
  ),
  exchange_invalid: broken(
    'The authorization server returned a token that must not be used.',
    'The log says which claim is not what was asked for.',
  ),
  backend_unavailable: broken(
    'The backend does not answer at the moment.',
    'Look at the backend and at the way to it; the other backends behind the front door are not affected.',
  ),
  bridge_limited: refuse(
    200,
    INVALID_REQUEST,
    'The backend speaks another protocol version than the client, and what it needs cannot be carried across.',
    'See docs/front-door.md for the limits of the bridge.',
  ),
  mint_failed: broken('No delegation token could be made.', 'Look at the signing key.'),

  list_invalid: broken(
    'The server answered with a list that cannot be read.',
    'The log says what is wrong with it. A list whose names cannot be told apart is shown to nobody.',
    502,
  ),

  request_invalid: broken(
    'The gateway asked in a way that cannot be answered.',
    'Envoy needs with_request_body.pack_as_bytes and encode_raw_headers; see envoy/.',
    500,
  ),
  overloaded: broken('The authorization service is busy.', 'Add replicas, or raise `server.maxInFlight`.'),
  deadline_exceeded: broken('The decision could not be made in time.', 'Raise grpc_service.timeout of ext_authz in Envoy.'),
  internal_error: broken(
    'The authorization service failed.',
    'The cause is in the log under this decision id; it is a bug worth reporting.',
    500,
  ),
} as const satisfies Record<string, ReasonRow>;

export type Reason = keyof typeof REASONS;

/** One row of the table, for code that does not care which. */
export function reasonRow(reason: Reason): ReasonRow {
  return REASONS[reason];
}

/** The reasons that a policy may give; any other makes its decision invalid. */
export const POLICY_REASONS: ReadonlySet<string> = new Set<Reason>([
  'allowed',
  'policy_denied',
  'tool_forbidden',
  'tool_unknown',
  'argument_forbidden',
  'limit_exceeded',
  'insufficient_scope',
  'client_forbidden',
  'role_missing',
  'method_forbidden',
  'read_only',
  'tenant_mismatch',
]);
