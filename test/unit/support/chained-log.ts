/** Chained logs as processes write them, what can be forged without the key, and `audit verify` on them. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type ChainEnd, createChain, hashOf } from '../../../src/decision-log/chain.ts';
import { readChainEnd } from '../../../src/decision-log/chain-end.ts';
import { verifyByKey } from '../../../src/decision-log/checkpoint-keys.ts';
import { runVerb } from '../../../src/tools/policy-command.ts';
import { createSink } from './sink.ts';

export const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

interface Written {
  readonly lines?: number;
  readonly continues?: ChainEnd | null;
  readonly ends?: boolean;
  readonly key?: typeof privateKey;
  readonly isCommand?: boolean;
  /** Epoch milliseconds. */
  readonly at?: number;
}

const VERIFY = verifyByKey(publicKey.export({ type: 'spki', format: 'pem' }) as string);
export const markOf = (line = '') => {
  const { id, seq } = JSON.parse(line).chain;
  return `${id}:${seq}`;
};

/** Without a signature, from any line on: all that somebody without the key can do. */
export function forge(count: number, id: string, after?: string): string[] {
  const last = after === undefined ? null : JSON.parse(after).chain;
  const isOwn = last?.id === id;
  let prev = isOwn ? hashOf(after as string) : null;
  const continues = after === undefined ? null : { ...last, hash: hashOf(after), torn: null, ended: true };
  return Array.from({ length: count }, (_, index) => {
    const event = isOwn || index > 0 ? { type: 'decision', decision: 'allow', forged: index } : { type: 'chain', continues };
    const line = JSON.stringify({ ...event, chain: { id, seq: index + (isOwn ? last.seq + 1 : 0), prev } });
    prev = hashOf(line);
    return line;
  });
}

export async function linesOf(
  id: string,
  { lines = 6, continues = null, ends = true, key = privateKey, isCommand = false, at = 0 }: Written = {},
): Promise<string[]> {
  const own = { id, labels: { id }, key, kid: 'k1', isCommand };
  const options = { ...own, checkpointEvery: 3, checkpointMs: 60_000, continues, now: () => at };
  const chain = createChain(options);
  const events = Array.from({ length: lines }, (_, index) => JSON.stringify({ type: 'decision', decision_id: `${id}-${index}` }));
  return [...(await chain.start()), ...(await chain.link(events)), ...(ends ? await chain.end() : [])];
}

/** start, checkpoint, 3 lines, checkpoint, 3 lines, checkpoint, end: eleven lines. */
export async function openChainedLog(t: TestContext, written?: Written) {
  const directory = mkdtempSync(join(tmpdir(), 'audit-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = (name: string) => join(directory, name);
  writeFileSync(path('key.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
  const put = (name: string, lines: readonly string[], after = '') =>
    writeFileSync(path(name), lines.map((line) => `${line}\n`).join('') + after);
  /** What a process writes that begins on the log as it stands. */
  async function restart(id: string, options?: Written): Promise<string[]> {
    const more = await linesOf(id, { ...options, continues: await readChainEnd(path('log'), VERIFY) });
    const text = readFileSync(path('log'), 'utf8');
    // Half a line is ended first.
    writeFileSync(path('log'), `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${more.join('\n')}\n`);
    return more;
  }
  const lines = await linesOf('a', written);
  put('log', lines);

  async function verify(...args: string[]) {
    const [out, err] = [createSink(), createSink()];
    const given = args.length > 0 ? args : ['log', '--key', 'key.pem'];
    const known = new Set(['log', 'next', 'key.pem', 'keys.json', 'absent']);
    const code = await runVerb(
      'audit',
      'verify',
      given.map((arg) => (known.has(arg) ? path(arg) : arg)),
      { out, err },
    );
    const said = out.text().replaceAll(`${directory}/`, '');
    return { code, said, told: said.split('\n').slice(0, -1), err: err.text() };
  }
  return { path, put, lines, verify, restart };
}
