/** docs/policies/: the examples of each page run, their data has the published shape, and every module has its page. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { Ajv } from 'ajv';
import { LIBRARY_PAGES } from '../../scripts/docs.ts';
import { call } from './cases.ts';
import { at, compile, documents, library, opa, readYaml, schemas, withoutTests } from './library.ts';

const PAGES = new URL('../../docs/policies/', import.meta.url);

after(() => opa.close());

const page = (name: string): string => readFileSync(new URL(name, PAGES), 'utf8');

const blocks = (text: string, language: string): string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, block = '']) => block);

const names = readdirSync(PAGES).filter((name) => name.endsWith('.md') && name !== 'README.md');

test('every module has its page and its place in the index', () => {
  const modules = Object.keys(withoutTests(library))
    .map((name) => `${name.slice('library/'.length, -'.rego'.length).replaceAll('_', '-')}.md`)
    .filter((name) => name !== 'request.md');
  assert.deepEqual(names.sort(), modules.sort());
  assert.deepEqual(LIBRARY_PAGES.map(({ page: path }) => path.replace('docs/policies/', '')).sort(), names);
  for (const name of names) assert.ok(page('README.md').includes(`](${name})`), name);
});

function assertShape(data: unknown): number {
  const parts = Object.entries(documents).filter(([path]) => at(data, path) !== undefined);
  for (const [path, name] of parts) {
    const validate = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true }).compile(schemas[name] as object);
    assert.ok(validate(at(data, path)), `${path}: ${JSON.stringify(validate.errors)}`);
  }
  return parts.length;
}

describe('the example of', () => {
  for (const name of names) {
    test(name, async () => {
      const [yaml = '', ...others] = blocks(page(name), 'yaml');
      const rego = blocks(page(name), 'rego');
      assert.deepEqual([others.length, rego.length], [0, 1]);
      const data = readYaml(yaml);
      assert.equal(assertShape(data), Object.keys(data as object).length);
      const files = { ...withoutTests(library), 'data.yaml': yaml, 'page_test.rego': rego[0] ?? '' };
      const { result, errors } = await opa.ask({ command: 'test', files });
      assert.deepEqual(errors, undefined);
      assert.equal(result.tests.length, [...(rego[0] ?? '').matchAll(/^test_/gm)].length);
      assert.deepEqual(
        result.tests.filter(({ outcome }) => outcome !== 'passed').map((one) => `${one.name}: ${one.message ?? one.outcome}`),
        [],
      );
      assert.ok(result.tests.length > 0);
    });
  }
});

test('the policy of the index decides', async () => {
  const [inbound = '', outbound = ''] = blocks(page('README.md'), 'rego');
  const [yaml = ''] = blocks(page('README.md'), 'yaml');
  assert.equal(assertShape(readYaml(yaml)), 3);
  const files = { ...withoutTests(library), 'inbound.rego': inbound, 'outbound.rego': outbound, 'data.yaml': yaml };
  assert.deepEqual((await opa.ask({ command: 'check', files, schemas })).errors, undefined);
  const { ask } = await compile(files, ['mcp/inbound/decision', 'mcp/outbound/decision']);
  const clerk = { subject: 'alice', clientId: 'desk', scopes: ['orders:read'], claims: { roles: ['clerk'] }, actor: [] };
  const reason = (principal: typeof clerk, tool: string) =>
    (ask('mcp/inbound/decision', call(principal, tool, null, 'orders')) as { reason: string }).reason;
  assert.equal(reason(clerk, 'listOrders'), 'allowed');
  assert.equal(reason(clerk, 'cancelOrder'), 'insufficient_scope');
  assert.equal(reason({ ...clerk, claims: { roles: [] } }, 'cancelOrder'), 'role_missing');
  assert.equal(reason({ ...clerk, subject: 'desk' }, 'exportOrders'), 'tool_forbidden');
  assert.equal(reason(clerk, 'dropAll'), 'tool_unknown');
  const token = ask('mcp/outbound/decision', call(clerk, 'listOrders', null, 'orders')) as { scope: string };
  assert.equal(token.scope, 'orders:listOrders');
});

test('the example of the input is an input', () => {
  const schema = schemas['input.v1'] as { examples: unknown[] };
  const validate = new Ajv({ strict: true }).compile(schema);
  assert.ok(schema.examples.length > 0 && schema.examples.every((one) => validate(one)), JSON.stringify(validate.errors));
});

test('every field of the input says what it is', () => {
  const text = readFileSync(new URL('../policy.md', PAGES), 'utf8');
  const rows = [...text.matchAll(/^\| `(version|mcp|principal|tool|request)[\w.[\]]*` \|.*$/gm)].map(([row]) => row);
  assert.ok(rows.length > 35);
  for (const row of rows) assert.doesNotMatch(row, /\|\s+\|[^|]*\|$/, row);
});
