/** What the documents say of the code is what the code says: reasons, metrics, settings, methods, log fields, alerts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { generatedFiles, ownMetrics, settings } from '../../scripts/docs.ts';
import type { Verdict } from '../../src/check/authorize.ts';
import { decisionRecord } from '../../src/check/record.ts';
import { decisionLine } from '../../src/decision-log/line.ts';
import { noFacts } from '../../src/http.ts';
import { METHODS } from '../../src/mcp/methods.ts';
import type { Operation } from '../../src/mcp/operation.ts';
import { policyInput } from '../../src/policy/input.ts';
import { REASONS } from '../../src/reasons.ts';
import type { Resource, ToolFacts } from '../../src/resource.ts';
import { documents, files, headings, prose, read, slug } from './tree.ts';

describe('what is generated is up to date; `npm run docs` writes it', async () => {
  for (const { path, actual, expected } of await generatedFiles()) {
    test(path, () => assert.ok(actual === expected, `${path} is not what the code gives: run \`npm run docs\``));
  }
});

describe('reasons', () => {
  test('each has its section in docs/denials.md, and no other has', () => {
    const text = read('docs/denials.md');
    const sections = [...text.slice(text.indexOf('## Each reason')).matchAll(/^### (.+)$/gm)].map(([, name]) => name);
    assert.deepEqual(sections, Object.keys(REASONS));
  });

  test('what is sent to the client has no quotes and is one sentence', () => {
    for (const [reason, { message }] of Object.entries(REASONS)) assert.match(message, /^[A-Z][^"\n]*\.$/, reason);
  });

  test('links to them are to ones that there are', () => {
    const linked = documents.flatMap((file) =>
      [...read(file).matchAll(/denials\.md#([a-z_]+)\)/g)].map(([, reason = '']) => reason),
    );
    assert.deepEqual(
      linked.filter((reason) => !Object.hasOwn(REASONS, reason)),
      [],
    );
  });
});

describe('metrics', async () => {
  const own = await ownMetrics();

  test('each is in docs/metrics.md', () => {
    const text = read('docs/metrics.md');
    assert.deepEqual(
      own.filter(({ name }) => !text.includes(`<a id="${name}"></a>`)).map(({ name }) => name),
      [],
    );
  });

  test('each that a document names is there', () => {
    const known = new Set(own.flatMap(({ name }) => [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]));
    const named = documents.flatMap((file) => [...read(file).matchAll(/mcp_ext_authz_[a-z_]*[a-z]/g)].map(([name]) => name));
    assert.deepEqual(
      [...new Set(named)].filter((name) => !known.has(name)),
      [],
    );
  });

  test('each says what it is', () => {
    for (const { name, help } of own) assert.match(help, /^[A-Z].*\.$/, name);
  });
});

describe('settings', () => {
  const all = settings();
  const paths = new Set(all.map(({ path }) => path));

  test('each is in docs/configuration.md', () => {
    const text = read('docs/configuration.md');
    const missing = all.filter(({ path }) => !text.includes(`\`${path}\``) && !text.includes(`### ${path}\n`));
    assert.deepEqual(
      missing.map(({ path }) => path),
      [],
    );
  });

  test('each that is named anywhere is there', () => {
    const sections = [...paths].filter((path) => !/[.[]/.test(path)).join('|');
    const mention = new RegExp(`\`((?:${sections})(?:\\[\\])?\\.[A-Za-z]+(?:\\[\\])?(?:\\.[A-Za-z]+)*)\``, 'g');
    const places = [
      ...documents,
      ...files.filter((file) => /^(src|deploy)\/.*\.(ts|yaml)$/.test(file) && !file.startsWith('src/gen/')),
    ];
    const unknown = places.flatMap((file) =>
      [...read(file).matchAll(mention)]
        .map(([, path = '']) => path)
        .filter((path) => !paths.has(path) && !isFile(path) && !isField(file, path))
        .map((path) => `${file}: ${path}`),
    );
    assert.deepEqual(unknown, []);
  });

  test('each says what it means', () => {
    assert.deepEqual(
      all.filter(({ description }) => description === '' || /^With [^.]*\.$/.test(description)).map(({ path }) => path),
      [],
    );
  });
});

test('every method is in docs/protocol.md', () => {
  const text = read('docs/protocol.md');
  assert.deepEqual(
    [...METHODS.keys()].filter((method) => !text.includes(`| \`${method}\` |`)),
    [],
  );
});

describe('the decision log', () => {
  const text = prose('docs/decision-log.md');
  const metadata = prose('docs/operations.md');
  const verdict = everythingKnown();
  const record = decisionRecord(verdict);

  test('every field of a line is in docs/decision-log.md', () => {
    const line = JSON.parse(decisionLine([verdict, record, 1, true], { labels: {} })) as Record<string, unknown>;
    assert.ok(Object.keys(line).length > 25, 'the line has all of its fields');
    const later = ['masked', 'mask_error', 'chain'];
    assert.deepEqual(
      [...Object.keys(line), ...later].filter((field) => !text.includes(`| \`${field}\``) && !text.includes(`, \`${field}\``)),
      [],
    );
    const timers = Object.keys(line.metrics as object);
    assert.deepEqual(
      timers.filter((timer) => !text.includes(`\`${timer}\``)),
      [],
    );
  });

  test('and so is every member of the dynamic metadata', () => {
    const section = metadata.slice(metadata.indexOf('## Dynamic metadata'), metadata.indexOf('## The lifecycle log'));
    assert.deepEqual(
      Object.keys(record).filter((member) => !section.includes(`\`${member}\``)),
      [],
    );
  });
});

describe('alerts', () => {
  interface Rule {
    readonly alert?: string;
    readonly annotations?: { readonly runbook_url?: string };
  }
  const { groups } = parse(read('deploy/prometheus/rules.yaml')) as { groups: { rules: Rule[] }[] };
  const alerts = groups.flatMap(({ rules }) => rules).filter(({ alert }) => alert !== undefined);
  const sections = headings('docs/operations.md');
  const first = sections.findIndex(({ text }) => text === 'Alerts');
  const told = sections.slice(first + 1).map(({ text }) => `docs/operations.md#${slug(text)}`);

  test('each leads to its section, and every section belongs to one', () => {
    assert.deepEqual(alerts.map(({ annotations }) => annotations?.runbook_url).sort(), told.sort());
  });

  test('each is named in its section', () => {
    const text = read('docs/operations.md');
    assert.deepEqual(
      alerts.map(({ alert }) => alert).filter((alert) => !text.includes(`\`${alert}\``)),
      [],
    );
  });
});

/** In docs/policy.md `mcp.…` are fields of the policy input. */
function isField(file: string, path: string): boolean {
  return file === 'docs/policy.md' && path.startsWith('mcp.');
}

/** `policy.wasm` and the like are no settings. */
function isFile(name: string): boolean {
  return /\.(wasm|ts|yaml|json|md|rego)$/.test(name);
}

/** A verdict in which nothing is missing, so that every field is written. */
function everythingKnown(): Verdict {
  const operation = {
    era: 'modern',
    revision: '2026-07-28',
    kind: 'request',
    id: '1',
    method: 'prompts/get',
    tool: null,
    arguments: null,
  };
  const principal = {
    issuer: 'i',
    subject: 's',
    clientId: 'c',
    scopes: [],
    audience: [],
    actor: [],
    claims: {},
    expiresAt: 0,
    tokenId: 't',
    binding: null,
  };
  const http = { ...noFacts(), traceId: 't', requestId: 'r' };
  const called = { ...operation, targets: [{ type: 'prompt', name: 'p' }], arguments: { a: 1 } } as unknown as Operation;
  const input = policyInput(http, { name: 'b' } as Resource, called, principal, {} as ToolFacts, [], null);
  const facts = {
    decisionId: 'd',
    http,
    resource: { name: 'b', tools: new Map() },
    operation: { ...operation, targets: [{ type: 'prompt', name: 'p' }] },
    principal,
    revision: 'r',
    asked: { input, revision: 'r', inbound: { allow: true, reason: 'allowed' }, outbound: { allow: true, reason: 'allowed' } },
    outbound: { audience: 'a', scopes: ['s'], ttlSeconds: 1, resource: null, headers: {} },
    delegation: { token: '', tokenId: 'j', audience: 'a', scope: 's', expiresAt: 0, actor: 'g' },
    stages: { read: 1, verify: 1, inbound: 1, outbound: 1, delegate: 1 },
  };
  const named = { ...facts, operation: { ...facts.operation, tool: 'x' } };
  const answer = { kind: 'respond', response: { status: 503, headers: [], body: '' } };
  const verdict = { outcome: 'error', reason: 'internal_error', answer, facts, cause: new Error('x') };
  // A tool call shows its tool, anything else its targets: both are fields.
  const record = decisionRecord({ ...verdict, facts: named } as unknown as Verdict);
  assert.equal(record.tool, 'x');
  return verdict as unknown as Verdict;
}
