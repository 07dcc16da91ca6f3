import fc from 'fast-check';
import { agreesOnSamples, agreesWithOpa, callsOf, textOf } from './against-opa.ts';
import { gives, refuses } from './direct.ts';

const name = 'io.jwt.decode';
const part = (text: string) => Buffer.from(text).toString('base64url');
const token = (header: string, payload: string, signature = '') => `${part(header)}.${part(payload)}.${signature}`;

gives('header, payload and signature, unverified', [
  [[name, token('{"alg":"none"}', '{"sub":"alice"}')], '[{"alg":"none"},{"sub":"alice"},""]'],
  [[name, token('{"alg":"HS256"}', '{}', 'AQL_')], '[{"alg":"HS256"},{},"0102ff"]'],
  [[name, token('{"cty":"JWT"}', `"${token('{}', '{"in":1}')}"`, '!')], '[{},{"in":1},""]'],
]);

gives('numbers keep their digits, the last of two members wins', [
  [[name, token('{}', '{"n":12345678901234567890,"x":1.0,"x":1e3,"z":-0}')], '[{},{"n":12345678901234567890,"x":1e3,"z":-0},""]'],
  [[name, token('{}', '{"__proto__":{"a":1}}')], '[{},{"__proto__":{"a":1}},""]'],
]);

gives('what is no token', [
  [[name, 'a.b'], undefined],
  [[name, 'a.b.c.d'], undefined],
  [[name, token('{"enc":"A128GCM"}', '{}')], undefined],
  [[name, token('{}', '[]')], undefined],
  [[name, token('{}', '1.0')], undefined],
  [[name, token('{}', '{} x')], undefined],
  [[name, token('{}', '{}', 'A')], undefined],
  [[name, token('{}', '{}', 'AQ=')], undefined],
  [[name, `${Buffer.from('{"a":"??>"}').toString('base64')}.e30.`], undefined],
  [[name, null], undefined],
]);

refuses('what is nested too deep to hand on', [
  [[name, token('{}', `{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`)], 'JSON nested deeper than 200'],
]);

agreesWithOpa(name, [
  [name, token('{}', '{"s":"\\ud800x","\\udc00":1}')],
  [name, token('{}', '\ufeff{}')],
  [name, token('{"a":"\\""}', '{"a":"[[{{"}')],
  [name, `${part('{}')}==.e30=\n.e\nA==`],
  [name, `${Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url')}.e30.`],
  [name, 1],
]);

const json = fc.oneof(
  fc.json({ maxDepth: 2 }),
  fc.constantFrom('{"alg":"HS256"}', '{"cty":"JWT"}', '{"enc":1}', '{"n":1.0,"e":1e3}', '{"a":1}x', '"x"'),
);
const parts = fc.tuple(json.map(part), json.map(part), fc.constantFrom('', 'eA', 'eA==', 'e', '-_8', '+/8'));

agreesOnSamples(
  name,
  callsOf(
    name,
    fc.oneof(
      parts.map((all) => all.join('.')),
      textOf(['eyJ', 'e30', '.', '=', 'W10', '\n']),
    ),
  ),
);
