/** A policy input that somebody wrote, held against its published schema by OPA. The sidecar makes no other. */
import { readFile } from 'node:fs/promises';
import type { Opa } from '../opa/opa.ts';
import { ToolError } from './io.ts';
import { askOpa } from './loading.ts';

const SCHEMA = new URL('../../policies/schemas/input.v1.json', import.meta.url);
const MAX_TOLD = 10;

interface Mismatch {
  readonly field: string;
  readonly desc: string;
  readonly error: string;
  readonly type: string;
}

/**
 * Rejects with ToolError where it is no input. Resolves to what is missing in its parts: the sidecar always has it, the line of a
 * log may have lost it.
 */
export async function checkInput(opa: Opa, given: unknown, name: string): Promise<readonly string[]> {
  const schema: unknown = JSON.parse(await readFile(SCHEMA, 'utf8'));
  const query = 'json.match_schema(input.given, input.schema)';
  const { result, errors } = await askOpa(opa, { command: 'eval', files: {}, query, input: { given, schema } });
  if (errors !== undefined) throw new ToolError(errors.map(({ message }) => message).join('\n'));
  const [, mismatches] = result.value as [boolean, readonly Mismatch[]];
  const isLost = ({ type, field }: Mismatch): boolean => type === 'required' && field !== '(Root)';
  const wrong = mismatches.filter((one) => !isLost(one) && one.type !== 'number_any_of').map(describe);
  if (wrong.length === 0) return mismatches.filter(isLost).map(describe);
  const told = wrong.slice(0, MAX_TOLD).map((text) => `  ${text}`);
  if (wrong.length > MAX_TOLD) told.push(`  and ${wrong.length - MAX_TOLD} more`);
  throw new ToolError(
    `${name}: is no policy input, as docs/policy.md describes it and \`input\` of a line of the log is one:\n${told.join('\n')}`,
  );
}

function describe({ field, error, desc }: Mismatch): string {
  if (field === '(Root)') return desc;
  return error.replace(`${field}: ${field}`, field);
}
