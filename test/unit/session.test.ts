import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSealer } from '../../src/seal.ts';
import { isSessionId, openSession, principalKey, type Session, sealSession } from '../../src/session.ts';
import { sealTask } from '../../src/task.ts';
import { alice, NOW } from './support/facts.ts';

const sealer = createSealer([Buffer.alloc(32, 1)]);
const session: Session = {
  principal: principalKey(alice),
  resource: 'front-door',
  backends: { ledger: { id: 'own-1', revision: '2025-11-25' }, directory: { id: null, revision: '2025-06-18' } },
};

test('a session comes back as it was', () => {
  const id = sealSession(sealer, session);
  assert.deepEqual(openSession(sealer, id), session);
  assert.ok(isSessionId(id) && id.length < 300);
});

test('names of backends that every object has are names like others', () => {
  const backends = { constructor: { id: 'a', revision: '2025-11-25' as const } };
  assert.deepEqual(
    Object.entries(openSession(sealer, sealSession(sealer, { ...session, backends }))?.backends ?? {}),
    Object.entries(backends),
  );
});

test('what is no session of ours is none', () => {
  const task = sealTask(sealer, { principal: 'p', backend: 'b', id: 'i' });
  const others = [
    '',
    'own-1',
    task,
    sealer.seal('plan', ['p', 'r']),
    createSealer([Buffer.alloc(32, 2)]).seal('session', ['p', 'r']),
  ];
  for (const id of others) assert.equal(openSession(sealer, id), null, id);
  assert.equal(openSession(sealer, sealer.seal('session', 'text')), null);
});

test('a principal is issuer, subject and client: neither token, nor scopes, nor what stands side by side', () => {
  const key = principalKey(alice);
  assert.match(key, /^[\w-]{22}$/);
  assert.equal(principalKey({ ...alice, scopes: [], tokenId: 'other', expiresAt: NOW + 900, claims: {}, audience: [] }), key);
  const others = [
    { ...alice, issuer: 'https://other.example' },
    { ...alice, subject: 'bob' },
    { ...alice, clientId: 'other' },
    { ...alice, subject: 'claude-code', clientId: 'alice' },
    { ...alice, subject: 'alice","claude-code', clientId: '' },
  ].map(principalKey);
  assert.equal(new Set([key, ...others]).size, others.length + 1);
});

test('what can be carried is visible ASCII', () => {
  for (const id of ['a', '~!', 'x'.repeat(1024)]) assert.ok(isSessionId(id), id);
  for (const id of ['', ' ', 'a b', 'é', 'a\n', 'x'.repeat(1025), null, undefined, 7]) assert.ok(!isSessionId(id), String(id));
});
