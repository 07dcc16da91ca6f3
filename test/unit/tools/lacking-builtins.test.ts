/** The list is right: each built-in of the compiled OPA is compiled to WebAssembly, and asked of the engine. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { openOpa } from '../../../src/opa/opa.ts';
import { LACKING_BUILTINS } from '../../../src/tools/lacking-builtins.ts';
import { buildArchive, loadArchive } from '../../../src/tools/loading.ts';

const opa = openOpa();
after(() => opa.close());

interface Builtin {
  readonly name: string;
  readonly deprecated?: boolean;
  readonly relation?: boolean;
  readonly decl: { readonly args?: readonly unknown[]; readonly variadic?: unknown; readonly result?: unknown };
}

/** Words of the language, and what OPA puts in place of others while it compiles. */
const NO_FUNCTIONS = /^(eq|assign|print|internal\..*|rego\.metadata\..*)$/;

test('they are those that the engine refuses', async () => {
  const { result } = await opa.ask({ command: 'capabilities' });
  assert.ok(result);
  const builtins = (result.builtins as readonly Builtin[]).filter(
    ({ name, deprecated = false }) => !deprecated && !NO_FUNCTIONS.test(name),
  );
  assert.ok(builtins.length > 150, `${builtins.length}`);
  const lacking = await refused(builtins);
  assert.deepEqual([...LACKING_BUILTINS].sort(), lacking);
});

async function refused(builtins: readonly Builtin[]): Promise<string[]> {
  const calls = builtins.map(({ name, decl: { args = [], result }, relation }, index) => {
    const given = args.map((_, at) => `input.a${at}`).join(', ');
    if (result === undefined) return `p${index} if ${name}(${given})`;
    return relation === true ? `p${index} := x if ${name}(${given}, x)` : `p${index} := x if x := ${name}(${given})`;
  });
  const uses = builtins.map((_, index) => `\tp${index}\n`).join('');
  const rules = `decision := {"allow": true, "reason": "allowed"} if {\n${uses}}\n`;
  const files = {
    'inbound.rego': `package mcp.inbound\n\n${rules}\n${calls.join('\n')}\n`,
    'outbound.rego': 'package mcp.outbound\n\ndecision := {}\n',
  };
  const archive = await buildArchive(opa, { path: '.', files, schemas: {} }, { target: 'wasm', revision: 'r' });
  try {
    await loadArchive(opa, archive);
  } catch (error) {
    const listed = /not supplied: (.*)$/.exec((error as Error).message)?.[1];
    assert.ok(listed !== undefined, (error as Error).message);
    return listed.split(', ').sort();
  }
  return [];
}
