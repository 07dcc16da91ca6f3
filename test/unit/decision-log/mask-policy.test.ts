/** The masks that docs/decision-log.md shows, evaluated by OPA itself. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { createMask, DROP, MASK } from '../../../src/decision-log/masking.ts';
import { openOpa } from '../../../src/opa/opa.ts';
import { ok } from '../../../src/result.ts';

const page = readFileSync(new URL('../../../docs/decision-log.md', import.meta.url), 'utf8');
const [, rego = ''] = /```rego\n([\s\S]*?)```/.exec(page) ?? [];
const opa = openOpa();
after(opa.close);

const policy = {
  has: (entrypoint: string) => [MASK, DROP].includes(entrypoint),
  evaluate: async (entrypoint: string, { input }: { readonly input: string }) => {
    const query = `data.${entrypoint.replaceAll('/', '.')}`;
    const { result, errors } = await opa.ask({ command: 'eval', files: { 'mask.rego': rego }, query, input: JSON.parse(input) });
    assert.equal(errors, undefined);
    return ok(result?.value);
  },
};

const event = {
  decision: 'allow',
  method: 'tools/call',
  subject: 'alice',
  client_id: 'agent',
  input: { principal: { claims: { email: 'a@example.com', team: 't' } } },
};

async function mask(change: object) {
  const masked = await createMask({ policy: () => policy, now: Date.now }).apply(JSON.stringify({ ...event, ...change }));
  return masked === null ? null : JSON.parse(masked);
}

test('takes the claim, and puts a hash where the subject was', async () => {
  const { subject, input, erased, masked } = await mask({});
  assert.equal(subject, createHash('sha256').update('alice').digest('hex'));
  assert.deepEqual(input.principal.claims, { team: 't' });
  assert.deepEqual([erased, masked], [['/input/principal/claims/email'], ['/subject']]);
});

test('drops what the health check asks, when it is allowed', async () => {
  assert.equal(await mask({ client_id: 'health-check', method: 'ping' }), null);
  assert.notEqual(await mask({ client_id: 'health-check', method: 'ping', decision: 'deny' }), null);
});
