/** A verb as the command line runs it, with streams that are kept; and folders of files that go away again. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { OPA_OPTIONS } from '../../../src/tools/loading.ts';
import { runVerb } from '../../../src/tools/policy-command.ts';
import { keepOpa } from '../../support/kept-opa.ts';

keepOpa(OPA_OPTIONS);

export interface Ran {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

export async function runPolicyVerb(...[verb, ...args]: readonly string[]): Promise<Ran> {
  return runCommand('policy', verb, ...args);
}

export async function runCommand(command: 'policy' | 'audit', verb?: string, ...args: readonly string[]): Promise<Ran> {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const told = Promise.all([text(out), text(err)]);
  const code = await runVerb(command, verb, args, { out, err });
  out.end();
  err.end();
  const [output, errors] = await told;
  return { code, output, errors };
}

export async function createFolder(t: TestContext, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tools-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

/** The least that loads. */
export const INBOUND = 'package mcp.inbound\n\ndecision := {"allow": true, "reason": "allowed"}\n';
export const OUTBOUND = `package mcp.outbound

decision := {"allow": true, "reason": "allowed", "audience": "https://backend.internal", "scope": "s", "ttl_seconds": 5}
`;
export const LEAST = { 'mcp/inbound.rego': INBOUND, 'mcp/outbound.rego': OUTBOUND };
