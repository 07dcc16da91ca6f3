import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { createSplitter, type LogEvent, readEvents } from '../../../src/tools/log-events.ts';

const events = [{ a: 1 }, { b: 'a "brace }{ in" \\ a string\n' }, { c: { d: [{}, { e: [] }] } }, { f: 'Ünïcode 🙂' }];
const texts = events.map((event) => JSON.stringify(event));

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of source) found.push(one);
  return found;
}

function split(text: string, size = Number.POSITIVE_INFINITY, maxBytes = 1 << 20): LogEvent[] {
  const splitter = createSplitter(maxBytes);
  const bytes = Buffer.from(text);
  const found: LogEvent[] = [];
  for (let at = 0; at < bytes.length; at += size) found.push(...splitter.push(bytes.subarray(at, at + size)));
  return [...found, ...splitter.end()];
}

const values = (found: readonly LogEvent[]) =>
  found.map((event) => ('text' in event ? JSON.parse(event.text) : event.unreadable));

describe('events are found', () => {
  const forms: Readonly<Record<string, string>> = {
    'one on each line': `${texts.join('\n')}\n`,
    'the last line without its end': texts.join('\n'),
    'Windows line ends': texts.join('\r\n'),
    'an array, as OPA uploads it': `[${texts.join(',')}]`,
    'an array that was made readable': JSON.stringify(events, null, 2),
    'arrays one after the other': `[${texts[0]},${texts[1]}]\n[${texts[2]},${texts[3]}]`,
  };
  for (const [name, text] of Object.entries(forms)) {
    test(name, () => {
      assert.deepEqual(values(split(text)), events);
      for (const size of [1, 2, 3, 7]) assert.deepEqual(values(split(text, size)), events, `in chunks of ${size}`);
    });
  }
});

describe('what cannot be read costs itself and not the rest', () => {
  test('a line that broke off', () => {
    assert.deepEqual(values(split(`{"a":1,"b\n${texts[2]}\n`)), ['broken', events[2]]);
    assert.deepEqual(values(split(`{"a":{"b":1,\n${texts[2]}\n`)), ['broken', events[2]]);
  });

  test('the last line, if it broke off', () => {
    assert.deepEqual(values(split(`${texts[0]}\n{"a":[{"b":2}`)), [events[0], 'broken']);
  });

  test('an event that is too large is not kept in memory', () => {
    const large = JSON.stringify({ text: 'x'.repeat(5000) });
    assert.deepEqual(values(split(`${large}\n${texts[0]}\n`, 100, 1000)), ['too_large', events[0]]);
  });

  test('what is no event: lines of something else are told, an array without members is nothing', () => {
    assert.deepEqual(values(split('nothing here\n[]\n"text"\n\n12')), ['no_object', 'no_object', 'no_object']);
  });
});

describe('files', () => {
  async function collect(t: TestContext, bytes: Uint8Array): Promise<unknown[]> {
    const folder = await mkdtemp(join(tmpdir(), 'events-'));
    t.after(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'log'), bytes);
    return values(await all(readEvents(join(folder, 'log'))));
  }

  test('plain', async (t) => assert.deepEqual(await collect(t, Buffer.from(texts.join('\n'))), events));
  test('gzipped, whatever the name', async (t) => assert.deepEqual(await collect(t, gzipSync(texts.join('\n'))), events));
  test('gzipped one after the other', async (t) =>
    assert.deepEqual(await collect(t, Buffer.concat(texts.map((text) => gzipSync(`${text}\n`)))), events));
  test('empty', async (t) => assert.deepEqual(await collect(t, Buffer.alloc(0)), []));
  test('one byte', async (t) => assert.deepEqual(await collect(t, Buffer.from('{')), ['broken']));
  test('standard input', async () => {
    const stdin = Readable.from([Buffer.from('{"a"'), Buffer.from(':1}\n')]);
    assert.deepEqual(values(await all(readEvents('-', stdin))), [{ a: 1 }]);
  });
  test('compression that breaks off is said', async (t) => {
    const cut = gzipSync(texts.join('\n')).subarray(0, -12);
    await assert.rejects(collect(t, cut), /its compression breaks off or is damaged/);
  });
  test('no such file', async () => assert.rejects(all(readEvents('/nowhere/log')), /there is no such file/));
});
