/** uuid.parse: what RFC 4122 lets one read from a UUID, in the spellings google/uuid accepts. */
import { exactNumber, type Family, isText } from './arguments.ts';

/** 100 ns ticks from 1582-10-15, where version 1 counts from, to 1970. */
const gregorianTicks = 122_192_928_000_000_000n;
const domains = ['Person', 'Group', 'Org'];

export const uuid: Family = {
  'uuid.parse': (text) => {
    const id = isText(text) ? read(text) : undefined;
    return id && describe(id);
  },
};

function read(text: string): Buffer | undefined {
  const hex = isolate(Buffer.from(text).toString('latin1'));
  return /^[0-9a-fA-F]{32}$/.test(hex) ? Buffer.from(hex, 'hex') : undefined;
}

/** The 32 digits: bare, with dashes, after "urn:uuid:", or between any two characters meant as braces. */
function isolate(text: string): string {
  if (text.length === 32) return text;
  const dashed = { 36: text, 38: text.slice(1, 37), 45: text.slice(9) }[text.length] ?? '';
  if (text.length === 45 && text.slice(0, 9).toLowerCase() !== 'urn:uuid:') return '';
  return /^.{8}-.{4}-.{4}-.{4}-.{12}$/s.test(dashed) ? dashed.replaceAll('-', '') : '';
}

function describe(id: Buffer): unknown {
  const version = (id[6] ?? 0) >> 4;
  const common = { version, variant: variantOf(id[8] ?? 0) };
  if (version !== 1 && version !== 2) return common;
  const timed = {
    ...common,
    time: exactNumber(unixNanoseconds(id)),
    nodeid: [...id.subarray(10)].map((byte) => byte.toString(16).padStart(2, '0')).join('-'),
    macvariables: macVariables(id[10] ?? 0),
    clocksequence: id.readUInt16BE(8) & 0x3fff,
  };
  if (version === 1) return timed;
  return { ...timed, id: id.readUInt32BE(0), domain: domains[id[9] ?? 0] ?? `Domain${id[9]}` };
}

function variantOf(byte: number): string {
  if ((byte & 0xc0) === 0x80) return 'RFC4122';
  if ((byte & 0xe0) === 0xc0) return 'Microsoft';
  return (byte & 0xe0) === 0xe0 ? 'Future' : 'Reserved';
}

/** RFC 7042 section 2.1: the two low bits of a MAC address. */
function macVariables(byte: number): string {
  return `${byte & 2 ? 'local' : 'global'}:${byte & 1 ? 'multicast' : 'unicast'}`;
}

/** Wraps at 64 bits, as Go's int64 does. */
function unixNanoseconds(id: Buffer): bigint {
  const high = BigInt(id.readUInt16BE(6) & 0x0fff) << 48n;
  const ticks = high | (BigInt(id.readUInt16BE(4)) << 32n) | BigInt(id.readUInt32BE(0));
  return BigInt.asIntN(64, (ticks - gregorianTicks) * 100n);
}
