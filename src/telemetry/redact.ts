/** What may be written of a cause: enough to find it, nothing that lets anybody in. */

const MAX_CHARACTERS = 500;
const NAMES =
  'client_secret|client_assertion|subject_token|actor_token|access_token|refresh_token|id_token|token|assertion|password|secret|code';
/** JWS and JWE, also cut short; authorization values; what is named like a secret in a URL, a form or JSON; PEM; userinfo; what V8 quotes. */
const SECRETS = [
  /\be[yw][A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*){0,4}/g,
  /\b(bearer|basic|dpop)\s+[^\s"',;]+/gi,
  new RegExp(`\\b(${NAMES})(=|["']?\\s*:\\s*["'])[^&\\s"']+`, 'gi'),
  /-----BEGIN [^-]+-----[\s\S]*?(-----END [^-]+-----|$)/g,
  /(?<=:\/\/)[^/\s@]+@/g,
  /"[\s\S]*"(?:\.\.\.)?(?= is not valid JSON)/g,
];

/** Safe to write, in one line. */
export function redact(text: string): string {
  return SECRETS.reduce((shown, secret) => shown.replace(secret, '[redacted]'), text.slice(0, 4 * MAX_CHARACTERS))
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .slice(0, MAX_CHARACTERS);
}

/** One line for an error, a string or anything thrown, with what caused it. */
export function describeCause(cause: unknown): string {
  if (typeof cause === 'string') return redact(cause);
  const lines: string[] = [];
  for (let error = cause; error instanceof Error && lines.length < 3; error = error.cause) {
    const code = (error as { code?: unknown }).code;
    lines.push(typeof code === 'string' ? `${error.name} ${code}: ${error.message}` : `${error.name}: ${error.message}`);
    if (error instanceof AggregateError)
      lines.push(...error.errors.slice(0, 2).map((one: unknown) => (one instanceof Error ? one.message : typeof one)));
  }
  if (lines.length > 0) return redact(lines.join('; '));
  return redact(typeof cause === 'object' || typeof cause === 'function' ? 'something that is no error' : String(cause));
}
