/**
 * Moments and how they read on a wall: int64 nanoseconds since 1970, the proleptic Gregorian calendar,
 * and zones through Intl, whose offsets are exact to the second back to local mean time.
 */
export interface Zone {
  readonly name: string;
  /** Seconds east of UTC at a moment in seconds since 1970. */
  readonly offsetAt: (seconds: number) => number;
}

export interface Moment {
  readonly ns: bigint;
  readonly zone: Zone;
}

export interface WallTime {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly nanosecond: number;
  /** 0 is Sunday. */
  readonly weekday: number;
  readonly yearDay: number;
  /** Seconds east of UTC. */
  readonly offset: number;
}

const perSecond = 1_000_000_000n;
const secondsPerDay = 86_400;
const daysPerEra = 146_097;

export const utc: Zone = { name: 'UTC', offsetAt: () => 0 };

const zones = new Map<string, Zone>();

/** An IANA zone in its own spelling, "UTC", "" or "Local"; undefined when there is none such. */
export function zoneNamed(name: string): Zone | undefined {
  if (name === '' || name === 'UTC') return utc;
  const known = zones.get(name);
  if (known) return known;
  const zone = loadZone(name);
  if (zone) zones.set(name, zone);
  return zone;
}

function loadZone(name: string): Zone | undefined {
  if (name !== 'Local' && !/^[A-Z][-+\w]*(?:\/[A-Z][-+\w]*)*$/.test(name)) return undefined;
  try {
    const format = new Intl.DateTimeFormat('en-US', {
      ...(name === 'Local' ? {} : { timeZone: name }),
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    const { timeZone } = format.resolvedOptions();
    const misspelt = timeZone !== name && timeZone.toLowerCase() === name.toLowerCase();
    return misspelt ? undefined : { name, offsetAt: (seconds) => offsetIn(format, seconds) };
  } catch {
    return undefined;
  }
}

function offsetIn(format: Intl.DateTimeFormat, seconds: number): number {
  const fields = format.format(seconds * 1000).match(/\d+/g) ?? [];
  const [month = 1, day = 1, year = 1970, hour = 0, minute = 0, second = 0] = fields.map(Number);
  return secondsAt(year, month, day, hour, minute, second) - seconds;
}

export function wallTime({ ns, zone }: Moment): WallTime {
  const fraction = ((ns % perSecond) + perSecond) % perSecond;
  const seconds = Number((ns - fraction) / perSecond);
  const offset = zone.offsetAt(seconds);
  const days = Math.floor((seconds + offset) / secondsPerDay);
  const clock = seconds + offset - days * secondsPerDay;
  const date = dateOf(days);
  return {
    ...date,
    hour: Math.floor(clock / 3600),
    minute: Math.floor(clock / 60) % 60,
    second: clock % 60,
    nanosecond: Number(fraction),
    weekday: (((days + 4) % 7) + 7) % 7,
    yearDay: days - daysAt(date.year, 1, 1) + 1,
    offset,
  };
}

/** The moment a wall shows, in UTC, months and days beyond their range carried over. */
export function secondsAt(year: number, month: number, day: number, hour: number, minute: number, second: number): number {
  return daysAt(year, month, day) * secondsPerDay + hour * 3600 + minute * 60 + second;
}

/** Days since 1970-01-01 (Howard Hinnant's days_from_civil), for any month and day. */
function daysAt(year: number, month: number, day: number): number {
  const months = year * 12 + month - 1;
  const shifted = months - 2;
  const fromMarch = ((shifted % 12) + 12) % 12;
  const marchYear = Math.floor(shifted / 12);
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * fromMarch + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * daysPerEra + dayOfEra - 719_468;
}

/** civil_from_days, the inverse. */
function dateOf(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / daysPerEra);
  const dayOfEra = shifted - era * daysPerEra;
  const leaps = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leaps) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  const day = dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

export function daysIn(year: number, month: number): number {
  return daysAt(year, month + 1, 1) - daysAt(year, month, 1);
}

/** The moment a wall in a zone shows; within a change of offset, the one Go picks. */
export function momentAt(secondsOnWall: number, nanosecond: number, zone: Zone): Moment {
  const guess = zone.offsetAt(secondsOnWall);
  const offset = guess === 0 ? 0 : zone.offsetAt(secondsOnWall - guess);
  return { ns: BigInt(secondsOnWall - offset) * perSecond + BigInt(nanosecond), zone };
}

/** Whether int64 nanoseconds can hold it. */
export function isRepresentable(ns: bigint): boolean {
  return BigInt.asIntN(64, ns) === ns;
}
