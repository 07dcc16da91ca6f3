/** `npm run smoke`: four checks of a lab that is up. Exits 1 when one fails. */
import { readFile } from 'node:fs/promises';
import { Agent, fetch } from 'undici';
import { readEndpoints } from './lab-endpoints.ts';
import { wrong, yes } from './paint.ts';

const endpoints = await readEndpoints();
if (endpoints === null) {
  process.stderr.write('No lab is up: start one with `npm run lab` in another terminal.\n');
  process.exit(1);
}

const { issuer, resources } = endpoints;
const dispatcher = new Agent({ connect: { ca: await readFile(endpoints.caFile, 'utf8') } });
const json = async (url: string) => {
  const response = await fetch(url, { dispatcher });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

const checks: [string, () => Promise<string | null>][] = [
  ['IdP health', async () => explain((await json(`${issuer}/jwks`)).status === 200, 'its keys are not served')],
  [
    'discovery',
    async () => {
      const { body } = await json(`${issuer}/.well-known/oauth-authorization-server`);
      return explain(body.issuer === issuer && typeof body.token_endpoint === 'string', 'the metadata is not that of the issuer');
    },
  ],
  [
    'gateway demands a token',
    async () => {
      for (const url of Object.values(resources)) {
        const response = await fetch(url, {
          method: 'POST',
          body: '{}',
          headers: { 'content-type': 'application/json' },
          dispatcher,
        });
        const challenge = response.headers.get('www-authenticate') ?? '';
        if (response.status !== 401 || !/^Bearer .*resource_metadata="https:/.test(challenge))
          return `${url} answered ${response.status}`;
      }
      return null;
    },
  ],
  [
    'resource metadata served',
    async () => {
      for (const url of Object.values(resources)) {
        const { origin, pathname } = new URL(url);
        const { body } = await json(`${origin}/.well-known/oauth-protected-resource${pathname}`);
        if (body.resource !== url) return `the metadata of ${url} names ${String(body.resource)}`;
      }
      return null;
    },
  ],
];

function explain(condition: boolean, problem: string): string | null {
  return condition ? null : problem;
}

for (const [name, check] of checks) {
  const problem = await check().catch((error: Error) => error.message);
  process.stdout.write(problem === null ? `${yes('ok')}      ${name}\n` : `${wrong('failed')}  ${name}: ${problem}\n`);
  if (problem !== null) process.exitCode = 1;
}
await dispatcher.close();
