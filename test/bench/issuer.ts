/**
 * The authorization server of the benchmark, a process of its own: metadata, keys, and token exchange that issues what was
 * asked. It stands for a fast server next door; what it costs is not counted.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createIdentity, createTokens, type Identity } from './world.ts';

let identity: Identity;
let issuer = '';

const server = createServer((request, response) => {
  const send = (body: unknown) => response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  switch (request.url) {
    case '/.well-known/oauth-authorization-server':
      return send({ issuer, jwks_uri: `${issuer}/jwks`, token_endpoint: `${issuer}/token` });
    case '/jwks':
      return send(identity.jwks);
    case '/token': {
      let form = '';
      request.setEncoding('utf8').on('data', (chunk: string) => {
        form += chunk;
      });
      request.on('end', () => void exchange(new URLSearchParams(form)).then(send));
      return;
    }
    default:
      response.writeHead(404).end();
  }
});

async function exchange(form: URLSearchParams): Promise<object> {
  const subject = JSON.parse(Buffer.from((form.get('subject_token') ?? '').split('.')[1] ?? '', 'base64url').toString()) as {
    sub: string;
  };
  const iat = Math.floor(Date.now() / 1000);
  const access_token = await identity.sign({
    sub: subject.sub,
    act: { sub: 'ai-identity-gateway' },
    client_id: 'ai-identity-gateway',
    aud: form.get('audience'),
    scope: form.get('scope'),
    iat,
    exp: iat + 5,
    jti: createHash('sha256').update(randomUUID()).digest('base64url'),
  });
  return {
    access_token,
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'Bearer',
    expires_in: 5,
  };
}

server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  void createIdentity(issuer).then(async (created) => {
    identity = created;
    process.stderr.write(`${JSON.stringify({ issuer, tokens: await createTokens(created) })}\n`);
  });
});
process.once('SIGTERM', () => process.exit(0));
