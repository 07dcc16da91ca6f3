/**
 * Settings of the authorization server façade, and what must hold between them and the rest. What may be a redirect URI is
 * told in RFC 6749 section 3.1.2 and RFC 8252 section 7.
 */
import { z } from 'zod';
import { isSafeUrl } from '../http-client.ts';

const PATH = /^\/[A-Za-z0-9._~-]+(\/[A-Za-z0-9._~-]+)*$/;
/** What a browser runs or reads itself: a code sent there goes to nobody, or to a script. */
const NO_CLIENT = /^(javascript|data|file|blob|about|vbscript|ftp|wss?|http):$/;

const registration = z.strictObject({
  path: z
    .string()
    .regex(PATH, 'use an absolute path of plain letters')
    .default('/register')
    .describe('Path of the registration endpoint, at the origins of `resources[].publicUrls`.'),
  clientId: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'use a client id without spaces')
    .describe('The public client, registered at the issuer beforehand, that every caller is told.'),
  redirectUris: z
    .array(z.string().refine(isRedirectUri, 'use an https, loopback http or private-use URI without user or fragment'))
    .min(1)
    .describe(
      'What clients may register with; the issuer must know the same. Compared exactly, but for the port of a loopback URI such as `http://127.0.0.1/callback`.',
    ),
});

export const authorizationServerFacade = z
  .strictObject({
    issuer: z.string().min(1).describe('The authorization server that it points at, one of `issuers`.'),
    resource: z
      .string()
      .min(1)
      .optional()
      .describe(
        'The resource that the documents at the root of an origin are for, by name; the first that accepts the issuer, if absent.',
      ),
    addResourceParameter: z
      .boolean()
      .default(false)
      .describe(
        'Write `resource` (RFC 8707) into the query of the authorization endpoint, for an issuer that needs it from clients that do not send it. Clients in Python cannot handle such an endpoint.',
      ),
    registration: registration
      .optional()
      .describe('Answer dynamic client registration (RFC 7591) with a client that is there already.'),
  })
  .optional()
  .describe('Metadata and registration for clients that take us for the authorization server.');

function isRedirectUri(text: string): boolean {
  if (/[\s#*]/.test(text) || !URL.canParse(text)) return false;
  if (isSafeUrl(text)) return true;
  const { protocol, username, password } = new URL(text);
  return protocol !== 'https:' && !NO_CLIENT.test(protocol) && username === '' && password === '';
}

interface Around {
  readonly issuers: readonly { readonly issuer: string }[];
  readonly resources: readonly {
    readonly name: string;
    readonly path: string;
    readonly issuers?: readonly string[] | undefined;
  }[];
}

/** What no single setting can show. Sections that are wrong in themselves come as empty lists, and nothing is said of them. */
export function facadeProblems(given: z.output<typeof authorizationServerFacade>, { issuers, resources }: Around): string[] {
  if (given === undefined) return [];
  const { issuer, resource, registration: { path } = {} } = given;
  const accepting = resources.filter((one) => one.issuers === undefined || one.issuers.includes(issuer));
  const named = resource === undefined ? accepting[0] : accepting.find(({ name }) => name === resource);
  const at = 'authorizationServerFacade';
  return [
    issuers.length > 0 && !issuers.some((one) => one.issuer === issuer) && `${at}.issuer: ${issuer} is not among issuers`,
    resources.length > 0 && named === undefined && `${at}.resource: there is no such resource that accepts tokens of the issuer`,
    path?.startsWith('/.well-known/') && `${at}.registration.path: is where documents are`,
    resources.some((one) => one.path === path) && `${at}.registration.path: is the path of a resource`,
  ].filter((problem) => typeof problem === 'string');
}
