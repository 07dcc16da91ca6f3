/** time.parse_duration_ns: Go's durations ("1h30m", "-1.5s"), and OPA's days, weeks and years in them. */
import { exactNumber, type Family, isText } from './arguments.ts';

const int64Limit = 2n ** 63n;

const nanoseconds: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

const hours: Readonly<Record<string, number>> = { d: 24, w: 7 * 24, y: 365 * 24 };

export const duration: Family = {
  'time.parse_duration_ns': (text) => {
    const parsed = isText(text) ? parse(/[dwy]/.test(text) ? toHours(text) : text) : undefined;
    return parsed === undefined ? undefined : exactNumber(parsed);
  },
};

/** Writes days, weeks and years as hours; undefined when it is not of that form. */
function toHours(text: string): string | undefined {
  if (!/^[-+]?(?:[0-9.]+(?:ms|us|µs|ns|[a-z]))+$/.test(text)) return undefined;
  let valid = true;
  const rewritten = text.replace(/([0-9.]+)(ms|us|µs|ns|[a-z])/g, (whole, digits: string, unit) => {
    const factor = Object.hasOwn(hours, unit) ? hours[unit] : undefined;
    if (factor === undefined) return whole;
    const amount = Number(digits) * factor;
    valid &&= Number.isFinite(amount);
    return `${plainDecimal(amount)}h`;
  });
  return valid ? rewritten : undefined;
}

/** Without an exponent, as strconv's 'f' format. */
function plainDecimal(amount: number): string {
  const [digits = '', exponent] = String(amount).split('e-');
  if (exponent === undefined) return digits.includes('e') ? BigInt(amount).toString() : digits;
  return `0.${digits.replace('.', '').padStart(Number(exponent) + digits.replace('.', '').length - 1, '0')}`;
}

function parse(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined;
  const negative = text.startsWith('-');
  const unsigned = /^[-+]/.test(text) ? text.slice(1) : text;
  if (unsigned === '0') return 0n;
  const segment = /([0-9]*)(?:(\.)([0-9]*))?([^0-9.]+)/y;
  let total = 0n;
  do {
    const [, whole, , fraction, unit] = segment.exec(unsigned) ?? [];
    const amount = amountOf(whole ?? '', fraction ?? '', unit ?? '');
    if (amount === undefined) return undefined;
    total += amount;
    if (total > int64Limit) return undefined;
  } while (segment.lastIndex < unsigned.length);
  if (!negative && total === int64Limit) return undefined;
  return negative ? -total : total;
}

function amountOf(whole: string, fraction: string, unit: string): bigint | undefined {
  const scale = Object.hasOwn(nanoseconds, unit) ? nanoseconds[unit] : undefined;
  if (scale === undefined || whole + fraction === '' || whole.length > 1_000) return undefined;
  const units = BigInt(whole || '0');
  if (units > int64Limit / scale) return undefined;
  const amount = units * scale + partOf(fraction, scale);
  return amount > int64Limit ? undefined : amount;
}

/** In doubles, like Go: digits that would overflow 63 bits are dropped. */
function partOf(fraction: string, scale: bigint): bigint {
  let value = 0n;
  let places = 1;
  for (const digit of fraction) {
    if (value > (int64Limit - 1n) / 10n || value * 10n + BigInt(digit) > int64Limit) break;
    value = value * 10n + BigInt(digit);
    places *= 10;
  }
  return value === 0n ? 0n : BigInt(Math.trunc(Number(value) * (Number(scale) / places)));
}
