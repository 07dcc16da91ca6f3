import fc from 'fast-check';
import { agreesOnSamples, agreesWithOpa, type Call, callsOf } from './against-opa.ts';
import { gives } from './direct.ts';

const rfc3339 = 'time.parse_rfc3339_ns';
const parse = 'time.parse_ns';

gives('RFC 3339', [
  [[rfc3339, '1970-01-01T00:00:00.000000001Z'], '1'],
  [[rfc3339, '2024-02-29T13:02:03+05:30'], '1709191923000000000'],
  [[rfc3339, '1677-09-21T00:12:43.145224192Z'], '-9223372036854775808'],
  [[rfc3339, '1677-09-21T00:12:43.145224191Z'], undefined],
  [[rfc3339, '2023-02-29T00:00:00Z'], undefined],
  [[rfc3339, '2024-02-29T13:02:60Z'], undefined],
  [[rfc3339, '2024-02-29 13:02:03Z'], undefined],
  [[rfc3339, '2024-02-29T13:02:03Z '], undefined],
  [[rfc3339, 0], undefined],
]);

gives('layouts', [
  [[parse, 'RFC1123Z', 'Thu, 29 Feb 2024 18:32:03 +0530'], '1709211723000000000'],
  [[parse, '2006-002 3:04pm', '2024-060 1:02pm'], '1709211720000000000'],
  [[parse, '02 Jan 06 15:04 MST', '29 feb 24 13:02 CEST'], '1709211720000000000'],
  [[parse, '2006-01-02', '2024-13-01'], undefined],
  [[parse, '', ''], undefined], // the year 0 does not fit
  [[parse, 1, ''], undefined],
]);

agreesWithOpa('reading time', [
  [rfc3339, '2024-02-29T1:02:03,5Z'],
  [rfc3339, '2024-02-29T13:02:03+24:60'],
  [rfc3339, '2024-02-29T13:02:03\u0000'],
  [parse, '2006 -07:00:00', '2024 -00:00:01'],
  [parse, '2006Z07:00 -0700', '2024Z +0130'],
  [parse, '2006 MST', '2024 GMT+3'],
  [parse, '2006 MST', '2024 ABCDEF'],
  [parse, '2006 PM pm 03', '2024 PM am 12'],
  [parse, '2006  January ', '2024 january'],
  [parse, 'ANSIC', 'Thu Feb  9 13:02:03 2024'],
]);

/** Elements, each with a text it may or may not accept. */
const pairs = [
  '2006→2024',
  '06→24',
  '06→-5',
  '06→69',
  'January→march',
  'Jan→Feb',
  '1→7',
  '1→12',
  '01→07',
  'Monday→friday',
  'Mon→Tue',
  '2→31',
  '_2→ 9',
  '02→29',
  '__2→ 60',
  '002→366',
  '002→075',
  '15→7',
  '3→11',
  '03→12',
  '4→5',
  '04→05',
  '5→7',
  '05→59.25',
  '05→59,123',
  'PM→PM',
  'PM→AM',
  'pm→am',
  'MST→UTC',
  'MST→EST',
  'MST→+05',
  'MST→GMT',
  '-0700→+0130',
  '-07:00→-02:00',
  '-07→+03',
  'Z07:00→Z',
  'Z0700→-0100',
  '-070000→+010203',
  '.000→.123',
  '.999→',
  '.000→.+12',
  '.0→,5',
  ' → ',
  '  →',
  'T→T',
  'é→é',
].map((pair) => pair.split('→'));

function callWith(chosen: readonly (readonly string[])[], separator: string): Call {
  return [parse, chosen.map(([element]) => element).join(separator), chosen.map(([, text]) => text).join(separator)];
}

const year = pairs.slice(0, 1);
const digits = (value: number, width = 2) => String(value).padStart(width, '0');
const stamp = fc
  .tuple(fc.nat(9_999), fc.nat(13), fc.nat(32), fc.nat(24), fc.nat(60), fc.nat(60))
  .map(([y, month, day, h, m, s]) => `${digits(y, 4)}-${digits(month)}-${digits(day)}T${digits(h)}:${digits(m)}:${digits(s)}`);
const tail = fc.constantFrom('Z', '.5Z', '.123456789+01:00', '.1234567899-23:59', ',25Z', '.Z', '+24:00', 'z', '');

agreesOnSamples(
  'reading time',
  fc.oneof(
    fc.array(fc.constantFrom(...pairs), { maxLength: 6 }).map((chosen) => callWith([...year, ...chosen], '')),
    fc.shuffledSubarray([...pairs], { maxLength: 9 }).map((chosen) => callWith([...year, ...chosen], ' ')),
    callsOf(
      rfc3339,
      fc.tuple(stamp, tail).map((parts) => parts.join('')),
    ),
  ),
  800,
);
