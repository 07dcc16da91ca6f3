/**
 * The protected resources we guard (RFC 9728): which MCP endpoint a request is for, and under which of its public names.
 * Names come from the configuration. A Host or X-Forwarded-Host header only chooses among them, it is never repeated.
 */
import type { HttpFacts } from './http.ts';

/** One public URL of a resource. */
export interface PublicName {
  /** The resource identifier: what clients ask tokens for. */
  readonly url: string;
  readonly host: string;
  readonly hostname: string;
  /** Where its metadata is served, by path and as an absolute URL (RFC 9728 section 3.1). */
  readonly metadataPath: string;
  readonly metadataUrl: string;
}

export interface ToolFacts {
  readonly title: string | null;
  readonly annotations: Readonly<Record<string, unknown>>;
  readonly known: boolean;
}

export interface Resource {
  /** The backend's name in policy, metrics and logs. */
  readonly name: string;
  /** The exact path at which Envoy serves it. */
  readonly path: string;
  /** At least one; the first is the canonical one. */
  readonly publicNames: readonly PublicName[];
  readonly audiences: ReadonlySet<string>;
  readonly issuers: ReadonlySet<string>;
  readonly scopesSupported: readonly string[];
  /** Scopes named in the challenge to a caller without a token. */
  readonly challengeScopes: readonly string[];
  /** Policy denials as HTTP 403 in place of 200 with a JSON-RPC error. */
  readonly strict: boolean;
  readonly delegation: 'exchange' | 'mint' | 'none';
  readonly tools: ReadonlyMap<string, ToolFacts>;
  readonly documentation: string | null;
  /** Where the sidecar itself reaches it; null where it never does. */
  readonly url: string | null;
  /** The backends behind it, where it is a front door; none where it is a backend. */
  readonly members: readonly Member[];
}

/** A backend behind the front door. */
export interface Member {
  readonly resource: Resource;
  /** Before the names of its tools and prompts, with an underscore between. */
  readonly prefix: string;
}

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

export function publicName(url: string): PublicName {
  const { origin, host, hostname, pathname } = new URL(url);
  const metadataPath = WELL_KNOWN + (pathname === '/' ? '' : pathname);
  return { url, host, hostname, metadataPath, metadataUrl: origin + metadataPath };
}

/** Resources by what a request can show of them. */
export interface Resources {
  readonly all: readonly Resource[];
  readonly byPath: ReadonlyMap<string, Resource>;
  readonly byMetadataPath: ReadonlyMap<string, Resource>;
}

export function indexResources(all: readonly Resource[]): Resources {
  const byMetadataPath = new Map<string, Resource>();
  for (const resource of all) {
    for (const name of resource.publicNames) byMetadataPath.set(name.metadataPath, resource);
  }
  // The root form cannot say which resource is meant: it describes the first one listed.
  const first = all[0];
  if (first !== undefined && !byMetadataPath.has(WELL_KNOWN)) byMetadataPath.set(WELL_KNOWN, first);
  return { all, byPath: new Map(all.map((resource) => [resource.path, resource])), byMetadataPath };
}

/** The name by which the client knows the resource, or the canonical one. */
export function chooseName(resource: Resource, http: HttpFacts): PublicName {
  return chooseAmong(resource.publicNames, http);
}

/** The one whose host the request claims, or the first. There is at least one. */
export function chooseAmong<N extends Pick<PublicName, 'host' | 'hostname'>>(names: readonly N[], http: HttpFacts): N {
  const canonical = names[0] as N;
  if (names.length === 1) return canonical;
  // A proxy adds its word at the end, on a line of its own or after a comma.
  const forwarded = http.headers.get('x-forwarded-host')?.at(-1)?.split(',').at(-1)?.trim();
  for (const claimed of [http.context.public_host, forwarded, http.host]) {
    const host = claimed?.toLowerCase();
    const found = names.find((name) => name.host === host || name.hostname === host);
    if (found !== undefined) return found;
  }
  return canonical;
}
