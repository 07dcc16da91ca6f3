/** The pages on reviewing and explaining show what the commands on them say: `npm run docs` writes it. Each ran as a process. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { filesWithExamples } from '../../scripts/docs.ts';
import { makeExamples } from '../../scripts/policy-examples.ts';

describe('examples are what their commands give', async () => {
  for (const { path, actual, expected } of await filesWithExamples()) {
    test(path, () => assert.equal(actual, expected, `${path} is not what its commands give: run \`npm run docs\``));
  }
});

describe('commands on the reference policies', async () => {
  const examples = await makeExamples();
  const shown = (name: string) => examples.get(name) ?? '';

  test('replay names what a pull request changes, and exits with 1', () => {
    const output = shown('replay');
    assert.match(output, /enterprise-ledger getAuditTrail: allow → deny \(role_missing\)\n +by carol;/);
    assert.match(output, /enterprise-ledger transferFunds: deny \(limit_exceeded\) → allow\n +by alice;/);
    assert.match(output, /enterprise-ledger listAccounts: lifetime 5 → lifetime 2\n +by bob;/);
    assert.match(output, /\$ echo \$\?\n1\n/);
  });

  test('replay as Markdown has the same groups', () => {
    const rows = shown('markdown').match(/^> \| \d+ \|.*$/gm) ?? [];
    assert.equal(rows.length, 3);
    assert.match(rows[0] ?? '', /`getAuditTrail` \| `allow` → `deny \(role_missing\)` \| `carol` \|/);
  });

  test('eval says the verdict, the line that decided, its values and the data', () => {
    const output = shown('eval');
    assert.match(output, /\ndeny \(limit_exceeded\)\n {2}Over the limit for your role: amount is at most 1000000\./);
    assert.match(
      output,
      /\d+ \| input\.mcp\.arguments\[name\] <= highest_limit\(rule\)\n +\| 1200000 <= 1000000\n +\| input\.mcp\.arguments\.amount = 1200000\n/,
    );
    assert.match(output, /tools\.transferFunds\.arguments\.amount\.limits = \{"analyst":1000000\}\n/);
  });

  test('eval shows the token of an allowed call', () => {
    assert.match(
      shown('allowed'),
      /audience {2}https:\/\/employee-directory\.internal\/mcp\n {2}scope {5}employee-directory:getManager\n {2}lifetime {2}5 s/,
    );
  });

  test('explain finds the decision, and it comes out as recorded', () => {
    const output = shown('explain');
    assert.match(output, /who {7}bob by claude-code/);
    assert.match(output, /It comes out as recorded: deny \(role_missing\)\./);
    assert.match(output, /"ledger:write" in \["ledger:read", "directory:read"\]/);
  });
});
