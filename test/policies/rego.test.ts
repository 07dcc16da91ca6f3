/** What the policy tools say of policies/: an opa where there is one, else the OPA in compiler/, which does not format. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { OPA_VERSION, searchOpa } from '../../scripts/opa.ts';
import { BUNDLE, build, check, POLICIES, readBundle, test as testPolicies } from '../../scripts/policies.ts';

const { path, version, problem } = searchOpa();
const compiled = { path: null, version: OPA_VERSION };
const opa = path === null ? compiled : { path, version };
const needsTheOpaOfTheBundle = {
  skip: opa.version === OPA_VERSION ? false : `the bundle was built with opa ${OPA_VERSION}, this is ${version}`,
};

test('the policies are formatted, and pass the check', { skip: problem ?? false }, () => check(opa));

test('the policies pass the check', () => check(compiled));

test('the policy tests pass and reach every line', () => testPolicies(opa));

test('a line no test reaches is named', () => {
  const stray = edited('mcp/outbound.rego', (text) => `${text}\nstray if input.mcp.method == "stray"\n`);
  assert.throws(() => testPolicies(opa, stray), /no test reaches mcp\/outbound\.rego:\d+/);
});

test('the committed bundle is what the sources build', needsTheOpaOfTheBundle, async () => {
  const scratch = folder();
  const fresh = [join(scratch, 'one.tar.gz'), join(scratch, 'two.tar.gz')] as const;
  // By the command, where there is one, and by the compiled OPA.
  await build(opa, fresh[0]);
  await build(compiled, fresh[1]);
  assert.deepEqual(readFileSync(fresh[0]), readFileSync(fresh[1]), 'the same sources give the same bytes');
  // Member by member: compressed bytes may differ between builds of opa itself.
  assert.deepEqual(readBundle(readFileSync(fresh[0])), readBundle(readFileSync(join(POLICIES, BUNDLE))));
});

const TYPOS = [
  ['mcp/inbound.rego', 'input.mcp.tool', 'input.mcp.tol'],
  ['mcp/inbound.rego', 'input.principal.clientId', 'input.principal.client_id'],
  ['mcp/inbound.rego', 'targets[0].name', 'targets[0].nam'],
  ['mcp/inbound.rego', 'data.permissions.clients', 'data.permissions.client'],
  ['mcp/outbound.rego', 'input.mcp.backend', 'input.mcp.backnd'],
  ['mcp/outbound.rego', 'data.permissions.backends', 'data.permissions.backend'],
] as const;

for (const [file, right, wrong] of TYPOS) {
  test(`the check refuses ${wrong} in ${file}`, () => {
    const folder = edited(file, (text) => text.replace(right, wrong));
    assert.throws(() => check(opa, folder), {
      message: new RegExp(`undefined ref: ${wrong.split('[')[0]}`.replaceAll('targets', '.*targets')),
    });
  });
}

test('the build refuses a built-in the sidecar cannot run', async () => {
  const folder = edited('mcp/outbound.rego', (text) =>
    text
      .replace('default decision', 'answer := http.send({"method": "get", "url": input.request.host})\n\ndefault decision')
      .replace('input.version == 1\n', 'input.version == 1\n\tanswer.status_code == 200\n'),
  );
  await assert.rejects(build(opa, join(folder, 'x.tar.gz'), folder), /would not load this bundle: .*http\.send/);
});

const TABLE = 'permissions/data.yaml';
const MISTAKES = [
  [
    'a row twice',
    (text: string) =>
      text.replace('      getAccount:', '      getBalance: {scopes: [ledger:read], roles: any}\n      getAccount:'),
    /unique/,
  ],
  ['a key that is misspelt', (text: string) => text.replace('arguments:\n', 'argument:\n'), /additional properties.*"argument"/],
  [
    'a row without roles',
    (text: string) => text.replace('getAccount: {scopes: [ledger:read], roles: any}', 'getAccount: {scopes: [ledger:read]}'),
    /required property 'roles'/,
  ],
  [
    'no scope at all',
    (text: string) => text.replace('getAccount: {scopes: [ledger:read]', 'getAccount: {scopes: []'),
    /getAccount\/scopes must NOT have fewer/,
  ],
  [
    'a token that lives too long',
    (text: string) => text.replace('ttl_seconds: 5}', 'ttl_seconds: 50}'),
    /ttl_seconds must be <= 5/,
  ],
  [
    'a limit in words',
    (text: string) =>
      text.replace('amount: {is: amount, limits: {analyst: 1000000}}', 'amount: {is: amount, limits: {analyst: a lot}}'),
    /limits\/analyst must be number/,
  ],
  [
    'a number with two readings',
    (text: string) =>
      text.replace('amount: {is: amount, limits: {analyst: 1000000}}', 'amount: {is: amount, limits: {analyst: 01000000}}'),
    /opa reads it unlike other YAML readers/,
  ],
  [
    'a gate that does not exist',
    (text: string) => text.replace('ping: member', 'ping: everyone'),
    /methods\/request\/ping must be equal to one of/,
  ],
] as const;

for (const [name, change, complaint] of MISTAKES) {
  test(`the check refuses a table with ${name}`, () => {
    assert.throws(() => check(opa, edited(TABLE, change)), complaint);
  });
}

test('the policy tests name the row with a scope that does not exist', () => {
  const folder = edited(TABLE, (text) =>
    text.replace('getAccount: {scopes: [ledger:read]', 'getAccount: {scopes: [ledger:raed]'),
  );
  check(opa, folder);
  assert.throws(() => testPolicies(opa, folder), /not a scope of the backend:.*getAccount.*ledger:raed/);
});

const scratchFolders: string[] = [];
process.on('exit', () => {
  for (const scratch of scratchFolders) rmSync(scratch, { recursive: true, force: true });
});

function folder(): string {
  const scratch = mkdtempSync(join(tmpdir(), 'policies-'));
  scratchFolders.push(scratch);
  return scratch;
}

/** A copy of policies/ with one file changed. */
function edited(file: string, change: (text: string) => string): string {
  const copy = folder();
  cpSync(POLICIES, copy, { recursive: true });
  const before = readFileSync(join(copy, file), 'utf8');
  const after = change(before);
  assert.notEqual(after, before, 'the edit found its place');
  writeFileSync(join(copy, file), after);
  return copy;
}
