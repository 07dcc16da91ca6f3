/** Lines that wait to be sent, oldest first: what a sender needs of them, and the kind that is in memory. */

export interface LineBuffer {
  /** Resolves when they are kept; rejects where they could not be. */
  readonly append: (lines: readonly string[]) => Promise<void>;
  /** What waits, in bytes. */
  readonly bytes: () => number;
  /** The oldest, up to so many characters, but one at least where there is any. */
  readonly peek: (maxCharacters: number) => Promise<readonly string[]>;
  /** So many of the oldest are needed no more. */
  readonly forget: (count: number) => Promise<void>;
  /** Resolves to the number of lines that are lost with the process. */
  readonly close: () => Promise<number>;
}

export function createMemoryBuffer(): LineBuffer {
  let lines: string[] = [];
  let bytes = 0;
  return {
    append: async (more) => {
      for (const line of more) {
        lines.push(line);
        bytes += sizeOf(line);
      }
    },
    bytes: () => bytes,
    peek: async (maxCharacters) => takeUpTo(lines, maxCharacters),
    forget: async (count) => {
      for (const line of lines.slice(0, count)) bytes -= sizeOf(line);
      lines = lines.slice(count);
    },
    close: async () => lines.length,
  };
}

/** As it stands in a file. */
export function sizeOf(line: string): number {
  return Buffer.byteLength(line) + 1;
}

/** In characters, with the ends of the lines: what costs nothing to know. */
export function lengthOf(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + line.length + 1, 0);
}

export function takeUpTo(lines: readonly string[], maxCharacters: number): string[] {
  let count = 0;
  for (let length = 0; count < lines.length; count += 1) {
    length += (lines[count] as string).length + 1;
    if (count > 0 && length > maxCharacters) break;
  }
  return lines.slice(0, count);
}
