/**
 * CheckResponse to bytes (Protocol Buffers encoding, proto3). Written by hand because proto-loader builds an object of its
 * own for every header and every metadata value, which costs as much as the decision; a property test holds this against
 * proto-loader's reading of it.
 *
 * Text is put together as a string of bytes, one character each: nested messages need their length first, and a string
 * knows its own.
 */
import type { CheckResponse, HeaderLine } from './response.ts';

/** Field numbers, as in proto/. */
const CHECK_RESPONSE = { status: 1, denied_response: 2, ok_response: 3, dynamic_metadata: 4 } as const;
const DENIED = { status: 1, headers: 2, body: 3 } as const;
const OK = { headers: 2, headers_to_remove: 5, response_headers_to_add: 6 } as const;
const OVERWRITE_IF_EXISTS_OR_ADD = 2;

export function encodeCheckResponse({ code, answer, metadata }: CheckResponse): Buffer {
  const status = delimited(CHECK_RESPONSE.status, code === 0 ? '' : varintField(1, code));
  const response =
    answer.kind === 'respond'
      ? delimited(
          CHECK_RESPONSE.denied_response,
          delimited(DENIED.status, varintField(1, answer.response.status)) +
            headerOptions(DENIED.headers, answer.response.headers) +
            delimited(DENIED.body, bytes(answer.response.body)),
        )
      : delimited(
          CHECK_RESPONSE.ok_response,
          headerOptions(OK.headers, answer.set) +
            answer.remove.map((name) => delimited(OK.headers_to_remove, bytes(name))).join('') +
            headerOptions(OK.response_headers_to_add, answer.responseHeaders),
        );
  return Buffer.from(status + response + delimited(CHECK_RESPONSE.dynamic_metadata, struct(metadata)), 'latin1');
}

/** HeaderValueOption: what we set replaces what is there. */
function headerOptions(field: number, headers: readonly HeaderLine[]): string {
  let encoded = '';
  for (const [name, value] of headers) {
    const header = delimited(1, bytes(name)) + delimited(2, bytes(value));
    encoded += delimited(field, delimited(1, header) + varintField(3, OVERWRITE_IF_EXISTS_OR_ADD));
  }
  return encoded;
}

/** google.protobuf.Struct: a map of names to values. Undefined members are left out. */
function struct(record: object): string {
  let encoded = '';
  for (const [name, value] of Object.entries(record)) {
    if (value !== undefined) encoded += delimited(1, delimited(1, name) + delimited(2, structValue(value)));
  }
  return encoded;
}

/** google.protobuf.Value of a string, a number or a list of strings: all that a record holds. */
function structValue(value: string | number | readonly string[]): string {
  if (typeof value === 'string') return delimited(3, bytes(value));
  if (typeof value === 'number') return `\x11${double(value)}`;
  return delimited(6, value.map((one) => delimited(1, delimited(3, bytes(one)))).join(''));
}

function delimited(field: number, content: string): string {
  return String.fromCharCode((field << 3) | 2) + varint(content.length) + content;
}

function varintField(field: number, value: number): string {
  return String.fromCharCode(field << 3) + varint(value);
}

function varint(value: number): string {
  let encoded = '';
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) encoded += String.fromCharCode((rest & 0x7f) | 0x80);
  return encoded + String.fromCharCode(rest);
}

function double(value: number): string {
  const buffer = Buffer.allocUnsafe(8);
  buffer.writeDoubleLE(value);
  return buffer.toString('latin1');
}

/** Text as UTF-8, one character a byte; ASCII is that already. */
function bytes(text: string): string {
  return Buffer.byteLength(text) === text.length ? text : Buffer.from(text, 'utf8').toString('latin1');
}
