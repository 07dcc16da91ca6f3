/** Where the chains of a log are while its lines are read, and what is said of them. */

export interface LineAt {
  readonly file: string;
  readonly line: number;
  readonly bytes: Uint8Array;
  /** The file ends within it. */
  readonly torn: boolean;
}

export interface Finding {
  /** Null for what is missing altogether. */
  readonly file: string | null;
  /** From 1. */
  readonly line: number;
  readonly problem: string;
}

/** A line by its chain and its number in it: `CHAIN:SEQ`. */
export interface Mark {
  readonly id: string;
  readonly seq: number;
}

export interface Place {
  readonly id: string;
  /** Number of its first line here. */
  readonly first: number;
  /** Where that is among all lines. */
  readonly begun: number;
  /** Of a command, which may run beside a process whose chain goes on. */
  readonly isCommand: boolean;
  seq: number;
  hash: string;
  /** Of its last line. */
  at: LineAt;
  /** Lines after the last checkpoint that counts. */
  unsigned: number;
  /** Number of that checkpoint. */
  signed: number | null;
  /** Where it is among all lines. */
  signedAt: number;
  /** When its first checkpoint was signed, and its last: epoch seconds. Null where its beginning is not here. */
  since: number | null;
  until: number;
  ended: boolean;
  /** Half a line comes after its last. */
  torn: boolean;
  /** The line of another chain that it goes on from. */
  from: Mark | null;
  /** Hashes of its latest lines: another chain may go on from any of them. */
  readonly latest: Map<number, string>;
}

export function describeMark({ id, seq }: Mark): string {
  return `${id}:${seq}`;
}

/** Null for what is no mark. */
export function readMark(text: string): Mark | null {
  const [, id, digits] = /^(.+):(\d{1,15})$/.exec(text) ?? [];
  return id === undefined ? null : { id, seq: Number(digits) };
}

export function countLines(count: number): string {
  return count === 1 ? 'a line' : `${count} lines`;
}
