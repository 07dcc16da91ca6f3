/** Server-sent events (HTML standard, section 9.2.6) out of a backend's answer, each of bounded size. */

export interface ServerEvent {
  /** `message` where the event does not say. */
  readonly event: string;
  /** Empty for one that only has an id. */
  readonly data: string;
  readonly id: string | null;
  /** Milliseconds after which to come again, where the server says so. */
  readonly retry: number | null;
}

/** An answer that is not what it should be. */
export class AnswerInvalid extends Error {
  override name = 'AnswerInvalid';
}

/** One that ends in the middle of an event loses that event, as the standard has it. Throws AnswerInvalid, or as the stream does. */
export async function* readEvents(body: AsyncIterable<Uint8Array>, maxEventBytes: number): AsyncGenerator<ServerEvent> {
  let fields: [name: string, value: string][] = [];
  let size = 0;
  for await (const line of readLines(body, maxEventBytes)) {
    size += line.length + 1;
    if (size > maxEventBytes) throw new AnswerInvalid('an event is too large');
    if (line !== '') {
      if (!line.startsWith(':')) fields.push(readField(line));
      continue;
    }
    const event = toEvent(fields);
    fields = [];
    size = 0;
    if (event !== null) yield event;
  }
}

/** Lines end with CR, LF or both; the last one counts only if it has ended. */
async function* readLines(body: AsyncIterable<Uint8Array>, maxLength: number): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let begun = '';
  let endedWithReturn = false;
  for await (const chunk of body) {
    const text = decode(decoder, chunk);
    if (text === '') continue;
    let start = endedWithReturn && text.startsWith('\n') ? 1 : 0;
    const ends = /\r\n|\r|\n/g;
    ends.lastIndex = start;
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      yield begun + text.slice(start, end.index);
      begun = '';
      start = ends.lastIndex;
    }
    endedWithReturn = text.endsWith('\r');
    begun += text.slice(start);
    if (begun.length > maxLength) throw new AnswerInvalid('an event is too large');
  }
}

function decode(decoder: TextDecoder, chunk: Uint8Array): string {
  try {
    return decoder.decode(chunk, { stream: true });
  } catch (cause) {
    throw new AnswerInvalid('an event is not UTF-8', { cause });
  }
}

function readField(line: string): [name: string, value: string] {
  const colon = line.indexOf(':');
  if (colon < 0) return [line, ''];
  return [line.slice(0, colon), line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)];
}

function toEvent(fields: readonly (readonly [string, string])[]): ServerEvent | null {
  const all = (name: string): string[] => fields.filter(([field]) => field === name).map(([, value]) => value);
  const data = all('data');
  const id = all('id').findLast((value) => !value.includes('\0')) ?? null;
  if (data.length === 0 && id === null) return null;
  const retry = all('retry').findLast((value) => /^\d{1,9}$/.test(value));
  return {
    event: all('event').at(-1) || 'message',
    data: data.join('\n'),
    id,
    retry: retry === undefined ? null : Number(retry),
  };
}
