/** Which opa the scripts take, shown with programs that only say a version. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { OPA_FLOOR, searchOpa } from '../../scripts/opa.ts';

const scratch = mkdtempSync(join(tmpdir(), 'opa-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const posix = { skip: process.platform === 'win32' ? 'the stand-ins are shell scripts' : false };

/** A program of that version at `path`, which is given back. */
function standIn(path: string, says: string): string {
  const file = join(scratch, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\necho '${says}'\n`);
  chmodSync(file, 0o755);
  return file;
}

const first = standIn('first/opa', 'Version: 1.30.2');
const second = standIn('second/opa', 'Version: 1.21.3');
const old = standIn('old/opa', 'Version: 1.21.2');
const ancient = standIn('ancient/opa', 'Version: 0.70.0');
const other = standIn('other/opa', 'Open Publication Archive 9.0');

/** Nothing else is reachable: no go, no home of its own. */
const search = (PATH: string[], OPA?: string) =>
  searchOpa({ PATH: PATH.map((file) => dirname(file)).join(':'), ...(OPA === undefined ? {} : { OPA }) });

test('the first on PATH is taken, and OPA only after it', posix, () => {
  assert.deepEqual(search([first, second], second), { path: first, version: '1.30.2', problem: null });
  assert.equal(search([], second).path, second);
});

test('one that is too old, or something else of that name, is passed over', posix, () => {
  assert.equal(search([old, other, second]).path, second);
  assert.equal(search([ancient], first).path, first);
  assert.equal(search([join(scratch, 'empty', 'opa'), second]).path, second);
});

test('the floor is the version that closed the hole', () => assert.equal(OPA_FLOOR, '1.21.3'));
