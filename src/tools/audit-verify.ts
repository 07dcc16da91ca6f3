/** `mcp-ext-authz audit verify`: whether a decision log with a chain is whole and unchanged. */
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createChainCheck, type Finding, type LineAt } from '../decision-log/chain-check.ts';
import { type VerifyCheckpoint, verifyByKey, verifyByKeySet } from '../decision-log/checkpoint-keys.ts';
import { describeCause } from '../telemetry/redact.ts';
import { describeFileProblem, EXIT, type Io, readArguments, ToolError, UsageError } from './io.ts';

export const HELP = `mcp-ext-authz audit verify FILE… --key PUBLIC.pem | --jwks FILE

Whether the lines of a decision log are those that were written: none changed, removed, inserted, moved or cut.
Give the files of a rotated log oldest first.

  --key PUBLIC.pem   the public key of decisionLog.chain.keyFile
  --jwks FILE        a key set, where keys have been changed
  --restarts         chains may begin anywhere: several processes wrote to one stream, such as a container's output
  --closed           the last line must end its chain: nothing is left that could be cut off unnoticed

Exits with 1 where anything is found, with 2 where it cannot look.
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
    },
    MOST_FILES,
  );
  if (files.length === 0) throw new UsageError('give the decision log, or its files, oldest first');
  const check = createChainCheck({ verify: await readKeys(values.key, values.jwks), restarts: values.restarts });
  for (const file of files) for await (const line of linesOf(file)) await check.add(line);
  const { lines, chains, checkpoints, findings, notes } = check.finish();
  const open = values.closed ? notes.filter(({ problem }) => problem.includes('has not ended')) : [];
  const found = [...findings, ...open];
  for (const one of found.slice(0, MOST_SHOWN)) io.out.write(`${describe(one)}\n`);
  if (found.length > MOST_SHOWN) io.out.write(`… and ${found.length - MOST_SHOWN} more\n`);
  for (const one of notes.filter((each) => !open.includes(each)).slice(0, MOST_SHOWN)) io.out.write(`note: ${describe(one)}\n`);
  const counts = `${lines} lines in ${count(chains, 'chain')}, ${count(checkpoints, 'checkpoint')}`;
  io.out.write(`${counts}: ${found.length === 0 ? 'whole and unchanged' : count(found.length, 'finding')}\n`);
  return found.length === 0 ? EXIT.fine : EXIT.found;
}

function describe({ file, line, problem }: Finding): string {
  return `${file}:${line}: ${problem}`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

async function readKeys(key: string | undefined, jwks: string | undefined): Promise<VerifyCheckpoint> {
  if ((key === undefined) === (jwks === undefined)) throw new UsageError('give --key PUBLIC.pem or --jwks FILE');
  const file = (key ?? jwks) as string;
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw describeFileProblem(file, cause);
  });
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
