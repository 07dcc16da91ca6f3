import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { connectBuiltins, createBuiltins, suppliedByTheSdk } from '../../../src/policy/builtins.ts';
import { hostNeeds, opaBinary, skip } from './builtins/against-opa.ts';

/** What a policy may ask its host for and we do not supply. */
const leftOut = [
  'crypto.parse_private_keys',
  'crypto.x509.parse_and_verify_certificates',
  'crypto.x509.parse_and_verify_certificates_with_options',
  'crypto.x509.parse_certificate_request',
  'crypto.x509.parse_certificates',
  'crypto.x509.parse_keypair',
  'crypto.x509.parse_rsa_private_key',
  'graphql.is_valid',
  'graphql.parse',
  'graphql.parse_and_verify',
  'graphql.parse_query',
  'graphql.parse_schema',
  'graphql.schema_is_valid',
  'http.send',
  'io.jwt.decode_verify',
  'io.jwt.encode_sign',
  'io.jwt.encode_sign_raw',
  ...['eddsa', 'es256', 'es384', 'es512', 'hs256', 'hs384', 'hs512', 'ps256', 'ps384', 'ps512', 'rs256', 'rs384', 'rs512'].map(
    (algorithm) => `io.jwt.verify_${algorithm}`,
  ),
  'json.match_schema',
  'json.verify_schema',
  'net.lookup_ip_addr',
  'opa.runtime',
  'providers.aws.sign_req',
  'regex.split', // the SDK has one, but its expressions are JavaScript's and can be made to take forever
  'rego.parse_module',
  'strings.render_template',
];

interface Capability {
  readonly name: string;
  readonly decl: { readonly args?: readonly unknown[] };
  readonly infix?: string;
  readonly deprecated?: boolean;
}

test('every built-in OPA leaves to the host is supplied, by the SDK or by us, or left out by name', { skip }, () => {
  const output = execFileSync(opaBinary ?? 'opa', ['capabilities', '--current'], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  const { builtins } = JSON.parse(output) as { builtins: readonly Capability[] };
  const callable = builtins.filter(
    ({ name, infix, deprecated }) => !infix && !deprecated && !/^internal\.|^(?:print|trace)$/.test(name),
  );
  const rules = callable.map(
    ({ name, decl }) => `p contains x if x := ${name}(${(decl.args ?? []).map((_, i) => `input.x[${i}]`)})`,
  );
  const needed = hostNeeds(
    rules
      .filter((rule) => !/rego\.metadata|walk|net\.cidr_overlap|set_diff|cast_|re_match|\b(?:all|any)\(/.test(rule))
      .join('\n'),
  );
  const ours = Object.keys(createBuiltins(() => 0));
  const bySdk = suppliedByTheSdk.filter((name) => name !== 'json.is_valid'); // which OPA now compiles itself
  assert.deepEqual(needed.toSorted(), [...ours, ...bySdk, ...leftOut].toSorted());
});

test('the record has no other members to be found by name', () => {
  const builtins = createBuiltins(() => 0);
  assert.equal(Object.getPrototypeOf(builtins), null);
  assert.equal(Object.isFrozen(builtins), true);
  assert.equal(builtins.constructor, undefined);
});

const telling = fc.constantFrom<unknown>(
  ...[
    '',
    'a',
    '10.0.0.0/8',
    '::/0',
    '2024-02-29T13:02:03Z',
    'RFC3339',
    '1h',
    '1.0.0',
    '10Ki',
    'e30.e30.',
    'a*',
    '[',
    '%zz',
    '/a',
    '__proto__',
  ],
  ...[0, 1, -1, 0.5, 1e17, 1.7e18, 2 ** 53, -(2 ** 63), 1e300],
  ...[
    [],
    {},
    null,
    true,
    ['10.0.0.0/8'],
    [1.7e18, 'Europe/Paris', 'MST'],
    [{ op: 'copy', from: '', path: '/a' }],
    { a: ['b'], b: ['a'] },
  ],
);
const argument = fc.oneof(telling, fc.jsonValue({ noUnicodeString: false }), fc.string({ unit: 'binary' }), fc.webUrl());

test('whatever the arguments, a built-in answers or says why it refuses', () => {
  const builtins = createBuiltins(() => 0);
  const instance = { exports: { eval: () => 0 } };
  connectBuiltins(builtins, instance);
  instance.exports.eval();
  const name = fc.constantFrom(...Object.keys(builtins));
  fc.assert(
    fc.property(name, fc.array(argument, { minLength: 0, maxLength: 4 }), (builtin, args) => {
      const before = JSON.stringify(args);
      try {
        const result = builtins[builtin]?.(...args);
        if (result !== undefined && !(result instanceof ArrayBuffer)) assert.equal(typeof JSON.stringify(result), 'string');
      } catch (error) {
        assert.ok(error instanceof Error && error.message.startsWith(`${builtin}: `), String(error));
      }
      assert.equal(JSON.stringify(args), before);
    }),
    { numRuns: 5_000 },
  );
  assert.deepEqual(Object.keys(Object.prototype), []);
});
