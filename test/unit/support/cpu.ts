/** A clock for work: it stands still while the machine is busy with something else. */
import { cpuUsage } from 'node:process';

/** @returns milliseconds of CPU that this process has had. */
export function cpuMs(): number {
  const { user, system } = cpuUsage();
  return (user + system) / 1000;
}
