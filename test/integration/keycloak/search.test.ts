/** Which Keycloak the scripts take, shown with homes and Javas that are only names. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { searchKeycloak } from '../../../scripts/keycloak.ts';

const scratch = mkdtempSync(join(tmpdir(), 'keycloak-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const posix = { skip: process.platform === 'win32' ? 'the stand-ins are shell scripts' : false };

/** A program that says this on stderr, as java does. */
function standIn(path: string, says: string): string {
  const file = join(scratch, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\necho '${says}' >&2\n`);
  chmodSync(file, 0o755);
  return file;
}

const home = dirname(dirname(standIn('keycloak/bin/kc.sh', '')));
const newest = dirname(standIn('newest/java', 'openjdk version "25.0.1" 2026-01-20'));
const floor = dirname(standIn('floor/java', 'openjdk version "17.0.15" 2025-04-15'));
const old = dirname(standIn('old/java', 'openjdk version "1.8.0_402"'));
const javaHome = dirname(dirname(standIn('jdk/bin/java', 'java version "21" 2023-09-19')));

test('KEYCLOAK_HOME is taken, with a Java that is new enough', posix, () => {
  for (const PATH of [newest, floor]) assert.deepEqual(searchKeycloak({ PATH, KEYCLOAK_HOME: home }), { home, problem: null });
  assert.equal(searchKeycloak({ PATH: old, JAVA_HOME: javaHome, KEYCLOAK_HOME: home }).home, home);
});

test('what is missing is named', posix, () => {
  const elsewhere = searchKeycloak({ PATH: floor, KEYCLOAK_HOME: join(scratch, 'empty') });
  assert.match(elsewhere.problem ?? '', /no Keycloak in .*empty: run `node scripts\/keycloak\.ts install`/);
  assert.match(searchKeycloak({ PATH: scratch, KEYCLOAK_HOME: home }).problem ?? '', /Java 17 or newer, and none was found/);
  assert.match(searchKeycloak({ PATH: old, KEYCLOAK_HOME: home }).problem ?? '', /Java 17 or newer, and this is 8/);
});
