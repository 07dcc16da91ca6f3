/**
 * numbers.range_step, units.parse and units.parse_bytes. Amounts are computed exactly, as OPA does: in
 * rationals for units.parse, in floats of 64 bits for units.parse_bytes.
 */
import { type Builtin, exactNumber, type Family, integer, isText, limits, refuse } from './arguments.ts';

interface Amount {
  readonly number: Rational;
  readonly unit: string;
}

interface Rational {
  readonly over: bigint;
  readonly under: bigint;
}

const maxExponent = 1_000;
const siLetters = ['k', 'm', 'g', 't', 'p', 'e'];
/** The double 0.001, which OPA multiplies by. */
const milli: Rational = { over: 1_152_921_504_606_847n, under: 2n ** 60n };

export const numbers: Family = {
  'numbers.range_step': (from, to, step) => {
    const first = integer('numbers.range_step', from);
    const last = integer('numbers.range_step', to);
    const stride = integer('numbers.range_step', step);
    if (first === undefined || last === undefined || stride === undefined) return undefined;
    if (stride <= 0) return undefined;
    const count = Math.floor(Math.abs(last - first) / stride) + 1;
    if (count > limits.items) refuse('numbers.range_step', `more than ${limits.items} numbers`);
    const sign = first <= last ? stride : -stride;
    return Array.from({ length: count }, (_, i) => first + i * sign);
  },
  'units.parse': onAmount('units.parse', ({ number, unit }) => {
    const scale = unit === 'm' ? milli : scaleOf(unit.toLowerCase(), '');
    return scale && decimal({ over: number.over * scale.over, under: number.under * scale.under });
  }),
  'units.parse_bytes': onAmount('units.parse_bytes', ({ number, unit }) => {
    const scale = scaleOf(unit.toLowerCase(), 'b');
    if (scale === undefined) return undefined;
    const rounded = to64Bits(number);
    const total = to64Bits({ over: rounded.over * scale.over, under: rounded.under });
    return exactNumber(total.over / total.under);
  }),
};

function onAmount(builtin: string, convert: (amount: Amount) => unknown): Builtin {
  return (text) => {
    const amount = isText(text) ? readAmount(builtin, text.replaceAll('"', '')) : undefined;
    return amount && convert(amount);
  };
}

/** "10.2e3MiB": a number, perhaps with an exponent, then a unit. Spaces are an error. */
function readAmount(builtin: string, text: string): Amount | undefined {
  const parts = /^([-+]?)(\d*)(?:\.(\d*))?(?:[eE]([-+]?)(\d+))?([!-,/:-~][!-~]*)?$/.exec(text);
  if (parts === null) return undefined;
  const [, sign, whole = '', fraction = '', exponentSign, exponent = '', unit = ''] = parts;
  if (whole + fraction === '' || exponent.length > 6) return undefined;
  const power = Number(exponent) * (exponentSign === '-' ? -1 : 1) - fraction.length;
  if (Math.abs(power) > maxExponent || whole.length > maxExponent) {
    refuse(builtin, `more than ${maxExponent} digits`);
  }
  const digits = BigInt(whole + fraction) * (sign === '-' ? -1n : 1n);
  const number = power < 0 ? { over: digits, under: 10n ** BigInt(-power) } : { over: digits * 10n ** BigInt(power), under: 1n };
  return { number, unit };
}

/** 1000 or 1024 to the letter's power; `bytes` is the letter that may end the unit. */
function scaleOf(unit: string, bytes: string): Rational | undefined {
  if (unit === '') return { over: 1n, under: 1n };
  const power = BigInt(siLetters.indexOf(unit.charAt(0)) + 1);
  const tail = unit.slice(1);
  if (power === 0n) return undefined;
  if (tail === '' || tail === bytes) return { over: 1000n ** power, under: 1n };
  return tail === 'i' || tail === `i${bytes}` ? { over: 1024n ** power, under: 1n } : undefined;
}

/** Rounds to a mantissa of 64 bits, half to even, as big.Float does. */
function to64Bits({ over, under }: Rational): Rational {
  const size = over < 0n ? -over : over;
  if (size === 0n) return { over: 0n, under: 1n };
  const shift = BigInt(bitLength(under) - bitLength(size) + 65);
  let [top, bottom] = shift < 0n ? [size, under << -shift] : [size << shift, under];
  let exponent = -shift;
  if (top / bottom >= 2n ** 64n) {
    exponent += BigInt(bitLength(top / bottom) - 64);
    bottom <<= exponent + shift;
  }
  let mantissa = top / bottom;
  const rest = 2n * (top % bottom);
  if (rest > bottom || (rest === bottom && mantissa % 2n === 1n)) mantissa += 1n;
  top = over < 0n ? -mantissa : mantissa;
  return exponent < 0n ? { over: top, under: 1n << -exponent } : { over: top << exponent, under: 1n };
}

function bitLength(value: bigint): number {
  return value.toString(2).length;
}

/** Whole when it is whole, else with ten decimals, half away from zero. */
function decimal({ over, under }: Rational): unknown {
  if (over % under === 0n) return exactNumber(over / under);
  const size = over < 0n ? -over : over;
  const scaled = (size * 10n ** 10n * 2n + under) / (under * 2n);
  const digits = scaled.toString().padStart(11, '0');
  return exactNumber(`${over < 0n ? '-' : ''}${digits.slice(0, -10)}.${digits.slice(-10)}`);
}
