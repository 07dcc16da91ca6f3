import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { parse } from 'yaml';
import { STARTER } from '../../../src/tools/init.ts';
import { VERSION } from '../../../src/version.ts';
import { createFolder, runPolicyVerb } from './support.ts';

function commandsOf(folder: string): string[] {
  const workflow = parse(readFileSync(join(folder, '.github/workflows/policy.yaml'), 'utf8'));
  return workflow.jobs.policy.steps.flatMap(({ run }: { run?: string }) => run?.trimEnd() ?? []);
}

suite('policy init', { timeout: 300_000 }, () => {
  test('writes a policy that is right, tested to the last line, and can be built', async (t) => {
    const folder = join(await createFolder(t), 'new', 'policy');
    const { code, output } = await runPolicyVerb('init', folder);
    assert.equal(code, 0);
    for (const name of Object.values(STARTER))
      assert.ok(output.includes(`${join(folder, name)}\n`) && existsSync(join(folder, name)), name);
    const checked = await runPolicyVerb('check', folder);
    assert.match(checked.output, /^4 Rego files: nothing wrong$/m);
    const tested = await runPolicyVerb('test', folder, '--threshold', '100');
    assert.equal(tested.code, 0, tested.output);
    const built = await runPolicyVerb('build', folder, '-o', join(folder, 'bundle.tar.gz'));
    assert.equal(built.code, 0, built.errors);
  });

  test('its workflows run the same, and take the tool from no registry', async (t) => {
    const folder = await createFolder(t);
    await runPolicyVerb('init', folder);
    const read = (name: string) => readFileSync(join(folder, name), 'utf8');
    const github = commandsOf(folder);
    assert.deepEqual(
      github,
      parse(read('.gitlab-ci.yml')).policy.script.map((run: string) => run.trimEnd()),
    );
    for (const name of ['.github/workflows/policy.yaml', '.gitlab-ci.yml']) {
      assert.doesNotMatch(read(name), /npm (install|i|exec)\b|npx/, name);
      assert.match(read(name), new RegExp(`commit of version ${VERSION.replaceAll('.', '\\.')} or`));
    }
    const verbs = github.slice(1).map((line: string) => /^node \.mcp-ext-authz\/dist\/main\.js policy (\w+)/.exec(line)?.[1]);
    assert.deepEqual(verbs, ['check', 'test', 'build']);
    for (const name of Object.values(STARTER)) assert.ok(!read(name).includes('{{'), name);
  });

  test('its workflows take the tool at a commit, and at nothing that can be moved', async (t) => {
    const folder = await createFolder(t, { 'tool/built': 'main', 'bin/npm': '#!/bin/sh\necho "$*" >> npm-was-asked\n' });
    const git = (...args: string[]) =>
      execFileSync('git', ['-C', join(folder, 'tool'), '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
        encoding: 'utf8',
      });
    git('init', '-q', '-b', 'main');
    git('add', '.');
    git('commit', '-q', '-m', 'one');
    chmodSync(join(folder, 'bin/npm'), 0o755);
    const get = async (commit: string) => {
      const policy = await createFolder(t);
      await runPolicyVerb('init', policy);
      const env = { PATH: `${folder}/bin:${process.env.PATH}`, TOOL_REPOSITORY: join(folder, 'tool'), TOOL_COMMIT: commit };
      const { status } = spawnSync('sh', ['-c', commandsOf(policy)[0] as string], { cwd: policy, env });
      const asked = join(policy, '.mcp-ext-authz/npm-was-asked');
      return { status, asked: existsSync(asked) ? readFileSync(asked, 'utf8') : '' };
    };
    assert.deepEqual(await get(git('rev-parse', 'HEAD').trim()), { status: 0, asked: 'ci\nrun build\n' });
    for (const other of ['main', '', '0'.repeat(40)]) {
      const { status, asked } = await get(other);
      assert.deepEqual([status === 0, asked], [false, ''], other);
    }
  });

  test('takes no empty name for this folder', async () => {
    const { code, output, errors } = await runPolicyVerb('init', '');
    assert.deepEqual([code, output], [2, '']);
    assert.match(errors, /^the name of the folder is empty/);
  });

  test('touches nothing where one of its files is there', async (t) => {
    const folder = await createFolder(t, { 'README.md': 'mine' });
    const { code, output, errors } = await runPolicyVerb('init', folder);
    assert.deepEqual([code, output], [2, '']);
    assert.equal(errors, `nothing was written: ${join(folder, 'README.md')} would be overwritten\n`);
    assert.ok(!existsSync(join(folder, 'mcp')));
  });
});
