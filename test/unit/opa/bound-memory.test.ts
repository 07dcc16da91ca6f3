import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { boundMemory } from '../../../src/opa/bound-memory.ts';

declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: { memory: { grow(pages: number): number; buffer: ArrayBuffer } } };
};

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const EXPORTS_MEMORY = [7, 10, 1, 6, ...Buffer.from('memory'), 2, 0];
const PAGE = 65_536;

/** @param limits flags and numbers, as in the memory section. */
const moduleWith = (...limits: number[]) => Uint8Array.from([...HEADER, 5, 1 + limits.length, 1, ...limits, ...EXPORTS_MEMORY]);

const memoryOf = (bytes: Uint8Array) => new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.memory;

describe('a module that may grow without end', () => {
  test('grows to its bound and no further', () => {
    const memory = memoryOf(boundMemory(moduleWith(0, 2), 4 * PAGE));
    assert.equal(memory.buffer.byteLength, 2 * PAGE);
    assert.equal(memory.grow(2), 2);
    assert.throws(() => memory.grow(1), RangeError);
  });

  test('also where the numbers take several bytes', () => {
    const memory = memoryOf(boundMemory(moduleWith(0, 0xac, 0x02), 400 * PAGE));
    assert.equal(memory.buffer.byteLength, 300 * PAGE);
    assert.throws(() => memory.grow(101), RangeError);
    assert.equal(memory.grow(100), 300);
  });

  test('has its bound lowered', () => {
    const memory = memoryOf(boundMemory(moduleWith(1, 1, 9), 2 * PAGE));
    assert.throws(() => memory.grow(2), RangeError);
  });
});

describe('refused is', () => {
  test('a module that begins larger', () => {
    assert.throws(() => boundMemory(moduleWith(0, 5), 4 * PAGE), /needs 5 pages of memory, 4 are given/);
  });

  test('one without a memory', () => {
    assert.throws(() => boundMemory(Uint8Array.from(HEADER), PAGE), /no memory of its own/);
  });

  test('one that is cut short', () => {
    assert.throws(() => boundMemory(moduleWith(0, 2).subarray(0, 9), PAGE), /ends too early/);
  });
});
