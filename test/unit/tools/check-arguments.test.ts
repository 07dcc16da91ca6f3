/** `policy check`: what rules read of a call's arguments, by whichever way. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { createFolder, LEAST, runPolicyVerb } from './support.ts';

const tool = (name: string, properties: object) => ({ definition: { name, inputSchema: { type: 'object', properties } } });
/** No tool here takes anything. */
const CATALOG = JSON.stringify({
  version: 1,
  backends: {
    ledger: {
      transferFunds: tool('transferFunds', { amount: { type: 'number' }, currency: { enum: ['EUR', 'USD'] } }),
      getBalance: tool('getBalance', { account: { type: 'string' } }),
      deliver: tool('deliver', {
        to: { type: 'object', properties: { street: { type: 'string' }, town: { type: 'string' } } },
      }),
    },
  },
});

const rule = (...lines: string[]) =>
  `decision := {"allow": true, "reason": "allowed"} if {\n${lines.map((line) => `\t${line}\n`).join('')}}\n`;

async function check(t: Parameters<typeof createFolder>[0], inbound: string, more: Record<string, string> = {}) {
  const files = { ...LEAST, 'mcp/inbound.rego': `package mcp.inbound\n\n${inbound}`, 'tools.json': CATALOG, ...more };
  const folder = await createFolder(t, files);
  const { code, output } = await runPolicyVerb('check', folder, '--catalog', join(folder, 'tools.json'));
  return { code, lines: output.replaceAll(`${folder}/`, '').split('\n') };
}

/** The lines that say what is wrong, without the excerpts. */
const said = ({ lines }: { lines: string[] }) => lines.filter((line) => /^[\w/]+\.rego:/.test(line));

suite('arguments, as policy check sees them', { timeout: 300_000 }, () => {
  test('arguments may be absent, so that an object written out may well be all of them', async (t) => {
    const rules = [
      rule('input.mcp.tool == "transferFunds"', 'input.mcp.arguments == {"amount": 5}'),
      rule('input.mcp.tool == "transferFunds"', 'input.mcp.arguments == {}'),
      rule('input.mcp.tool == "transferFunds"', '{"amount": amount} = input.mcp.arguments', 'amount < 5'),
      rule('input.mcp.tool == "transferFunds"', 'input.mcp.arguments in [null, {"currency": "EUR"}]'),
      rule('input.mcp.tool == "deliver"', 'input.mcp.arguments.to == {"town": "x"}'),
      rule('call := input.mcp', 'call.arguments == {"amount": 5}', 'not call.arguments == null'),
      '# METADATA\n# scope: rule\n# schemas:\n#   - input.mcp.arguments: schema["tools/ledger/transferFunds"]\nr if input.mcp.arguments == {}\n',
    ];
    const { code, lines } = await check(t, rules.join('\n'));
    assert.deepEqual([code, lines[0]], [0, '2 Rego files: nothing wrong']);
    const wrong = [
      rule('input.mcp.tool == "transferFunds"', 'input.mcp.arguments == {"amout": 5}'),
      rule('input.mcp.tool == "transferFunds"', '{"amout": amount} = input.mcp.arguments', 'amount < 5'),
      rule('input.mcp.tool == "transferFunds"', 'input.mcp.arguments == {"amount": "5"}'),
      rule('input.mcp == {"tool": "x"}'),
    ];
    assert.deepEqual(said(await check(t, wrong.join('\n'))), [
      'mcp/inbound.rego:5:26: never true: there is no "amout" in arguments; there are amount, currency. Did you mean amount?',
      'mcp/inbound.rego:10:3: never true: there is no "amout" in arguments; there are amount, currency. Did you mean amount?',
      'mcp/inbound.rego:16:2: never true: one side is object<amount: number, currency: string>, the other object<amount: string>',
      'mcp/inbound.rego:20:2: never true: one side is object<arguments: object<...>, backend: string, era: string, kind: string, method: any, revision: string, targets: array[...], tool: any>, the other object<tool: string>',
    ]);
  });

  test('names of arguments are followed through aliases, imports and object.get', async (t) => {
    const imported = 'package lib\n\nimport input.mcp\n\nis_large if mcp.arguments.amout > 5\n';
    const rules = [
      rule('x := input.mcp', 'x.arguments.amout'),
      'call := input.mcp\n',
      rule('call.arguments.amout'),
      rule('object.get(input.mcp.arguments, "amout", 0) > 5'),
      rule('input.mcp.tool == "getBalance"', 'object.get(call.arguments, "amount", 0) > 5'),
      rule('object.get(input, ["mcp", "arguments", "amout", 0], 0) > 5'),
      rule('y := input', 'count([1 | object.get(y.mcp, ["arguments", "amout"], 0) > 5]) > 0'),
      rule('object.get(input.mcp.arguments, "amount", 0) > object.get(data.limits, "amout", 0)'),
      rule('row := {"a": 1}', 'object.get(row, "b", 0) == 0', 'object.get(input.principal.claims, "b", 0) == 0'),
    ];
    const ran = await check(t, rules.join('\n'), { 'lib.rego': imported });
    assert.deepEqual(
      said(ran).map((line) => line.replace(/; there (are|is) .*/, '')),
      [
        'lib.rego:5:27: input.mcp.arguments.amout: there is no "amout"',
        'mcp/inbound.rego:5:14: x.arguments.amout: there is no "amout"',
        'mcp/inbound.rego:11:17: data.mcp.inbound.call.arguments.amout: there is no "amout"',
        'mcp/inbound.rego:15:34: input.mcp.arguments.amout: there is no "amout" in the arguments of any tool',
        'mcp/inbound.rego:20:29: input.mcp.arguments.amount: there is no "amount" in the arguments of getBalance',
        'mcp/inbound.rego:24:41: input.mcp.arguments.amout: there is no "amout" in the arguments of any tool',
        'mcp/inbound.rego:29:45: input.mcp.arguments.amout: there is no "amout" in the arguments of any tool',
      ],
    );
  });
});
