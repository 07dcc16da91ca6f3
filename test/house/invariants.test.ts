/** Every invariant of ARCHITECTURE.md names tests, and they are there. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { files, read } from './tree.ts';

const text = read('ARCHITECTURE.md');
const section = text.slice(text.indexOf('\n## Invariants'), text.indexOf('\n## Why it is so'));
const invariants = section.split(/^(?=\d+\. \*\*)/m).slice(1);

test('there are ten, in order', () => {
  assert.deepEqual(
    invariants.map((one) => Number.parseInt(one, 10)),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  );
});

describe('each names tests that exist', () => {
  for (const [index, invariant] of invariants.entries()) {
    test(String(index + 1), () => {
      const named = [...invariant.matchAll(/\]\((test\/[^)]+)\)/g)].map(([, file = '']) => file);
      assert.ok(named.length > 0, 'it names none');
      assert.deepEqual(
        named.filter((file) => !files.includes(file)),
        [],
      );
      for (const file of named) assert.match(read(file), /\btest\(/, file);
    });
  }
});
