/**
 * For clients of MCP 2025-03-26 and others that know no protected resource metadata and take the origin of the MCP server for
 * the authorization server: its metadata where they look for it (RFC 8414, OpenID Connect Discovery), which sends them to
 * the real one, and an endpoint at which they can register (RFC 7591). Public, like RFC 9728 metadata; off unless configured.
 *
 * Origins come from the configuration. A Host header only chooses among them, it is never repeated.
 */
import { JSON_TYPE, NO_STORE, type PublicAnswer, preflightHeaders, type Response } from '../check/answer.ts';
import { inTime } from '../deadline.ts';
import type { HeaderLine, HttpFacts } from '../http.ts';
import type { JsonObject } from '../mcp/message.ts';
import { type Reason, reasonRow } from '../reasons.ts';
import { chooseAmong, type PublicName, type Resource } from '../resource.ts';
import { facadeDocument } from './document.ts';
import { type Registration, registerClient } from './registration.ts';
import type { MetadataSource } from './source.ts';

export interface FacadeOptions {
  /** Those that it stands before; of several at one origin the first is what the root is for. */
  readonly resources: readonly Resource[];
  readonly metadata: MetadataSource;
  /** Whether the resource goes into the authorization endpoint's query. */
  readonly addsResource: boolean;
  readonly registration: Registration | null;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** Null: something else is asked. */
export type Facade = (http: HttpFacts, deadlineMs: number) => PublicAnswer | Promise<PublicAnswer> | null;

/** What one document is about: an issuer that is an origin of ours or a public URL of a resource. */
interface Front extends Pick<PublicName, 'url' | 'host' | 'hostname'> {
  readonly issuer: string;
  readonly origin: string;
  readonly resource: Resource;
}

const ANY_ORIGIN: HeaderLine = ['access-control-allow-origin', '*'];

export function createFacade(options: FacadeOptions): Facade {
  const { metadata, addsResource, registration, now } = options;
  const fronts = indexFronts(options.resources);

  function document(real: JsonObject, front: Front): PublicAnswer {
    const body = facadeDocument(real, {
      issuer: front.issuer,
      registrationEndpoint: registration && front.origin + registration.path,
      resource: addsResource ? front.url : null,
    });
    if (body === null) return unavailable(front, 'its metadata has no usable authorization and token endpoint');
    const headers: HeaderLine[] = [JSON_TYPE, ANY_ORIGIN, ['cache-control', 'max-age=300']];
    const response = { status: 200, headers, body: JSON.stringify(body) };
    return { reason: 'facade_served', resource: front.resource, response };
  }

  function describe(front: Front, deadlineMs: number): PublicAnswer | Promise<PublicAnswer> {
    const real = metadata();
    if (!(real instanceof Promise)) return document(real, front);
    const answered = real.then(
      (found) => document(found, front),
      (cause: unknown) => unavailable(front, cause),
    );
    return inTime(answered, deadlineMs - now(), () => unavailable(front, 'its metadata did not come in time'));
  }

  return (http, deadlineMs) => {
    if (registration !== null && http.path === registration.path) return answerRegistration(http, registration);
    const here = fronts.get(http.path);
    if (here === undefined) return null;
    const front = chooseAmong(here, http);
    switch (http.method) {
      case 'OPTIONS':
        return preflight(front.resource, 'GET, HEAD, OPTIONS');
      case 'GET':
      case 'HEAD':
        return describe(front, deadlineMs);
      default:
        return null;
    }
  };
}

/** Fronts by the paths of their documents; never an empty list. */
function indexFronts(resources: readonly Resource[]): ReadonlyMap<string, readonly Front[]> {
  const placed = resources.flatMap(frontsOf).flatMap((front) => documentPaths(front.issuer).map((path) => ({ path, front })));
  const grouped = Map.groupBy(placed, ({ path }) => path);
  return new Map([...grouped].map(([path, group]) => [path, group.map(({ front }) => front)]));
}

function frontsOf(resource: Resource): Front[] {
  return resource.publicNames.flatMap(({ url, host, hostname }) => {
    const { origin, pathname } = new URL(url);
    const issuers = pathname === '/' ? [origin] : [origin, url];
    return issuers.map((issuer) => ({ issuer, origin, url, host, hostname, resource }));
  });
}

/** RFC 8414 section 3.1, the same for OpenID Connect, and where OpenID Connect Discovery itself has it. */
function documentPaths(issuer: string): string[] {
  const suffix = new URL(issuer).pathname.replace(/\/$/, '');
  const inserted = ['oauth-authorization-server', 'openid-configuration'].map((name) => `/.well-known/${name}${suffix}`);
  return suffix === '' ? inserted : [...inserted, `${suffix}/.well-known/openid-configuration`];
}

function answerRegistration(http: HttpFacts, registration: Registration): PublicAnswer | null {
  if (http.method === 'OPTIONS') return preflight(null, 'POST, OPTIONS');
  if (http.method !== 'POST') return null;
  const registered = registerClient(http, registration);
  if (registered.ok) {
    const response = { status: 201, headers: privateHeaders(), body: JSON.stringify(registered.client) };
    return { reason: 'client_registered', resource: null, response };
  }
  const { error, description, cause } = registered.refusal;
  return {
    reason: 'registration_refused',
    resource: null,
    response: oauthError('registration_refused', error, description),
    cause,
  };
}

function unavailable({ resource }: Front, cause: unknown): PublicAnswer {
  const reason = 'facade_unavailable';
  const response = oauthError(reason, 'temporarily_unavailable', reasonRow(reason).message);
  return { reason, resource, response: { ...response, headers: [...response.headers, ['retry-after', '1']] }, cause };
}

function oauthError(reason: Reason, error: string, description: string): Response {
  const body = JSON.stringify({ error, error_description: description });
  return { status: reasonRow(reason).status, headers: privateHeaders(), body };
}

function privateHeaders(): HeaderLine[] {
  return [JSON_TYPE, ANY_ORIGIN, NO_STORE];
}

function preflight(resource: Resource | null, methods: string): PublicAnswer {
  const headers = [ANY_ORIGIN, ...preflightHeaders(methods)];
  return { reason: 'preflight_answered', resource, response: { status: 204, headers, body: '' } };
}
