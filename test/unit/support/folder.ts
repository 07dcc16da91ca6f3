/** A folder that is gone when its test is over. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'mcp-ext-authz-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}
