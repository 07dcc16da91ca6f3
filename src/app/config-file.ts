/** A configuration as a file, for every command: what is wrong with it is told with the name of the file. */
import { readFile } from 'node:fs/promises';
import { type Config, ConfigError, parseConfig } from '../config.ts';

/** Rejects with ConfigError, or with Node's own error where the file cannot be read. */
export async function readConfigFile(file: string): Promise<Config> {
  const text = await readFile(file, 'utf8');
  try {
    return parseConfig(text);
  } catch (cause) {
    throw cause instanceof ConfigError ? new ConfigError(cause.problems.map((problem) => `${file}: ${problem}`)) : cause;
  }
}
