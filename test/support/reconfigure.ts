/** Changes to a running sidecar: its file is written anew and SIGHUP sent, and the metrics say what became of it. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { parse, stringify } from 'yaml';
import type { TestDeployment } from './deployment.ts';
import { waitUntil } from './ndjson.ts';

type Tree = Record<string, any>;

/** Puts another configuration in force; rejects where it is refused. Gives the way back. */
export async function reconfigure(deployment: TestDeployment, change: (config: Tree) => void): Promise<() => Promise<void>> {
  const { configFile } = deployment.sidecar;
  const before = await readFile(configFile, 'utf8');
  const config = parse(before) as Tree;
  change(config);
  await replaceFile(configFile, stringify(config));
  await reload(deployment, 'applied');
  return async () => {
    await replaceFile(configFile, before);
    await reload(deployment, 'applied');
  };
}

/** SIGHUP, and the outcome that was expected of it. */
export async function reload(
  { sidecar, metrics }: TestDeployment,
  outcome: 'applied' | 'refused',
  timeoutMs = 30_000,
): Promise<void> {
  const count = async () => (await metrics()).value('mcp_ext_authz_config_reloads_total', { outcome });
  const before = await count();
  sidecar.child.kill('SIGHUP');
  await waitUntil(`a reload is ${outcome}`, async () => (await count()) > before, timeoutMs);
}

/** At once, as `kubectl` and editors do it: nobody reads half a file. */
export async function replaceFile(file: string, content: string | Uint8Array): Promise<void> {
  await writeFile(`${file}.new`, content);
  await rename(`${file}.new`, file);
}
