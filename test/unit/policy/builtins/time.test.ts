import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { exactNumber } from '../../../../src/policy/builtins/arguments.ts';
import { agreesOnSamples, agreesWithOpa, callsOf, throughWasm } from './against-opa.ts';
import { direct, gives, refuses } from './direct.ts';

const leapDay = 1_709_211_723_000_000_000; // 2024-02-29T13:02:03Z, a Thursday

gives('a moment, on the wall of a zone', [
  [['time.now_ns'], '1700000000123000000'],
  [['time.date', leapDay], '[2024,2,29]'],
  [['time.clock', [leapDay, 'America/New_York']], '[8,2,3]'],
  [['time.weekday', [leapDay, 'Pacific/Apia']], '"Friday"'],
  [['time.clock', [-5_000_000_000_000_000_000, 'America/New_York']], '[10,10,38]'], // local mean time
  [['time.date', [leapDay, 'Nowhere/Land']], undefined],
  [['time.date', [leapDay, 'europe/paris']], undefined],
  [['time.date', [leapDay, '+01:00']], undefined],
  [['time.date', []], undefined],
  [['time.date', 0.5], undefined],
  [['time.date', 1e19], undefined],
  [['time.date', '0'], undefined],
]);

gives('layouts', [
  [['time.format', leapDay], '"2024-02-29T13:02:03Z"'],
  [['time.format', [leapDay, 'Asia/Kolkata', 'RFC1123Z']], '"Thu, 29 Feb 2024 18:32:03 +0530"'],
  [['time.format', [leapDay, '', 'Monday _2 January 06, 3:04pm, day __2']], '"Thursday 29 February 24, 1:02pm, day  60"'],
  [['time.format', [leapDay + 120_000_000, 'UTC', '05.000 05,999 MST Z07']], '"03.120 03,12 UTC Z"'],
]);

refuses('names of zones that Intl does not know', [
  [['time.format', [leapDay, 'Europe/Paris', 'RFC822']], 'zone abbreviations are known for UTC only'],
]);

gives('steps and distances', [
  [['time.add_date', leapDay, 1, 0, 0], '1740834123000000000'], // 29 February becomes 1 March
  [['time.add_date', [leapDay, 'Europe/Paris'], 0, 1, 2], '1711886523000000000'], // summer time began
  [['time.add_date', leapDay, 1_000, 0, 0], undefined],
  [['time.add_date', leapDay, 2 ** 40, 0, 0], undefined],
  [['time.add_date', leapDay, 0.5, 0, 0], undefined],
  [['time.diff', leapDay, leapDay + 90_061_000_000_000], '[0,0,1,1,1,1]'],
  [['time.diff', leapDay, 'x'], undefined],
]);

test('unconnected, whole microseconds are exact and others within 256 ns', () => {
  const format = (ns: number) => direct('time.format', ns);
  assert.equal(format(1_700_000_000_123_457_000), '"2023-11-14T22:13:20.123457Z"');
  fc.assert(
    fc.property(fc.bigInt({ min: 2n ** 53n, max: 2n ** 61n }), (ns) => {
      const arrived = BigInt(direct('time.add_date', Number(ns), 0, 0, 0) ?? 0);
      const error = arrived < ns ? ns - arrived : arrived - ns;
      assert.ok(error <= (ns % 1000n === 0n ? 0n : 256n), `${ns} became ${arrived}`);
    }),
  );
});

throughWasm('the clock is read once for all of an evaluation', ['time.now_ns() == time.now_ns()'], ([outcome]) => {
  assert.equal(outcome?.value, true);
});

agreesWithOpa('time', [
  ['time.format', exactNumber('1700000000123456789')],
  ['time.date', exactNumber('9223372036854775807')],
  ['time.date', exactNumber('9223372036854775808')],
  ['time.clock', [exactNumber('-9223372036854775808'), 'UTC']],
  ['time.weekday', [leapDay, 'UTC', 'ignored']],
  ['time.date', [leapDay, null]],
  ['time.date', [leapDay, '../etc/passwd']],
  ['time.date', ['x']],
  ['time.format', [leapDay, 'UTC', 1]],
  ['time.format', [leapDay, 'UTC', '']],
  ['time.add_date', leapDay, '1', 0, 0],
  ['time.diff', [leapDay, 'Asia/Tokyo'], [leapDay, 'America/New_York']],
]);

const zone = fc.constantFrom(
  'UTC',
  'Europe/Paris',
  'America/New_York',
  'Asia/Kolkata',
  'Australia/Lord_Howe',
  'Africa/Monrovia',
  'Pacific/Apia',
  'America/St_Johns',
  'Etc/GMT+5',
  'US/Eastern',
  'europe/paris',
  'Nowhere/X',
);
const layout = fc
  .array(
    fc.constantFrom(
      ...['January', 'Jan', 'Monday', 'Mon', '01', '02', '03', '04', '05', '06', '002', '15', '1', '2006', '2', '_2', '__2', '3'],
      ...['4', '5', 'PM', 'pm', '-0700', '-07:00', '-07', '-070000', '-07:00:00', 'Z0700', 'Z07:00', 'Z07', 'Z070000', '.000'],
      ...['.999', ',000', '_2006', 'Month', 'Jane', '.0001', 'é', '-', 'T', ' ', '0', '9'],
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));
const instant = fc
  .oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt({ min: 1_500_000_000_000_000_000n, max: 1_900_000_000_000_000_000n }),
    // hours around changes of offset
    fc
      .tuple(
        fc.constantFrom(1_679_792_400n, 1_698_541_200n, 1_325_239_200n, 1_541_300_400n),
        fc.bigInt({ min: -9_000n, max: 9_000n }),
      )
      .map(([change, seconds]) => (change + seconds) * 1_000_000_000n),
  )
  .map(exactNumber);
const moment = fc.oneof(instant, fc.tuple(instant, zone), fc.tuple(instant, zone, layout));
const few = fc.integer({ min: -40, max: 40 });

agreesOnSamples(
  'time',
  fc.oneof(
    ...['time.date', 'time.clock', 'time.weekday', 'time.format'].map((builtin) => callsOf(builtin, moment)),
    callsOf('time.format', fc.tuple(instant, zone, layout)),
    callsOf('time.add_date', moment, few, few, few),
    callsOf('time.diff', moment, moment),
  ),
  800,
);
