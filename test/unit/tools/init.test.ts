import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { parse } from 'yaml';
import { STARTER } from '../../../src/tools/init.ts';
import { VERSION } from '../../../src/version.ts';
import { createFolder, runPolicyVerb } from './support.ts';

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

  test('its workflows run the same verbs, with this version', async (t) => {
    const folder = await createFolder(t);
    await runPolicyVerb('init', folder);
    const read = (name: string) => readFileSync(join(folder, name), 'utf8');
    const github = parse(read('.github/workflows/policy.yaml')).jobs.policy.steps.flatMap(
      ({ run }: { run?: string }) => run ?? [],
    );
    const gitlab = parse(read('.gitlab-ci.yml')).policy.script;
    assert.deepEqual(github, gitlab);
    assert.equal(github[0], `npm install --global mcp-ext-authz@${VERSION}`);
    const verbs = github.slice(1).map((line: string) => /^mcp-ext-authz policy (\w+)/.exec(line)?.[1]);
    assert.deepEqual(verbs, ['check', 'test', 'build']);
    for (const name of Object.values(STARTER)) assert.ok(!read(name).includes('{{'), name);
  });

  test('touches nothing where one of its files is there', async (t) => {
    const folder = await createFolder(t, { 'README.md': 'mine' });
    const { code, output, errors } = await runPolicyVerb('init', folder);
    assert.deepEqual([code, output], [2, '']);
    assert.equal(errors, `nothing was written: ${join(folder, 'README.md')} would be overwritten\n`);
    assert.ok(!existsSync(join(folder, 'mcp')));
  });
});
