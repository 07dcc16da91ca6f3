/** What may be written of a cause: enough to find it, nothing that lets anybody in. */

const MAX_CHARACTERS = 500;
/** Compact JWS and JWE, bearer values, and what looks like a secret in a URL or a form. */
const SECRETS = [
  /[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]*){0,2}/g,
  /\b(bearer|basic|dpop)\s+\S+/gi,
  /\b(client_secret|client_assertion|subject_token|actor_token|access_token|refresh_token|assertion|password|code)=[^&\s]+/gi,
  /-----BEGIN [^-]+-----[\s\S]*?-----END [^-]+-----/g,
];

export function redact(text: string): string {
  return SECRETS.reduce((shown, secret) => shown.replace(secret, '[redacted]'), text.slice(0, 4 * MAX_CHARACTERS)).slice(
    0,
    MAX_CHARACTERS,
  );
}

/** One line for an error, a string or anything thrown, with what caused it. */
export function describeCause(cause: unknown): string {
  if (typeof cause === 'string') return redact(cause);
  const lines: string[] = [];
  for (let error = cause; error instanceof Error && lines.length < 3; error = error.cause) {
    const code = (error as { code?: unknown }).code;
    lines.push(typeof code === 'string' ? `${error.name} ${code}: ${error.message}` : `${error.name}: ${error.message}`);
    if (error instanceof AggregateError) lines.push(...error.errors.slice(0, 2).map((one) => String(one?.message ?? one)));
  }
  return redact(lines.length > 0 ? lines.join('; ') : String(cause));
}
