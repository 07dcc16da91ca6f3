/** A decision of the log and what became of it when it was asked again, as text and as JSON. */
import { POLICY_REASONS, REASONS } from '../reasons.ts';
import type { Evaluation } from './evaluation.ts';
import type { Judge } from './judge.ts';
import { erasedOfInput, isKnownReason, type Recorded, type RecordedSaid } from './recorded.ts';
import { describeEvaluation } from './trace-text.ts';
import { describeToken, lastSaid, shortVerdict } from './verdict-text.ts';

/** `unknown`: it differs, and part of what policy saw then was erased. */
type Outcome = 'same' | 'otherwise' | 'unknown';

export interface Explained {
  readonly recorded: Recorded;
  /** Null where policy was not asked, then or now. */
  readonly evaluation: Evaluation | null;
  readonly judge: Judge | null;
  readonly sources: Judge | null;
  /** Null where the line does not say what policy said. */
  readonly agreement: { readonly outcome: Outcome } | null;
  /** Why it was not asked again. */
  readonly problem: string | null;
}

const MAX_POINTERS = 10;

export function explainText(explained: Explained, full: boolean): string {
  const { recorded, evaluation, problem } = explained;
  const lines = [
    ...describeLine(recorded),
    ...describeReason(recorded),
    ...(problem === null ? [] : ['', problem]),
    ...(evaluation === null ? [] : describeOutcome(explained, evaluation, full)),
  ];
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

function describeLine({ id, decision, reason, timestamp, subject, client, backend, what, line, revision }: Recorded): string[] {
  const issuer = typeof line.issuer === 'string' ? `, issuer ${line.issuer}` : '';
  return [
    `${decision}${decision === 'allow' ? '' : ` (${reason})`}`,
    '',
    `decision  ${id}`,
    `when      ${timestamp}`,
    `who       ${subject || 'nobody known'}${client === '' ? '' : ` by ${client}`}${issuer}`,
    `what      ${[line.method, what === line.method ? '' : what].filter(Boolean).join(' ')}${backend === '' ? '' : ` at ${backend}`}`,
    `policy    ${revision === null ? 'was not asked' : `revision ${revision}`}`,
  ];
}

/** What policy did not decide is explained by the page on denials. */
function describeReason(recorded: Recorded): string[] {
  const { reason, inbound, outbound, input, revision, line } = recorded;
  const said = outbound ?? inbound;
  if (said !== null && said.reason === reason) return [];
  const lines = isKnownReason(reason) ? ['', REASONS[reason].message, REASONS[reason].help] : [];
  if (typeof line.error === 'string') lines.push(`cause: ${line.error}`);
  lines.push(`See docs/denials.md#${reason}.`);
  if (said?.allow === true)
    return ['', `Policy allowed it; it ended as ${reason} for a reason that is not the policy's.`, ...lines];
  if (input === null && revision !== null && (POLICY_REASONS.has(reason) || reason === 'allowed'))
    return ['', 'The line has no input: the decision log leaves it out, so policy cannot be asked again.', ...lines.slice(1)];
  return input === null ? ['', 'Policy did not decide this.', ...lines.slice(1)] : lines;
}

function describeOutcome(explained: Explained, evaluation: Evaluation, full: boolean): string[] {
  const { recorded, judge, sources } = explained;
  const { judged } = evaluation;
  return [
    ...describeErased(recorded),
    ...describePolicy(recorded, judge as Judge, sources as Judge),
    ...describeAgreement(explained, evaluation),
    ...(judged.token === null ? [] : ['', ...describeToken(judged.token)]),
    ...describeEvaluation(evaluation, full),
  ];
}

function describeErased(recorded: Recorded): string[] {
  const erased = erasedOfInput(recorded);
  if (erased.length === 0) return [];
  const more = erased.length > MAX_POINTERS ? ` and ${erased.length - MAX_POINTERS} more` : '';
  return [
    '',
    `The log does not have all that policy saw: ${erased.slice(0, MAX_POINTERS).join(', ')}${more}.`,
    'What follows was found without it and may therefore be incomplete or wrong.',
  ];
}

function describePolicy({ revision }: Recorded, judge: Judge, sources: Judge): string[] {
  const asked = `asked again: ${judge.path}, revision ${judge.revision}`;
  const lines = sources === judge ? [asked] : [asked, `traced:      ${sources.path}`];
  if (judge.isFolder)
    return ['', ...lines, 'A folder has no revision: whether these are the sources of that revision is not known.'];
  if (judge.revision === revision) return ['', ...lines];
  return ['', ...lines, `This is NOT the revision that decided, which was ${revision ?? 'none'}: rules and data may differ.`];
}

function describeAgreement({ recorded, agreement }: Explained, { judged }: Evaluation): string[] {
  const now = shortVerdict(lastSaid(judged));
  if (agreement === null) return ['', `It comes out as ${now}; the line does not say what policy said.`];
  if (agreement.outcome === 'same') return ['', `It comes out as recorded: ${now}.`];
  const { inbound, outbound } = recorded;
  const was = shortVerdict((outbound ?? inbound) as RecordedSaid as never);
  if (agreement.outcome === 'otherwise') return ['', `It comes out otherwise: recorded is ${was}, now it is ${now}.`];
  return [
    '',
    `Whether it comes out as recorded cannot be told: recorded is ${was}; of what the log has left it is ${now}.`,
    'Which arguments the log keeps is set in decisionLog.arguments; of a URI it never keeps what may let somebody in.',
  ];
}

export function explainJson({ recorded, evaluation, judge, sources, agreement, problem }: Explained): object {
  const { line, revision, ...rest } = recorded;
  const of = (policy: Judge | null) => policy && { path: policy.path, revision: policy.revision, digest: policy.digest };
  return {
    decision: { ...rest, revision },
    help: isKnownReason(recorded.reason) ? REASONS[recorded.reason].help : null,
    policy: of(judge),
    sources: of(sources),
    revisionMatches: judge === null ? null : judge.revision === revision ? true : judge.isFolder ? null : false,
    agrees: agreement === null || agreement.outcome === 'unknown' ? null : agreement.outcome === 'same',
    judged: evaluation?.judged ?? null,
    trace: { inbound: evaluation?.inbound ?? null, outbound: evaluation?.outbound ?? null },
    data: evaluation?.data ?? [],
    problem,
    doubts: evaluation?.doubts ?? [],
  };
}
