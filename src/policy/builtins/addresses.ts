/**
 * IP addresses and networks as Go's netip reads and writes them: no leading zeros in IPv4, no zones, IPv6
 * in the shortest form of RFC 5952. An address is its 128 bits, IPv4 mapped into ::ffff:0:0/96.
 */
export interface Network {
  /** The lowest address. */
  readonly first: bigint;
  /** The prefix length in 128 bits: that of an IPv4 network plus 96. */
  readonly bits: number;
}

const mappedPrefix = 0xffffn;

export function isMapped(address: bigint): boolean {
  return address >> 32n === mappedPrefix;
}

/** Undefined when it is no address. */
export function readAddress(text: string): bigint | undefined {
  const v4 = readV4(text);
  return v4 === undefined ? readV6(text) : (mappedPrefix << 32n) | v4;
}

/** Undefined when it is no network in CIDR notation. */
export function readNetwork(text: string): Network | undefined {
  const [written = '', prefix = ''] = text.split('/', 2);
  const address = readAddress(written);
  if (address === undefined || !/^\d+$/.test(prefix) || text.split('/').length > 2) return undefined;
  const width = written.includes(':') ? 128 : 32;
  if (Number(prefix) > width) return undefined;
  const bits = Number(prefix) + 128 - width;
  const host = BigInt(128 - bits);
  return { first: (address >> host) << host, bits };
}

function readV4(text: string): bigint | undefined {
  const fields = text.split('.', 5);
  if (fields.length !== 4) return undefined;
  if (!fields.every((field) => /^(?:0|[1-9]\d{0,2})$/.test(field) && Number(field) < 256)) return undefined;
  return fields.reduce((address, field) => (address << 8n) | BigInt(field), 0n);
}

function readV6(text: string): bigint | undefined {
  const halves = text.split('::', 3);
  if (halves.length > 2 || !text.includes(':')) return undefined;
  const [high, low] = halves.map((half, i) => readGroups(half, i === halves.length - 1));
  if (high === undefined) return undefined;
  if (halves.length === 1) return high.length === 8 ? join(high) : undefined;
  if (low === undefined || high.length + low.length > 7) return undefined;
  return join([...high, ...new Array<bigint>(8 - high.length - low.length).fill(0n), ...low]);
}

/** Groups of 16 bits; the last two may be written as IPv4. */
function readGroups(text: string, atEnd: boolean): bigint[] | undefined {
  const groups: bigint[] = [];
  if (text === '') return groups;
  const parts = text.split(':', 9);
  for (const [i, part] of parts.entries()) {
    const v4 = atEnd && i === parts.length - 1 ? readV4(part) : undefined;
    if (v4 !== undefined) groups.push(v4 >> 16n, v4 & 0xffffn);
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(BigInt(`0x${part}`));
    else return undefined;
  }
  return groups;
}

function join(groups: readonly bigint[]): bigint {
  return groups.reduce((address, group) => (address << 16n) | group, 0n);
}

export function writeAddress(address: bigint): string {
  if (isMapped(address)) return [24n, 16n, 8n, 0n].map((at) => (address >> at) & 0xffn).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => (address >> BigInt(112 - 16 * i)) & 0xffffn);
  const hex = groups.map((group) => group.toString(16));
  const zeros = longestZeros(groups);
  if (zeros.length < 2) return hex.join(':');
  const after = hex.slice(zeros.start + zeros.length);
  return `${hex.slice(0, zeros.start).join(':')}::${after.join(':')}`;
}

function longestZeros(groups: readonly bigint[]): { start: number; length: number } {
  let longest = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start += 1) {
    let length = 0;
    while (groups[start + length] === 0n) length += 1;
    if (length > longest.length) longest = { start, length };
  }
  return longest;
}
