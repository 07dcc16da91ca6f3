/** eval, explain and replay as the command line calls them. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { openJudge } from '../../../src/tools/judge.ts';
import { buildArchive, openToolOpa } from '../../../src/tools/loading.ts';
import { runPolicy } from '../../../src/tools/policy-command.ts';
import { readSourceFolder } from '../../../src/tools/source-folder.ts';
import { changedBundle, changeJson } from '../../support/bundles.ts';
import { idOf, inputOf, morning, POLICIES, recordedLine } from '../../support/decision-lines.ts';
import { OUTBOUND } from './support.ts';

const BUNDLE = join(POLICIES, 'bundle.tar.gz');

let folder = '';
const file = (name: string) => join(folder, name);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verbs-'));
  const opa = openToolOpa();
  const judge = await openJudge(BUNDLE, opa, { maxTtlSeconds: 5 });
  const sources = await readSourceFolder(POLICIES);
  await writeFile(file('plain.tar.gz'), await buildArchive(opa, sources, { target: 'rego', revision: 'plain-1' }));
  await opa.close();
  const pay = { who: 'alice', tool: 'transferFunds', args: { from: 'A', to: 'B', amount: 2_000_000, currency: 'EUR' } };
  const lines = [
    recordedLine(judge, { who: 'bob', tool: 'getBalance' }, 0),
    recordedLine(judge, pay, 1),
    recordedLine(judge, { ...pay, args: { ...pay.args, amount: 5 }, erase: ['amount'] }, 2),
    recordedLine(judge, { who: 'bob', tool: 'getBalance' }, 3, { decision: 'error', reason: 'exchange_timeout', error: 'late' }),
    recordedLine(judge, pay, 4, { bundles: { policy: { revision: 'older' } }, result: { allow: true, reason: 'allowed' } }),
    JSON.stringify({
      decision_id: 'expired',
      timestamp: '2026-11-20T09:00:00Z',
      decision: 'deny',
      reason: 'token_expired',
      result: {},
    }),
  ];
  await writeFile(file('log'), `${lines.join('\n')}\n`);
  await writeFile(
    file('morning'),
    morning(50)
      .map((asked, index) => recordedLine(judge, asked, index))
      .join('\n'),
  );
  const noBalance = (data: any) => delete data.permissions.backends['enterprise-ledger'].tools.getBalance;
  await writeFile(file('new.tar.gz'), await changedBundle((members) => changeJson(members, '/data.json', noBalance)));
});
after(() => rm(folder, { recursive: true }));

async function run(verb: string, ...args: string[]) {
  let output = '';
  const sink = () =>
    new Writable({
      write: (chunk, _encoding, done) => {
        output += chunk;
        done();
      },
    });
  const code = await runPolicy(verb, args, { out: sink(), err: sink() });
  return { code, output };
}

describe('what cannot be done is said, with 2', () => {
  const alice = ['--as', 'alice', '--people', join(POLICIES, 'people.yaml')];
  const ledger = ['--backend', 'enterprise-ledger', '--tool', 'getBalance'];
  const cases: readonly (readonly [string[], RegExp])[] = [
    [['eval', BUNDLE, '--tool', 'getBalance'], /--as USER is needed/],
    [['eval', BUNDLE, ...alice], /--tool NAME is needed/],
    [['eval', BUNDLE, ...alice, '--tool', 'getBalance'], /--backend NAME is needed/],
    [['eval', BUNDLE, '--as', 'mallory', ...ledger], /mallory is in no file of people/],
    [['eval', BUNDLE, ...alice, ...ledger, '--args', 'x'], /--args: is no JSON object/],
    [['eval', BUNDLE, ...alice, ...ledger, '--time', 'noon'], /--time noon: is no RFC 3339 time/],
    [['eval', BUNDLE, ...alice, ...ledger, '--method', 'tools/nothing'], /before it asks policy: method_unknown/],
    [['eval', BUNDLE, ...alice, ...ledger, '--expect', 'perhaps'], /--expect perhaps: give allow, deny or a reason/],
    [['eval', '/nowhere', ...alice, ...ledger], /nowhere: there is no such file or folder/],
    [['replay', BUNDLE], /--bundle NEW is needed/],
    [['replay', '--bundle', BUNDLE], /a file of decisions is needed/],
    [['replay', '--bundle', BUNDLE, '--markdown', '--json', BUNDLE], /--markdown and --json: give one of them/],
    [['replay', '--bundle', BUNDLE, '--limit', '1.5', BUNDLE], /--limit 1\.5: give a whole number from 1/],
    [['replay', '--bundle', BUNDLE, '--examples', '1.5', BUNDLE], /--examples 1\.5: give a whole number from 1 to 100/],
    [['replay', '--bundle', BUNDLE, '--fail-on', 'perhaps', BUNDLE], /--fail-on perhaps: one of any/],
    [['replay', '--bundle', import.meta.filename, BUNDLE], /the sidecar would not load this: .*gzipped tar/],
    [['replay', '--bundle', BUNDLE, '/nowhere'], /nowhere: there is no such file or folder/],
    [['explain'], /a DECISION_ID is needed/],
    [['explain', 'x'], /--log FILE is needed/],
    [['explain', 'x', '--log', import.meta.filename], /x is not in /],
  ];
  for (const [[verb = '', ...args], said] of cases) {
    test(`${verb} ${args.map((arg) => arg.replace(/^\/.*\//, '')).join(' ')}`, async () => {
      const { code, output } = await run(verb, ...args);
      assert.match(output, said);
      assert.equal(code, 2);
    });
  }
});

describe('eval of a bundle', () => {
  const asked = ['--people', join(POLICIES, 'people.yaml'), '--backend', 'enterprise-ledger'];

  test('without the Rego of its entry points gives verdict and token, and says that there is no trace', async () => {
    const { code, output } = await run('eval', BUNDLE, '--as', 'bob', ...asked, '--tool', 'getBalance');
    assert.equal(code, 0);
    assert.match(output, /^allow\n\nthe backend would get a token\n.*\n {2}scope {5}enterprise-ledger:getBalance\n/);
    assert.match(output, /no trace: the bundle has no Rego of its entry points/);
  });

  test('of plain Rego it has the trace', async () => {
    const { output } = await run('eval', file('plain.tar.gz'), '--as', 'bob', ...asked, '--tool', 'getCustomerPII');
    assert.match(output, /revision plain-1\n\ninbound\n {2}- decision {2}mcp\/inbound\.rego:\d+\n/);
    assert.match(output, /"pii:read" in \["ledger:read", "directory:read"\]/);
  });

  test('an expectation that is not met is a finding', async () => {
    const wrong = await run('eval', BUNDLE, '--as', 'bob', ...asked, '--tool', 'getCustomerPII', '--expect', 'allow');
    assert.match(wrong.output, /expected allow, and it is role_missing/);
    assert.equal(wrong.code, 1);
    const right = await run('eval', BUNDLE, '--as', 'bob', ...asked, '--tool', 'getCustomerPII', '--expect', 'role_missing');
    assert.equal(right.code, 0);
  });

  test('what is said on the command line counts before the file', async () => {
    const args = ['--as', 'bob', '--roles', 'analyst', '--scopes', 'ledger:read,pii:read', ...asked, '--tool', 'getCustomerPII'];
    const { output } = await run('eval', BUNDLE, ...args, '--json');
    const { allow, token, input, policy } = JSON.parse(output);
    assert.equal(allow, true);
    assert.equal(token.scopes[0], 'enterprise-ledger:getCustomerPII');
    assert.deepEqual(input.principal.claims.roles, ['analyst']);
    assert.match(policy.revision, /^[0-9a-f]{16}$/);
  });
});

describe('eval with a catalog as `catalog show --json` writes it', () => {
  const asked = ['--as', 'bob', '--people', join(POLICIES, 'people.yaml'), '--backend', 'enterprise-ledger', '--tool'];
  const catalog = () => ['--catalog', file('catalog.json')];
  before(async () => {
    const definition = {
      name: 'getBalance',
      title: 'Balance',
      annotations: { readOnlyHint: true },
      inputSchema: { type: 'object' },
    };
    const shown = { version: 1, backends: { 'enterprise-ledger': { getBalance: { definition } } } };
    await writeFile(file('catalog.json'), JSON.stringify(shown));
  });

  test('takes what it says of a tool', async () => {
    const { output } = await run('eval', BUNDLE, ...asked, 'getBalance', ...catalog(), '--json');
    assert.deepEqual(JSON.parse(output).input.tool, { title: 'Balance', annotations: { readOnlyHint: true }, known: true });
  });

  test('names the tools that there are', async () => {
    const { code, output } = await run('eval', BUNDLE, ...asked, 'getBalanse', ...catalog());
    assert.match(output, /--tool getBalanse: enterprise-ledger has none of that name, only getBalance\n/);
    assert.equal(code, 2);
  });
});

describe('eval of a whole input', () => {
  const given = async (change: (input: any) => unknown) => {
    const input = structuredClone(inputOf({ who: 'bob', tool: 'getBalance' })) as any;
    await writeFile(file('input.json'), JSON.stringify(change(input) ?? input));
    return run('eval', BUNDLE, '--input', file('input.json'));
  };

  test('takes what the sidecar makes', async () => {
    const { code, output } = await given(() => undefined);
    assert.match(output, /^allow\n/);
    assert.equal(code, 0);
  });

  test('refuses what is none, and says why', async () => {
    const { code, output } = await given(() => ({ a: 1 }));
    assert.match(
      output,
      /input\.json: is no policy input.*\n {2}version is required\n[\s\S]* {2}Additional property a is not allowed/,
    );
    assert.equal(code, 2);
    const odd = await given((input) => {
      input.principal.scopes = 'x';
      input.mcp.method = 3;
      input.mcp.kind = 'call';
    });
    const [mcp, ...others] = odd.output.trimEnd().split('\n').slice(1).sort();
    assert.match(mcp ?? '', /^ {2}mcp\.kind must be one of/);
    assert.deepEqual(others, [
      '  mcp.method: Invalid type. Expected: string, given: integer',
      '  principal.scopes: Invalid type. Expected: array, given: string',
    ]);
    assert.equal(odd.code, 2);
  });

  test('says what a log has lost, and goes on', async () => {
    const { code, output } = await given((input) => {
      delete input.principal.tokenId;
    });
    assert.match(output, /would have what .*input\.json lacks: principal: tokenId is required/);
    assert.equal(code, 0);
  });
});

describe('eval of a folder', () => {
  const asked = ['--as', 'bob', '--client', 'c', '--backend', 'orders', '--tool', 'pay'];
  const write = async (name: string, inbound: string, data: object) => {
    await mkdir(file(`${name}/mcp`), { recursive: true });
    await writeFile(file(`${name}/mcp/inbound.rego`), inbound);
    await writeFile(file(`${name}/mcp/outbound.rego`), OUTBOUND);
    await writeFile(file(`${name}/data.json`), JSON.stringify(data));
  };

  test('shows policy no argument that it does not declare, in the verdict and in the trace', async () => {
    const rules = `package mcp.inbound

default decision := {"allow": false, "reason": "policy_denied"}

decision := {"allow": true, "reason": "allowed"} if not input.mcp.arguments.note
`;
    await write('declared', rules, { mcp: { arguments: { orders: { pay: ['amount'] } } } });
    const { output } = await run('eval', file('declared'), ...asked, '--args', '{"amount":1,"note":"x"}', '--json');
    const { allow, doubts, input } = JSON.parse(output);
    assert.deepEqual([allow, doubts, input.mcp.arguments], [true, [], { amount: 1 }]);
  });

  test('ends an evaluation that does not end', async () => {
    const rules = `package mcp.inbound

default decision := {"allow": false, "reason": "policy_denied"}

decision := {"allow": true, "reason": "allowed"} if {
	input.mcp.tool == "pay"
	every a in data.numbers { every b in data.numbers { every c in data.numbers { every d in data.numbers { a + b + c + d > 0 } } } }
}
`;
    await write('endless', rules, { numbers: Array.from({ length: 1000 }, (_, index) => index + 1) });
    const { code, output } = await run('eval', file('endless'), ...asked);
    assert.match(output, /^deny \(policy_(timeout|memory)\)\n/);
    assert.match(output, /no trace: the evaluation had to be ended \(policy_(timeout|memory)\)/);
    assert.equal(code, 0);
  });
});

describe('replay', () => {
  test('of the bundle that decided finds nothing', async () => {
    const { code, output } = await run('replay', '--bundle', BUNDLE, file('morning'));
    assert.match(output, /^nothing flips with/);
    assert.equal(code, 0);
  });

  for (const [name, content, said] of [
    ['nothing', '', /nothing could be replayed: there is no line in it/],
    ['junk', 'hello\n[1, 2]\n"x"', /nothing could be replayed: 3: the line is no JSON object/],
    ['status', '{"type":"status"}\n', /nothing could be replayed: 1: no line of a decision/],
  ] as const) {
    test(`of a file of ${name} is no success`, async () => {
      await writeFile(file(name), content);
      const { code, output } = await run('replay', '--bundle', BUNDLE, file(name));
      assert.match(output, said);
      assert.equal(code, 2);
    });
  }

  test('fails on what it is asked to fail on', async () => {
    const failOn = async (word: string) =>
      (await run('replay', '--bundle', file('new.tar.gz'), '--fail-on', word, file('morning'))).code;
    assert.deepEqual(
      await Promise.all(['any', 'allow-to-deny', 'allow_to_deny', 'deny_to_allow', 'none'].map(failOn)),
      [1, 1, 1, 0, 0],
    );
  });

  test('as JSON has a line for every flip, and a last one', async () => {
    const { output } = await run('replay', '--bundle', file('new.tar.gz'), '--json', file('morning'));
    const lines = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const last = lines.pop();
    assert.equal(last.type, 'summary');
    assert.ok(lines.length > 0 && lines.every(({ type, to }) => type === 'flip' && to === 'deny (tool_unknown)'));
    assert.equal(last.flips.allow_to_deny, lines.length);
  });

  test('ends with a candidate that does not end', async () => {
    const rules = `package mcp.inbound

default decision := {"allow": false, "reason": "policy_denied"}

decision := {"allow": true, "reason": "allowed"} if {
	input.mcp.tool == "getBalance"
	n := numbers.range(1, 1000)
	every a in n { every b in n { every c in n { a + b + c > 0 } } }
}
`;
    await mkdir(file('slow/mcp'), { recursive: true });
    await writeFile(file('slow/mcp/inbound.rego'), rules);
    await writeFile(file('slow/mcp/outbound.rego'), OUTBOUND);
    const [line = ''] = (await readFile(file('log'), 'utf8')).split('\n');
    await writeFile(file('often'), `${line}\n`.repeat(100));
    const { code, output } = await run('replay', '--bundle', file('slow'), file('often'));
    assert.match(output, /replayed {2}10 of 10 lines[\s\S]*too much {2}10 evaluations .*; the rest was not replayed\n/);
    assert.match(output, /getBalance: allow → deny \(policy_(timeout|memory)\)/);
    assert.equal(code, 1);
  });

  test('ends where it is told to', async () => {
    const { output } = await run('replay', '--bundle', BUNDLE, '--limit', '7', file('morning'), file('morning'));
    assert.match(output, /replayed {2}7 of 7 lines/);
  });
});

describe('explain', () => {
  const explain = (id: string, ...args: string[]) => run('explain', id, '--log', file('log'), ...args);

  test('by the bundle that decided', async () => {
    const { code, output } = await explain(idOf(1), '--bundle', BUNDLE);
    assert.match(output, /^deny \(limit_exceeded\)\n/);
    assert.match(output, /who {7}alice by claude-code/);
    assert.match(output, /It comes out as recorded: deny \(limit_exceeded\)\./);
    assert.doesNotMatch(output, /NOT the revision/);
    assert.equal(code, 0);
  });

  test('with the sources beside the bundle: the bundle decides, the sources tell why', async () => {
    const { output } = await explain(idOf(1), '--bundle', BUNDLE, '--policy', POLICIES);
    assert.match(output, /2000000 <= 1000000/);
    assert.match(output, /arguments\.amount\.limits = \{"analyst":1000000\}/);
  });

  test('what was erased makes it incomplete', async () => {
    const { code, output } = await explain(idOf(2), '--bundle', BUNDLE);
    assert.match(output, /The log does not have all that policy saw: \/mcp\/arguments\/amount\./);
    assert.match(output, /cannot be told: recorded is allow; of what the log has left it is deny \(argument_forbidden\)\./);
    assert.match(output, /decisionLog\.arguments/);
    assert.equal(code, 0);
  });

  test('another revision and another outcome are said', async () => {
    const { code, output } = await explain(idOf(4), '--bundle', BUNDLE);
    assert.match(output, /This is NOT the revision that decided, which was older/);
    assert.match(output, /It comes out otherwise/);
    assert.equal(code, 1);
  });

  test('without a policy it is half an answer', async () => {
    const { code, output } = await explain(idOf(1));
    assert.match(output, /give --bundle FILE, --policy DIR or --config FILE/);
    assert.equal(code, 2);
  });

  test('what policy allowed and something else ended', async () => {
    const { output } = await explain(idOf(3), '--bundle', BUNDLE);
    assert.match(output, /Policy allowed it; it ended as exchange_timeout/);
    assert.match(output, /cause: late\nSee docs\/denials\.md#exchange_timeout\./);
  });

  test('what policy was never asked about', async () => {
    const { code, output } = await explain('expired');
    assert.match(output, /policy {4}was not asked\n\nPolicy did not decide this\.\nThe token has expired\.\nGet a fresh token/);
    assert.equal(code, 0);
  });

  test('what cannot be read may be what is looked for', async () => {
    const broken = JSON.stringify({ type: 'decision', decision_id: 'lost', timestamp: 'x' });
    await writeFile(file('damaged'), `${broken}\n${broken.slice(0, 40)}\n${broken}\n${broken.replace(':', ';')}\n`);
    const one = await run('explain', 'nowhere', '--log', file('damaged'));
    assert.match(one.output, /nowhere is not in .*damaged, as far as it can be read: 1 line cannot, and may be the one\n/);
    await writeFile(file('damaged'), `${broken.slice(0, 40)}\n${broken.replace(':', ';')}\n`);
    const two = await run('explain', 'lost', '--log', file('damaged'));
    assert.match(two.output, /lost is not in .*: 2 lines cannot, and it may be one of them\n/);
    assert.deepEqual([one.code, two.code], [2, 2]);
  });

  test('as JSON', async () => {
    const { output } = await explain(idOf(1), '--bundle', BUNDLE, '--json');
    const { agrees, revisionMatches, judged } = JSON.parse(output);
    assert.deepEqual([agrees, revisionMatches, judged.inbound.reason], [true, true, 'limit_exceeded']);
  });
});
