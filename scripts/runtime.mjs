// Runs the command after it on a Node that can: TypeScript as it is needs Node 24. The lockfile brings one for Linux;
// elsewhere the one on PATH has to do. This file is plain JavaScript because an older Node reads it.
import { spawn } from 'node:child_process';

const MAJOR = 24;
if (Number(process.versions.node.split('.')[0]) < MAJOR) {
  process.stderr.write(
    `Node ${MAJOR} or newer is needed, and this is ${process.version}.\n` +
      'On Linux (x64, arm64) `npm ci` brings one: run it again, without --omit=optional. Elsewhere install one from nodejs.org.\n',
  );
  process.exit(1);
}
const [file, ...args] = process.argv.slice(2);
if (file !== undefined) {
  const child = spawn(process.execPath, [file, ...args], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  // npm's shell ends without a word to us: then nobody is left who wants the result.
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && child.kill('SIGTERM'), 500).unref();
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
  });
}
