import fc from 'fast-check';
import { agreesOnSamples, agreesWithOpa, callsOf, textOf } from './against-opa.ts';
import { gives } from './direct.ts';

gives('precedence, from section 11 of the specification', [
  [['semver.compare', '1.0.0', '2.0.0'], '-1'],
  [['semver.compare', '2.1.1', '2.1.0'], '1'],
  [['semver.compare', '1.0.0-alpha', '1.0.0'], '-1'],
  [['semver.compare', '1.0.0-alpha', '1.0.0-alpha.1'], '-1'],
  [['semver.compare', '1.0.0-alpha.1', '1.0.0-alpha.beta'], '-1'],
  [['semver.compare', '1.0.0-beta.2', '1.0.0-beta.11'], '-1'],
  [['semver.compare', '1.0.0-rc.1', '1.0.0'], '-1'],
  [['semver.compare', '1.0.0+a', '1.0.0+b'], '0'],
  [['semver.compare', 'v1.0.0', '1.0.0'], '0'],
]);

gives('numbers beyond 64 bits compare exactly, where OPA would not end', [
  [['semver.compare', '1.0.0-99999999999999999998', '1.0.0-99999999999999999999'], '-1'],
  [['semver.is_valid', '9223372036854775808.0.0'], 'false'],
]);

gives('what is no version', [
  [['semver.is_valid', '1.0'], 'false'],
  [['semver.is_valid', '01.0.0'], 'false'],
  [['semver.is_valid', '1.0.0-01'], 'false'],
  [['semver.is_valid', '1.0.0-\n'], 'false'],
  [['semver.is_valid', 1], 'false'],
  [['semver.compare', '1.0', '1.0.0'], undefined],
  [['semver.compare', 1, '1.0.0'], undefined],
]);

agreesWithOpa('semver', [
  ['semver.is_valid', null],
  ['semver.is_valid', '1.0.0-x-y-z.--'],
  ['semver.is_valid', '1.0.0+0.build.1-rc.10000aaa-kk-0.1'],
  ['semver.compare', '1.0.0', 1],
  ['semver.compare', '9223372036854775807.0.0', '0.0.0'],
]);

const label = textOf(['-', 'a', '1', '.', '0', 'b', '+', 'a-', '10', '9'], 5);
const small = fc.nat(2);
const version = fc.tuple(small, small, small, label).map(([a, b, c, rest]) => `${a}.${b}.${c}${rest && `-${rest}`}`);
const noise = textOf(['v', '0', '1', '10', '01', '.', '-', '+', 'beta', '.1', '1.2.3', 'é', '\n']);

agreesOnSamples(
  'semver',
  fc.oneof(callsOf('semver.is_valid', fc.oneof(version, noise)), callsOf('semver.compare', version, version)),
  400,
);
