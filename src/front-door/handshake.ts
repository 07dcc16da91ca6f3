/**
 * How a client begins: `initialize`, which begins a session at every legacy backend with the client's own capabilities and
 * binds them into one; `server/discover`, answered from what is known of the backends; `ping`.
 */

import type { DiscoverResult, InitializeResult } from '@modelcontextprotocol/server';
import { type BackendSession, principalKey } from '../check/session.ts';
import type { JsonObject } from '../mcp/message.ts';
import { eraOf, REVISIONS } from '../mcp/revisions.ts';
import { METHOD_NOT_FOUND, UNSUPPORTED_VERSION } from '../reasons.ts';
import { joinInstructions, uniteCapabilities } from './capabilities.ts';
import { OURSELVES, paramsText, SERVER_INFO } from './client.ts';
import { chooseEra, endSession, HandshakeRefused, shakeHands, within } from './conversation.ts';
import type { Handler, Reply } from './handler.ts';
import { resultText } from './messages.ts';
import { BackendRefused, type FrontDoorPorts, type Member, type Visit } from './visit.ts';

/** One backend as the client will know it. */
interface Met {
  readonly member: Member;
  /** Null: it takes no part in the session, and is spoken to in one of its own or without. */
  readonly session: BackendSession | null;
  readonly capabilities: JsonObject;
  readonly instructions: unknown;
}

/** UNSUPPORTED_PROTOCOL_VERSION and METHOD_NOT_FOUND: said by who has no handshake. */
const NO_HANDSHAKE = new Set([UNSUPPORTED_VERSION, METHOD_NOT_FOUND]);

export function createInitialize(memberTimeoutMs: number): Handler {
  return async (visit, ports, reply) => {
    const met = (await Promise.all(ports.members.map((member) => meet(visit, ports, member, reply, memberTimeoutMs)))).flat();
    const inSession = met.filter((one): one is Met & { session: BackendSession } => one.session !== null);
    if (reply.signal.aborted) {
      await Promise.all(inSession.map(({ member, session }) => endSession({ visit, ports, member }, session)));
      return;
    }
    const result: InitializeResult = {
      protocolVersion: visit.operation.revision,
      capabilities: uniteCapabilities(
        met.map(({ capabilities, session }) => ({ capabilities, isNative: session !== null })),
        'legacy',
      ),
      serverInfo: OURSELVES,
      ...joinInstructions(met.map(({ member, instructions }) => ({ prefix: member.prefix, instructions }))),
    };
    const sessionId = ports.sealSession({
      principal: principalKey(visit.principal),
      resource: visit.resource.name,
      backends: Object.fromEntries(inSession.map(({ member, session }) => [member.resource.name, session])),
    });
    reply.json(resultText(idOf(visit), JSON.stringify(result)), { headers: { 'mcp-session-id': sessionId } });
  };
}

/** Nothing for a backend that policy keeps from this caller, and for one of which nothing is known. */
async function meet(visit: Visit, ports: FrontDoorPorts, member: Member, reply: Reply, timeoutMs: number): Promise<Met[]> {
  if (chooseEra({ visit, ports, member }) === 'modern') return asKnown(ports, member);
  const signal = AbortSignal.any([reply.signal, AbortSignal.timeout(timeoutMs)]);
  try {
    const shaken = shakeHands({ visit, ports, member, signal }, idOf(visit), paramsText(visit));
    const { session, result } = await within(signal, shaken);
    return [{ member, session, capabilities: result.capabilities as JsonObject, instructions: result.instructions }];
  } catch (cause) {
    if (cause instanceof BackendRefused) return [];
    const isModern = cause instanceof HandshakeRefused && NO_HANDSHAKE.has(cause.code);
    if (!isModern && !reply.signal.aborted) ports.onUnreachable(visit, member, cause);
    return asKnown(ports, member);
  }
}

/** What it said of itself when it was last asked: it may be back before the session ends. */
function asKnown({ views }: FrontDoorPorts, member: Member): Met[] {
  const view = views(member.resource.name);
  return view === null ? [] : [{ member, session: null, capabilities: view.capabilities, instructions: view.instructions }];
}

export const discover: Handler = async (visit, ports, reply) => {
  const known = ports.members.flatMap((member) => {
    const view = ports.views(member.resource.name);
    return view === null ? [] : [{ member, view }];
  });
  const result: DiscoverResult & { resultType: 'complete'; ttlMs: number; cacheScope: 'private' } = {
    resultType: 'complete',
    supportedVersions: REVISIONS.filter((revision) => eraOf(revision) === 'modern').reverse(),
    capabilities: uniteCapabilities(
      known.map(({ view }) => ({ capabilities: view.capabilities, isNative: view.eras.modern })),
      'modern',
    ),
    ...joinInstructions(known.map(({ member, view }) => ({ prefix: member.prefix, instructions: view.instructions }))),
    // What is known of the backends changes as they come and go.
    ttlMs: 0,
    cacheScope: 'private',
    _meta: { [SERVER_INFO]: OURSELVES },
  };
  reply.json(resultText(idOf(visit), JSON.stringify(result)));
};

export const ping: Handler = async (visit, _ports, reply) => reply.json(resultText(idOf(visit), '{}'));

function idOf({ operation }: Visit): string {
  return operation.id as string;
}
