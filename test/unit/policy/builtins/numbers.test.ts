import fc from 'fast-check';
import { agreesOnSamples, agreesWithOpa, callsOf, textOf } from './against-opa.ts';
import { gives, refuses } from './direct.ts';

gives('ranges', [
  [['numbers.range_step', 0, 10, 3], '[0,3,6,9]'],
  [['numbers.range_step', 3, -3, 2], '[3,1,-1,-3]'],
  [['numbers.range_step', 1, 1, 5], '[1]'],
  [['numbers.range_step', 1, 2, 0], undefined],
  [['numbers.range_step', 1, 2, 0.5], undefined],
  [['numbers.range_step', '1', 2, 1], undefined],
]);

gives('amounts', [
  [['units.parse', '10K'], '10000'],
  [['units.parse', '10Ki'], '10240'],
  [['units.parse', '200m'], '0.2000000000'],
  [['units.parse', '1M'], '1000000'],
  [['units.parse', '1e3'], '1000'],
  [['units.parse', '10 K'], undefined],
  [['units.parse', '10KB'], undefined],
  [['units.parse_bytes', '10KB'], '10000'],
  [['units.parse_bytes', '1.5KiB'], '1536'],
  [['units.parse_bytes', '"1.9"'], '1'],
  [['units.parse_bytes', '12345678901234567890eb'], '12345678901234567889814520062560698368'],
  [['units.parse_bytes', 'kb'], undefined],
  [['units.parse_bytes', 10], undefined],
]);

refuses('what would be too much', [
  [['numbers.range_step', 0, 65_536, 1], 'more than 65536 numbers'],
  [['numbers.range_step', 0, 2 ** 53, 2 ** 53], 'integers beyond 2^53 do not arrive exactly'],
  [['units.parse', '1e999999'], 'more than 1000 digits'],
  [['units.parse_bytes', '9'.repeat(2_000)], 'more than 1000 digits'],
]);

agreesWithOpa('numbers', [
  ['numbers.range_step', 0, 65_535, 1],
  ['numbers.range_step', 1, 2, -1],
  ['numbers.range_step', 1.5, 2, 1],
  ['units.parse', '1e9999999'],
  ['units.parse', '-0.00000000005'],
  ['units.parse', '+1.Ki'],
  ['units.parse', '.5G'],
  ['units.parse', '1e'],
  ['units.parse', ''],
  ['units.parse_bytes', '-1.5e'],
  ['units.parse_bytes', '0.1e-5'],
  ['units.parse_bytes', '12345678901234567890eb'],
  ['units.parse_bytes', null],
]);

const unit = fc.constantFrom(
  '',
  'k',
  'K',
  'm',
  'M',
  'Ki',
  'kI',
  'Mi',
  'g',
  'Gi',
  'T',
  'p',
  'E',
  'Ei',
  'kb',
  'KiB',
  'MB',
  'mib',
  'e',
);
const amount = fc.oneof(
  fc.nat(1000).map(String),
  fc.double({ min: 0, max: 1e6, noNaN: true }).map((number) => number.toFixed(7)),
  fc.tuple(fc.nat(99), fc.nat(9999), fc.integer({ min: -5, max: 9 })).map(([a, b, power]) => `${a}.${b}e${power}`),
  textOf(['1', '0', '.', 'e', '+', '-', 'k', 'i', 'b', ' ', '"', '_', '999', '1.1'], 5),
);
const measured = fc.tuple(amount, unit).map((parts) => parts.join(''));
const small = fc.integer({ min: -30, max: 30 });

agreesOnSamples(
  'numbers',
  fc.oneof(
    callsOf('units.parse', measured),
    callsOf('units.parse_bytes', measured),
    callsOf('numbers.range_step', small, small, fc.integer({ min: -2, max: 9 })),
  ),
  400,
);
