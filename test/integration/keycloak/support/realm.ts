/** Keycloak's administrator at work: what is changed in the realm while everything runs, over the admin REST API. */
import assert from 'node:assert/strict';
import type { Keycloak } from '../../../../examples/keycloak/keycloak.ts';

type Tree = Record<string, any>;

export type Realm = ReturnType<typeof administer>;

export function administer({ origin, admin }: Pick<Keycloak, 'origin' | 'admin'>) {
  async function token(): Promise<string> {
    const body = new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', ...admin });
    const response = await fetch(`${origin}/realms/master/protocol/openid-connect/token`, { method: 'POST', body });
    assert.equal(response.status, 200);
    return ((await response.json()) as { access_token: string }).access_token;
  }

  async function rest(method: string, path: string, body?: unknown): Promise<any> {
    const response = await fetch(`${origin}/admin/realms/mcp${path}`, {
      method,
      headers: { authorization: `Bearer ${await token()}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  async function client(clientId: string): Promise<Tree> {
    const [found] = await rest('GET', `/clients?clientId=${encodeURIComponent(clientId)}`);
    return found ?? assert.fail(`no client ${clientId}`);
  }

  /** Changes a client; gives the way back. */
  async function changeClient(clientId: string, change: (client: Tree) => void): Promise<() => Promise<void>> {
    const before = await client(clientId);
    const after = structuredClone(before);
    change(after);
    await rest('PUT', `/clients/${before.id}`, after);
    // What is left out stays as it is; what is empty goes.
    const added = Object.keys(after.attributes).filter((name) => !Object.hasOwn(before.attributes, name));
    const attributes = { ...before.attributes, ...Object.fromEntries(added.map((name) => [name, ''])) };
    return () => rest('PUT', `/clients/${before.id}`, { ...before, attributes });
  }

  /** Takes a protocol mapper of its own from a client; gives the way back. */
  async function removeMapper(clientId: string, name: string): Promise<() => Promise<void>> {
    const { id, protocolMappers } = await client(clientId);
    const { id: mapperId, ...mapper } = protocolMappers.find((one: Tree) => one.name === name);
    await rest('DELETE', `/clients/${id}/protocol-mappers/models/${mapperId}`);
    return () => rest('POST', `/clients/${id}/protocol-mappers/models`, mapper);
  }

  /** Makes a scope that a client may ask for one that it always gets, or one that it cannot have; gives the way back. */
  async function changeScope(clientId: string, name: string, to: 'default' | 'none'): Promise<() => Promise<void>> {
    const { id } = await client(clientId);
    const scopeId = (await rest('GET', '/client-scopes')).find((scope: Tree) => scope.name === name).id;
    await rest('DELETE', `/clients/${id}/optional-client-scopes/${scopeId}`);
    if (to === 'default') await rest('PUT', `/clients/${id}/default-client-scopes/${scopeId}`);
    return async () => {
      if (to === 'default') await rest('DELETE', `/clients/${id}/default-client-scopes/${scopeId}`);
      await rest('PUT', `/clients/${id}/optional-client-scopes/${scopeId}`);
    };
  }

  /** A new signing key that takes over at once; those before it stay published. */
  async function rotateKeys(): Promise<void> {
    await rest('POST', '/components', {
      name: 'rotated',
      providerId: 'rsa-generated',
      providerType: 'org.keycloak.keys.KeyProvider',
      config: { priority: ['200'], enabled: ['true'], active: ['true'], algorithm: ['RS256'], keySize: ['2048'] },
    });
  }

  /** Ends every session of a user. */
  async function signOut(username: string): Promise<void> {
    const [{ id }] = await rest('GET', `/users?exact=true&username=${username}`);
    await rest('POST', `/users/${id}/logout`);
  }

  return { changeClient, removeMapper, changeScope, rotateKeys, signOut };
}
