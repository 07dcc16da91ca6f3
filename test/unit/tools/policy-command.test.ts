import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runCommand, runPolicyVerb } from './support.ts';

describe('the tools of the command line', () => {
  test('tell all verbs, and nothing else where none is given', async () => {
    const { code, output, errors } = await runPolicyVerb();
    assert.deepEqual([code, output], [2, '']);
    for (const verb of ['init', 'check', 'test', 'build', 'bench', 'eval', 'explain', 'replay'])
      assert.match(errors, new RegExp(`mcp-ext-authz policy ${verb} `));
    assert.deepEqual(await runPolicyVerb('--help'), { code: 0, output: errors, errors: '' });
  });

  test('know no other', async () => {
    for (const verb of ['lint', 'constructor', '__proto__']) {
      const { code, errors } = await runPolicyVerb(verb);
      assert.equal(code, 2);
      assert.ok(errors.startsWith(`there is no verb "${verb}"\n`));
    }
    assert.equal((await runCommand('audit', 'build')).code, 2);
  });

  for (const verb of ['init', 'check', 'test', 'build', 'bench']) {
    test(`${verb} says how it is used, and where it is not`, async () => {
      const help = await runPolicyVerb(verb, '--help');
      assert.equal(help.code, 0);
      assert.ok(help.output.startsWith(`mcp-ext-authz policy ${verb} [`));
      assert.ok(help.output.split('\n').every((line) => line.length <= 130));
      for (const args of [['--surplus'], ['one', 'two', 'three']]) {
        const { code, output, errors } = await runPolicyVerb(verb, ...args);
        assert.deepEqual([code, output], [2, '']);
        assert.match(errors, new RegExp(`^[^\\n]+\n\`mcp-ext-authz policy ${verb} --help\` says how it is used\\.\n$`));
      }
    });
  }

  test('a folder that is not there, or holds no policy, is said to be so', async () => {
    for (const verb of ['check', 'test']) {
      assert.deepEqual(await runPolicyVerb(verb, '/nowhere/at/all'), {
        code: 2,
        output: '',
        errors: '/nowhere/at/all: there is no such file or folder\n',
      });
      assert.match((await runPolicyVerb(verb, 'docs')).errors, /^docs: there is no Rego in this folder; .*policy init/);
    }
  });
});
