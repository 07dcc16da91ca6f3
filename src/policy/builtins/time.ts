/**
 * time.*: moments are int64 nanoseconds. Results carry all their digits. An argument beyond 2^53 arrives
 * as the nearest double, 128 ns off at most until 2043: connected (wire.ts) we read its digits instead;
 * otherwise we take the whole microsecond it may stand for, so what came from time.now_ns or from a
 * timestamp no finer than that is exact, and anything else is within 256 ns.
 */
import { exactNumber, type Family, integer, isList, isText } from './arguments.ts';
import { daysIn, isRepresentable, type Moment, momentAt, secondsAt, wallTime, zoneNamed } from './calendar.ts';
import { format, weekdays } from './layout.ts';
import { parseTime } from './time-parse.ts';
import type { ValueText, Wire } from './wire.ts';

/** A bound on seconds that no int64 of nanoseconds reaches. */
const outOfReach = 1e10;

/** `now` is the evaluation's time in milliseconds since 1970. */
export function time(now: () => number, wire: Wire): Family {
  const onMoment = (convert: (moment: Moment, value: unknown) => unknown) => (value: unknown) => {
    const read = readMoment(value, wire.arguments(1)[0]);
    return read && convert(read, value);
  };
  return {
    'time.now_ns': () => exactNumber(BigInt(Math.trunc(now())) * 1_000_000n),
    'time.parse_rfc3339_ns': (text) => parsed('RFC3339', text),
    'time.parse_ns': parsed,
    'time.format': onMoment((read, value) => formatted(read, isList(value) ? value[2] : undefined)),
    'time.date': onMoment((read) => {
      const { year, month, day } = wallTime(read);
      return [year, month, day];
    }),
    'time.clock': onMoment((read) => {
      const { hour, minute, second } = wallTime(read);
      return [hour, minute, second];
    }),
    'time.weekday': onMoment((read) => weekdays[wallTime(read).weekday]),
    'time.add_date': (value, years, months, days) => {
      const read = readMoment(value, wire.arguments(4)[0]);
      const steps = [years, months, days].map((step) => integer('time.add_date', step));
      return read && steps.every((step) => step !== undefined) ? added(read, steps) : undefined;
    },
    'time.diff': (left, right) => {
      const texts = wire.arguments(2);
      const [a, b] = [readMoment(left, texts[0]), readMoment(right, texts[1])];
      return a && b && difference(a, { ...b, zone: a.zone });
    },
  };
}

function parsed(layout: unknown, text: unknown): unknown {
  const ns = isText(layout) && isText(text) ? parseTime(layout, text) : undefined;
  return ns === undefined ? undefined : exactNumber(ns);
}

/** ns, [ns], [ns, zone] or [ns, zone, layout]. */
function readMoment(value: unknown, text: ValueText | undefined): Moment | undefined {
  const [number, zoneName = '', layout = ''] = isList(value) ? value : [value];
  if (typeof number !== 'number' || !isText(zoneName) || !isText(layout)) return undefined;
  const zone = zoneNamed(zoneName);
  const ns = nanoseconds(number, text);
  return zone && ns !== undefined && isRepresentable(ns) ? { ns, zone } : undefined;
}

function nanoseconds(number: number, text: ValueText | undefined): bigint | undefined {
  if (!Number.isInteger(number)) return undefined;
  if (Number.isSafeInteger(number)) return BigInt(number);
  const digits = /^\[?\s*(-?\d+)\s*(?:[,\]]|$)/.exec(text?.() ?? '')?.[1];
  if (digits !== undefined && Number(digits) === number) return BigInt(digits);
  const arrived = BigInt(number);
  const whole = ((arrived + 500n) / 1000n) * 1000n;
  return Number(whole) === number ? whole : arrived;
}

function formatted(moment: Moment, layout: unknown): string {
  return format(moment, isText(layout) && layout !== '' ? layout : 'RFC3339Nano');
}

function added(moment: Moment, [years = 0, months = 0, days = 0]: readonly number[]): unknown {
  const wall = wallTime(moment);
  const { hour, minute, second, nanosecond } = wall;
  const [year, month, day] = [wall.year + years, wall.month + months, wall.day + days];
  const seconds = secondsAt(year, month, day, hour, minute, second);
  if (!(Math.abs(seconds) < outOfReach)) return undefined;
  const { ns } = momentAt(seconds, nanosecond, moment.zone);
  return isRepresentable(ns) ? exactNumber(ns) : undefined;
}

/** Years, months, days, hours, minutes and seconds from the earlier to the later, as OPA borrows. */
function difference(a: Moment, b: Moment): number[] {
  const [from, to] = (a.ns <= b.ns ? [a, b] : [b, a]).map(wallTime);
  if (from === undefined || to === undefined) return [];
  const second = to.second - from.second;
  const minute = to.minute - from.minute - (second < 0 ? 1 : 0);
  const hour = to.hour - from.hour - (minute < 0 ? 1 : 0);
  const day = to.day - from.day - (hour < 0 ? 1 : 0);
  const month = to.month - from.month - (day < 0 ? 1 : 0);
  const year = to.year - from.year - (month < 0 ? 1 : 0);
  return [
    year,
    month < 0 ? month + 12 : month,
    day < 0 ? day + daysIn(from.year, from.month) : day,
    hour < 0 ? hour + 24 : hour,
    minute < 0 ? minute + 60 : minute,
    second < 0 ? second + 60 : second,
  ];
}
