/** The command as a process of its own: arguments, signals, exit codes. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { suite, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { CheckResponse } from '../../src/gen/envoy/service/auth/v3/CheckResponse.ts';
import { VERSION } from '../../src/version.ts';
import { checkRequest, connectEnvoy, type Envoy } from './support/envoy.ts';
import { callBody, createWorld, type World } from './support/world.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

interface Command {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly errors: () => string;
  /** Resolves once standard error has that in it. */
  readonly said: (text: RegExp | string) => Promise<void>;
  readonly exit: Promise<number | string>;
}

function command(t: TestContext, ...args: string[]): Command {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH } });
  t.after(() => child.kill('SIGKILL'));
  let [output, errors] = ['', ''];
  const waiting = new Set<() => void>();
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => {
    errors += chunk;
    for (const wake of waiting) wake();
  });
  const exit = once(child, 'close').then(([code, signal]) => {
    for (const wake of waiting) wake();
    return code ?? signal;
  });
  const said = (text: RegExp | string) =>
    new Promise<void>((resolve, reject) => {
      const wake = (): void => {
        const there = typeof text === 'string' ? errors.includes(text) : text.test(errors);
        if (there) resolve();
        else if (child.exitCode !== null) reject(new Error(`it ended before it said ${text}:\n${errors}`));
      };
      waiting.add(wake);
      wake();
    });
  return { child, output: () => output, errors: () => errors, said, exit };
}

async function ended(t: TestContext, ...args: string[]) {
  const { exit, output, errors } = command(t, ...args);
  return { code: await exit, output: output(), errors: errors() };
}

interface Serving extends Command {
  readonly world: World;
  readonly envoy: Envoy;
  readonly call: () => Promise<string>;
  readonly write: (text: string) => Promise<void>;
}

async function serve(t: TestContext, adjust?: Parameters<World['yaml']>[0]): Promise<Serving> {
  const world = await createWorld(t);
  const file = world.path('config.yaml');
  await writeFile(file, world.yaml(adjust));
  const running = command(t, 'serve', '--config', file);
  await running.said('answers Envoy');
  const { target } = JSON.parse(
    running
      .errors()
      .split('\n')
      .find((line) => line.includes('answers Envoy')) ?? '',
  );
  const envoy = connectEnvoy(target);
  t.after(envoy.close);
  const call = async (): Promise<string> => {
    const headers = { authorization: `Bearer ${await world.token()}` };
    return reasonOf(await envoy.check(checkRequest(callBody(), { headers }), 5000));
  };
  return { ...running, world, envoy, call, write: (text) => writeFile(file, text) };
}

function reasonOf({ ok_response: ok, denied_response: denied }: CheckResponse): string {
  return ok ? 'allowed' : denied?.body ? JSON.parse(denied.body).error.data.reason : 'without a word';
}

/** No stack of ours has anything to say to whoever runs the thing. */
function assertPlain(errors: string): void {
  assert.ok(!/^\s+at /m.test(errors) && !errors.includes('node:internal'), errors);
}

suite('the command', { concurrency: 2, timeout: 300_000 }, () => {
  test('tells its version and its usage', async (t) => {
    assert.deepEqual(await ended(t, '--version'), { code: 0, output: `${VERSION}\n`, errors: '' });
    const help = await ended(t, '--help');
    assert.equal(help.code, 0);
    assert.match(help.output, /serve --config FILE/);
  });

  test('exits with 2 where it is not used as it should be', async (t) => {
    const wrong = [
      '',
      'serve',
      'serve --config=',
      'serve x --config y',
      'config check',
      'config check a b',
      '--surplus',
      'serve -c a --port 1',
      'serve -c a --json',
      'catalog diff -c a --json',
      'policy',
      'policy nothing',
      'audit',
    ].map((line) => line.split(' ').filter((word) => word !== ''));
    const outcomes = await Promise.all(wrong.map((args) => ended(t, ...args)));
    for (const [at, { code, output, errors }] of outcomes.entries()) {
      assert.equal(code, 2, String(wrong[at]));
      assert.equal(output, '');
      assert.ok(errors.length > 0);
      assertPlain(errors);
    }
  });

  test('checks a configuration', async (t) => {
    const { yaml, path } = await createWorld(t);
    const file = path('config.yaml');
    await writeFile(file, yaml());
    assert.deepEqual(await ended(t, 'config', 'check', file), { code: 0, output: `${file}: nothing wrong\n`, errors: '' });
    await writeFile(
      file,
      yaml((config) => Object.assign(config, { surplus: 1, admin: { listen: 'x' } })),
    );
    const { code, output, errors } = await ended(t, 'config', 'check', file);
    assert.equal(code, 1);
    assert.equal(output, '');
    assert.deepEqual(errors.trim().split('\n').sort(), [
      `${file}: admin.listen: use host:port or unix:///path`,
      `${file}: surplus: there is no such setting`,
    ]);
  });

  test('says plainly what is missing', async (t) => {
    const { yaml, path } = await createWorld(t);
    const file = path('config.yaml');
    for (const args of [
      ['config', 'check', path('nowhere.yaml')],
      ['serve', '--config', path('nowhere.yaml')],
      ['serve', '-c', path('')],
    ]) {
      const { code, errors } = await ended(t, ...args);
      assert.equal(code, 1);
      assert.match(errors, /ENOENT|EISDIR/);
      assertPlain(errors);
    }
    await writeFile(
      file,
      yaml((config) => (config.policy.bundleFile = path('nowhere.tar.gz'))),
    );
    const { code, errors } = await ended(t, 'serve', '--config', file);
    assert.equal(code, 1);
    assert.match(errors, /ENOENT.*nowhere\.tar\.gz/);
    assertPlain(errors);
  });

  test('ends when it cannot listen, with nothing left open', async (t) => {
    const first = await serve(t);
    const { target } = JSON.parse(
      first
        .errors()
        .split('\n')
        .find((line) => line.includes('answers Envoy')) ?? '',
    );
    const file = first.world.path('second.yaml');
    await writeFile(
      file,
      first.world.yaml((config) => (config.server.listen = target)),
    );
    const { code, errors } = await ended(t, 'serve', '--config', file);
    assert.equal(code, 1);
    assert.match(errors, /EADDRINUSE|No address added/);
    assertPlain(errors);
  });
});

suite('serving', { concurrency: 2, timeout: 300_000 }, () => {
  test('goes on until SIGTERM, and exits with 0', async (t) => {
    const { call, child, exit, errors, envoy, world } = await serve(t);
    assert.equal(await call(), 'allowed');
    envoy.close();
    child.kill('SIGTERM');
    assert.equal(await exit, 0);
    assert.match(errors(), /stopping.*\n.*"stopped"/);
    assert.equal((await readFile(world.path('decisions.log'), 'utf8')).trim().split('\n').length, 1);
  });

  test('ends with SIGINT as well', async (t) => {
    const { child, exit, envoy } = await serve(t);
    envoy.close();
    child.kill('SIGINT');
    assert.equal(await exit, 0);
  });

  for (const second of ['SIGTERM', 'SIGINT'] as const) {
    test(`ends at once with a second signal, ${second}`, async (t) => {
      const { child, exit, said } = await serve(t, (config) => (config.server.drainDelayMs = 60_000));
      child.kill('SIGTERM');
      await said('stopping');
      child.kill(second);
      assert.equal(await exit, second);
    });
  }

  test('answers what comes while health says that it stops', async (t) => {
    const { call, child, exit, envoy, world, said } = await serve(t, (config) => (config.server.drainDelayMs = 2000));
    const before = Array.from({ length: 10 }, () => call());
    child.kill('SIGTERM');
    await said('stopping');
    assert.equal(await envoy.health(), 'NOT_SERVING');
    const meanwhile = Array.from({ length: 10 }, () => call());
    assert.deepEqual(new Set(await Promise.all([...before, ...meanwhile])), new Set(['allowed']));
    envoy.close();
    assert.equal(await exit, 0);
    assert.equal((await readFile(world.path('decisions.log'), 'utf8')).trim().split('\n').length, 20);
  });

  test('writes decisions to standard output, and nothing else there', async (t) => {
    const { call, child, exit, output, envoy } = await serve(t, (config) => (config.decisionLog.file = '-'));
    await Promise.all([call(), call(), call()]);
    envoy.close();
    child.kill('SIGTERM');
    assert.equal(await exit, 0);
    const lines = output().trim().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).reason),
      ['allowed', 'allowed', 'allowed'],
    );
  });

  test('refuses while nobody reads what it writes, and goes on when somebody does', async (t) => {
    const { call, child } = await serve(t, (config) => (config.decisionLog = { file: '-', maxBufferedBytes: 1 }));
    child.stdout?.pause();
    let calls = 0;
    while ((await call()) === 'allowed') calls += 1;
    assert.equal(await call(), 'overloaded');
    assert.ok(calls > 10);
    child.stdout?.resume();
    while ((await call()) !== 'allowed');
  });

  test('outlives its readers: without anybody to log to it refuses, and ends when told', async (t) => {
    const { call, child, exit, envoy } = await serve(t, (config) => (config.decisionLog.file = '-'));
    child.stdout?.destroy();
    child.stderr?.destroy();
    while ((await call()) !== 'overloaded');
    assert.equal(child.exitCode, null);
    envoy.close();
    child.kill('SIGTERM');
    assert.ok([0, 1].includes((await exit) as number));
  });
});

suite('SIGHUP', { concurrency: 2, timeout: 300_000 }, () => {
  test('puts a changed configuration in force', async (t) => {
    const { call, child, said, world, write } = await serve(t);
    assert.equal(await call(), 'allowed');
    await world.writeBundle({ revision: 'echo-2', answers: { inbound: { allow: false, reason: 'read_only' } } });
    await write(world.yaml());
    child.kill('SIGHUP');
    await said(/is in force.*echo-2/);
    assert.equal(await call(), 'read_only');
  });

  test('keeps the old one where the new one is bad, says what is wrong, and takes the next good one', async (t) => {
    const { call, child, said, world, write, errors } = await serve(t);
    await write(world.yaml((config) => (config.surplus = 1)));
    child.kill('SIGHUP');
    await said('surplus: there is no such setting');
    assert.equal(await call(), 'allowed');
    await writeFile(world.path('bundle.tar.gz'), 'junk');
    await write(world.yaml());
    child.kill('SIGHUP');
    await said('not a gzipped tar');
    assert.equal(await call(), 'allowed');
    await world.writeBundle({ revision: 'echo-3' });
    child.kill('SIGHUP');
    await said(/is in force.*echo-3/);
    assert.equal(await call(), 'allowed');
    assertPlain(errors());
  });

  test('many times in a row does no harm', async (t) => {
    const { call, child, said, world } = await serve(t);
    for (let round = 0; round < 20; round += 1) child.kill('SIGHUP');
    await world.writeBundle({ revision: 'echo-9' });
    child.kill('SIGHUP');
    await said(/is in force.*echo-9/);
    assert.equal(await call(), 'allowed');
  });

  test('while it starts does not end it, and neither while it stops', async (t) => {
    const world = await createWorld(t);
    const file = world.path('config.yaml');
    await writeFile(
      file,
      world.yaml((config) => (config.server.drainDelayMs = 200)),
    );
    const honest = world.issuer.answer;
    let release = (): void => {};
    world.issuer.answer = (response, seen) => {
      release = () => void honest(response, seen);
    };
    const { child, said, exit, errors } = command(t, 'serve', '--config', file);
    await world.issuer.asked(1);
    child.kill('SIGHUP');
    release();
    await said('answers Envoy');
    child.kill('SIGTERM');
    await said('stopping');
    child.kill('SIGHUP');
    assert.equal(await exit, 0);
    assert.ok(!errors().includes('unhandled'), errors());
  });
});
