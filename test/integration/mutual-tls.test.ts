/** A sidecar on an address that others can reach: it talks to who has a certificate of the right authority, and to nobody else. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { loadAuthorization } from '../../src/ext-authz/server.ts';
import { ask, lineOf } from '../support/ask.ts';
import { startTestDeployment, type TestDeployment } from '../support/deployment.ts';
import { toCheckRequest } from '../support/envoy-model.ts';

type Tree = Record<string, any>;

interface Identity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

let deployment: TestDeployment;
let sidecar: Identity;
let envoy: Identity;
let stranger: Identity;

before(async () => {
  deployment = await startTestDeployment({
    delegation: 'mint',
    adjustSidecar: (config) => {
      const dir = mkdtempSync(join(config.decisionLog.file, '..', 'tls-'));
      const ours = makeAuthority(dir, 'ours');
      sidecar = makeIdentity(dir, ours, 'sidecar', 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth');
      envoy = makeIdentity(dir, ours, 'envoy', 'extendedKeyUsage=clientAuth');
      stranger = makeIdentity(dir, makeAuthority(dir, 'theirs'), 'stranger', 'extendedKeyUsage=clientAuth');
      config.server.tls = { certFile: sidecar.cert, keyFile: sidecar.key, clientCaFile: sidecar.ca };
    },
    adjustEnvoy: (config) => {
      const cluster = config.static_resources.clusters.find(({ name }: Tree) => name === 'mcp_ext_authz');
      cluster.transport_socket = {
        name: 'envoy.transport_sockets.tls',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
          sni: 'localhost',
          common_tls_context: {
            alpn_protocols: ['h2'],
            tls_certificates: [{ certificate_chain: { filename: envoy.cert }, private_key: { filename: envoy.key } }],
            validation_context: { trusted_ca: { filename: envoy.ca } },
          },
        },
      };
    },
  });
});
after(() => deployment.stop());

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

function makeAuthority(dir: string, name: string): string {
  const file = join(dir, name);
  openssl('req', '-x509', ...NEW_KEY, '-days', '1', '-subj', `/CN=${name}`, '-keyout', `${file}.key`, '-out', `${file}.pem`);
  return file;
}

function makeIdentity(dir: string, authority: string, name: string, extensions: string): Identity {
  const file = join(dir, name);
  writeFileSync(`${file}.ext`, `${extensions}\n`);
  openssl('req', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', `${file}.key`, '-out', `${file}.csr`);
  const signing = [
    '-CA',
    `${authority}.pem`,
    '-CAkey',
    `${authority}.key`,
    '-CAcreateserial',
    '-days',
    '1',
    '-extfile',
    `${file}.ext`,
  ];
  openssl('x509', '-req', '-in', `${file}.csr`, ...signing, '-out', `${file}.pem`);
  return { ca: `${authority}.pem`, cert: `${file}.pem`, key: `${file}.key` };
}

/** What somebody who is not Envoy gets for a Check: the status of the answer, or why there is none. */
function checkAs(channel: ChannelCredentials): Promise<string> {
  const target = deployment.sidecar.ready.target.replace('127.0.0.1', 'localhost');
  const client = new (loadAuthorization())(target, channel);
  const request = toCheckRequest({ method: 'GET', path: '/', authority: 'localhost', headers: [], body: null });
  return new Promise((resolve) => {
    client.Check(request, { deadline: Date.now() + 2000 }, (error, response) => {
      client.close();
      resolve(error ? 'no answer' : `answer ${response?.denied_response?.status?.code}`);
    });
  });
}

const file = (path: string) => readFileSync(path);

test('Envoy with its certificate is answered', async () => {
  const token = await deployment.tokenOf('alice', deployment.directoryUrl);
  const reply = await ask(deployment, { token, tool: 'listEmployees' });
  assert.equal(reply.status, 200);
  assert.equal((await lineOf(deployment, reply)).reason, 'allowed');
});

test('so is whoever has a certificate of the same authority, and nobody else', async () => {
  const { ca } = sidecar;
  assert.match(await checkAs(credentials.createSsl(file(ca), file(envoy.key), file(envoy.cert))), /^answer /);
  const lines = (await deployment.decisions.all()).length;
  assert.equal(await checkAs(credentials.createInsecure()), 'no answer', 'plaintext');
  assert.equal(await checkAs(credentials.createSsl(file(ca))), 'no answer', 'without a certificate');
  assert.equal(
    await checkAs(credentials.createSsl(file(ca), file(stranger.key), file(stranger.cert))),
    'no answer',
    'of another authority',
  );
  assert.ok((await deployment.decisions.all()).length - lines <= 1, 'a stranger was judged');
});

test('without it, an address that others can reach is not listened on', async () => {
  await assert.rejects(
    deployment.startAnotherSidecar('exposed', (config) => {
      config.server = { listen: '0.0.0.0:0' };
      config.wellKnown = undefined;
    }),
    /server\.listen: other hosts can reach it/,
  );
});
