/**
 * Protocol Buffers (encoding, proto3), read and written field by field. proto-loader makes two objects of every message,
 * header by header; what is only taken or put where it belongs costs a fraction. Tests hold this against proto-loader.
 */

/** The bytes are no such message. */
export class MalformedMessage extends Error {
  override name = 'MalformedMessage';
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** Reads one field, if it wants to: every read moves on by a byte at least. */
export type TakeField<T> = (field: number, reader: ProtobufReader, into: T) => void;

/** Stands at a place in a message and moves on with everything it reads; each method throws MalformedMessage. */
export class ProtobufReader {
  readonly #bytes: Buffer;
  /** The same bytes, one character each: a piece of a string costs less than a string made of bytes. */
  readonly #text: string;
  #at = 0;
  #end: number;
  /** Wire type of the field that stands here. */
  #type = VARINT;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#text = bytes.toString('latin1');
    this.#end = bytes.length;
  }

  /** Hands over the fields one by one; what `take` does not read is passed over. */
  fields<T>(take: TakeField<T>, into: T): void {
    while (this.#at < this.#end) {
      const tag = this.#varint();
      this.#type = tag & 7;
      const start = this.#at;
      take(tag >>> 3 || malformed(), this, into);
      if (this.#at === start) this.#skip();
    }
  }

  /** The same for the message in this field. */
  message<T>(take: TakeField<T>, into: T): void {
    const outer = this.#end;
    this.#end = this.#endOfBytes();
    this.fields(take, into);
    this.#end = outer;
  }

  /** An int64 or int32; what a double cannot hold is rounded. */
  integer(): number {
    if (this.#type !== VARINT) malformed();
    return this.#varint();
  }

  /** UTF-8. */
  string(): string {
    const end = this.#endOfBytes();
    const start = this.#at;
    const bytes = this.#bytes;
    this.#at = end;
    for (let at = start; at < end; at++) {
      if ((bytes[at] as number) > 0x7f) return bytes.toString('utf8', start, end);
    }
    return this.#text.slice(start, end);
  }

  /** One character for each byte. */
  latin1(): string {
    const end = this.#endOfBytes();
    const text = this.#text.slice(this.#at, end);
    this.#at = end;
    return text;
  }

  /** A view, not a copy. */
  bytes(): Uint8Array {
    const end = this.#endOfBytes();
    const view = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return view;
  }

  #skip(): void {
    if (this.#type === VARINT) this.#varint();
    else if (this.#type === BYTES) this.#at = this.#endOfBytes();
    else if (this.#type === FIXED64) this.#pass(8);
    else if (this.#type === FIXED32) this.#pass(4);
    else malformed();
  }

  #pass(count: number): void {
    if (this.#at + count > this.#end) malformed();
    this.#at += count;
  }

  /** Takes the length that stands before a field's bytes. */
  #endOfBytes(): number {
    if (this.#type !== BYTES) malformed();
    const length = this.#varint();
    const end = this.#at + length;
    return length >= 0 && end <= this.#end ? end : malformed();
  }

  #varint(): number {
    let value = 0;
    for (let shift = 0; shift < 49; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return this.#longVarint(BigInt(value));
  }

  #longVarint(low: bigint): number {
    let value = low;
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
    return malformed();
  }

  #byte(): number {
    return this.#at < this.#end ? (this.#bytes[this.#at++] as number) : malformed();
  }
}

/**
 * Writes a message from its end to its start: a nested message needs its length before it, and by then it is known. So the
 * last field comes first.
 */
export class ProtobufWriter {
  #bytes = Buffer.allocUnsafeSlow(16_384);
  /** Where what is written starts. */
  #at = this.#bytes.length;

  /** What was written, of its own; the writer is empty then. */
  take(): Buffer {
    const written = Buffer.from(this.#bytes.subarray(this.#at));
    this.#at = this.#bytes.length;
    return written;
  }

  /** How much is written: what `close` wants to know. */
  get length(): number {
    return this.#bytes.length - this.#at;
  }

  /** Makes all that was written since `length` was `before` one field. */
  close(field: number, before: number): void {
    this.#varint(this.length - before);
    this.#varint((field << 3) | BYTES);
  }

  /** UTF-8. */
  string(field: number, text: string): void {
    const before = this.length;
    this.#text(text);
    this.close(field, before);
  }

  /** Not negative, below 2^31. */
  integer(field: number, value: number): void {
    this.#varint(value);
    this.#varint((field << 3) | VARINT);
  }

  double(field: number, value: number): void {
    this.#reserve(8);
    this.#at -= 8;
    this.#bytes.writeDoubleLE(value, this.#at);
    this.#varint((field << 3) | FIXED64);
  }

  #text(text: string): void {
    this.#reserve(text.length * 3);
    const length = this.#ascii(text) ? text.length : Buffer.byteLength(text);
    this.#at -= length;
    if (length > text.length) this.#bytes.write(text, this.#at);
  }

  /** Writes text that ends here, if it is ASCII. */
  #ascii(text: string): boolean {
    const bytes = this.#bytes;
    const { length } = text;
    const start = this.#at - length;
    for (let index = 0; index < length; index++) {
      const unit = text.charCodeAt(index);
      if (unit > 0x7f) return false;
      bytes[start + index] = unit;
    }
    return true;
  }

  #varint(value: number): void {
    this.#reserve(5);
    this.#at -= value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
    let at = this.#at;
    let rest = value;
    for (; rest > 0x7f; rest >>>= 7) this.#bytes[at++] = (rest & 0x7f) | 0x80;
    this.#bytes[at] = rest;
  }

  #reserve(count: number): void {
    if (count <= this.#at) return;
    const larger = Buffer.allocUnsafeSlow(2 * this.#bytes.length + count);
    const at = larger.length - this.length;
    this.#bytes.copy(larger, at, this.#at);
    this.#bytes = larger;
    this.#at = at;
  }
}

function malformed(): never {
  throw new MalformedMessage();
}
