import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
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

  test('texts that a part of input never is', async (t) => {
    const rules = [
      rule('input.mcp.era == "modernn"'),
      rule('mcp := input.mcp', 'not mcp.kind != "reqest"', 'mcp.kind in {"request", "notificaton"}'),
      rule('input.mcp.targets[_].type == "tol"', 'some target in input.mcp.targets', 'target.type == "tool"'),
      rule(
        'input.mcp.era == "modern"',
        'input.mcp.kind in ["request", "http"]',
        'input.mcp.method == "x"',
        'input.mcp.era == data.era',
      ),
    ];
    assert.deepEqual(said(await check(t, rules.join('\n'))), [
      'mcp/inbound.rego:4:19: input.mcp.era is never "modernn"; it is one of legacy, modern. Did you mean modern?',
      'mcp/inbound.rego:9:18: input.mcp.kind is never "reqest"; it is one of request, notification, response, http. Did you mean request?',
      'mcp/inbound.rego:10:26: input.mcp.kind is never "notificaton"; it is one of request, notification, response, http. Did you mean notification?',
      'mcp/inbound.rego:14:31: input.mcp.targets[_].type is never "tol"; it is one of tool, prompt, resource, resource_template, task. Did you mean tool?',
    ]);
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
    assert.deepEqual(said(ran), [
      'mcp/inbound.rego:3:14: data.mcp.inbound.decision can have "alow", which no decision has; did you mean "allow"?',
      'mcp/inbound.rego:5:10: data.mcp.inbound.decision: "allow" can be a string, and has to be a boolean',
      'mcp/outbound.rego:3:90: data.mcp.outbound.decision: "scope" can be an array, and has to be a string',
    ]);
    assert.equal(ran.code, 1);
    const named = await check(t, 'answer := {"allow": 1, "reason": "allowed"}\n\ndecision := answer\n\nother if input.nothing\n');
    assert.deepEqual(said(named).length, 1);
    const later = await check(t, 'answer := {"allow": 1, "reason": "allowed"}\n\ndecision := answer\n');
    assert.deepEqual(said(later), [
      'mcp/inbound.rego:5:13: data.mcp.inbound.decision: "allow" can be a number, and has to be a boolean',
    ]);
  });

  test('what the sidecar would refuse is found where it is written, beside other mistakes', async (t) => {
    const inbound = `default decision := {"allow": false, "reason": "allowed"}

decision := {"allow": true, "reason": "tool_forbidden"} if input.mcp.method == "a"

decision := {"allow": false, "reason": "insufficient_scope"} if input.mcp.method == "b"

decision := {"allow": true, "reason": "allowed", "required_scopes": ["s"]} if input.mcp.methd == "c"

decision := {"allow": false, "reason": input.mcp.method, "required_scopes": data.scopes} if input.mcp.method == "d"

decision := {"allow": data.x, "reason": data.y, "message": concat("", ["a"])} if input.mcp.method == "e"
`;
    const outbound = `package mcp.outbound

decision := {"allow": true, "reason": "allowed", "audience": "a", "scope": "a  b", "ttl_seconds": 5}

decision := {"allow": true, "reason": "allowed", "audience": "a", "scope": concat(":", ["a"]), "ttl_seconds": 5.5}

decision := {"allow": true, "reason": "allowed", "scope": "s", "ttl_seconds": 5}
`;
    const ran = await check(t, inbound, { 'mcp/outbound.rego': outbound });
    assert.deepEqual(said(ran), [
      'mcp/inbound.rego:3:38: data.mcp.inbound.decision: "reason" cannot be "allowed" where "allow" is false',
      'mcp/inbound.rego:5:29: data.mcp.inbound.decision: "reason" has to be "allowed" where "allow" is true',
      'mcp/inbound.rego:7:13: data.mcp.inbound.decision: "required_scopes" has to be a list of scopes, and to be there with this reason',
      'mcp/inbound.rego:9:50: data.mcp.inbound.decision: "required_scopes" does not go with "allow": true',
      'mcp/inbound.rego:9:89: input.mcp.methd: there is no "methd"; there are arguments, backend, era, kind, method, revision, targets, tool. Did you mean method?',
      'mcp/outbound.rego:3:67: data.mcp.outbound.decision: "scope" has to be there: scopes with one space between them',
      'mcp/outbound.rego:5:96: data.mcp.outbound.decision: "ttl_seconds" has to be there: a whole number from 1 to what the configuration allows, 60 at most',
      'mcp/outbound.rego:7:13: data.mcp.outbound.decision: "audience" has to be there: a text that is not empty',
    ]);
  });

  test('a data file that cannot be read is named', async (t) => {
    const broken = await check(t, rule('true'), { 'x/data.json': '{\n"a":1,}', 'y/data.yaml': 'a: [b\n c: d\n' });
    assert.equal(broken.code, 1);
    assert.match(broken.lines[0] ?? '', /^x\/data\.json:2: is no JSON: invalid character '}'/);
    assert.match(broken.lines.at(1) ?? '', /^y\/data\.yaml:1: yaml: line 1: /);
  });

  test('what cannot be parsed is shown once', async (t) => {
    const { code, lines } = await check(t, 'decision := \n');
    assert.equal(code, 1);
    assert.equal(lines.filter((line) => line.startsWith('mcp/inbound.rego:')).length, 1);
  });

  test('a pipe is not waited for', { timeout: 300_000 }, async (t) => {
    const folder = await createFolder(t, LEAST);
    execFileSync('mkfifo', [join(folder, 'mcp/pipe.rego')]);
    const { code, errors } = await runPolicyVerb('check', folder);
    assert.deepEqual([code, errors], [2, `${join(folder, 'mcp/pipe.rego')}: is no regular file\n`]);
  });

  test('a catalog that is none is refused', async (t) => {
    const folder = await createFolder(t, {
      ...LEAST,
      'tools.json': '{"version": 1, "backends": {"a": {"b": {}}}}',
      'x.yaml': 'a: [',
    });
    for (const [file, complaint] of [
      ['tools.json', /tools\.json: is no catalog of tools, .*: backends\.a\.b\.definition/],
      ['x.yaml', /x\.yaml: is no catalog of tools, as `catalog show --json` writes one: /],
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
