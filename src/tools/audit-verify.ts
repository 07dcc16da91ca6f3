/** `mcp-ext-authz audit verify`: whether a decision log with a chain is whole and unchanged, as far as its file can tell. */
import { createReadStream } from 'node:fs';
import { type CheckReport, createChainCheck } from '../decision-log/chain-check.ts';
import { describeMark, type Finding, type LineAt, type Mark, readMark } from '../decision-log/chain-place.ts';
import { type VerifyCheckpoint, verifyByKey, verifyByKeySet } from '../decision-log/checkpoint-keys.ts';
import { describeCause } from '../telemetry/redact.ts';
import { describeFileProblem, EXIT, type Io, readArguments, readText, ToolError, UsageError } from './io.ts';

export const HELP = `mcp-ext-authz audit verify FILE… --key PUBLIC.pem | --jwks FILE

Whether the lines of a decision log are those that were written: none changed, removed, inserted or moved, and all signed but the
latest of a process that still runs. Give the files of a rotated log oldest first.

  --key PUBLIC.pem     the public key of decisionLog.chain.keyFile
  --jwks FILE          a key set, where keys have been changed
  --last CHAIN:SEQ     was signed and there last time: finds what was cut off or taken out up to there. The check says what to keep,
                       elsewhere than the log; may be given several times
  --killed CHAIN:SEQ   the process of this chain was killed after this line, or still runs beside later ones: what it left unsigned
                       is a note. May be given several times; --killed any for all of them
  --closed             every chain must have ended, as a stop ends it
  --restarts           chains may begin anywhere: several processes wrote to one stream, such as a container's output

Without --last, whoever can write the file can cut it back to any checkpoint or any earlier process, and it looks like a log that
is still being written. Exits with 1 where anything is found, with 2 where it cannot look.
`;

const MOST_FILES = 10_000;
const MOST_SHOWN = 100;
const NEWLINE = 0x0a;

export async function run(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals: files } = readArguments(
    args,
    {
      key: { type: 'string' },
      jwks: { type: 'string' },
      restarts: { type: 'boolean', default: false },
      closed: { type: 'boolean', default: false },
      killed: { type: 'string', multiple: true, default: [] },
      last: { type: 'string', multiple: true, default: [] },
    },
    MOST_FILES,
  );
  if (files.length === 0) throw new UsageError('give the decision log, or its files, oldest first');
  const { restarts, closed } = values;
  const killed = values.killed.includes('any') ? 'any' : readMarks('--killed', values.killed);
  const last = readMarks('--last', values.last);
  const check = createChainCheck({ verify: await readKeys(values.key, values.jwks), restarts, closed, killed, last });
  for (const file of files) for await (const line of linesOf(file)) await check.add(line);
  const report = check.finish();
  const { findings, notes } = report;
  for (const one of findings.slice(0, MOST_SHOWN)) io.out.write(`${describe(one)}\n`);
  if (findings.length > MOST_SHOWN) io.out.write(`… and ${findings.length - MOST_SHOWN} more\n`);
  for (const one of notes.slice(0, MOST_SHOWN)) io.out.write(`note: ${describe(one)}\n`);
  const marks = findings.length === 0 ? report.marks.map((mark) => ` --last ${describeMark(mark)}`) : [];
  if (marks.length > 0) io.out.write(`keep for next time:${marks.join('')}\n`);
  io.out.write(`${summarize(report)}\n`);
  return findings.length === 0 ? EXIT.fine : EXIT.found;
}

function readMarks(option: string, texts: readonly string[]): Mark[] {
  return texts.map((text) => {
    const mark = readMark(text);
    if (mark === null) throw new UsageError(`${option} ${text}: give it as CHAIN:SEQ, as an earlier check said it`);
    return mark;
  });
}

/** Lines that nobody signed are never among those that are said to be whole. */
function summarize({ lines, chains, checkpoints, findings, unsigned }: CheckReport): string {
  const counts = `${count(lines, 'line')} in ${count(chains, 'chain')}, ${count(checkpoints, 'checkpoint')}`;
  const open = unsigned === 0 ? '' : `, ${count(unsigned, 'line')} unsigned`;
  if (findings.length > 0) return `${counts}: ${count(findings.length, 'finding')}${open}`;
  const which = unsigned === 0 ? '' : `${count(lines - unsigned, 'line')} `;
  return `${counts}: ${which}whole and unchanged as far as it goes${open}`;
}

function describe({ file, line, problem }: Finding): string {
  return file === null ? problem : `${file}:${line}: ${problem}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

async function readKeys(key: string | undefined, jwks: string | undefined): Promise<VerifyCheckpoint> {
  if ((key === undefined) === (jwks === undefined)) throw new UsageError('give --key PUBLIC.pem or --jwks FILE');
  const file = (key ?? jwks) as string;
  const text = await readText(file);
  try {
    return key === undefined ? verifyByKeySet(text) : verifyByKey(text);
  } catch (cause) {
    throw new ToolError(`${file}: cannot be used: ${describeCause(cause)}`);
  }
}

/** Lines as bytes: their hashes are of bytes. */
async function* linesOf(file: string): AsyncGenerator<LineAt> {
  let line = 0;
  let rest: Buffer[] = [];
  try {
    for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
      let begin = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, begin)) {
        line += 1;
        yield { file, line, bytes: Buffer.concat([...rest, chunk.subarray(begin, end)]), torn: false };
        rest = [];
        begin = end + 1;
      }
      rest.push(chunk.subarray(begin));
    }
  } catch (cause) {
    throw describeFileProblem(file, cause);
  }
  const bytes = Buffer.concat(rest);
  if (bytes.length > 0) yield { file, line: line + 1, bytes, torn: true };
}
