/** Child processes of the deployment: started, awaited until they say that they are ready, and stopped by id. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export type RunningProcess<T> = {
  readonly pid: number;
  /** What was read from the line that said it is ready. */
  readonly ready: T;
  readonly child: ChildProcess;
  /** SIGTERM, and SIGKILL where that is not enough in time. Resolves with the exit code. */
  readonly stop: (graceMs?: number) => Promise<number | null>;
};

export type ProcessOptions<T> = {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Reads a line of stderr; anything but undefined means ready. */
  readonly readyWhen: (line: string) => T | undefined;
  readonly timeoutMs?: number;
  /** Every line of stderr. */
  readonly onLine?: (line: string) => void;
};

/** Rejects with the last lines of output when the process ends, or does not get ready in time. */
export async function startProcess<T>(options: ProcessOptions<T>): Promise<RunningProcess<T>> {
  const { name, command, args, readyWhen, timeoutMs = 60_000 } = options;
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: options.env ?? process.env });
  const tail: string[] = [];
  // Whatever ends this process must not leave the child an orphan.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  const exited = once(child, 'exit').catch(() => undefined);

  const ready = new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => fail('was not ready in time'), timeoutMs);
    const fail = (what: string) => {
      clearTimeout(timer);
      reject(new Error(`${name} ${what}:\n${tail.join('\n')}`));
    };
    child.once('error', (error) => fail(`did not start: ${error.message}`));
    child.once('exit', (code, signal) => fail(`ended (${code ?? signal})`));
    createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      options.onLine?.(line);
      tail.push(line);
      if (tail.length > 20) tail.shift();
      const value = readyWhen(line);
      if (value === undefined) return;
      clearTimeout(timer);
      resolve(value);
    });
  });

  const stop = async (graceMs = 10_000): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      const killer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await exited;
      clearTimeout(killer);
    }
    return child.exitCode;
  };

  try {
    return { pid: child.pid as number, ready: await ready, child, stop };
  } catch (error) {
    await stop(1000);
    throw error;
  }
}
