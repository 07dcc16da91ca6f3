/** `npm test`: static checks, then every test. Stops at the first part that fails; the last lines are node's summary. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = `${root}node_modules/.bin`;

const parts: [what: string, command: string, args: string[]][] = [
  [
    'Format, lint and layers (Biome)',
    `${bin}/biome`,
    ['check', '--error-on-warnings', 'src', 'test', 'examples', 'deploy', 'scripts', 'biome.json', 'package.json'],
  ],
  ['Types (TypeScript)', `${bin}/tsc`, ['--noEmit', '-p', '.']],
  [
    'Tests: unit, vectors, fuzz, policies, docs, and integration through a real Envoy',
    process.execPath,
    [
      '--test',
      '--test-concurrency=2',
      '--test-timeout=900000',
      ...(process.argv.length > 2 ? process.argv.slice(2) : ['test/**/*.test.ts']),
    ],
  ],
];

for (const [what, command, args] of parts) {
  process.stdout.write(`\n# ${what}\n`);
  const child = spawn(command, args, { cwd: root, stdio: 'inherit' });
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  if (code !== 0) {
    process.stderr.write(`\nFailed: ${what} (${signal ?? `exit ${code}`}).\n`);
    process.exit(1);
  }
}
