/** Whether what a rule can answer is a decision (docs/policy.md, "What a policy may answer"), as far as Rego's types tell. */
import type { RegoType } from '../opa/requests.ts';
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

/** One line for each thing that the sidecar would refuse as `policy_invalid`. */
export function findShapeProblems(types: Readonly<Record<string, RegoType | null>>): string[] {
  const found = Object.entries(SHAPES).flatMap(([entrypoint, shape]) => {
    const type = types[entrypoint];
    return type == null ? [] : alternatives(type).flatMap((one) => problemsOf(one, shape));
  });
  return [...new Set(found)];
}

/** Of a union each; OPA nests them where one rule takes another's value. */
function alternatives(type: RegoType): readonly RegoType[] {
  return type.type === 'any' ? (type.of ?? []).flatMap(alternatives) : [type];
}

function problemsOf(type: RegoType, { rule, members }: Shape): string[] {
  if (type.type !== 'object') return [`${rule} can be ${nameOf(type.type)}, and has to be an object`];
  const known = new Map((type.static ?? []).map(({ key, value }) => [String(key), value]));
  const names = Object.keys(members);
  const surplus = [...known.keys()].filter((name) => !names.includes(name));
  const missing = REQUIRED.filter((name) => !known.has(name) && type.dynamic === undefined);
  return [
    ...surplus.map((name) => `${rule} can have "${name}", which no decision has${meant(name, names)}`),
    ...(surplus.length > 0 ? [] : missing.map((name) => `${rule} can be without "${name}"`)),
    ...names.flatMap((name) => wrongType(rule, name, members[name] as string, known.get(name))),
  ];
}

function meant(name: string, names: readonly string[]): string {
  const one = nearest(name, names);
  return one === null ? '' : `; did you mean "${one}"?`;
}

function wrongType(rule: string, name: string, wanted: string, type: RegoType | undefined): string[] {
  if (type === undefined || type.type === 'any' || type.type === wanted) return [];
  return [`${rule}: "${name}" can be ${nameOf(type.type)}, and has to be ${nameOf(wanted)}`];
}

function nameOf(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}
