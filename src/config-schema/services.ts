/** Settings of HTTP services that the sidecar is a client of: bundles come from there, logs and status go there. */
import { z } from 'zod';
import { isSafeUrl, isWebUrl } from '../http-client.ts';
import { milliseconds, name, scope, secret, url } from './parts.ts';

const headers = z
  .record(z.string().regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'use a lower-case header name'), z.string().regex(/^[\x20-\x7e]*$/))
  .refine(
    (given) => !Object.keys(given).some((header) => /^((proxy-)?authorization|cookie|private-token|.*-(api-)?key)$/.test(header)),
    'credentials are not for the configuration: use credentials',
  );

const credentials = z
  .strictObject({
    bearer: secret
      .optional()
      .describe('A token that is sent as it is: `{file: PATH}` or `{env: NAME}`; the file is read for each request.'),
    clientTls: z
      .strictObject({
        certFile: z.string().describe('PEM certificate chain.'),
        keyFile: z.string().describe('PEM private key.'),
      })
      .optional()
      .describe('A client certificate; read again when it changes.'),
    oauth2: z
      .strictObject({
        tokenUrl: url.describe('The token endpoint of the authorization server.'),
        clientId: z.string().min(1).describe('The gateway as a client there.'),
        secret,
        scopes: z.array(scope).default([]).describe('Scopes to ask for.'),
        parameters: z
          .record(z.string().regex(/^(?!grant_type$|scope$|client_)[a-z_]+$/, 'is set already, or is no parameter'), z.string())
          .default({})
          .describe('What else the server wants to be told, such as `audience` or `resource`. Never a secret.'),
      })
      .optional()
      .describe('A token by client credentials (RFC 6749 section 4.4), asked for again before it expires.'),
  })
  .refine((given) => Object.values(given).filter((one) => one !== undefined).length === 1, 'use one of bearer, clientTls, oauth2')
  .optional()
  .describe('How the gateway shows who it is; one of these.');

export const services = z
  .array(
    z
      .strictObject({
        name: name.describe('What other sections call it.'),
        url: z
          .string()
          .refine(isWebUrl, 'use an http or https URL without user, password or fragment')
          .describe('What resources and paths are appended to: https, or plain http to this host.'),
        allowPlaintext: z
          .boolean()
          .default(false)
          .describe('Accept plain http to other hosts: whoever is on the way reads along and can answer in its place.'),
        headers: headers.default({}).describe('Sent with every request; never credentials.'),
        credentials,
        caFile: z.string().optional().describe("PEM authorities to trust in place of the system's."),
        timeoutMs: milliseconds(10_000, 'For one request, to the last byte of its answer.'),
      })
      .refine((service) => service.allowPlaintext || !isWebUrl(service.url) || isSafeUrl(service.url), {
        path: ['url'],
        message: 'use https (plain http to this host only), or set allowPlaintext',
      }),
  )
  .default([])
  .describe('HTTP services that the sidecar is a client of: docs/bundle-servers.md.');

type Services = z.output<typeof services>;

/** What is wrong between services and those who use them. */
export function serviceProblems(given: Services, users: readonly { readonly at: string; readonly service: string }[]): string[] {
  const names = new Set(given.map((service) => service.name));
  return [
    ...users.filter(({ service }) => !names.has(service)).map(({ at, service }) => `${at}: ${service} is not among services`),
    ...given.flatMap(({ url: address, credentials: shown }, index) =>
      address.startsWith('http:') && !isSafeUrl(address) && (shown?.bearer ?? shown?.oauth2) !== undefined
        ? [`services[${index}].credentials: a token must not go over plain http to another host`]
        : [],
    ),
  ];
}
