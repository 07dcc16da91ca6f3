/** What a policy said, as text. */
import type { Outbound } from '../policy/decision.ts';
import { REASONS } from '../reasons.ts';
import type { Judged, Said } from './judge.ts';

/** The verdict as far as policy makes it: what the last rule that was asked said. */
export function lastSaid({ inbound, outbound }: Judged): Said {
  return outbound ?? inbound;
}

/** In one word with its reason. */
export function shortVerdict({ allow, reason }: Said): string {
  return allow ? 'allow' : `deny (${reason})`;
}

/** Lines. */
export function describeSaid(said: Said): string[] {
  const { message, requiredScopes, cause, reason } = said;
  return [
    shortVerdict(said),
    ...(said.allow ? [] : [`  ${message ?? REASONS[reason].message}`]),
    ...(requiredScopes === undefined ? [] : [`  required scopes: ${requiredScopes.join(' ')}`]),
    ...(cause === undefined ? [] : [`  ${cause}`]),
  ];
}

export function describeToken({ audience, scopes, ttlSeconds, resource, headers }: Outbound): string[] {
  const more = Object.entries(headers).map(([name, value]) => `  header    ${name}: ${value}`);
  return [
    'the backend would get a token',
    `  audience  ${audience}`,
    `  scope     ${scopes.join(' ')}`,
    `  lifetime  ${ttlSeconds} s`,
    ...(resource === null ? [] : [`  resource  ${resource}`]),
    ...more,
  ];
}
