/**
 * The login page of the reference authorization server: a user name, a password, nothing else. It is a plain form, so
 * a browser can show it and a script can fill it in. The interaction it belongs to is in a cookie that only this server
 * reads, so the form cannot be posted from elsewhere. There is no consent page: the clients are first-party.
 */
import type { KoaContextWithOIDC, Provider } from 'oidc-provider';
import { type Account, authenticate } from './accounts.ts';

const maxFormBytes = 4 * 1024;

/** Where the user is sent to sign in. */
export function signInPath(interactionId: string): string {
  return `/interaction/${interactionId}`;
}

/** Puts the login page in front of the authorization server's own routes. */
export function serveSignInForm(provider: Provider, passwords: Readonly<Record<string, string>>): void {
  provider.use(async (ctx, next) => {
    if (!/^\/interaction\/[\w-]+$/.test(ctx.path)) return next();

    // Throws when the cookie does not belong to a pending authorization request; Koa answers with the error's status.
    await provider.interactionDetails(ctx.req, ctx.res);
    ctx.set('Cache-Control', 'no-store');
    if (ctx.method === 'GET') return render(ctx, 200);
    if (ctx.method !== 'POST') return ctx.throw(405);

    const form = await readForm(ctx.req);
    const account = authenticate(passwords, form.get('username') ?? '', form.get('password') ?? '');
    if (!account) return render(ctx, 401, 'Wrong user name or password.');
    ctx.status = 303;
    ctx.redirect(await finish(provider, ctx, account));
  });
}

function finish(provider: Provider, ctx: Pick<KoaContextWithOIDC, 'req' | 'res'>, account: Account): Promise<string> {
  return provider.interactionResult(ctx.req, ctx.res, { login: { accountId: account.username } });
}

async function readForm(request: AsyncIterable<Buffer>): Promise<URLSearchParams> {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > maxFormBytes) break;
  }
  return new URLSearchParams(text);
}

function render(ctx: { status: number; type: string; body: unknown }, status: number, problem = ''): void {
  ctx.status = status;
  ctx.type = 'html';
  ctx.body = `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>Sign in</title></head>
  <body>
    <h1>Sign in</h1>
    <p role="alert">${problem}</p>
    <form method="post">
      <label>User name <input name="username" autocomplete="username" required></label>
      <label>Password <input name="password" type="password" autocomplete="current-password" required></label>
      <button>Sign in</button>
    </form>
  </body>
</html>
`;
}
