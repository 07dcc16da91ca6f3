import { agreesOnSamples, agreesWithOpa, callsOf, textOf } from './against-opa.ts';
import { gives } from './direct.ts';

const name = 'time.parse_duration_ns';

gives('durations', [
  [[name, '1h30m'], '5400000000000'],
  [[name, '-1.5s'], '-1500000000'],
  [[name, '100µs'], '100000'],
  [[name, '1d2h'], '93600000000000'],
  [[name, '1w'], '604800000000000'],
  [[name, '0'], '0'],
  [[name, '-2562047h47m16.854775808s'], '-9223372036854775808'],
  [[name, '2562047h47m16.854775808s'], undefined],
  [[name, '1'], undefined],
  [[name, '1.2.3d'], undefined],
  [[name, '300y'], undefined],
  [[name, ''], undefined],
  [[name, 1], undefined],
]);

agreesWithOpa(name, [
  [name, '0.0000001d'],
  [name, '0.33333333333333333333h'],
  [name, '1y1w1d1h1m1s1ms1us1ns'],
  [name, '9999999999999999999999d'],
  [name, 'd'],
  [name, '.d'],
  [name, '1.d'],
  [name, '+1h'],
  [name, '--1h'],
  [name, null],
]);

const pieces = [
  '1',
  '10',
  '.5',
  '.',
  '0',
  '9223372036',
  'h',
  'm',
  's',
  'ms',
  'us',
  'µs',
  'μs',
  'ns',
  'd',
  'w',
  'y',
  '-',
  '1.5h',
  '3d',
  '1.7y',
];

agreesOnSamples(name, callsOf(name, textOf(pieces, 6)), 400);
