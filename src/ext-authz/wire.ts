/** CheckResponse to bytes. Field numbers are those in proto/; fields are written last first (see protobuf.ts). */
import type { DecisionRecord } from '../check/record.ts';
import type { HeaderLine } from '../http.ts';
import { ProtobufWriter } from './protobuf.ts';
import type { CheckResponse } from './response.ts';

const APPEND_IF_EXISTS_OR_ADD = 0;
const OVERWRITE_IF_EXISTS_OR_ADD = 2;

/** One for all: a message is written without a pause. */
const writer = new ProtobufWriter();

export function encodeCheckResponse(response: CheckResponse): Buffer {
  try {
    writeCheckResponse(response);
    return writer.take();
  } catch (cause) {
    writer.take();
    throw cause;
  }
}

function writeCheckResponse({ code, answer, metadata }: CheckResponse): void {
  writeStruct(4, metadata);
  const before = writer.length;
  if (answer.kind === 'respond') {
    const { status, headers, body } = answer.response;
    writer.string(3, body);
    writeHeaderOptions(2, headers);
    const beforeStatus = writer.length;
    writer.integer(1, status);
    writer.close(1, beforeStatus);
    writer.close(2, before);
  } else {
    writeHeaderOptions(6, answer.responseHeaders);
    for (const name of answer.remove.toReversed()) writer.string(5, name);
    writeHeaderOptions(2, answer.set);
    writer.close(3, before);
  }
  const beforeStatus = writer.length;
  if (code !== 0) writer.integer(1, code);
  writer.close(1, beforeStatus);
}

/** HeaderValueOption: what we set replaces what is there, but for a list to which a backend has its own to say. */
function writeHeaderOptions(field: number, headers: readonly HeaderLine[]): void {
  for (const [name, value] of headers.toReversed()) {
    const before = writer.length;
    writer.integer(3, name === 'vary' ? APPEND_IF_EXISTS_OR_ADD : OVERWRITE_IF_EXISTS_OR_ADD);
    const beforeHeader = writer.length;
    writer.string(2, value);
    writer.string(1, name);
    writer.close(1, beforeHeader);
    writer.close(field, before);
  }
}

/** google.protobuf.Struct: a map of names to values, in no order. Undefined members are left out. */
function writeStruct(field: number, metadata: DecisionRecord): void {
  const before = writer.length;
  for (const name in metadata) {
    const value = metadata[name as keyof DecisionRecord];
    if (value === undefined) continue;
    const beforeEntry = writer.length;
    const beforeValue = writer.length;
    writeValue(value);
    writer.close(2, beforeValue);
    writer.string(1, name);
    writer.close(1, beforeEntry);
  }
  writer.close(field, before);
}

/** google.protobuf.Value of a string, a number or a list of strings: all that a record holds. */
function writeValue(value: string | number | readonly string[]): void {
  if (typeof value === 'string') writer.string(3, value);
  else if (typeof value === 'number') writer.double(2, value);
  else writeList(value);
}

function writeList(values: readonly string[]): void {
  const before = writer.length;
  for (const value of values.toReversed()) {
    const beforeValue = writer.length;
    writer.string(3, value);
    writer.close(1, beforeValue);
  }
  writer.close(6, before);
}
