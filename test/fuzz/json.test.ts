/** Whatever the bytes: nothing is thrown, and what is accepted is read by everybody alike. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { readJson } from '../../src/mcp/json.ts';
import { foldedForms } from '../../src/mcp/keys.ts';
import { LIMITS } from '../unit/mcp/facts.ts';
import { clash, keysOf, readEntries } from './entries.ts';
import { document, message, mutated } from './messages.ts';
import { runs } from './runs.ts';

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Judges one input by JSON.parse and by the second reader; says what came of it. */
function judge(bytes: Uint8Array): string {
  const ours = readJson(bytes, LIMITS, 'id');
  if (!ours.ok) {
    if (ours.denial.reason === 'json_duplicate_key') {
      const text = strictUtf8.decode(bytes);
      JSON.parse(text);
      const all = keysOf(readEntries(text)).filter((keys) => keys.length > 1);
      assert.ok(
        all.some(
          (keys) => new Set(keys.flatMap((key) => foldedForms(key))).size < keys.flatMap((key) => foldedForms(key)).length,
        ),
      );
    }
    return ours.denial.reason;
  }
  const { value, text, members } = ours.value;
  assert.equal(text, strictUtf8.decode(bytes));
  assert.deepEqual(value, JSON.parse(text));
  for (const keys of keysOf(readEntries(text))) assert.ok(!clash(keys), JSON.stringify(keys));
  const root = typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
  assert.deepEqual([...members.keys()].sort(), Object.keys(root).sort());
  for (const [key, span] of members) assert.deepEqual(JSON.parse(text.slice(...span)), root[key]);
  return 'accepted';
}

/** Runs a property and sees to it that each of these outcomes was met: else it shows nothing. */
function check(input: fc.Arbitrary<Uint8Array>, usual: number, outcomes: readonly string[]): void {
  const met = new Map<string, number>();
  fc.assert(
    fc.property(input, (bytes) => {
      const outcome = judge(bytes);
      met.set(outcome, (met.get(outcome) ?? 0) + 1);
    }),
    runs(usual),
  );
  assert.deepEqual(
    outcomes.filter((outcome) => !met.has(outcome)),
    [],
    JSON.stringify([...met]),
  );
}

const asBytes = (text: fc.Arbitrary<string>): fc.Arbitrary<Uint8Array> => text.map((source) => Buffer.from(source));

suite('readJson', () => {
  test('arbitrary bytes', () => check(fc.uint8Array({ maxLength: 64 }), 3000, ['json_invalid']));
  test('arbitrary text', () => check(asBytes(fc.string({ unit: 'binary', maxLength: 64 })), 2000, ['json_invalid']));
  test('text of the characters that mean something', () => {
    const units = [...'{}[]:,"\\u0123d89ae-+.\t\n', '\0', 'é', '😀'];
    check(asBytes(fc.string({ unit: fc.constantFrom(...units), maxLength: 24 })), 5000, ['accepted', 'json_invalid']);
  });
  test('documents', () =>
    check(asBytes(document), 3000, ['accepted', 'json_duplicate_key', 'json_number_imprecise', 'json_invalid']));
  test('documents of the library', () => check(asBytes(fc.json({ maxDepth: 5 })), 1000, ['accepted']));
  test('messages', () => check(asBytes(message), 3000, ['accepted', 'json_duplicate_key']));
  test('documents with something changed', () => check(mutated(document), 3000, ['accepted', 'json_invalid']));
  test('messages with something changed', () =>
    check(mutated(message), 3000, ['accepted', 'json_invalid', 'json_number_imprecise']));
});

suite('the forms of a key', () => {
  test('are those of the key in any case', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (key) => {
        const forms = foldedForms(key);
        const others = [key.toLowerCase(), key.toUpperCase(), key.normalize('NFC'), key.normalize('NFKC'), `${key}\0`].map(
          foldedForms,
        );
        for (const other of others)
          assert.ok(
            forms.some((form) => other.includes(form)),
            JSON.stringify([key, forms, other]),
          );
      }),
      runs(2000),
    );
  });
});
