/** Where a lab that is up says what it is: `.lab/`, or the folder that LAB_DIR names, for a second one beside it. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const labDir = process.env.LAB_DIR ? resolve(process.env.LAB_DIR) : fileURLToPath(new URL('../../.lab', import.meta.url));

export const endpointsFile = join(labDir, 'endpoints.json');

/** What visitors use of it. */
export type Endpoints = {
  readonly issuer: string;
  readonly caFile: string;
  readonly resources: Readonly<Record<string, string>>;
  readonly users: Readonly<Record<string, string>>;
  readonly clients: { readonly 'bedrock-agentcore': { readonly client_secret: string } };
};

/** Null: no lab is up. */
export async function readEndpoints(): Promise<Endpoints | null> {
  return readFile(endpointsFile, 'utf8').then(
    (text) => JSON.parse(text) as Endpoints,
    () => null,
  );
}
