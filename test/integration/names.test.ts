/**
 * One resource under two names: an internal one, and a public one at a tunnel that rewrites Host and says the name in
 * X-Forwarded-Host. Each name has metadata, challenges and an audience of its own; a name nobody configured has none.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../../examples/reference/free-port.ts';
import { ask, get, lineOf } from '../support/ask.ts';
import { DIRECTORY, LEDGER, startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { addListener } from '../support/listeners.ts';
import { type HeaderLine, openWire, type Wire } from '../support/wire.ts';

const TUNNEL = 'https://ledger.tunnel.example';
const SHORT = 'https://short.tunnel.example/mcp';

let deployment: TestDeployment;
let routed: Wire;
before(async () => {
  const routedPort = await freePort();
  deployment = await startTestDeployment({
    delegation: 'mint',
    adjustSidecar: (config) => {
      withoutCatalog(config);
      const [ledger, directory] = config.resources;
      ledger.publicUrls.push(TUNNEL + LEDGER, SHORT);
      directory.publicUrls.push(TUNNEL + DIRECTORY);
    },
    adjustEnvoy: (config) => {
      const { route_config: routes } = config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
      routes.virtual_hosts[0].domains.push('ledger.tunnel.example');
      // A listener of its own for the tunnel: whoever runs Envoy says which name it stands for.
      addListener(config, 'tunnel', routedPort, ({ manager }) => {
        manager.route_config.virtual_hosts[0].typed_per_filter_config = {
          'envoy.filters.http.ext_authz': {
            '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute',
            check_settings: { context_extensions: { public_host: 'ledger.tunnel.example' } },
          },
        };
      });
    },
  });
  routed = openWire(routedPort, deployment.certificates.caPem);
});
after(async () => {
  routed.close();
  await deployment.stop();
});

/** As the request arrives: with the public name in Host, or in X-Forwarded-Host behind an internal Host. */
const ARRIVALS: Record<string, { host?: string; headers?: readonly HeaderLine[] }> = {
  'its name in Host': { host: 'ledger.tunnel.example' },
  'its name in Host, with a port and in capitals': { host: 'LEDGER.tunnel.example:443' },
  'its name in X-Forwarded-Host': { headers: [['x-forwarded-host', 'ledger.tunnel.example']] },
};

const metadataPath = (path: string) => `/.well-known/oauth-protected-resource${path}`;

describe('at the tunnel', () => {
  for (const [what, arrival] of Object.entries(ARRIVALS)) {
    test(`${what}: metadata and challenge speak of the tunnel`, async () => {
      const { status, json } = await get(deployment, metadataPath(LEDGER), arrival);
      assert.deepEqual([status, json.resource], [200, TUNNEL + LEDGER]);
      const refused = await ask(deployment, { to: 'ledger', ...arrival });
      assert.match(
        refused.headers.get('www-authenticate')?.[0] ?? '',
        new RegExp(`resource_metadata="${TUNNEL}${metadataPath(LEDGER)}"`),
      );
    });
  }

  test('its name last in a list of X-Forwarded-Host: the nearest proxy counts', async () => {
    for (const headers of [
      [['x-forwarded-host', 'inner.example, ledger.tunnel.example']],
      [
        ['x-forwarded-host', 'inner.example'],
        ['x-forwarded-host', 'ledger.tunnel.example'],
      ],
    ] as HeaderLine[][]) {
      assert.equal((await get(deployment, metadataPath(LEDGER), { headers })).json.resource, TUNNEL + LEDGER);
    }
  });

  test('a route that names it: no header of the client counts', async () => {
    for (const headers of [
      [],
      [['x-forwarded-host', 'localhost']],
      [['x-forwarded-host', 'short.tunnel.example']],
    ] as HeaderLine[][]) {
      const { json } = await get({ wire: routed }, metadataPath(LEDGER), { headers });
      assert.equal(json.resource, TUNNEL + LEDGER);
      const refused = await ask({ wire: routed }, { to: 'ledger', headers });
      assert.match(refused.headers.get('www-authenticate')?.[0] ?? '', new RegExp(`resource_metadata="${TUNNEL}/`));
    }
  });

  test('each name leads to its own document, over both resources', async () => {
    const headers: HeaderLine[] = [['x-forwarded-host', 'ledger.tunnel.example']];
    assert.equal((await get(deployment, metadataPath(DIRECTORY), { headers })).json.resource, TUNNEL + DIRECTORY);
    assert.equal((await get(deployment, metadataPath(DIRECTORY))).json.resource, deployment.directoryUrl);
  });

  test('a name with another path has its metadata at that path', async () => {
    const headers: HeaderLine[] = [['x-forwarded-host', 'short.tunnel.example']];
    assert.equal((await get(deployment, metadataPath('/mcp'), { headers })).json.resource, SHORT);
    const refused = await ask(deployment, { to: 'ledger', headers });
    assert.match(
      refused.headers.get('www-authenticate')?.[0] ?? '',
      /resource_metadata="https:\/\/short\.tunnel\.example\/\.well-known\/oauth-protected-resource\/mcp"/,
    );
  });
});

describe('inside', () => {
  test('metadata and challenge speak of the internal name', async () => {
    assert.equal((await get(deployment, metadataPath(LEDGER))).json.resource, deployment.ledgerUrl);
    const refused = await ask(deployment, { to: 'ledger' });
    assert.match(refused.headers.get('www-authenticate')?.[0] ?? '', new RegExp(`resource_metadata="${deployment.origin}/`));
  });

  test('a name that nobody configured is never repeated', async () => {
    for (const headers of [
      [['x-forwarded-host', 'evil.example']],
      [['x-forwarded-host', 'ledger.tunnel.example.evil.example']],
      [
        ['x-forwarded-host', 'ledger.tunnel.example'],
        ['x-forwarded-host', 'evil.example'],
      ],
      [['forwarded', 'host=evil.example']],
    ] as HeaderLine[][]) {
      const { json, body } = await get(deployment, metadataPath(LEDGER), { headers });
      assert.equal(json.resource, deployment.ledgerUrl);
      assert.doesNotMatch(body, /evil/);
      const refused = await ask(deployment, { to: 'ledger', headers });
      assert.doesNotMatch(JSON.stringify([...refused.headers, refused.body]), /evil/);
    }
  });
});

describe('tokens', () => {
  for (const [where, resource] of [
    ['inside', () => deployment.ledgerUrl],
    ['at the tunnel', () => TUNNEL + LEDGER],
    ['at the short name', () => SHORT],
  ] as const) {
    test(`one that was asked for ${where} opens the resource by every name, and the backend hears the same`, async () => {
      const token = deployment.testIssuer.token(resource());
      for (const arrival of [{}, ...Object.values(ARRIVALS)]) {
        const line = await lineOf(deployment, await ask(deployment, { to: 'ledger', token, tool: 'listAccounts', ...arrival }));
        assert.equal(line.reason, 'allowed');
        const { delegation, headers } = deployment.requests.at(-1) ?? assert.fail();
        assert.equal(delegation?.aud, 'https://enterprise-ledger.internal/mcp');
        assert.equal(headers.host, 'enterprise-ledger.internal');
      }
    });
  }

  test('one for the other resource of the same tunnel does not', async () => {
    const token = deployment.testIssuer.token(TUNNEL + DIRECTORY);
    const { status, reason } = await ask(deployment, { to: 'ledger', token, ...ARRIVALS['its name in Host'] });
    assert.deepEqual([status, reason], [401, 'token_audience_mismatch']);
  });
});
