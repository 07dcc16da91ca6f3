/** A certificate authority of a test's own, for servers and for clients. */
import { x509 } from '../../../examples/reference/x509.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export interface Authority {
  /** PEM. */
  readonly ca: string;
  readonly issue: (name: string, purpose: 'server' | 'client') => Promise<{ readonly cert: string; readonly key: string }>;
}

export async function createAuthority(): Promise<Authority> {
  const root = await generate();
  const name = 'CN=test authority';
  const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name,
    keys: root,
    signingAlgorithm: algorithm,
    ...validity,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });

  async function issue(host: string, purpose: 'server' | 'client') {
    const keys = await generate();
    const issued = await x509.X509CertificateGenerator.create({
      subject: `CN=${host}`,
      issuer: name,
      publicKey: keys.publicKey,
      signingKey: root.privateKey,
      signingAlgorithm: algorithm,
      ...validity,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.ExtendedKeyUsageExtension([
          purpose === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
        ]),
        new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: host }]),
      ],
    });
    const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
    return { cert: issued.toString('pem'), key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') };
  }

  return { ca: certificate.toString('pem'), issue };
}

function generate() {
  return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}
