/**
 * One YAML file to one frozen value, or every problem at once, each with its path.
 * Read by ports.ts and app.ts; everything else gets plain arguments.
 */
import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { type Config, configSchema } from './config-schema.ts';

export type { Config };

/** What is wrong with a configuration, each line with its path. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** Throws ConfigError with every problem found. */
export function parseConfig(text: string): Config {
  const document = parseDocument(text, { uniqueKeys: true, strict: true });
  const syntax = [...document.errors, ...document.warnings].map(({ message }) => message.split('\n')[0] ?? message);
  if (syntax.length > 0) throw new ConfigError(syntax);
  const parsed = configSchema.safeParse(document.toJS({ maxAliasCount: 100 }));
  if (!parsed.success) throw new ConfigError(parsed.error.issues.flatMap((issue) => describeIssue(issue)));
  const problems = crossProblems(parsed.data);
  if (problems.length > 0) throw new ConfigError(problems);
  return deepFreeze(parsed.data);
}

function describeIssue(issue: z.core.$ZodIssue, prefix: readonly PropertyKey[] = []): string[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    return [`${showPath(path)}: ${issue.message}`];
  }
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => `${showPath([...path, key])}: there is no such setting`);
  return [`${showPath(path)}: ${issue.message}`];
}

function showPath(path: readonly PropertyKey[]): string {
  const shown = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return shown.replace(/^\./, '') || 'the file';
}

/** What no single setting can show. */
function crossProblems(config: Config): string[] {
  const { server, mcp, issuers, resources, delegation } = config;
  const mint = delegation.mint?.issuer;
  return [
    server.maxMessageBytes <= mcp.maxBodyBytes && 'server.maxMessageBytes: must be larger than mcp.maxBodyBytes',
    isExposed(server) && 'server.listen: other hosts can reach it: set server.tls, or listen on loopback or a Unix socket',
    ...repeated('issuers', issuers, 'issuer'),
    ...repeated('resources', resources, 'name'),
    ...repeated('resources', resources, 'path'),
    ...resources.flatMap((resource, index) => resourceProblems(resource, `resources[${index}]`, config)),
    issuers.some(({ issuer }) => issuer === mint) &&
      'delegation.mint.issuer: must not be among issuers, or delegation tokens would pass at the front door',
  ].filter((problem) => problem !== false);
}

function resourceProblems(resource: Config['resources'][number], path: string, { issuers, delegation }: Config): string[] {
  const known = new Set(issuers.map(({ issuer }) => issuer));
  const mode = resource.delegation ?? delegation.mode;
  const strangers = (resource.issuers ?? []).filter((issuer) => !known.has(issuer));
  return [
    ...strangers.map((issuer) => `${path}.issuers: ${issuer} is not among issuers`),
    ...(mode !== 'none' && delegation[mode] === undefined
      ? [`${path}: its delegation is ${mode}, so delegation.${mode} is needed`]
      : []),
  ];
}

/** Plaintext on an address that other hosts can reach. */
function isExposed({ listen, tls, allowPlaintextNetwork }: Config['server']): boolean {
  return tls === undefined && !allowPlaintextNetwork && !isLocal(listen);
}

function isLocal(address: string): boolean {
  return address.startsWith('unix:') || /^(127\.\d+\.\d+\.\d+|localhost|\[::1\]):/.test(address);
}

function repeated<K extends string>(list: string, entries: readonly Readonly<Record<K, string>>[], member: K): string[] {
  const values = entries.map((entry) => entry[member]);
  return values.flatMap((value, index) =>
    values.indexOf(value) < index ? [`${list}[${index}].${member}: ${value} is there twice`] : [],
  );
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}
