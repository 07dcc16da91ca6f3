/** What must be so after a case, whoever played it: the answer, the one line in the decision log, what the backend saw. */
import assert from 'node:assert/strict';
import { neededScope } from '../../examples/reference/delegation-guard.ts';
import { reasonRow } from '../../src/reasons.ts';
import { type Concrete, type EnvoyExpected, type Expected, fill, placeholders, type World } from './cases.ts';
import type { Line } from './ndjson.ts';
import type { WireAnswer } from './wire.ts';

/** One request as a backend saw it. */
export interface Seen {
  readonly backend: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly delegation: Readonly<Record<string, any>> | null;
  readonly verified: boolean;
  readonly refusal?: string | undefined;
  readonly body: string;
}

export interface Observed {
  /** Null where no answer is to be had: the request went on, and there is no backend in this world. */
  readonly answer: WireAnswer | null;
  readonly lines: readonly Line[];
  readonly seen: readonly Seen[];
}

export type Expectation = Expected & Pick<EnvoyExpected, 'check' | 'reset'>;

const BACKENDS = { ledger: 'enterprise-ledger', directory: 'employee-directory' } as const;
const ACTOR = 'ai-identity-gateway';
const DELEGATION_SECONDS = 5;

export function verify(expected: Expectation, request: Concrete, world: World, observed: Observed): void {
  const wanted = fill(expected, placeholders(world)) as Expectation;
  const { answer, lines, seen } = observed;
  noSecret(request, observed);
  if (wanted.check === false) {
    assert.deepEqual(lines, [], 'Envoy was to answer by itself');
    assert.deepEqual(seen, [], 'the backend was to see nothing');
    verifyOwnAnswer(wanted, answer);
    return;
  }
  assert.equal(lines.length, 1, `one decision-log line, not ${JSON.stringify(lines)}`);
  const line = lines[0] as Line;
  verifyLine(wanted, request, line);
  const forwarded = wanted.backendSees ?? wanted.reason === 'allowed';
  assert.equal(forwarded, wanted.decision === 'allow' && wanted.reason === 'allowed', 'the case contradicts itself');
  if (forwarded) verifySeen(wanted, request, line, seen);
  else {
    assert.deepEqual(seen, [], 'the backend was to see nothing');
    verifyAnswer(wanted, request, line, answer);
  }
  if (answer !== null) verifyHeaders(wanted.headers ?? {}, answer.headers);
}

function verifyOwnAnswer({ status, reset = false, headers = {} }: Expectation, answer: WireAnswer | null): void {
  if (answer === null) return;
  assert.equal(answer.status, reset ? null : status);
  verifyHeaders(headers, answer.headers);
}

function verifyLine(wanted: Expectation, request: Concrete, line: Line): void {
  assert.deepEqual([line.decision, line.reason], [wanted.decision, wanted.reason], JSON.stringify(line));
  // What policy said first; what came after it may have refused all the same.
  if (!line.result.allow) assert.deepEqual(line.result, { allow: false, reason: wanted.reason });
  else if (wanted.decision !== 'allow') assert.ok(line.input !== undefined, 'policy was asked');
  assert.equal(line.type, 'decision');
  assert.match(line.decision_id, /^[0-9a-f-]{36}$/);
  const reached = knowsPrincipal(wanted);
  assert.equal(line.subject, reached ? (request.subject ?? undefined) : undefined, 'subject');
  if (reached && !OF_ROUTES.test(wanted.reason)) {
    assert.match(line.bundles?.policy?.revision ?? '', /^[\x21-\x7e]+$/);
    assert.equal(line.tool, request.tool ?? undefined, 'tool');
    assert.equal(line.backend, BACKENDS[request.backend]);
  }
  for (const [name, value] of Object.entries(wanted.log ?? {})) {
    assert.deepEqual(line[name], value ?? undefined, `${name} in the decision log`);
  }
}

/** Whose an id is comes after who asks and before what policy says. */
const OF_ROUTES = /^(session|task|capability)_/;

/** Whether the caller was known when the decision fell: whatever comes after the token was verified. */
function knowsPrincipal({ reason, log }: Expectation): boolean {
  if (log !== undefined && 'subject' in log) return log.subject !== null;
  if (reason === 'allowed' || OF_ROUTES.test(reason)) return true;
  const row = reasonRow(reason);
  return (row.code === -31403 && row.outcome === 'deny') || /^(exchange|mint|policy)_/.test(reason);
}

/** An answer of ours: the status and code of the table, words for people, the id of the line in the log. */
function verifyAnswer(wanted: Expectation, request: Concrete, line: Line, answer: WireAnswer | null): void {
  assert.ok(answer, 'there was to be an answer');
  assert.equal(answer.status, wanted.status, answer.body);
  assert.equal(line.status, answer.status, 'status in the decision log');
  if (wanted.reason === 'metadata_served' || wanted.reason === 'preflight_answered') {
    if (answer.body !== '') assert.partialDeepStrictEqual(JSON.parse(answer.body), wanted.body ?? {});
    else assert.equal(wanted.body, undefined);
    return;
  }
  if (request.method !== 'HEAD') verifyErrorBody(wanted, line, answer.body);
  assert.deepEqual(answer.headers.get('content-type'), ['application/json']);
  assert.deepEqual(answer.headers.get('cache-control'), ['no-store']);
  verifyChallenge(wanted, answer);
}

function verifyErrorBody(wanted: Expectation, line: Line, body: string): void {
  const { jsonrpc, error, ...rest } = JSON.parse(body);
  assert.equal(jsonrpc, '2.0');
  assert.equal(error.code, wanted.code, body);
  assert.equal(error.data.reason, wanted.reason);
  assert.equal(error.data.decision_id, line.decision_id);
  assert.match(error.message, /^[^"]{10,512}$/);
  assert.deepEqual(
    Object.keys(rest).filter((name) => name !== 'id'),
    [],
    body,
  );
  if (wanted.id !== undefined) {
    const raw = /^\{"jsonrpc":"2\.0",(?:"id":(.*?),)?"error":/s.exec(body)?.[1];
    assert.equal(raw ?? null, wanted.id, body);
  }
  if (wanted.body !== undefined) assert.partialDeepStrictEqual(JSON.parse(body), wanted.body);
}

/** RFC 6750 section 3 and RFC 9728 section 5.1, as MCP clients read them. */
function verifyChallenge({ reason, status }: Expectation, { headers }: WireAnswer): void {
  const { oauth } = reasonRow(reason);
  const challenges = headers.get('www-authenticate') ?? [];
  if (status !== 401 && oauth === null) {
    assert.deepEqual(challenges, []);
    return;
  }
  assert.equal(challenges.length, 1);
  const [challenge = ''] = challenges;
  assert.match(
    challenge,
    /^Bearer (error="[a-z_]+", )?(scope="[^"]+", )?resource_metadata="https:\/\/[^"]+"(, error_description="[^"\\=]+")?$/,
  );
  assert.equal(/error="([a-z_]+)"/.exec(challenge)?.[1] ?? null, oauth);
}

function verifyHeaders(wanted: NonNullable<Expected['headers']>, headers: WireAnswer['headers']): void {
  for (const [name, value] of Object.entries(wanted)) {
    const found = headers.get(name);
    if (value === null) assert.equal(found, undefined, name);
    else if (/^\/.*\/$/s.test(value)) assert.match(found?.join('\n') ?? '', new RegExp(value.slice(1, -1)), name);
    else assert.deepEqual(found, [value], name);
  }
}

/** The backend saw the very bytes, once, and of identity nothing but our token for this operation. */
function verifySeen(wanted: Expectation, request: Concrete, line: Line, seen: readonly Seen[]): void {
  assert.equal(seen.length, 1, 'the backend was to see it once');
  const { backend, headers, delegation, verified, refusal, body } = seen[0] as Seen;
  assert.equal(backend, BACKENDS[request.backend]);
  assert.equal(verified, true, `the backend did not accept the token: ${refusal}`);
  if (request.raw === null) assert.equal(body, (request.body ?? Buffer.alloc(0)).toString('utf8'));
  assert.ok(delegation);
  const { sub, act, aud, scope, exp, iat, jti } = delegation;
  assert.equal(sub, request.subject);
  assert.equal(act.sub, ACTOR);
  assert.equal(aud, `https://${BACKENDS[request.backend]}.internal/mcp`);
  assert.equal(scope, neededScope(BACKENDS[request.backend], body === '' ? undefined : JSON.parse(body)));
  assert.equal(exp - iat, DELEGATION_SECONDS);
  assert.deepEqual(
    [line.delegation_token_id, line.scope, line.audience, line.actor[0]],
    [jti, scope, aud, ACTOR],
    'the decision log names the token that the backend got',
  );
  for (const [name, value] of Object.entries(wanted.backendHeaders ?? {})) {
    assert.equal(headers[name.toLowerCase()], value ?? undefined, `${name} as the backend saw it`);
  }
}

/** The client's token is neither in the log, nor in the answer, nor with the backend. */
function noSecret({ token }: Concrete, { answer, lines, seen }: Observed): void {
  if (token === null) return;
  const everywhere = JSON.stringify([answer?.body, [...(answer?.headers ?? [])], lines, seen]);
  for (const part of token.split('.').slice(1)) {
    if (part.length >= 16) assert.ok(!everywhere.includes(part), 'a part of the token got out');
  }
}
