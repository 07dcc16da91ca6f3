/** Envoy as the deployment starts it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createCertificates } from '../../examples/reference/certificate-authority.ts';
import { freePort } from '../../examples/reference/free-port.ts';
import { startEnvoy } from '../../examples/reference/gateway.ts';
import { bringEnvoy } from '../../scripts/envoy.ts';
import { addListener } from '../support/listeners.ts';

/** Whether one that says it is ready listens already is a matter of luck: of five, one was found out nearly always. */
const ROUNDS = 5;
const LISTENERS = 4;

test('an Envoy that was started listens everywhere', async (t: TestContext) => {
  const dir = await mkdtemp(join(tmpdir(), 'mcp-ext-authz-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const certificates = await createCertificates({ dir, hosts: ['localhost'] });
  const binary = await bringEnvoy(() => {});
  for (let round = 0; round < ROUNDS; round++) {
    const ports: number[] = [];
    while (ports.length < LISTENERS) ports.push(await freePort());
    const [port, ...others] = ports as [number, ...number[]];
    const envoy = await startEnvoy({
      dir,
      binary,
      port,
      authz: '127.0.0.1:9',
      backends: { enterprise_ledger: 9, employee_directory: 9 },
      certFile: certificates.certFile,
      keyFile: certificates.keyFile,
      adjust: (config) => {
        for (const other of others) addListener(config, `edge-${other}`, other, () => {});
      },
    });
    await Promise.all(ports.map(canConnect)).finally(() => envoy.stop());
  }
});

function canConnect(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(void socket.destroy()));
    socket.once('error', reject);
  });
}
