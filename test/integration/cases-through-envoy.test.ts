/** Every case of test/cases again, as bytes over TLS to a real Envoy with the sidecar and both MCP servers behind it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Case, type Concrete, loadCases, makeConcrete, type Protocol, type World } from '../support/cases.ts';
import { startTestDeployment, type TestDeployment, withoutCatalog } from '../support/deployment.ts';
import { type Expectation, verify } from '../support/expectations.ts';
import { adjustForCases, closedPort } from '../support/memory.ts';
import type { WireAnswer } from '../support/wire.ts';

let deployment: TestDeployment;
let world: World;
/** Checks that were to be so far: the decision log must have as many lines, neither more nor less. */
let checks = 0;

before(async () => {
  const deadIssuer = `http://127.0.0.1:${await closedPort()}`;
  deployment = await startTestDeployment({
    delegation: 'mint',
    adjustSidecar: (config) => {
      withoutCatalog(config);
      adjustForCases(deadIssuer)(config);
    },
  });
  const { origin, authorizationServer, testIssuer, tokenOf } = deployment;
  world = { origin, issuer: authorizationServer.issuer, testIssuer, deadIssuer, tokenOf };
});
after(() => deployment.stop());

for (const { topic, cases } of loadCases()) {
  describe(topic, () => {
    for (const one of cases.filter(({ levels }) => levels.includes('envoy'))) {
      for (const protocol of one.protocols) {
        const name = `${one.name} (${protocol === 'h1' ? 'HTTP/1.1' : 'HTTP/2'})`;
        test(name, { todo: one.bug ?? false }, () => play(one, protocol));
      }
    }
  });
}

test('there is one line for each Check and no other', async () => {
  const last = await makeConcrete({ token: 'none' }, world);
  await deployment.wire.http1(last);
  const lines = await deployment.decisions.waitForCount(checks + 1);
  assert.equal(lines.length, checks + 1);
  assert.equal(new Set(lines.map(({ decision_id }) => decision_id)).size, lines.length);
});

async function play(one: Case, protocol: Protocol): Promise<void> {
  const expected = { ...one.expect, ...one.envoy, ...one[protocol] } as Expectation;
  const request = await makeConcrete(one.request, world);
  const seenBefore = deployment.requests.length;
  const answer = await send(request, protocol);
  const lines = expected.check === false ? [] : [await nextLine(answer)];
  verify(expected, request, world, { answer, lines, seen: deployment.requests.slice(seenBefore) });
}

function send(request: Concrete, protocol: Protocol): Promise<WireAnswer> {
  const { wire } = deployment;
  const until = request.method === 'HEAD' ? 'head' : request.method === 'GET' ? 'stream' : 'end';
  if (request.raw !== null) return wire.raw(request.raw, until);
  return protocol === 'h1' ? wire.http1({ ...request, until }) : wire.http2({ ...request, until });
}

/** The next line of the log must be this request's: one too many is told of the request before it. */
async function nextLine({ headers }: WireAnswer) {
  const id = headers.get('x-request-id')?.[0];
  const line = await deployment.decisions.waitFor('the line of this request', ({ request_id }) => request_id === id, {
    from: checks,
  });
  const index = (await deployment.decisions.all()).indexOf(line);
  const skipped = index - checks;
  checks = index + 1;
  assert.equal(skipped, 0, 'there are lines that no request explains');
  return line;
}
