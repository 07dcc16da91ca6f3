/**
 * One YAML file to one frozen value, or every problem at once, each with its path.
 * Read by ports.ts and app.ts; everything else gets plain arguments.
 */
import { type Document, parseDocument } from 'yaml';
import type { z } from 'zod';
import { decisionLogProblems, decisionLogServices } from './config-schema/decision-log.ts';
import { facadeProblems } from './config-schema/facade.ts';
import { policyProblems } from './config-schema/policy.ts';
import { serviceProblems } from './config-schema/services.ts';
import { type Config, configSchema } from './config-schema.ts';
import { publicName } from './resource.ts';

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
  const value = plainValue(document);
  const parsed = configSchema.safeParse(value);
  if (!parsed.success)
    throw new ConfigError([...parsed.error.issues.flatMap(describeIssue), ...crossProblems(soundSections(value))]);
  const problems = crossProblems(parsed.data);
  if (problems.length > 0) throw new ConfigError(problems);
  return deepFreeze(parsed.data);
}

/** The sections with nothing wrong inside, so that what is wrong between them is said in one go with the rest. */
function soundSections(value: unknown): Partial<Config> {
  const given = (value ?? {}) as Record<string, unknown>;
  const sections = Object.entries(configSchema.shape).map(([name, schema]) => [name, schema.safeParse(given[name]).data]);
  return Object.fromEntries(sections.filter(([, section]) => section !== undefined));
}

/** As JSON would hold it: a tree, however the anchors of the file are knotted, and of a size that the file can be read for. */
function plainValue(document: Document): unknown {
  try {
    return JSON.parse(JSON.stringify(document.toJS({ maxAliasCount: 100 })));
  } catch (cause) {
    throw new ConfigError([`the file: its aliases go in circles or multiply: ${(cause as Error).message.split('\n')[0]}`]);
  }
}

/** Never with the value: it may be a secret that was put in the wrong place. */
function describeIssue(issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => `${showPath([...issue.path, key])}: there is no such setting`);
  return [`${showPath(issue.path)}: ${issue.message}`];
}

function showPath(path: readonly PropertyKey[]): string {
  const shown = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return shown.replace(/^\./, '') || 'the file';
}

/** What no single setting can show, as far as the sections are there. */
function crossProblems(sections: Partial<Config>): string[] {
  const { server, mcp, issuers = [], resources = [], delegation } = sections;
  const mint = delegation?.mint?.issuer;
  return [
    server !== undefined &&
      mcp !== undefined &&
      server.maxMessageBytes <= mcp.maxBodyBytes &&
      'server.maxMessageBytes: must be larger than mcp.maxBodyBytes',
    server !== undefined &&
      isExposed(server) &&
      'server.listen: other hosts can reach it: set server.tls, or listen on loopback or a Unix socket',
    issuers.filter(({ introspection }) => introspection !== undefined).length > 1 &&
      'issuers: only one can have introspection, since a token that is no JWT does not name its issuer',
    ...repeated('issuers', issuers, 'issuer'),
    ...repeated('resources', resources, 'name'),
    ...repeated('resources', resources, 'path'),
    ...repeated('delegation.mint.keys', delegation?.mint?.keys ?? [], 'kid'),
    ...sharedMetadata([...resources, ...(sections.frontDoor === undefined ? [] : [sections.frontDoor])]),
    ...resources.flatMap((resource, index) => resourceProblems(resource, `resources[${index}]`, { issuers, delegation })),
    ...facadeProblems(sections.authorizationServerFacade, { issuers, resources }),
    sections.catalog?.pinning !== undefined &&
      resources.length > 0 &&
      resources.every(({ url }) => url === undefined) &&
      'catalog.pinning: no resource has a url, so there is nothing to compare with what was approved',
    issuers.some(({ issuer }) => issuer === mint) &&
      'delegation.mint.issuer: must not be among issuers, or delegation tokens would pass as callers',
    ...frontDoorProblems(sections),
    ...policyProblems(sections.policy),
    ...decisionLogProblems(
      sections.decisionLog,
      resources.map((resource) => resource.name),
    ),
    ...repeated('services', sections.services ?? [], 'name'),
    ...(sections.services === undefined ? [] : serviceProblems(sections.services, serviceUsers(sections))),
  ].filter((problem) => problem !== false);
}

/** Who names a service, and where in the configuration. */
function serviceUsers({ policy, decisionLog, status }: Partial<Config>): { readonly at: string; readonly service: string }[] {
  const named = [
    { at: 'policy.bundle.service', service: policy?.bundle?.service },
    { at: 'policy.shadow.bundle.service', service: policy?.shadow?.bundle?.service },
    { at: 'status.service', service: status?.service },
  ];
  return [
    ...named.filter((one): one is { at: string; service: string } => one.service !== undefined),
    ...decisionLogServices(decisionLog),
  ];
}

function resourceProblems(
  resource: Config['resources'][number],
  path: string,
  { issuers, delegation }: { readonly issuers: Config['issuers']; readonly delegation: Config['delegation'] | undefined },
): string[] {
  const known = new Set(issuers.map(({ issuer }) => issuer));
  const mode = resource.delegation ?? delegation?.mode ?? 'none';
  const strangers = known.size === 0 ? [] : (resource.issuers ?? []).filter((issuer) => !known.has(issuer));
  return [
    ...strangers.map((issuer) => `${path}.issuers: ${issuer} is not among issuers`),
    ...(mode !== 'none' && delegation !== undefined && delegation[mode] === undefined
      ? [`${path}: its delegation is ${mode}, so delegation.${mode} is needed`]
      : []),
  ];
}

function frontDoorProblems({ frontDoor, processing, resources = [] }: Partial<Config>): string[] {
  if (frontDoor === undefined) return [];
  const prefixes = Object.entries(frontDoor.backends).map(([name, { prefix }]) => [name, prefix ?? defaultPrefix(name)] as const);
  const at = (name: string): string => `frontDoor.backends.${name}`;
  return [
    ...(processing === undefined ? ['frontDoor: it needs processing'] : []),
    ...(isLocal(frontDoor.listen) ? [] : ['frontDoor.listen: other hosts can reach it: use loopback or a Unix socket']),
    ...prefixes.flatMap(([name]) => {
      const found = resources.find((resource) => resource.name === name);
      if (resources.length > 0 && found === undefined) return [`${at(name)}: it is not among resources`];
      return found !== undefined && found.url === undefined ? [`${at(name)}: its resource needs a url`] : [];
    }),
    // `a` before `b_c` is `a_b_c`, as is `a_b` before `c`.
    ...prefixes.flatMap(([name, prefix]) =>
      prefixes
        .filter(([other, longer]) => other !== name && `${longer}_`.startsWith(`${prefix}_`))
        .map(([other]) => `${at(name)}.prefix: names with it could be taken for names of ${other}`),
    ),
    ...resources
      .filter(({ name, path }) => name === frontDoor.name || path === frontDoor.path)
      .map(({ name }) => `frontDoor: its name and path must not be those of ${name}`),
  ];
}

/** Hyphens are no letters in names of functions, which some clients make of tools. */
export function defaultPrefix(backend: string): string {
  return backend.replaceAll('-', '_');
}

/** Metadata is found by its path alone, so no two resources may have the same. */
function sharedMetadata(resources: readonly { readonly publicUrls: readonly string[] }[]): string[] {
  const owners = new Map<string, number>();
  return resources.flatMap(({ publicUrls }, index) =>
    publicUrls.flatMap((url, at) => {
      const path = publicName(url).metadataPath;
      const owner = owners.get(path) ?? index;
      owners.set(path, owner);
      return owner === index
        ? []
        : [`resources[${index}].publicUrls[${at}]: its metadata would be at ${path}, as that of resources[${owner}]`];
    }),
  );
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
