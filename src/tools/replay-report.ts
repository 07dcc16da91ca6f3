/** What `policy replay` found, as text for a terminal and as Markdown for a pull request. */
import { type Flips, type Group, KINDS, type Kind } from './flips.ts';
import type { Judge } from './judge.ts';
import { isGivenUp, NOT_REPLAYED, type NotReplayed, type Totals } from './replay-run.ts';

export interface Replayed {
  readonly candidate: Judge;
  readonly against: Judge | null;
  readonly totals: Totals;
  readonly flips: Flips;
  readonly seconds: number;
}

const TITLES: Readonly<Record<Kind, string>> = {
  allow_to_deny: 'Allowed until now, refused by the candidate',
  deny_to_allow: 'Refused until now, allowed by the candidate',
  reason: 'Refused by both, for another reason',
  token: 'Allowed by both, with another token for the backend',
};

export function reportText(replayed: Replayed): string {
  const { flips, totals, seconds } = replayed;
  const lines = [...summary(replayed), ''];
  for (const kind of KINDS) {
    const groups = certain(flips, kind);
    if (groups.length === 0) continue;
    lines.push(`${TITLES[kind]}: ${flips.count(kind)}`, ...groups.flatMap(groupLines), '');
  }
  const doubtful = flips.groups().filter(({ uncertain }) => uncertain);
  if (doubtful.length > 0) lines.push(`${UNCERTAIN}: ${flips.uncertain()}`, ...doubtful.flatMap(groupLines), '');
  if (flips.ungrouped() > 0) lines.push(`and ${flips.ungrouped()} more in groups beyond the limit`, '');
  lines.push(...skipped(totals).map(([why, count]) => `not replayed: ${count}, ${why}`));
  lines.push(`${Math.round(totals.replayed / Math.max(seconds, 0.001))} decisions per second`);
  return `${lines.join('\n')}\n`;
}

const UNCERTAIN = 'Cannot be told: the log has erased part of the input, and the record was made with all of it';

function certain(flips: Flips, kind: Kind): Group[] {
  return flips.groups().filter((group) => group.kind === kind && !group.uncertain);
}

function summary({ candidate, against, totals, flips }: Replayed): string[] {
  const total = KINDS.reduce((sum, kind) => sum + flips.count(kind), 0);
  const from = totals.firstAt === null ? '' : `, ${totals.firstAt} to ${totals.lastAt}`;
  return [
    `${total === 0 ? 'nothing flips' : `${total} of ${totals.replayed} decisions change`} with ${candidate.path}, revision ${candidate.revision}`,
    `replayed  ${totals.replayed} of ${totals.lines} lines${from}`,
    `against   ${against === null ? `what was recorded, by revision ${[...totals.revisions.keys()].join(', ') || 'none'}` : `${against.path}, revision ${against.revision}`}`,
    ...(totals.erased > 0 ? [`erased    ${totals.erased} of them were replayed on what the log has left of their input`] : []),
    ...(totals.cutShort > 0 ? [`too much  ${describeSlow(totals)}`] : []),
  ];
}

function describeSlow(totals: Totals): string {
  const ended = isGivenUp(totals) ? '; the rest was not replayed' : '';
  return `${totals.cutShort} evaluation${totals.cutShort === 1 ? '' : 's'} had to be ended, and came out as policy_timeout or policy_memory${ended}`;
}

function groupLines({ from, to, backend, what, count, examples, subjects, moreSubjects }: Group): string[] {
  return [
    `  ${String(count).padStart(6)}  ${backend} ${what}: ${from} → ${to}`,
    `          by ${subjects.join(', ')}${moreSubjects ? ' and others' : ''}; for example ${examples.join(', ')}`,
  ];
}

export function reportMarkdown(replayed: Replayed): string {
  const { candidate, against, totals, flips } = replayed;
  const total = KINDS.reduce((sum, kind) => sum + flips.count(kind), 0);
  const lines = [
    `### Replay of ${totals.replayed} recorded decisions: ${total === 0 ? 'nothing flips' : `${total} change`}`,
    '',
    `Candidate \`${candidate.revision}\` against ${against === null ? 'what was recorded' : `\`${against.revision}\``}.`,
    '',
  ];
  for (const kind of KINDS) {
    const groups = certain(flips, kind);
    if (groups.length > 0) lines.push(`**${TITLES[kind]}: ${flips.count(kind)}**`, '', ...table(groups), '');
  }
  const doubtful = flips.groups().filter(({ uncertain }) => uncertain);
  if (doubtful.length > 0) lines.push(`**${UNCERTAIN}: ${flips.uncertain()}**`, '', ...table(doubtful), '');
  const notes = [
    ...(totals.erased > 0 ? [`${totals.erased} were replayed on what the log has left of their input.`] : []),
    ...(totals.cutShort > 0 ? [`Too much: ${describeSlow(totals)}.`] : []),
    ...(flips.ungrouped() > 0 ? [`${flips.ungrouped()} more are in groups beyond the limit.`] : []),
    ...skipped(totals).map(([why, count]) => `${count} not replayed: ${why}.`),
  ];
  lines.push(...notes.map((note) => `- ${note}`));
  return `${lines.join('\n').trimEnd()}\n`;
}

function table(groups: readonly Group[]): string[] {
  const rows = groups.map(({ count, backend, what, from, to, subjects, moreSubjects, examples }) =>
    [
      String(count),
      cell(backend),
      cell(what),
      `${cell(from)} → ${cell(to)}`,
      subjects.map(cell).join(', ') + (moreSubjects ? ' …' : ''),
      examples.map(cell).join(' '),
    ].join(' | '),
  );
  return ['| | backend | tool | change | by | for example |', '|--:|---|---|---|---|---|', ...rows.map((row) => `| ${row} |`)];
}

/** Names come from callers: none ends the cell, begins a tag, a link or a mention. */
function cell(text: string): string {
  const plain = text.replace(/[\p{Cc}\p{Zl}\p{Zp}`]+/gu, ' ').replaceAll('|', '\\|');
  return plain === '' ? '' : `\`${plain}\``;
}

function skipped({ notReplayed }: Totals): [string, number][] {
  return Object.entries(notReplayed).map(([why, count]) => [NOT_REPLAYED[why as NotReplayed], count]);
}

/** The last line of `--json`. */
export function reportJson({ candidate, against, totals, flips, seconds }: Replayed): object {
  const of = ({ path, revision, digest }: Judge) => ({ path, revision, digest });
  return {
    type: 'summary',
    candidate: of(candidate),
    against: against === null ? 'record' : of(against),
    ...totals,
    revisions: Object.fromEntries(totals.revisions),
    flips: Object.fromEntries(KINDS.map((kind) => [kind, flips.count(kind)])),
    uncertain: flips.uncertain(),
    groups: flips.groups(),
    ungrouped: flips.ungrouped(),
    seconds,
  };
}
