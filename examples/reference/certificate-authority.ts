/**
 * A certificate authority for one run: its own root and one server certificate, P-256, valid for a week, as PEM files
 * that Envoy and Node read. The private key of the root is thrown away as soon as it has signed.
 */
import type { webcrypto } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { x509 } from './x509.ts';

export type CertificateOptions = {
  /** Where the files go; made when missing. */
  readonly dir: string;
  /** DNS names and IP addresses of the server. */
  readonly hosts: readonly string[];
};

export type Certificates = {
  /** The root, for those who connect. */
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly caPem: string;
};

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const rootName = 'CN=mcp-ext-authz reference CA';

/** Makes both certificates and writes `ca.pem`, `server.pem` and `server-key.pem`. */
export async function createCertificates({ dir, hosts }: CertificateOptions): Promise<Certificates> {
  const [root, server] = await Promise.all([generateKeys(), generateKeys()]);
  const validity = validFor(7);

  const rootCertificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: rootName,
    keys: root,
    signingAlgorithm: algorithm,
    ...validity,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(root.publicKey),
    ],
  });
  const serverCertificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${hosts[0] ?? 'localhost'}`,
    issuer: rootName,
    publicKey: server.publicKey,
    signingKey: root.privateKey,
    signingAlgorithm: algorithm,
    ...validity,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(hosts.map((host) => ({ type: isIP(host) ? 'ip' : 'dns', value: host }))),
      await x509.AuthorityKeyIdentifierExtension.create(root.publicKey),
    ],
  });

  const files = {
    caFile: join(dir, 'ca.pem'),
    certFile: join(dir, 'server.pem'),
    keyFile: join(dir, 'server-key.pem'),
  };
  const caPem = `${rootCertificate.toString('pem')}\n`;
  await mkdir(dir, { recursive: true });
  await writeFile(files.caFile, caPem);
  await writeFile(files.certFile, `${serverCertificate.toString('pem')}\n`);
  await writeFile(files.keyFile, await privateKeyPem(server.privateKey), { mode: 0o600 });
  return { ...files, caPem };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

/** From an hour ago, since the clocks of containers are not always equal. */
function validFor(days: number) {
  const now = Date.now();
  return { notBefore: new Date(now - 3_600_000), notAfter: new Date(now + days * 86_400_000) };
}

async function privateKeyPem(key: CryptoKey): Promise<string> {
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', key);
  return `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`;
}
