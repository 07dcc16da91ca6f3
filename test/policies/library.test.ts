/** The library of policies: its Rego tests in OPA and in the compiled policy, and what its modules must never let by. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { METHODS } from '../../src/mcp/methods.ts';
import { POLICY_REASONS } from '../../src/reasons.ts';
import { compile, documents, library, opa, schemas, sources, withoutTests } from './library.ts';

after(() => opa.close());

/** The names of the Rego tests of a file. */
const testsOf = (text: string): string[] => [...text.matchAll(/^(test_\w+)/gm)].map(([, name = '']) => name);

describe('Rego tests', () => {
  test('pass, and reach every line', async () => {
    const { result, errors } = await opa.ask({ command: 'test', files: library, coverage: true });
    assert.equal(errors, undefined);
    const failed = result.tests.filter(({ outcome }) => outcome !== 'passed').map(({ package: in_, name }) => `${in_}.${name}`);
    assert.deepEqual(failed, []);
    assert.equal(result.tests.length, Object.values(library).flatMap(testsOf).length);
    const missed = Object.entries(result.coverage?.files ?? {}).filter(
      ([file, lines]) => !file.endsWith('_test.rego') && lines.not_covered !== undefined,
    );
    assert.deepEqual(missed, []);
  });

  test('every module has some', () => {
    const modules = Object.keys(withoutTests(library));
    assert.ok(modules.length >= 10);
    for (const name of modules) {
      assert.ok(testsOf(library[name.replace('.rego', '_test.rego')] ?? '').length > 0, name);
    }
  });

  test('pass in the compiled policy too, with the built-ins of the sidecar', async () => {
    const suites = Object.entries(library).filter(([name, text]) => name.endsWith('_test.rego') && testsOf(text).length > 0);
    const runners = suites.map(([name, text]) => {
      const suite = name.slice('library/'.length, -'.rego'.length);
      const lines = testsOf(text).map((one) => `passed contains "${one}" if data.mcp.lib.${suite}.${one}`);
      return [`run/${suite}.rego`, `package run.${suite}\n\n${lines.join('\n')}\n`] as const;
    });
    const entrypoints = runners.map(([name]) => `${name.slice(0, -'.rego'.length)}/passed`);
    const { ask } = await compile({ ...library, ...Object.fromEntries(runners) }, entrypoints);
    for (const [at, [name, text]] of suites.entries()) {
      assert.deepEqual((ask(entrypoints[at] ?? '', {}) as string[]).sort(), testsOf(text).sort(), name);
    }
  });
});

describe('strict compilation with the schemas', () => {
  const check = (files: Readonly<Record<string, string>>) => opa.ask({ command: 'check', files, schemas });

  test('finds nothing', async () => {
    for (const files of [library, { ...library, ...sources('../examples/policies/two-servers') }]) {
      assert.deepEqual((await check(files)).errors, undefined);
    }
  });

  const typos = [
    ['request', 'input.mcp.targets[0].name', 'input.mcp.targets[0].nam'],
    ['rbac', 'data.rbac.claim', 'data.rbac.clam'],
    ['scopes', 'input.principal.scopes', 'input.principal.scope'],
    ['agent_and_user', 'data.agent_and_user.agents', 'data.agent_and_user.agent'],
    ['read_only', 'data.read_only.backends', 'data.read_only.backend'],
    ['tenancy', 'data.tenancy.machines_above_tenants', 'data.tenancy.machines'],
    ['outbound', 'data.outbound.backends', 'data.outbound.backend'],
    ['windows', 'input.request.sourceIp', 'input.request.sourceIP'],
    ['protocol', 'data.protocol.refuse', 'data.protocol.refused'],
  ] as const;
  for (const [module, right, wrong] of typos) {
    test(`finds ${wrong}`, async () => {
      const name = `library/${module}.rego`;
      const text = library[name]?.replaceAll(right, wrong) ?? '';
      assert.notEqual(text, library[name]);
      const { errors = [] } = await check({ ...library, [name]: text });
      assert.ok(errors.some(({ code, file }) => code === 'rego_type_error' && file === name));
    });
  }
});

test('every document a module reads has its schema, and every schema is of one', () => {
  const annotated = Object.values(library).flatMap((text) =>
    [...text.matchAll(/^# {3}- data\.([\w.]+): schema\["(.+)"\]$/gm)].map(([, path = '', name = '']) => [path, name]),
  );
  const declared = Object.entries(documents).filter(([path]) => path !== 'mcp.arguments');
  assert.deepEqual(annotated.sort(), declared.sort());
  const others = ['input.v1', 'permissions.v1'];
  assert.deepEqual(Object.keys(schemas).sort(), [...Object.values(documents), ...others].sort());
});

describe('lists that must be those of the code', () => {
  const value = async (query: string): Promise<unknown> => {
    const { result } = await opa.ask({ command: 'eval', files: withoutTests(library), query });
    return result?.value;
  };

  test('every method the sidecar reads, but for the list of tasks', async () => {
    const { request, notification } = (await value('data.mcp.lib.protocol.methods')) as Record<string, string[]>;
    const listed = Object.entries({ request, notification }).flatMap(([kind, names = []]) =>
      names.map((name) => `${kind} ${name}`),
    );
    const read = [...METHODS].filter(([name]) => name !== 'tasks/list').map(([name, { kind }]) => `${kind} ${name}`);
    assert.deepEqual(listed.sort(), read.sort());
  });

  test('every reason a policy may give has its place in the order', async () => {
    const order = (await value('data.mcp.lib.combine.reasons')) as string[];
    assert.deepEqual([...order].sort(), [...POLICY_REASONS].filter((reason) => reason !== 'allowed').sort());
  });
});

test('every module says what it is', () => {
  for (const [name, text] of Object.entries(withoutTests(library))) {
    assert.match(text, /^# METADATA\n# title: \S.*\n# description: /, name);
  }
  assert.match(readFileSync(new URL('../../policies/README.md', import.meta.url), 'utf8'), /library\//);
});
