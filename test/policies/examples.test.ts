/** The pages on reviewing and explaining show what the commands on them say: `npm run docs` writes it. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { filesWithExamples } from '../../scripts/docs.ts';
import { COMMANDS, openExamples } from '../../scripts/policy-examples.ts';

describe('examples are what their commands give', async () => {
  for (const { path, actual, expected } of await filesWithExamples()) {
    test(path, () => assert.equal(actual, expected, `${path} is not what its commands give: run \`npm run docs\``));
  }
});

describe('commands on the reference policies, as processes', async () => {
  const examples = await openExamples();
  after(examples.remove);
  const { run } = examples;

  test('replay names what a pull request changes, and exits by what it is asked to fail on', async () => {
    const { code, output } = await run(COMMANDS.replay);
    assert.equal(code, 1);
    assert.match(output, /enterprise-ledger getAuditTrail: allow → deny \(role_missing\)\n +by carol;/);
    assert.match(output, /enterprise-ledger transferFunds: deny \(limit_exceeded\) → allow\n +by alice;/);
    assert.match(output, /enterprise-ledger listAccounts: lifetime 5 → lifetime 2\n +by bob;/);
    assert.equal((await run(`${COMMANDS.replay} --fail-on none`)).code, 0);
  });

  test('replay of the policy that was in force says that nothing flips', async () => {
    const { code, output } = await run('mcp-ext-authz policy replay --bundle main decisions.ndjson');
    assert.equal(code, 0);
    assert.match(output, /^nothing flips with main, revision draft-[0-9a-f]{12}\nreplayed {2}400 of 400 lines/);
  });

  test('eval says the verdict, the line that decided, its values and the data', async () => {
    const { code, output } = await run(COMMANDS.eval);
    assert.equal(code, 0);
    assert.match(output, /^deny \(limit_exceeded\)\n {2}Over the limit for your role: amount is at most 1000000\./);
    assert.match(
      output,
      /\d+ \| input\.mcp\.arguments\[name\] <= highest_limit\(rule\)\n +\| 1200000 <= 1000000\n +\| input\.mcp\.arguments\.amount = 1200000\n/,
    );
    assert.match(output, /tools\.transferFunds\.arguments\.amount\.limits = \{"analyst":1000000\}\n/);
  });

  test('eval shows the token of an allowed call, and an expectation that is not met is a finding', async () => {
    const { code, output } = await run(`${COMMANDS.allowed} --expect tool_unknown`);
    assert.equal(code, 1);
    assert.match(
      output,
      /audience {2}https:\/\/employee-directory\.internal\/mcp\n {2}scope {5}employee-directory:getManager\n {2}lifetime {2}5 s/,
    );
    assert.match(output, /expected tool_unknown, and it is allow/);
  });

  test('what cannot be done is said, with 2', async () => {
    for (const [command, said] of [
      ['eval main --tool getBalance', /--as USER is needed/],
      ['eval main --as alice --tool getBalance', /--backend NAME is needed/],
      ['eval main --as mallory --backend enterprise-ledger --tool getBalance', /mallory is in no file of people/],
      ['eval main --as alice --backend enterprise-ledger --tool getBalance --args nonsense', /--args: is no JSON object/],
      ['eval main --as alice --backend enterprise-ledger --method tools/nothing', /before it asks policy: method_unknown/],
      ['eval nowhere --as alice --backend enterprise-ledger --tool getBalance', /nowhere: there is no such file or folder/],
      ['replay decisions.ndjson', /--bundle NEW is needed/],
      ['replay --bundle main --fail-on perhaps decisions.ndjson', /--fail-on perhaps: one of any/],
      ['replay --bundle decisions.ndjson decisions.ndjson', /the sidecar would not load it/],
      ['explain no-such-id --log decisions.ndjson', /no-such-id is not in decisions\.ndjson/],
    ] as const) {
      const { code, output } = await run(`mcp-ext-authz policy ${command}`);
      assert.match(output, said, command);
      assert.equal(code, 2, command);
    }
  });
});
