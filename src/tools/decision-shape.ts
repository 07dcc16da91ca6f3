/** Whether what a rule can answer is a decision (docs/policy.md, "What a policy may answer"), as far as Rego's types tell. */
import type { OpaProblem, RegoType, WrittenDecision } from '../opa/requests.ts';
import { findWrittenFault } from './decision-literal.ts';
import { nearest } from './problems.ts';

interface Shape {
  readonly rule: string;
  /** Each with the type it must have. */
  readonly members: Readonly<Record<string, string>>;
}

const BOTH = { allow: 'boolean', reason: 'string', message: 'string' };

export const SHAPES: Readonly<Record<string, Shape>> = {
  'mcp/inbound/decision': {
    rule: 'data.mcp.inbound.decision',
    members: { ...BOTH, required_scopes: 'array', log_only: 'array' },
  },
  'mcp/outbound/decision': {
    rule: 'data.mcp.outbound.decision',
    members: { ...BOTH, audience: 'string', scope: 'string', ttl_seconds: 'number', resource: 'string', headers: 'object' },
  },
};

const REQUIRED = ['allow', 'reason'];

interface Fault {
  readonly text: string;
  /** Which member it is about. */
  readonly member?: string;
}

/** Everything that the sidecar would refuse as `policy_invalid`, each thing at the place where it is written, if it is. */
export function findShapeProblems(
  types: Readonly<Record<string, RegoType | null>>,
  written: readonly WrittenDecision[],
): OpaProblem[] {
  const literal = written.flatMap(findWrittenProblems);
  const typed = Object.entries(SHAPES).flatMap(([entrypoint, shape]) => {
    const type = types[entrypoint];
    const faults = type == null ? [] : alternatives(type).flatMap((one) => problemsOf(one, shape));
    const own = written.filter((one) => one.entrypoint === entrypoint);
    const place = own.find(({ members }) => members === undefined) ?? own[0];
    return faults.map(({ text }) => describeFault(text, place));
  });
  const isNew = ({ message }: OpaProblem): boolean => !literal.some((one) => one.message === message);
  return [...literal, ...typed.filter(isNew)];
}

function describeFault(
  message: string,
  place?: { readonly file: string; readonly row: number; readonly col: number },
): OpaProblem {
  const code = 'decision_invalid';
  return place === undefined ? { code, message } : { code, message, file: place.file, row: place.row, col: place.col };
}

/** An object that is written out is judged by itself, and by the sidecar's own reading where its members are of the right types. */
function findWrittenProblems(decision: WrittenDecision): OpaProblem[] {
  const { entrypoint, members } = decision;
  const shape = SHAPES[entrypoint];
  if (shape === undefined || members === undefined) return [];
  const known = members.map(({ name, value }) => ({ key: name, value: { type: typeOf(value) } }));
  const faults = problemsOf({ type: 'object', static: known }, shape);
  if (faults.length === 0) {
    const fault = findWrittenFault(entrypoint, members);
    if (fault !== null) faults.push({ text: `${shape.rule}: ${fault.text}`, member: fault.member });
  }
  return faults.map(({ text, member }) => {
    const place = members.find(({ name }) => name === member);
    return describeFault(text, { ...decision, ...place });
  });
}

function typeOf(value: unknown): string {
  if (value === undefined) return 'any';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/** Of a union each; OPA nests them where one rule takes another's value. */
function alternatives(type: RegoType): readonly RegoType[] {
  return type.type === 'any' ? (type.of ?? []).flatMap(alternatives) : [type];
}

function problemsOf(type: RegoType, { rule, members }: Shape): Fault[] {
  if (type.type !== 'object') return [{ text: `${rule} can be ${nameOf(type.type)}, and has to be an object` }];
  const known = new Map((type.static ?? []).map(({ key, value }) => [String(key), value]));
  const names = Object.keys(members);
  const surplus = [...known.keys()].filter((name) => !names.includes(name));
  const missing = REQUIRED.filter((name) => !known.has(name) && type.dynamic === undefined);
  return [
    ...surplus.map((name) => ({ text: `${rule} can have "${name}", which no decision has${meant(name, names)}`, member: name })),
    ...(surplus.length > 0 ? [] : missing.map((name) => ({ text: `${rule} can be without "${name}"` }))),
    ...names.flatMap((name) => wrongType(rule, name, members[name] as string, known.get(name))),
  ];
}

function meant(name: string, names: readonly string[]): string {
  const one = nearest(name, names);
  return one === null ? '' : `; did you mean "${one}"?`;
}

function wrongType(rule: string, name: string, wanted: string, type: RegoType | undefined): Fault[] {
  if (type === undefined || type.type === 'any' || type.type === wanted) return [];
  return [{ text: `${rule}: "${name}" can be ${nameOf(type.type)}, and has to be ${nameOf(wanted)}`, member: name }];
}

function nameOf(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}
