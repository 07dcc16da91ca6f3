/** What ext_authz adds to a request through a real Envoy: open loop, so that a stall shows in every request it delays. */

import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Agent } from 'undici';
import { createCertificates } from '../../examples/reference/certificate-authority.ts';
import { freePort } from '../../examples/reference/free-port.ts';
import { startEnvoy } from '../../examples/reference/gateway.ts';
import { bold, dim } from '../../examples/reference/paint.ts';
import { bringEnvoy } from '../../scripts/envoy.ts';
import type { Run, Subject } from './run.ts';
import type { Call } from './world.ts';

const RATE = 300;

export interface LatencyOptions extends Run {
  readonly subjects: Readonly<Record<string, Subject>>;
  readonly calls: readonly Call[];
}

export type Percentiles = { readonly p50: number; readonly p99: number; readonly p999: number };

export async function measureLatency(options: LatencyOptions): Promise<Record<string, Percentiles>> {
  const { dir, subjects, calls, quick, say, progress } = options;
  const seconds = quick ? 5 : 20;
  const binary = await bringEnvoy(say);
  const backend = createServer((request, response) => {
    request.resume();
    response.setHeader('content-type', 'application/json').end('{"jsonrpc":"2.0","id":1,"result":{}}');
  });
  await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
  const backendPort = (backend.address() as AddressInfo).port;
  const certificates = await createCertificates({ dir, hosts: ['localhost'] });
  const results: Record<string, Percentiles> = {};
  say(
    `\n${bold('Latency through Envoy')}${dim(`  (ms, ${RATE} requests a second, open loop, ${seconds} s after warm-up; TLS, HTTP/1.1, tools/call)`)}`,
  );
  say(`  ${'what'.padEnd(14)}${'p50'.padStart(8)}${'p99'.padStart(8)}${'p99.9'.padStart(8)}${'added p50'.padStart(12)}`);
  try {
    for (const name of ['no ext_authz', ...Object.keys(subjects)]) {
      const home = join(dir, `envoy-${name.replace(' ', '-')}`);
      await mkdir(home);
      const envoy = await startEnvoy({
        dir: home,
        binary,
        port: await freePort(),
        authz: subjects[name]?.ready.target ?? '127.0.0.1:1',
        backends: { enterprise_ledger: backendPort, employee_directory: backendPort },
        certFile: certificates.certFile,
        keyFile: certificates.keyFile,
        adjust: (config) => {
          const manager = config.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
          manager.route_config.virtual_hosts[0].domains = ['*'];
          if (subjects[name] !== undefined) return;
          manager.http_filters = manager.http_filters.filter(
            (filter: { name: string }) => filter.name !== 'envoy.filters.http.ext_authz',
          );
          config.static_resources.clusters = config.static_resources.clusters.filter(
            (cluster: { name: string }) => cluster.name !== 'mcp_ext_authz',
          );
        },
      });
      const agent = new Agent({ connect: { ca: certificates.caPem }, connections: 64 });
      try {
        progress(`latency: ${name} …`);
        await openLoop(agent, envoy.port, calls, 3);
        const samples = await openLoop(agent, envoy.port, calls, seconds);
        progress('');
        const result = percentiles(samples);
        results[name] = result;
        const added = result.p50 - (results['no ext_authz'] as Percentiles).p50;
        say(
          `  ${name.padEnd(14)}${result.p50.toFixed(2).padStart(8)}${result.p99.toFixed(2).padStart(8)}${result.p999.toFixed(2).padStart(8)}${added.toFixed(2).padStart(12)}`,
        );
      } finally {
        await agent.close();
        await envoy.stop();
      }
    }
  } finally {
    backend.close();
  }
  return results;
}

/** Latencies in ms, each from the moment at which the request was due. */
function openLoop(agent: Agent, port: number, calls: readonly Call[], seconds: number): Promise<number[]> {
  const total = RATE * seconds;
  const samples: number[] = [];
  const start = performance.now();
  return new Promise((resolve, reject) => {
    let sent = 0;
    const send = (due: number) => {
      const { path, token, body } = calls[sent++ % calls.length] as Call;
      const headers = {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        authorization: `Bearer ${token}`,
      };
      agent.request({ origin: `https://localhost:${port}`, method: 'POST', path, headers, body }).then(async (response) => {
        await response.body.dump();
        if (response.statusCode !== 200) return reject(new Error(`a request was answered ${response.statusCode}`));
        samples.push(performance.now() - due);
        if (samples.length === total) resolve(samples);
      }, reject);
    };
    const timer = setInterval(() => {
      const due = Math.min(total, Math.floor(((performance.now() - start) / 1000) * RATE));
      while (sent < due) send(start + (sent * 1000) / RATE);
      if (sent === total) clearInterval(timer);
    }, 1);
  });
}

function percentiles(samples: readonly number[]): Percentiles {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) =>
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number) * 100) / 100;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}
