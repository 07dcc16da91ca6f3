/** The lifecycle log on stderr: sentences in a terminal, JSON lines elsewhere. Decisions are in the decision log. */
import type { Writable } from 'node:stream';
import { redact } from './redact.ts';

export type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Readonly<Record<string, unknown>>) => void;

export function createLog(sink: Writable & { readonly isTTY?: boolean }): Log {
  // Nobody is left to be told that nobody can be told; it must not end the process.
  sink.on('error', () => {});
  return (level, message, fields = {}) => {
    if (sink.isTTY) {
      const details = Object.entries(fields).map(([name, value]) => ` ${name}=${redact(String(value))}`);
      sink.write(`${level === 'info' ? '' : `${level}: `}${message}${details.join('')}\n`);
      return;
    }
    const shown = Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [name, typeof value === 'string' ? redact(value) : value]),
    );
    sink.write(`${JSON.stringify({ type: 'log', timestamp: new Date().toISOString(), level, message, ...shown })}\n`);
  };
}
