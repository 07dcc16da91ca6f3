/**
 * A document whose commands can be pasted, gone through as a reader would: one shell, in an empty folder, block by block.
 *
 *     ```sh             is typed; it must exit with 0
 *     ```sh exit-1      with 1
 *     ```sh terminal-2  is typed in another terminal and stays; the block of output after it is awaited
 *     ```rego FILE      is the new content of FILE (any language, with the path of a file as its label)
 *     ```text           are lines that the block before printed, in this order among others; `…` stands for anything
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface Step {
  readonly language: string;
  readonly label: string;
  readonly text: string;
}

/** What was printed by each block of commands, in order. */
export interface Walk {
  readonly printed: readonly string[];
}

const LIMIT_MS = 120_000;
const END = '::end-of-block';

export function stepsOf(markdown: string): Step[] {
  return [...markdown.matchAll(/^```(\w+)(?: (\S+))?\n([\s\S]*?)^```$/gm)].map(
    ([, language = '', label = '', text = '']): Step => ({ language, label, text }),
  );
}

/** Rejects with the block that did not do as told. What was started is ended. */
export async function walkThrough(steps: readonly Step[], folder: string, env: NodeJS.ProcessEnv): Promise<Walk> {
  const shell = openShell(folder, env);
  const printed: string[] = [];
  const started: ChildProcess[] = [];
  try {
    for (const step of steps) {
      if (step.language === 'text') expectLines(printed.at(-1) ?? '', step.text);
      else if (step.language !== 'sh') await writeInto(shell, step);
      else if (step.label === 'terminal-2') {
        const next = steps[steps.indexOf(step) + 1];
        assert.equal(next?.language, 'text', 'what is left running says when it is ready');
        printed.push(await startBeside(step, next?.text ?? '', await shell.type('pwd'), env, started));
      } else {
        const { output, code } = await shell.run(step.text);
        const expected = Number(/^exit-(\d)$/.exec(step.label)?.[1] ?? 0);
        assert.equal(code, expected, `$ ${step.text}${output}`);
        printed.push(output);
      }
    }
    return { printed };
  } finally {
    await shell.close();
    for (const child of started) await end(child);
  }
}

function expectLines(output: string, text: string): void {
  const lines = output.split('\n').map((line) => line.trimEnd());
  let from = 0;
  for (const expected of text.trimEnd().split('\n')) {
    const pattern = new RegExp(`^${expected.trimEnd().split('…').map(literally).join('.*')}$`);
    const at = lines.findIndex((line, index) => index >= from && pattern.test(line));
    assert.ok(at >= 0, `not printed: ${expected}\nprinted:\n${output}`);
    from = at + 1;
  }
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function openShell(folder: string, env: NodeJS.ProcessEnv) {
  const child = spawn('bash', ['--noprofile', '--norc'], { cwd: folder, env, stdio: ['pipe', 'pipe', 'pipe'] });
  let text = '';
  let heard = (): void => {};
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      heard();
    });
  }
  child.on('exit', () => heard());

  async function run(commands: string): Promise<{ readonly output: string; readonly code: number }> {
    text = '';
    child.stdin.write(`{\n${commands}\n} </dev/null\nprintf '\\n${END} %d\\n' "$?"\n`);
    const deadline = AbortSignal.timeout(LIMIT_MS);
    for (;;) {
      const ended = new RegExp(`\\n?${END} (\\d+)\\n`).exec(text);
      if (ended !== null) return { output: text.slice(0, ended.index), code: Number(ended[1]) };
      assert.equal(child.exitCode, null, `the shell ended: ${text}`);
      await new Promise<void>((resolve, reject) => {
        heard = resolve;
        deadline.addEventListener('abort', () => reject(new Error(`not done in time: ${commands}${text}`)), { once: true });
      });
    }
  }

  return {
    run,
    type: async (command: string) => (await run(command)).output.trim(),
    close: () => end(child),
  };
}

async function writeInto(shell: ReturnType<typeof openShell>, { label, text }: Step): Promise<void> {
  if (label === '') return;
  const file = join(await shell.type('pwd'), label);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

/** Resolves with what it printed, once that has the lines by which a reader sees that it is ready. */
async function startBeside(
  { text }: Step,
  ready: string,
  cwd: string,
  env: NodeJS.ProcessEnv,
  started: ChildProcess[],
): Promise<string> {
  const child = spawn('bash', ['-c', text], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  started.push(child);
  let output = '';
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not ready in time: ${text}${output}`)), LIMIT_MS);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
        try {
          expectLines(output, ready);
        } catch {
          return;
        }
        clearTimeout(timer);
        resolve(output);
      });
    }
    child.once('exit', () => reject(new Error(`it ended: ${text}${output}`)));
  });
}

/** With what it has started itself. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  if (child.spawnargs.includes('-c')) process.kill(-(child.pid as number), 'SIGTERM');
  else child.kill('SIGKILL');
  await exited;
}
