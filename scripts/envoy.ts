/**
 * A real Envoy: the one on PATH, or the wheel of envoy/requirements.txt, unpacked under .cache/.
 * `node scripts/envoy.ts` brings it and prints where it is.
 */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const requirements = `${root}envoy/requirements.txt`;
const home = `${root}.cache/envoy-1.40.0`;
const binary = `${home}/packages/envoy/_bin/envoy`;
const run = promisify(execFile);

/** The path of an envoy, or null. Looks, installs nothing. */
export function findEnvoy(): string | null {
  if (spawnSync('envoy', ['--version'], { stdio: 'ignore' }).status === 0) return 'envoy';
  return existsSync(binary) ? binary : null;
}

/** The path of an envoy, brought if need be. `say` gets a line before what takes long. */
export async function bringEnvoy(say: (line: string) => void): Promise<string> {
  const found = findEnvoy();
  if (found !== null) return found;
  say('No envoy on PATH: bringing Envoy 1.40 (37 MB, once) …');
  const building = `${home}.${process.pid}`;
  try {
    await mkdir(building, { recursive: true });
    await run('python3', ['-m', 'venv', `${building}/venv`]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--require-hashes'];
    await run(`${building}/venv/bin/python`, [...pip, '--target', `${building}/packages`, '-r', requirements]);
    await rm(`${building}/venv`, { recursive: true });
    // Another run may have been first: either of the two will do.
    await rename(building, home).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'ENOTEMPTY' && cause.code !== 'EEXIST') throw cause;
    });
  } catch (cause) {
    const detail = (cause as { stderr?: string }).stderr?.trim() || (cause as Error).message;
    throw new Error(
      `Envoy could not be brought: ${detail}\nPut an envoy 1.38.4 or newer on PATH, or install Python 3 with venv and try again.`,
      { cause },
    );
  } finally {
    await rm(building, { recursive: true, force: true });
  }
  return binary;
}

if (import.meta.main) {
  try {
    console.log(await bringEnvoy((line) => console.error(line)));
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
