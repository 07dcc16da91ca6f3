/** Envoy's CheckRequest, as bytes, to HttpFacts. Nothing is judged here. Field numbers are those in proto/. */
import type { Metadata } from '@grpc/grpc-js';
import type { HttpFacts } from '../http.ts';
import { MalformedMessage, ProtobufReader } from './protobuf.ts';

const PARTIAL_BODY = 'x-envoy-auth-partial-body';
/** ECMA-262, section 21.4.1.1. */
const MAX_DATE_MS = 8.64e15;

/** Null for what is no CheckRequest, and for one without HTTP attributes. */
export function toHttpFacts(bytes: Buffer, metadata: Metadata, nowMs: number): HttpFacts | null {
  const read = readAttributes(bytes);
  // A body as text has lost what was not UTF-8: without its bytes it cannot be judged.
  if (read === null || read.method === '' || read.path === '' || read.hasTextBody) return null;
  const headers = read.lines ?? read.joined;
  const [path, query] = splitPath(read.path);
  return {
    requestId: headers.get('x-request-id')?.[0] ?? read.id,
    method: read.method,
    path,
    query,
    host: read.host,
    headers,
    body: read.body,
    statedSize: read.size > 0 ? read.size : null,
    partialBody: headers.get(PARTIAL_BODY)?.some((value) => value !== 'false') ?? false,
    sourceIp: read.sourceAddress,
    sourcePrincipal: read.sourcePrincipal || null,
    timeMs: requestTime(read) ?? nowMs,
    context: read.context,
    traceId: traceId(metadata),
  };
}

/** What we read of AttributeContext, flat. */
interface Attributes {
  id: string;
  method: string;
  path: string;
  host: string;
  size: number;
  hasTextBody: boolean;
  body: Uint8Array;
  /** One entry per header line (`encode_raw_headers`), or null where Envoy joined them. */
  lines: Map<string, string[]> | null;
  readonly joined: Map<string, string[]>;
  sourceAddress: string;
  sourcePrincipal: string;
  /** Unset: null. */
  seconds: number | null;
  nanos: number;
  readonly context: Record<string, string>;
}

const NO_BYTES = new Uint8Array(0);

function readAttributes(bytes: Buffer): Attributes | null {
  const read: Attributes = {
    id: '',
    method: '',
    path: '',
    host: '',
    size: 0,
    hasTextBody: false,
    body: NO_BYTES,
    lines: null,
    joined: new Map(),
    sourceAddress: '',
    sourcePrincipal: '',
    seconds: null,
    nanos: 0,
    context: {},
  };
  try {
    new ProtobufReader(bytes).fields(takeCheckRequest, read);
    return read;
  } catch (cause) {
    if (cause instanceof MalformedMessage) return null;
    throw cause;
  }
}

function takeCheckRequest(field: number, reader: ProtobufReader, into: Attributes): void {
  if (field === 1) reader.message(takeAttributeContext, into);
}

function takeAttributeContext(field: number, reader: ProtobufReader, into: Attributes): void {
  if (field === 1) reader.message(takeSource, into);
  else if (field === 4) reader.message(takeRequest, into);
  else if (field === 10) addContext(into.context, readEntry(reader));
}

function takeSource(field: number, reader: ProtobufReader, into: Attributes): void {
  if (field === 1) reader.message(takeAddress, into);
  else if (field === 4) into.sourcePrincipal = reader.string();
}

function takeAddress(field: number, reader: ProtobufReader, into: Attributes): void {
  if (field === 1) reader.message(takeSocketAddress, into);
}

function takeSocketAddress(field: number, reader: ProtobufReader, into: Attributes): void {
  if (field === 2) into.sourceAddress = reader.string();
}

function takeRequest(field: number, reader: ProtobufReader, into: Attributes): void {
  if (field === 1) {
    into.seconds ??= 0;
    reader.message(takeTimestamp, into);
  } else if (field === 2) reader.message(takeHttpRequest, into);
}

function takeTimestamp(field: number, reader: ProtobufReader, into: Attributes): void {
  if (field === 1) into.seconds = reader.integer();
  else if (field === 2) into.nanos = reader.integer();
}

function takeHttpRequest(field: number, reader: ProtobufReader, into: Attributes): void {
  switch (field) {
    case 1:
      into.id = reader.string();
      break;
    case 2:
      into.method = reader.string();
      break;
    case 3:
      addHeader(into.joined, readEntry(reader));
      break;
    case 4:
      into.path = reader.string();
      break;
    case 5:
      into.host = reader.string();
      break;
    case 9:
      into.size = reader.integer();
      break;
    case 11:
      into.hasTextBody = reader.bytes().length > 0;
      break;
    case 12:
      into.body = reader.bytes();
      break;
    case 13:
      into.lines ??= new Map();
      reader.message(takeHeaderMap, into.lines);
      break;
  }
}

function takeHeaderMap(field: number, reader: ProtobufReader, into: Map<string, string[]>): void {
  if (field === 1) addHeader(into, readEntry(reader));
}

interface Entry {
  key: string;
  value: string;
}

/** A HeaderValue, or an entry of a map<string, string>, which looks like one without a raw value. */
function readEntry(reader: ProtobufReader): Entry {
  const entry: Entry = { key: '', value: '' };
  reader.message(takeKeyAndValue, entry);
  return entry;
}

function takeKeyAndValue(field: number, reader: ProtobufReader, into: Entry): void {
  if (field === 1) into.key = reader.string();
  else if (field === 2) into.value = reader.string();
  // Bytes that need not be text: one character for each.
  else if (field === 3) into.value = reader.latin1() || into.value;
}

function addHeader(lines: Map<string, string[]>, { key, value }: Entry): void {
  if (key.charCodeAt(0) === COLON) return;
  const name = lowerCase(key);
  const values = lines.get(name);
  if (values === undefined) lines.set(name, [value]);
  else values.push(value);
}

const COLON = 0x3a;

/** Envoy's names are in lower case already. */
function lowerCase(name: string): string {
  for (let at = 0; at < name.length; at++) {
    const unit = name.charCodeAt(at);
    if ((unit >= 0x41 && unit <= 0x5a) || unit > 0x7f) return name.toLowerCase();
  }
  return name;
}

/** A key may be one that objects have of themselves. */
function addContext(context: Record<string, string>, { key, value }: Entry): void {
  if (key in context) Object.defineProperty(context, key, { value, enumerable: true, configurable: true, writable: true });
  else context[key] = value;
}

function splitPath(target: string): [path: string, query: string] {
  const at = target.indexOf('?');
  return at < 0 ? [target, ''] : [target.slice(0, at), target.slice(at + 1)];
}

/** Null also for a time that no Date can hold. */
function requestTime({ seconds, nanos }: Attributes): number | null {
  if (seconds === null) return null;
  const ms = seconds * 1000 + Math.trunc(nanos / 1e6);
  return Math.abs(ms) <= MAX_DATE_MS ? ms : null;
}

/** The trace that Envoy's own span of this Check belongs to (W3C Trace Context). */
function traceId(metadata: Metadata): string | null {
  const parent = metadata.get('traceparent')[0];
  return typeof parent === 'string' ? (/^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(parent)?.[1] ?? null) : null;
}
