/**
 * net.cidr_is_valid, cidr_expand, cidr_merge and cidr_contains_matches. An address is its 128 bits (IPv4
 * mapped into ::ffff:0:0/96, as Go keeps it), read by the strict rules of addresses.ts.
 */

import { isMapped, type Network, readAddress, readNetwork, writeAddress } from './addresses.ts';
import { type Family, isList, isObject, isSet, isText, limits, refuse } from './arguments.ts';
import { readValue, setOf, type Wire } from './wire.ts';

interface Span {
  readonly first: bigint;
  readonly last: bigint;
  /** As written, until it is merged with another. */
  readonly text: string | undefined;
}

/** What to match, and what names it in the result: an array's index, a set's element, an object's key. */
type Entry = readonly [name: unknown, address: unknown];

const matches = 'net.cidr_contains_matches';
const maxNetworks = 4_096;

export function net(wire: Wire): Family {
  return {
    'net.cidr_is_valid': (cidr) => isText(cidr) && readNetwork(cidr) !== undefined,
    'net.cidr_expand': (cidr) => {
      const network = isText(cidr) ? readNetwork(cidr) : undefined;
      return network && setOf(expand(network));
    },
    'net.cidr_merge': (cidrs) => {
      if (!isList(cidrs)) return undefined;
      if (cidrs.length > maxNetworks) refuse('net.cidr_merge', `more than ${maxNetworks} networks`);
      const spans = cidrs.map((cidr) => (isText(cidr) ? readSpan(cidr) : undefined));
      return spans.every((span) => span !== undefined) ? setOf(merge(spans)) : undefined;
    },
    [matches]: (cidrs, candidates) => {
      const texts = wire.arguments(2).map((text) => text());
      return containsMatches(entries(cidrs, texts[0]), entries(candidates, texts[1]));
    },
  };
}

function expand({ first, bits }: Network): string[] {
  const count = 1n << BigInt(128 - bits);
  if (count > limits.items) refuse('net.cidr_expand', `more than ${limits.items} addresses`);
  return Array.from({ length: Number(count) }, (_, i) => writeAddress(first + BigInt(i)));
}

/** A bare IPv4 address counts as its class A, B or C network, as in OPA; a bare IPv6 one is an error. */
function readSpan(text: string): Span | undefined {
  const address = readAddress(text);
  if (address !== undefined && !isMapped(address)) return undefined;
  if (address === undefined) {
    const network = readNetwork(text);
    return network && { ...spanOf(network), text: writeNetwork(network) };
  }
  const top = Number((address >> 24n) & 0xffn);
  const prefix = top < 128 ? 8 : top < 192 ? 16 : 24;
  const first = (address >> BigInt(32 - prefix)) << BigInt(32 - prefix);
  return { ...spanOf({ first, bits: prefix + 96 }), text: `${writeAddress(address)}/${prefix}` };
}

function spanOf({ first, bits }: Network): { first: bigint; last: bigint } {
  return { first, last: first + (1n << BigInt(128 - bits)) - 1n };
}

function writeNetwork({ first, bits }: Network): string {
  const mapped = isMapped(first) && bits >= 96;
  return `${writeAddress(first)}/${mapped ? bits - 96 : bits}`;
}

/** Joins what overlaps or touches, and writes each span as the fewest networks. */
function merge(spans: readonly Span[]): string[] {
  const sorted = spans.toSorted((a, b) => order(a.last, b.last) || order(a.first, b.first));
  const joined: Span[] = [];
  for (let next = sorted.pop(); next !== undefined; next = sorted.pop()) {
    const before = sorted.at(-1);
    if (before && touches(before, next)) {
      sorted[sorted.length - 1] = { first: lower(before.first, next.first), last: next.last, text: undefined };
    } else joined.push(next);
  }
  return joined.flatMap((span) => span.text ?? cover(span));
}

/** IPv4 and IPv6 do not touch: there is no address before 0.0.0.0. */
function touches(before: Span, next: Span): boolean {
  const lowest = next.first === 0n || next.first === 0xffff_0000_0000n;
  return next.first - (lowest ? 0n : 1n) <= before.last;
}

function order(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function lower(a: bigint, b: bigint): bigint {
  return order(a, b) < 0 ? a : b;
}

function cover({ first, last }: Span): string[] {
  const networks: string[] = [];
  for (let at = first; at <= last; ) {
    let bits = 128;
    while (bits > 0 && isAligned(at, bits - 1) && spanOf({ first: at, bits: bits - 1 }).last <= last) bits -= 1;
    networks.push(writeNetwork({ first: at, bits }));
    at = spanOf({ first: at, bits }).last + 1n;
  }
  return networks;
}

function isAligned(address: bigint, bits: number): boolean {
  return (address & ((1n << BigInt(128 - bits)) - 1n)) === 0n;
}

function entries(value: unknown, text: string | undefined): readonly Entry[] {
  const exact = text === undefined ? value : readValue(matches, text);
  if (isText(exact)) return [[exact, exact]];
  if (isSet(exact)) return [...exact].map((item) => [item, head(item)]);
  if (isObject(exact)) return Object.entries(exact).map(([key, item]) => [key, head(item)]);
  if (!isList(exact)) return [];
  if (text === undefined) refuse(matches, 'arrays and sets look alike here');
  return exact.map((item, i) => [i, head(item)]);
}

/** An entry may be an array that begins with the address and carries more; undefined when it is neither. */
function head(item: unknown): unknown {
  return isList(item) ? item[0] : isText(item) ? item : undefined;
}

function containsMatches(cidrs: readonly Entry[], others: readonly Entry[]): unknown {
  if (cidrs.length * others.length > limits.items) refuse(matches, `more than ${limits.items} pairs`);
  if (cidrs.some(([, cidr]) => cidr === undefined)) return undefined;
  const found: unknown[] = [];
  const networks = cidrs.map(([, cidr]) => (isText(cidr) ? readNetwork(cidr) : undefined));
  const inner = others.map(([, other]) => (isText(other) ? readEither(other) : undefined));
  for (const [i, outer] of networks.entries()) {
    for (const [j, candidate] of inner.entries()) {
      if (outer === undefined || candidate === undefined) return undefined;
      if (contains(outer, candidate)) found.push([cidrs[i]?.[0], others[j]?.[0]]);
    }
  }
  return setOf(found);
}

function readEither(text: string): Network | undefined {
  const address = readAddress(text);
  return address === undefined ? readNetwork(text) : { first: address, bits: 128 };
}

/** An IPv6 network holds no IPv4 address, even where its 128 bits would. */
function contains(outer: Network, inner: Network): boolean {
  if (isMapped(outer.first) !== isMapped(inner.first)) return false;
  const [around, within] = [spanOf(outer), spanOf(inner)];
  return around.first <= within.first && within.last <= around.last;
}
