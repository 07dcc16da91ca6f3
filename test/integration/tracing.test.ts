/** A trace that Envoy takes part in is named in the decision log, so that a decision is found from its trace and back. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ask, lineOf } from '../support/ask.ts';
import { startTestDeployment, type TestDeployment } from '../support/deployment.ts';
import { closedPort } from '../support/memory.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

let deployment: TestDeployment;
let token: string;
before(async () => {
  // Nobody collects the spans: that is no business of a decision.
  const collector = { address: '127.0.0.1', port_value: await closedPort() };
  deployment = await startTestDeployment({
    delegation: 'mint',
    adjustEnvoy: (config) => {
      const endpoint = { endpoint: { address: { socket_address: collector } } };
      config.static_resources.clusters.push({
        name: 'collector',
        type: 'STATIC',
        connect_timeout: '1s',
        load_assignment: { cluster_name: 'collector', endpoints: [{ lb_endpoints: [endpoint] }] },
      });
      const uri = { uri: 'http://collector/v1/traces', cluster: 'collector', timeout: '1s' };
      config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config.tracing = {
        provider: {
          name: 'envoy.tracers.opentelemetry',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig',
            http_service: { http_uri: uri },
            service_name: 'gateway',
          },
        },
      };
    },
  });
  token = await deployment.tokenOf('alice', deployment.directoryUrl);
});
after(() => deployment.stop());

test('a trace that the client began goes on', async () => {
  const headers = [['traceparent', `00-${TRACE}-00f067aa0ba902b7-01`]] as const;
  for (const question of [{ token, tool: 'listEmployees', headers }, { headers }]) {
    assert.equal((await lineOf(deployment, await ask(deployment, question))).trace_id, TRACE);
  }
});

test('else each request has one of its own', async () => {
  const lines = await Promise.all([1, 2, 3].map(async () => lineOf(deployment, await ask(deployment, { token }))));
  for (const { trace_id: id } of lines) assert.match(id, /^[0-9a-f]{32}$/);
  assert.equal(new Set(lines.map(({ trace_id: id }) => id)).size, 3);
});
