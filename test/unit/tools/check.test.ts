import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { createFolder, LEAST, OUTBOUND, type Ran, runPolicyVerb } from './support.ts';

const tool = (name: string, properties: object, more: object = {}) => ({
  definition: { name, inputSchema: { type: 'object', properties, ...more } },
});
const CATALOG = JSON.stringify({
  version: 1,
  backends: {
    ledger: {
      transferFunds: tool('transferFunds', { amount: { type: 'number' }, currency: { enum: ['EUR', 'USD'] } }),
      getBalance: tool('getBalance', { account: { type: 'string' } }),
      ping: tool('ping', {}),
    },
    directory: {
      getEmployee: tool('getEmployee', { id: { type: 'string' } }),
      search: tool('search', { text: { type: 'string' } }, { additionalProperties: true }),
    },
  },
});
const ALLOWED = '{"allow": true, "reason": "allowed"}';
const rule = (...lines: string[]) => `decision := ${ALLOWED} if {\n${lines.map((line) => `\t${line}\n`).join('')}}\n`;

async function check(
  t: Parameters<typeof createFolder>[0],
  inbound: string,
  more: Record<string, string> = {},
): Promise<Ran & { lines: string[] }> {
  const files = { ...LEAST, 'mcp/inbound.rego': `package mcp.inbound\n\n${inbound}`, 'tools.json': CATALOG, ...more };
  const folder = await createFolder(t, files);
  const ran = await runPolicyVerb('check', folder, '--catalog', join(folder, 'tools.json'));
  const lines = ran.output.split('\n').map((line) => line.replace(`${folder}/`, ''));
  return { ...ran, lines };
}

/** The lines that say what is wrong, without the excerpts. */
const said = ({ lines }: { lines: string[] }) => lines.filter((line) => /^[\w/]+\.rego:|^data\.|^there is/.test(line));

suite('policy check', { timeout: 300_000 }, () => {
  test('shows each mistake, where it is, and what was meant', async (t) => {
    const ran = await check(t, rule('input.mcp.tool == "transferFunds"', 'input.mcp.arguments.amout <= 100'));
    assert.deepEqual(ran.lines, [
      'mcp/inbound.rego:5:22: input.mcp.arguments.amout: there is no "amout" in the arguments of transferFunds; there are amount, currency. Did you mean amount?',
      '     input.mcp.arguments.amout <= 100',
      '                         ^^^^^',
      '2 Rego files: 1 error',
      'compared with the arguments of 5 tools of 2 backends',
      '',
    ]);
    assert.deepEqual([ran.code, ran.errors], [1, '']);
  });

  test('arguments are those of the tool that a rule is about, each body for itself', async (t) => {
    const rules = [
      rule('input.mcp.tool == "transferFunds"', 'input.mcp.arguments.account'),
      rule('"getBalance" == input.mcp.tool', 'input.mcp.arguments.amount'),
      rule('input.mcp.tool in {"getBalance", "transferFunds"}', 'input.mcp.arguments.amount', 'input.mcp.arguments.id'),
      rule('input.mcp.backend == "ledger"', 'input.mcp.arguments.id'),
      rule('input.mcp.tool == "ping"', 'args := input.mcp.arguments', 'args.anything'),
      rule('input.mcp.tool == "transferFunds"', 'input.mcp.arguments.currency == 5'),
      `${rule('input.mcp.tool == "getBalance"').trimEnd()} else := ${ALLOWED} if {\n\tinput.mcp.tool == "ping"\n\tinput.mcp.arguments.account\n}\n`,
    ];
    assert.deepEqual(said(await check(t, rules.join('\n'))), [
      'mcp/inbound.rego:5:22: input.mcp.arguments.account: there is no "account" in the arguments of transferFunds; there are amount, currency',
      'mcp/inbound.rego:10:22: input.mcp.arguments.amount: there is no "amount" in the arguments of getBalance; there is account',
      'mcp/inbound.rego:16:22: input.mcp.arguments.id: there is no "id" in the arguments of getBalance or transferFunds; there are account, amount, currency',
      'mcp/inbound.rego:21:22: input.mcp.arguments.id: there is no "id" in the arguments of any tool of ledger; there are account, amount, currency',
      'mcp/inbound.rego:27:7: args.anything: there is no "anything"; there are none',
      'mcp/inbound.rego:32:2: never true: one side is string, the other number',
      'mcp/inbound.rego:39:22: input.mcp.arguments.account: there is no "account" in the arguments of ping; there are none',
    ]);
  });

  test('what is right stays unsaid', async (t) => {
    const rules = [
      rule('input.mcp.tool == "transferFunds"', 'input.mcp.arguments.amount <= 100', 'input.mcp.arguments.currency == "EUR"'),
      rule('input.mcp.tool == "transferFunds"', 'input.mcp.arguments == null'),
      rule('not input.mcp.tool == "transferFunds"', 'input.mcp.arguments.account == "a"'),
      // One tool of the directory takes anything, so nothing can be said of the tools in general.
      rule('input.mcp.arguments.whatever'),
      rule('input.mcp.tool == "search"', 'input.mcp.arguments.whatever'),
      rule('input.mcp.tool == "search"', 'found := input.mcp.arguments', 'found == null'),
      rule('some name in ["amount", "account"]', 'input.mcp.arguments[name]'),
      rule('input.principal.claims.department == "x"', 'input.tool.annotations.readOnlyHint == true'),
    ];
    const mask = 'package system.log\n\nmask contains "/input/mcp/arguments" if input.path == "mcp/inbound/decision"\n';
    const helper = 'package lib\n\nis_read if startswith(input.mcp.tool, "get")\n';
    const uses = 'package mcp.inbound_test\n\ntest_x if http.send({"url": "x", "method": "get"}).status_code == 1\n';
    const ran = await check(t, rules.join('\n'), { 'log.rego': mask, 'lib.rego': helper, 'mcp/inbound_test.rego': uses });
    assert.deepEqual([ran.code, ran.lines[0]], [0, '5 Rego files: nothing wrong']);
  });

  test('every module is held against the input, also without an annotation, and one may name the schema of a tool', async (t) => {
    const annotated = `# METADATA
# scope: rule
# schemas:
#   - input.mcp.arguments: schema["tools/ledger/transferFunds"]
within if input.mcp.arguments.amout < 5

# METADATA
# scope: rule
# schemas:
#   - input.mcp.arguments: schema.tools.ledger.getBalance
of_account if input.mcp.arguments.acount == "x"
`;
    const helper = 'package lib\n\nis_read if startswith(input.mcp.tol, "get")\n';
    const ran = await check(t, `${rule('within', 'of_account')}\n${annotated}`, { 'lib.rego': helper });
    assert.deepEqual(said(ran), [
      'lib.rego:3:33: input.mcp.tol: there is no "tol"; there are arguments, backend, era, kind, method, revision, targets, tool. Did you mean tool?',
      'mcp/inbound.rego:12:31: input.mcp.arguments.amout: there is no "amout"; there are amount, currency. Did you mean amount?',
      'mcp/inbound.rego:18:35: input.mcp.arguments.acount: there is no "acount"; there is account. Did you mean account?',
    ]);
  });

  test('built-ins, reasons and rules that are not there', async (t) => {
    const inbound = `${rule('x := http.send({"url": "x", "method": "get"})', 'x.status_code == 200')}
answer := {"allow": false, "reason": "tool_forbiden"}
`;
    const ran = await check(t, inbound, { 'mcp/outbound.rego': 'package mcp.outbound\n\ndecison := 1\n' });
    assert.deepEqual(said(ran), [
      'there is no rule data.mcp.outbound.decision: the sidecar asks it',
      'mcp/inbound.rego:4:7: http.send is a built-in that the sidecar does not have; docs/policy.md#built-ins lists those there are',
      'mcp/inbound.rego:8:38: there is no reason "tool_forbiden". Did you mean tool_forbidden?',
    ]);
  });

  test('a rule may be there member by member', async (t) => {
    const members = `default allow := false

allow if input.mcp.tool == "ping"

decision.allow := allow

decision.reason := "allowed" if allow

decision.reason := "tool_forbidden" if not allow
`;
    const { code, lines } = await check(t, members);
    assert.deepEqual([code, lines.filter((line) => line.includes('no rule'))], [0, []]);
  });

  test('tools and backends that nobody offers are warned of', async (t) => {
    const ran = await check(t, rule('input.mcp.backend == "leger"', 'input.mcp.tool == "transferFund"'));
    assert.deepEqual(said(ran), [
      'mcp/inbound.rego:4:23: warning: there is no backend "leger" in the catalog. Did you mean ledger?',
      'mcp/inbound.rego:5:20: warning: no backend offers a tool "transferFund". Did you mean transferFunds?',
    ]);
    assert.deepEqual([ran.code, ran.lines.at(-3)], [0, '2 Rego files: nothing wrong, 2 warnings']);
  });

  test('decisions that would be refused', async (t) => {
    const inbound = `decision := {"alow": true, "reason": "allowed"} if input.mcp.method == "ping"\n
else := {"allow": "no", "reason": "policy_denied"}\n`;
    const outbound = OUTBOUND.replace('"scope": "s"', '"scope": ["s"]');
    const ran = await check(t, inbound, { 'mcp/outbound.rego': outbound });
    assert.deepEqual(said(ran).sort(), [
      'data.mcp.inbound.decision can have "alow", which no decision has; did you mean "allow"?',
      'data.mcp.inbound.decision: "allow" can be a string, and has to be a boolean',
      'data.mcp.outbound.decision: "scope" can be an array, and has to be a string',
    ]);
    assert.equal(ran.code, 1);
  });

  test('what cannot be parsed is shown once', async (t) => {
    const { code, lines } = await check(t, 'decision := \n');
    assert.equal(code, 1);
    assert.equal(lines.filter((line) => line.startsWith('mcp/inbound.rego:')).length, 1);
  });

  test('a catalog that is none is refused', async (t) => {
    const folder = await createFolder(t, {
      ...LEAST,
      'tools.json': '{"version": 1, "backends": {"a": {"b": {}}}}',
      'x.yaml': 'a: [',
    });
    for (const [file, complaint] of [
      ['tools.json', /tools\.json: backends\.a\.b\.definition/],
      ['x.yaml', /x\.yaml: /],
      ['nothing', /there is no such file/],
    ] as const) {
      const { code, errors } = await runPolicyVerb('check', folder, '--catalog', join(folder, file));
      assert.equal(code, 2);
      assert.match(errors, complaint);
    }
    assert.equal((await runPolicyVerb('check', folder, '--catalog', 'a', '--config', 'b')).code, 2);
  });

  test('without a catalog it says that it looked at no arguments', async (t) => {
    const folder = await createFolder(t, {
      ...LEAST,
      'mcp/inbound.rego': `package mcp.inbound\n\n${rule('input.mcp.arguments.anything')}`,
    });
    assert.deepEqual(await runPolicyVerb('check', folder), {
      code: 0,
      output: '2 Rego files: nothing wrong\narguments of tools were not looked at: --config or --catalog says what they are\n',
      errors: '',
    });
  });
});
