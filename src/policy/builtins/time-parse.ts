/**
 * Go's time.Parse, as time.parse_ns and time.parse_rfc3339_ns use it: a layout element at a time, a
 * fraction of a second accepted where the layout has none. A zone abbreviation, even GMT+3, counts as UTC, as
 * it does for Go where the local zone is UTC.
 */
import { daysIn, isRepresentable, secondsAt } from './calendar.ts';
import { type LayoutPart, layoutParts, months, weekdays } from './layout.ts';

interface Fields {
  year: number;
  month: number | undefined;
  day: number | undefined;
  yearDay: number | undefined;
  hour: number;
  minute: number;
  second: number;
  nanosecond: number;
  am: boolean;
  pm: boolean;
  /** Seconds east of UTC, unless `utc`. */
  offset: number;
  utc: boolean;
}

/** Reads an element at the beginning of the text and returns the rest; undefined when it is not there. */
type Reader = (text: string, fields: Fields, next: string | undefined) => string | undefined;

/** Nanoseconds since 1970; undefined when the text does not follow the layout or is out of range. */
export function parseTime(layout: string, text: string): bigint | undefined {
  const parts = layoutParts(layout);
  const fields: Fields = {
    year: 0,
    month: undefined,
    day: undefined,
    yearDay: undefined,
    hour: 0,
    minute: 0,
    second: 0,
    nanosecond: 0,
    am: false,
    pm: false,
    offset: 0,
    utc: false,
  };
  const rest = parts.reduce<string | undefined>(
    (left, part, i) => left && readPart(left, part, fields, parts[i + 1]?.element),
    `${text}\0`,
  );
  return rest === '\0' ? instant(fields) : undefined;
}

function readPart(text: string, { literal, element }: LayoutPart, fields: Fields, next: string | undefined): string | undefined {
  const rest = skip(text, literal);
  if (rest === undefined || element === '') return rest;
  const reader = readers[element] ?? (/^[.,]/.test(element) ? readFraction(element) : readOffset(element));
  return reader(rest, fields, next);
}

/** Runs of spaces match one another, even none at the end. */
function skip(text: string, literal: string): string | undefined {
  let rest = text;
  for (const run of literal.match(/ +|[^ ]/g) ?? []) {
    if (run.startsWith(' ')) {
      if (rest !== '\0' && !rest.startsWith(' ')) return undefined;
      rest = rest.replace(/^ +/, '');
    } else if (rest.startsWith(run)) rest = rest.slice(run.length);
    else return undefined;
  }
  return rest;
}

const readers: Readonly<Record<string, Reader>> = {
  '2006': number(/^\d[0-9]{3}/, 0, 9999, (fields, year) => {
    fields.year = year;
  }),
  '06': number(/^[-+\d]\d/, -9, 99, (fields, year) => {
    fields.year = year + (year >= 69 ? 1900 : 2000);
  }),
  January: name(months, setMonth),
  Jan: name(months.map(shortened), setMonth),
  '1': number(/^\d\d?/, 1, 12, setMonth),
  '01': number(/^\d\d/, 1, 12, setMonth),
  Monday: name(weekdays, () => {}),
  Mon: name(weekdays.map(shortened), () => {}),
  '2': number(/^\d\d?/, 0, 99, setDay),
  _2: number(/^ ?\d\d?/, 0, 99, setDay),
  '02': number(/^\d\d/, 0, 99, setDay),
  __2: number(/^ {0,2}\d{1,3}/, 0, 999, setYearDay),
  '002': number(/^\d{3}/, 0, 999, setYearDay),
  '15': number(/^\d\d?/, 0, 23, setHour),
  '3': number(/^\d\d?/, 0, 12, setHour),
  '03': number(/^\d\d/, 0, 12, setHour),
  '4': number(/^\d\d?/, 0, 59, setMinute),
  '04': number(/^\d\d/, 0, 59, setMinute),
  '5': seconds(/^\d\d?/),
  '05': seconds(/^\d\d/),
  PM: name(['AM', 'PM'], setHalf, false),
  pm: name(['am', 'pm'], setHalf, false),
  MST: readAbbreviation,
};

function setMonth(fields: Fields, month: number): void {
  fields.month = month;
}

function setDay(fields: Fields, day: number): void {
  fields.day = day;
}

function setYearDay(fields: Fields, day: number): void {
  fields.yearDay = day;
}

function setHour(fields: Fields, hour: number): void {
  fields.hour = hour;
}

function setMinute(fields: Fields, minute: number): void {
  fields.minute = minute;
}

function setHalf(fields: Fields, which: number): void {
  fields[which === 1 ? 'am' : 'pm'] = true;
}

function shortened(word: string): string {
  return word.slice(0, 3);
}

function number(digits: RegExp, least: number, most: number, set: (fields: Fields, value: number) => void): Reader {
  return (text, fields) => {
    const found = digits.exec(text)?.[0];
    if (found === undefined || Number(found) < least || Number(found) > most) return undefined;
    set(fields, Number(found));
    return text.slice(found.length);
  };
}

/** One of the words, counted from 1. */
function name(words: readonly string[], set: (fields: Fields, which: number) => void, anyCase = true): Reader {
  return (text, fields) => {
    const at = words.findIndex((word) => {
      const start = text.slice(0, word.length);
      return start === word || (anyCase && start.toLowerCase() === word.toLowerCase());
    });
    if (at < 0) return undefined;
    set(fields, at + 1);
    return text.slice(words[at]?.length);
  };
}

function seconds(digits: RegExp): Reader {
  const read = number(digits, 0, 59, (fields, second) => {
    fields.second = second;
  });
  return (text, fields, next) => {
    const rest = read(text, fields, next);
    const extra = /^[.,]\d+/.exec(rest ?? '')?.[0];
    if (rest === undefined || extra === undefined || /^[.,]/.test(next ?? '')) return rest;
    fields.nanosecond = nanoseconds(extra);
    return rest.slice(extra.length);
  };
}

/** ".000" needs that many digits; ".999" takes any number, or none. */
function readFraction(element: string): Reader {
  const digits = element.length - 1;
  const pattern = element.endsWith('9') ? /^(?:[.,]\d+)?/ : new RegExp(`^[.,][+\\d]\\d{${digits - 1}}`);
  return (text, fields) => {
    const found = pattern.exec(text)?.[0];
    if (found === undefined) return undefined;
    if (found !== '') fields.nanosecond = nanoseconds(found);
    return text.slice(found.length);
  };
}

function nanoseconds(fraction: string): number {
  const digits = fraction.slice(1, 10);
  return Number(digits) * 10 ** (9 - digits.length);
}

/** "-0700" and its kin; with "Z" in place of the sign, "Z" is UTC. */
function readOffset(element: string): Reader {
  const fields = element.slice(1).match(/\d\d/g)?.length ?? 1;
  const colon = element.includes(':') ? ':' : '';
  const pattern = new RegExp(`^([-+])${new Array(fields).fill('(\\d\\d)').join(colon)}`);
  return (text, target) => {
    target.utc ||= element.startsWith('Z') && text.startsWith('Z');
    if (element.startsWith('Z') && text.startsWith('Z')) return text.slice(1);
    const [found, sign, hours = '', minutes = '0', rest = '0'] = pattern.exec(text) ?? [];
    if (found === undefined || Number(hours) > 24 || Number(minutes) > 60 || Number(rest) > 60) return undefined;
    const size = Number(hours) * 3600 + Number(minutes) * 60 + Number(rest);
    target.offset = sign === '-' ? -size : size;
    return text.slice(found.length);
  };
}

function readAbbreviation(text: string, fields: Fields): string | undefined {
  fields.utc ||= text.startsWith('UTC');
  const hours = '[-+]0*(?:1?\\d|2[0-3])(?!\\d)';
  const letters = '(?:[A-Z]{4}T|[A-Z]{3}T|WITA|[A-Z]{3})(?![A-Z])';
  const found = new RegExp(`^(?:UTC|ChST|MeST|GMT(?:${hours})?|${hours}|${letters})`).exec(text)?.[0];
  return found === undefined ? undefined : text.slice(found.length);
}

function instant(fields: Fields): bigint | undefined {
  const date = dateIn(fields);
  if (date === undefined || date.day < 1 || date.day > daysIn(fields.year, date.month)) return undefined;
  const { year, minute, second } = fields;
  const onWall = secondsAt(year, date.month, date.day, hourIn(fields), minute, second);
  // Go marks "no offset" by -1 and so does not see that one
  const offset = fields.utc || fields.offset === -1 ? 0 : fields.offset;
  const ns = BigInt(onWall - offset) * 1_000_000_000n + BigInt(fields.nanosecond);
  return isRepresentable(ns) ? ns : undefined;
}

function hourIn({ hour, am, pm }: Fields): number {
  if (pm && hour < 12) return hour + 12;
  return am && hour === 12 ? 0 : hour;
}

/** Month and day, from the day of the year if there is one; undefined when the two disagree. */
function dateIn({ year, month, day, yearDay }: Fields): { month: number; day: number } | undefined {
  if (yearDay === undefined) return { month: month ?? 1, day: day ?? 1 };
  let found = { month: 1, day: yearDay };
  while (found.month < 12 && found.day > daysIn(year, found.month)) {
    found = { month: found.month + 1, day: found.day - daysIn(year, found.month) };
  }
  const agrees = (month ?? found.month) === found.month && (day ?? found.day) === found.day;
  return agrees ? found : undefined;
}
