/** Keys that count as the same; which pairs do is shown with the JSON reader, here is what the message readers ask. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { foldedForms, hasLookAlike, knownKeys } from '../../../src/mcp/keys.ts';

suite('look-alikes of known keys', () => {
  const known = knownKeys(['name', 'taskId', '_meta', 'io.modelcontextprotocol/protocolVersion']);
  const alike = [
    'Name',
    'NAME',
    'ｎame',
    'name\0',
    'name\0x',
    '\0name',
    'na\u200bme',
    'taskid',
    'TaskID',
    'taskıd',
    'tasKId',
    '_META',
  ];
  for (const key of [...alike, 'io.modelcontextprotocol/ProtocolVersion'])
    test(`${JSON.stringify(key)} is one`, () => assert.equal(hasLookAlike({ [key]: 1 }, known), true));

  for (const key of ['name', 'taskId', '_meta', 'names', 'nam', 'task_id', 'title', 'nаme', '', 'x-name'])
    test(`${JSON.stringify(key)} is none`, () => assert.equal(hasLookAlike({ [key]: 1 }, known), false));

  test('a known key beside it does not help', () => assert.equal(hasLookAlike({ name: 1, Name: 2 }, known), true));
});

test('a key has one form, or a second where a NUL ends it for some', () => {
  assert.deepEqual(foldedForms('Name'), ['name']);
  assert.deepEqual(foldedForms('Ｎame'), ['name']);
  assert.deepEqual(foldedForms('name\0'), ['name']);
  assert.deepEqual(foldedForms('na\0me'), ['name', 'na']);
});

test('every character has the forms of its other cases and compositions', () => {
  const same = (one: string, other: string) =>
    assert.deepEqual(foldedForms(`x${one}y`), foldedForms(`x${other}y`), JSON.stringify([one, other]));
  for (let point = 0x80; point < 0x110000; point++) {
    if (point >= 0xd800 && point < 0xe000) continue;
    const character = String.fromCodePoint(point);
    const others = [character.toLowerCase(), character.toUpperCase(), character.normalize('NFKC'), character.normalize('NFD')];
    for (const other of others) if (other !== character) same(character, other);
  }
});

test('a long key has the same forms wherever it is taken apart', () => {
  const name = 'io.modelcontextprotocol/protocolVersion';
  const wide = [...name]
    .map((letter) => (/[a-z]/i.test(letter) ? String.fromCodePoint((letter.codePointAt(0) ?? 0) + 0xfee0) : letter))
    .join('');
  assert.deepEqual(foldedForms(wide), foldedForms(name));
  const base = 'ΑΣe\u0301\u0315𝐧\u0130'.repeat(12);
  for (let shift = 0; shift < 40; shift++) {
    const shifted = `${'\u200b'.repeat(shift)}${base.toLowerCase()}`;
    assert.deepEqual(foldedForms(shifted), foldedForms(base), String(shift));
  }
});
