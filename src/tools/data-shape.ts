/**
 * Whether the data of a policy is what its packages say it is: where one is annotated `data.x: schema["name"]`, the value itself
 * is held against that schema, by OPA. OPA's own check looks at what Rego says of it alone.
 */
import type { OpaAnswer } from '../opa/requests.ts';
import type { Files } from './source-folder.ts';

/** What OPA is asked: whether there is a value, and what it finds wrong with it. */
export type Evaluate = (query: string, files: Files) => Promise<OpaAnswer<'eval'>>;

interface Annotated {
  readonly path: string;
  /** A name of `schemas/`, or the schema itself. */
  readonly schema: unknown;
}

interface Mismatch {
  readonly field: string;
  readonly desc: string;
}

const BLOCK = /^# METADATA[ \t]*\n((?:#.*\n)+)/gm;
const NAMED = /^schema(?:\["([^"\]]+)"\]|\.([A-Za-z_]\w*))$/;
const PATH = /^data((?:\.[A-Za-z_]\w*|\["[^"\\]+"\])+)$/;

/** One line for each thing that is wrong. */
export async function findDataProblems(
  files: Files,
  schemas: Readonly<Record<string, unknown>>,
  evaluate: Evaluate,
): Promise<string[]> {
  const data = Object.fromEntries(Object.entries(files).filter(([name]) => !name.endsWith('.rego')));
  const asked = (await findAnnotated(files, evaluate)).flatMap(({ path, schema }) => {
    const found = findSchema(schema, schemas);
    return found === undefined ? [] : [{ path, query: describeMatch(path, found) }];
  });
  if (asked.length === 0) return [];
  const { result, errors } = await evaluate(`[${asked.map(({ query }) => query).join(', ')}]`, data);
  if (errors !== undefined) return errors.map(({ file, message }) => `${file === undefined ? '' : `${file}: `}${message}`);
  const answers = result.value as { given: number; matched: [boolean, Mismatch[]][] }[];
  return [...new Set(answers.flatMap(({ given, matched }, at) => describeAnswer(asked[at]?.path ?? '', given > 0, matched[0])))];
}

/** In comprehensions: a value that is not there does not end the query. As JSON: OPA takes a text for a document. */
function describeMatch(path: string, schema: unknown): string {
  return `{"given": count([x | x := ${path}]), "matched": [m | x := ${path}; m := json.match_schema(json.marshal(x), ${JSON.stringify(schema)})]}`;
}

function describeAnswer(path: string, isGiven: boolean, matched: [boolean, Mismatch[]] | undefined): string[] {
  if (!isGiven) return [];
  if (matched === undefined) return [`${path}: cannot be held against its schema`];
  // Its name for the value itself.
  return matched[1].map(({ field, desc }) => `${/^\(root\)$/i.test(field) ? path : `${path}.${field}`}: ${desc}`);
}

/** OPA reads the blocks, as it does in its check; what is no YAML it has found there. */
async function findAnnotated(files: Files, evaluate: Evaluate): Promise<Annotated[]> {
  const modules = Object.entries(files).filter(([name]) => name.endsWith('.rego'));
  const blocks = modules.flatMap(([, text]) =>
    [...text.replaceAll('\r\n', '\n').matchAll(BLOCK)].map(([, block = '']) => block.replaceAll(/^# ?/gm, '')),
  );
  const query = `[schemas | some block in ${JSON.stringify(blocks)}; schemas := yaml.unmarshal(block).schemas]`;
  const { result } = await evaluate(query, {});
  const found = (result?.value ?? []) as Record<string, unknown>[][];
  return found
    .flat()
    .flatMap((one) => Object.entries(one).flatMap(([path, schema]) => (PATH.test(path) ? [{ path, schema }] : [])));
}

function findSchema(schema: unknown, schemas: Readonly<Record<string, unknown>>): unknown {
  if (typeof schema !== 'string') return schema;
  const [, quoted, plain] = NAMED.exec(schema) ?? [];
  return schemas[quoted ?? plain ?? ''];
}
