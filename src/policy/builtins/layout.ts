/** Go's time layouts ("2006-01-02 15:04:05"): their elements, and time.format with them. */
import { refuse } from './arguments.ts';
import { type Moment, utc, type WallTime, wallTime, type Zone } from './calendar.ts';

export interface LayoutPart {
  readonly literal: string;
  /** The element after the literal, as the layout spells it; empty after the last literal. */
  readonly element: string;
}

const named: Readonly<Record<string, string>> = {
  ANSIC: 'Mon Jan _2 15:04:05 2006',
  UnixDate: 'Mon Jan _2 15:04:05 MST 2006',
  RubyDate: 'Mon Jan 02 15:04:05 -0700 2006',
  RFC822: '02 Jan 06 15:04 MST',
  RFC822Z: '02 Jan 06 15:04 -0700',
  RFC850: 'Monday, 02-Jan-06 15:04:05 MST',
  RFC1123: 'Mon, 02 Jan 2006 15:04:05 MST',
  RFC1123Z: 'Mon, 02 Jan 2006 15:04:05 -0700',
  RFC3339: '2006-01-02T15:04:05Z07:00',
  RFC3339Nano: '2006-01-02T15:04:05.999999999Z07:00',
};

export const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

export const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

const element =
  /January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|0[1-6]|002|15|1|2006|2|_2(?!006)|__2|[345]|PM|pm|[-Z]07(?:0000|:00:00|00|:00|)|[.,](?:0+|9+)(?!\d)/g;

/** A layout, or one of the names OPA gives to Go's constants, in parts. */
export function layoutParts(layout: string): LayoutPart[] {
  const text = (Object.hasOwn(named, layout) ? named[layout] : undefined) ?? layout;
  const parts: LayoutPart[] = [];
  let end = 0;
  for (const match of text.matchAll(element)) {
    parts.push({ literal: text.slice(end, match.index), element: match[0] });
    end = match.index + match[0].length;
  }
  return [...parts, { literal: text.slice(end), element: '' }];
}

const writers: Readonly<Record<string, (wall: WallTime) => string>> = {
  '': () => '',
  '2006': (wall) => padded(wall.year, 4),
  '06': (wall) => padded(wall.year % 100, 2),
  January: (wall) => months[wall.month - 1] ?? '',
  Jan: (wall) => (months[wall.month - 1] ?? '').slice(0, 3),
  '1': (wall) => String(wall.month),
  '01': (wall) => padded(wall.month, 2),
  Monday: (wall) => weekdays[wall.weekday] ?? '',
  Mon: (wall) => (weekdays[wall.weekday] ?? '').slice(0, 3),
  '2': (wall) => String(wall.day),
  _2: (wall) => String(wall.day).padStart(2),
  '02': (wall) => padded(wall.day, 2),
  __2: (wall) => String(wall.yearDay).padStart(3),
  '002': (wall) => padded(wall.yearDay, 3),
  '15': (wall) => padded(wall.hour, 2),
  '3': (wall) => String(wall.hour % 12 || 12),
  '03': (wall) => padded(wall.hour % 12 || 12, 2),
  '4': (wall) => String(wall.minute),
  '04': (wall) => padded(wall.minute, 2),
  '5': (wall) => String(wall.second),
  '05': (wall) => padded(wall.second, 2),
  PM: (wall) => (wall.hour >= 12 ? 'PM' : 'AM'),
  pm: (wall) => (wall.hour >= 12 ? 'pm' : 'am'),
};

export function format(moment: Moment, layout: string): string {
  const wall = wallTime(moment);
  const write = (spelling: string): string => {
    if (spelling === 'MST') return abbreviation(moment.zone);
    if (/^[.,]/.test(spelling)) return fraction(spelling, wall.nanosecond);
    return writers[spelling]?.(wall) ?? offset(spelling, wall.offset);
  };
  return layoutParts(layout)
    .map((part) => part.literal + write(part.element))
    .join('');
}

/** Intl has other abbreviations than the zone database. */
function abbreviation(zone: Zone): string {
  if (zone !== utc) refuse('time.format', 'zone abbreviations are known for UTC only');
  return utc.name;
}

function padded(value: number, width: number): string {
  return String(value).padStart(width, '0');
}

/** ".000" writes that many digits, ".999" drops zeros at the end, and itself when nothing is left. */
function fraction(spelling: string, nanosecond: number): string {
  const digits = padded(nanosecond, 9).slice(0, spelling.length - 1);
  const kept = spelling.endsWith('9') ? digits.replace(/0+$/, '') : digits;
  return kept === '' ? '' : spelling.charAt(0) + kept;
}

/** "-07:00" and its kin; with "Z" in place of the sign, UTC is written so. */
function offset(spelling: string, seconds: number): string {
  if (spelling.startsWith('Z') && seconds === 0) return 'Z';
  const size = Math.abs(seconds);
  const [hours, minutes, rest] = [Math.floor(size / 3600), Math.floor(size / 60) % 60, size % 60];
  const sign = seconds <= -60 ? '-' : '+'; // Go looks at whole minutes
  const fields = [padded(hours, 2), padded(minutes, 2), padded(rest, 2)];
  const shown = spelling.replaceAll(/[-Z:]/g, '').length / 2;
  return sign + fields.slice(0, shown).join(spelling.includes(':') ? ':' : '');
}
