/**
 * What ext_proc does with an exchange, by the plan that its Check made: the token and the backend's own names go to the
 * backend; the client gets lists that show what it may use, and ids that are good for nobody else.
 */
import { JSON_TYPE, NO_STORE, refusal } from '../check/answer.ts';
import { denied, type Facts, newFacts, type Verdict } from '../check/authorize.ts';
import { openPlan, PLAN_HEADER, type ProcessingPlan } from '../check/plan.ts';
import { isSessionId, principalKey, sealSession } from '../check/session.ts';
import { sealTask } from '../check/task.ts';
import { judgeVisible, type VisiblePorts } from '../check/visible.ts';
import type { Exchange, Instead, OpenExchange, RequestStep, ResponseStep } from '../ext-proc/exchange.ts';
import { type Headers, noFacts, singleHeader } from '../http.ts';
import { type AnswerRewriter, createAnswerRewriter, kindOfAnswer } from '../mcp/answers.ts';
import { AnswerUnreadable } from '../mcp/events.ts';
import type { ListOutcome, ListRules } from '../mcp/list-answer.ts';
import { LISTS } from '../mcp/lists.ts';
import type { Resource, Resources } from '../resource.ts';
import type { Sealer } from '../seal.ts';
import type { Denial } from '../verdict.ts';
import { factsOf, httpOf } from './plan-facts.ts';

export interface ProcessingPorts extends VisiblePorts {
  readonly sealer: Sealer;
  readonly resources: Resources;
  readonly allowedOrigins: ReadonlySet<string>;
  readonly maxAnswerBytes: number;
  readonly maxListItems: number;
  readonly now: () => number;
  readonly newId: () => string;
}

export interface ProcessingObserver {
  /** What was refused after its Check had allowed it. */
  readonly onRefused: (verdict: Verdict) => void;
  readonly onList: (backend: string, outcome: ListOutcome) => void;
}

/** @param portsNow those in force: asked for at the begin of an exchange, and again for a list, which may come much later. */
export function createProcessing(portsNow: () => ProcessingPorts, observer: ProcessingObserver): OpenExchange {
  return () => beginExchange(portsNow, observer);
}

type HeaderChanges = Pick<ResponseStep, 'set' | 'remove'>;

const AS_JSON: HeaderChanges = { set: [JSON_TYPE], remove: ['content-encoding'] };
const AS_IT_IS: HeaderChanges = { set: [], remove: [] };
/** Of an answer that nothing but the error is left of. */
const LATE_STATUS = 200;

/** The plan, and whom and what it names. */
interface Opened {
  readonly plan: ProcessingPlan;
  readonly entrance: Resource;
  readonly backend: Resource;
}

function beginExchange(portsNow: () => ProcessingPorts, observer: ProcessingObserver): Exchange {
  const ports = portsNow();
  let opened: Opened;
  let answer: AnswerRewriter | null = null;
  let statusSent = LATE_STATUS;

  function refuse(denial: Denial, facts: Facts): Verdict {
    const verdict = denied(denial, facts, ports);
    observer.onRefused(verdict);
    return verdict;
  }

  /** Of an answer that has begun: its status has gone out. @returns the JSON-RPC error. */
  function refuseLate(requestId: string, denial: Denial, found: Opened): string {
    const facts = factsNow(found);
    const { entrance } = found;
    const about = { ...facts, operation: null, resource: entrance, allowedOrigins: ports.allowedOrigins };
    const response = { ...refusal({ ...denial, read: { id: requestId } }, about), status: statusSent };
    observer.onRefused({ ...denied(denial, facts, ports), answer: { kind: 'respond', response } });
    return response.body;
  }

  function factsNow({ plan, entrance, backend }: Opened): Facts {
    return factsOf(plan.facts, entrance, backend, ports.newId());
  }

  function requestHeaders(headers: Headers): RequestStep | Instead {
    const found = openRequest(headers, ports);
    if (found === null) {
      const cause = 'ext_proc was asked about a request that no Check has sent its way';
      return instead(
        refuse(
          { reason: 'request_invalid', cause },
          newFacts({ ...noFacts(), headers, requestId: singleHeader(headers, 'x-request-id') ?? '' }, ports.newId()),
        ),
      );
    }
    opened = found;
    const { set, splice } = opened.plan;
    return {
      kind: 'continue',
      set,
      // An answer that is compressed could not be read.
      remove: [PLAN_HEADER, ...(readsAnswer(opened.plan) ? ['accept-encoding'] : [])],
      wantsBody: splice !== null,
      wantsResponse: readsAnswer(opened.plan) || opened.plan.bindsSession || isBehindDoor(opened),
    };
  }

  function requestBody(body: Buffer): Buffer | Instead {
    const { start, end, from, to } = opened.plan.splice as NonNullable<ProcessingPlan['splice']>;
    if (body.toString('utf8', start, end) === from)
      return Buffer.concat([body.subarray(0, start), Buffer.from(to), body.subarray(end)]);
    const cause = 'the body is not the one that was judged';
    return instead(refuse({ reason: 'request_invalid', cause }, factsNow(opened)));
  }

  async function responseHeaders(status: number, headers: Headers, isLast: boolean): Promise<ResponseStep | Instead> {
    const { plan } = opened;
    if (isOutage(opened, status, headers))
      return instead(refuse({ reason: 'backend_unavailable', cause: `answered ${status}` }, factsNow(opened)));
    const session = plan.bindsSession ? boundSession(opened, headers, ports) : { set: [], remove: [] };
    const isFailure = status < 200 || status >= 300;
    const wantsBody = isFailure ? !isLast && readsFailure(plan, headers) : readsAnswer(plan);
    if (!wantsBody) return { kind: 'continue', ...session, wantsBody };
    if (isFailure) statusSent = status;
    // Nothing can follow that is an answer: clients do not even look at what comes with a 202.
    return beginAnswer(headers, { isFailure, isEmpty: isLast || (!isFailure && status !== 200) }, session);
  }

  async function beginAnswer(
    headers: Headers,
    { isFailure, isEmpty }: { readonly isFailure: boolean; readonly isEmpty: boolean },
    session: HeaderChanges,
  ): Promise<ResponseStep | Instead> {
    const { plan } = opened;
    const list = listRules(opened, isFailure);
    const isAsked = list?.asked != null;
    const contentType = readableType(headers);
    // In place of what is no list at all an error can go; in place of anything else nothing.
    if (contentType === ENCODED && !isAsked) throw new AnswerUnreadable('content_encoding_unsupported');
    answer = createAnswerRewriter({
      contentType: isEmpty && isAsked ? JSON_TYPE[1] : contentType,
      maxBytes: ports.maxAnswerBytes,
      list,
      marks: plan.marks,
      sealTask: plan.sealsTasks ? taskSealer(opened, ports) : null,
    });
    if (isEmpty && isAsked) {
      const body = (await answer.push(Buffer.alloc(0), true)).toString();
      return { kind: 'respond', response: { status: LATE_STATUS, headers: [JSON_TYPE, NO_STORE], body } };
    }
    const { set, remove } = isAsked && kindOfAnswer(contentType) === 'other' ? AS_JSON : AS_IT_IS;
    return { kind: 'continue', set: [...session.set, ...set], remove: [...session.remove, ...remove], wantsBody: true };
  }

  function listRules(found: Opened, isFailure: boolean): ListRules | null {
    const { plan, backend } = found;
    const { operation } = plan.facts;
    const row = LISTS.get(operation.method ?? '');
    const isReplay = operation.method === 'GET';
    if (row === undefined && !isReplay) return null;
    return {
      asked: row === undefined || operation.id === null ? null : { row, requestId: operation.id },
      isFailure,
      era: operation.era,
      maxItems: ports.maxListItems,
      keep: (names, one) => judgeVisible({ ...plan.facts, http: httpOf(plan.facts), resource: backend }, one, names, portsNow()),
      refuse: (requestId, denial) => refuseLate(requestId, denial, found),
      onOutcome: (outcome) => observer.onList(backend.name, outcome),
    };
  }

  return {
    requestHeaders,
    requestBody,
    responseHeaders,
    responseBody: async (piece, isLast) => (answer as AnswerRewriter).push(piece, isLast),
    // Envoy does not tell which. Before the answer had begun it was no list of the backend's.
    abandoned: () => answer?.abandon('the answer was cut off, or the client left'),
  };
}

/** A type that nobody reads. */
const ENCODED = '';

/** What the body can be read as; null: it does not say. */
function readableType(headers: Headers): string | null {
  const isPlain = !headers.has('content-encoding') || singleHeader(headers, 'content-encoding') === 'identity';
  return isPlain ? (singleHeader(headers, 'content-type') ?? null) : ENCODED;
}

/** Clients may take a list from under any status: by its type, however encoded and whatever else it is said to be. */
function readsFailure({ filtersList }: ProcessingPlan, headers: Headers): boolean {
  if (!filtersList) return false;
  const types = headers.get('content-type') ?? [];
  return types.flatMap((line) => line.split(',')).some((type) => kindOfAnswer(type) !== 'other');
}

function readsAnswer({ filtersList, marks, sealsTasks }: ProcessingPlan): boolean {
  return filtersList || marks !== null || sealsTasks;
}

function isBehindDoor({ entrance, backend }: Opened): boolean {
  return entrance !== backend;
}

/** Envoy's own answer where a backend is out of reach, or another proxy's: clients know nothing of what is behind the door. */
function isOutage(opened: Opened, status: number, headers: Headers): boolean {
  const contentType = singleHeader(headers, 'content-type') ?? null;
  return isBehindDoor(opened) && status >= 500 && kindOfAnswer(contentType) === 'other';
}

function instead({ answer }: Verdict): Instead {
  if (answer.kind !== 'respond') throw new Error('a refusal has an answer');
  return { kind: 'respond', response: answer.response };
}

function openRequest(headers: Headers, { sealer, resources, now }: ProcessingPorts): Opened | null {
  const sealed = singleHeader(headers, PLAN_HEADER);
  const plan = typeof sealed === 'string' ? openPlan(sealer, 'process', sealed, now()) : null;
  const entrance = resources.all.find(({ name }) => name === plan?.facts.resource);
  const backend = resources.all.find(({ name }) => name === plan?.backend);
  return plan === null || entrance === undefined || backend === undefined ? null : { plan, entrance, backend };
}

/** The backend's session id, bound to who began the session; none where it cannot be carried. */
function boundSession({ plan, entrance, backend }: Opened, headers: Headers, { sealer }: ProcessingPorts): HeaderChanges {
  if (!headers.has('mcp-session-id')) return { set: [], remove: [] };
  const id = singleHeader(headers, 'mcp-session-id');
  if (!isSessionId(id)) return { set: [], remove: ['mcp-session-id'] };
  const { principal, operation } = plan.facts;
  const sealed = sealSession(sealer, {
    principal: principalKey(principal),
    resource: entrance.name,
    backends: { [backend.name]: { id, revision: operation.revision } },
  });
  return { set: [['mcp-session-id', sealed]], remove: [] };
}

function taskSealer({ plan, backend }: Opened, { sealer }: ProcessingPorts): (id: string) => string {
  const principal = principalKey(plan.facts.principal);
  return (id) => sealTask(sealer, { principal, backend: backend.name, id });
}
