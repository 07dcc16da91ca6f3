/** What the cases leave out is left out on purpose: every reason, every row of the method table, every class of attack. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { METHODS } from '../../src/mcp/methods.ts';
import { REVISIONS } from '../../src/mcp/revisions.ts';
import { REASONS, type Reason } from '../../src/reasons.ts';
import { type Case, loadCases } from '../support/cases.ts';

/** Reasons that need more than a request to come about, and where they are tried. */
const ELSEWHERE: Partial<Record<Reason, string>> = {
  read_only: 'policy-answers.test.ts',
  policy_undefined: 'policy-answers.test.ts',
  policy_invalid: 'policy-answers.test.ts',
  policy_failed: 'policy-answers.test.ts',
  policy_memory: 'policy-answers.test.ts',
  policy_timeout: 'policy-cost.test.ts',
  exchange_unavailable: 'authorization-server-failures.test.ts',
  exchange_timeout: 'authorization-server-failures.test.ts',
  exchange_invalid: 'authorization-server-failures.test.ts',
  overloaded: 'authorization-server-failures.test.ts',
  deadline_exceeded: 'envoy-configuration.test.ts',
  tool_changed: 'catalog.test.ts',
  catalog_unavailable: 'unit tests: needs a backend that never answered',
  mint_failed: 'unit tests: needs a key that cannot sign',
  internal_error: 'unit tests: needs a bug',
  list_invalid: 'lists.test.ts',
  session_forbidden: 'sessions.test.ts',
  task_forbidden: 'tasks.test.ts',
  target_unknown: 'front-door.test.ts',
  introspection_unavailable: 'introspection.test.ts',
  token_inactive: 'introspection.test.ts',
  facade_served: 'older-clients.test.ts',
  client_registered: 'older-clients.test.ts',
  registration_refused: 'older-clients.test.ts',
  facade_unavailable: 'older-clients.test.ts',
  backend_unavailable: 'front-door-streams.test.ts',
  bridge_limited: 'front-door-streams.test.ts',
};

/** Classes of the threat model that no single request shows. */
const CLASSES_ELSEWHERE = new Map([
  [13, 'isolation.test.ts'],
  [14, 'policy-reload.test.ts'],
  [18, 'metrics.test.ts'],
]);

const cases = loadCases().flatMap((file) => file.cases);

test('every reason comes about in a case, or is tried elsewhere', () => {
  const covered = new Set(cases.flatMap((one) => [one.expect, one.envoy, one.h1, one.h2].map((expected) => expected?.reason)));
  const missing = (Object.keys(REASONS) as Reason[]).filter((reason) => !covered.has(reason) && ELSEWHERE[reason] === undefined);
  assert.deepEqual(missing, []);
  assert.deepEqual(
    Object.keys(ELSEWHERE).filter((reason) => covered.has(reason as Reason)),
    [],
  );
});

test('every reason that a case expects is one', () => {
  const expected = cases.flatMap((one) => [one.expect?.reason, one.envoy?.reason]).filter((reason) => reason !== undefined);
  assert.deepEqual(
    expected.filter((reason) => !Object.hasOwn(REASONS, reason)),
    [],
  );
});

test('every method is read where it exists, and refused where it does not', () => {
  const seen = new Set(cases.map(({ request, expect }) => `${methodOf(request)} ${expect?.reason === 'method_unknown'}`));
  const alwaysThere = new Set(
    [...METHODS].filter(([, { since, until }]) => since === REVISIONS[0] && until === null).map(([name]) => name),
  );
  for (const method of METHODS.keys()) {
    assert.ok(seen.has(`${method} false`), `${method} is never read`);
    if (!alwaysThere.has(method)) assert.ok(seen.has(`${method} true`), `${method} is never refused as unknown`);
  }
});

test('every revision is spoken', () => {
  const spoken = new Set(cases.map(({ expect }) => expect?.log?.protocol_revision));
  assert.deepEqual(
    REVISIONS.filter((revision) => !spoken.has(revision)),
    [],
  );
});

test('every class of attack has its cases', () => {
  const classes = new Set(cases.map((one) => one.class));
  const missing = Array.from({ length: 18 }, (_, index) => index + 1).filter(
    (one) => !classes.has(one) && !CLASSES_ELSEWHERE.has(one),
  );
  assert.deepEqual(missing, []);
});

function methodOf({ message }: Case['request']): string {
  return (message as { method?: string } | undefined)?.method ?? '';
}
