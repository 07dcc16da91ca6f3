import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { createFolder, INBOUND, LEAST, runPolicyVerb } from './support.ts';

const input = (tool: string) => ({ version: 1, mcp: { method: 'tools/call', tool }, principal: { subject: 'alice' } });

suite('policy bench', { timeout: 300_000 }, () => {
  test('measures a folder with the inputs of a decision log, and says what they came to', async (t) => {
    const lines = [{ input: input('a') }, { input: input('b') }, { decision: 'deny' }, { input: input('b') }];
    const folder = await createFolder(t, {
      ...LEAST,
      'mcp/inbound.rego': `${INBOUND.replace('}\n', '} if input.mcp.tool == "a"\n')}else := {"allow": false, "reason": "tool_forbidden"}\n`,
      'decisions.ndjson': lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
    });
    const file = join(folder, 'decisions.ndjson');
    const { code, output, errors } = await runPolicyVerb('bench', folder, '--input', file, '--seconds', '0.2');
    assert.deepEqual([code, errors], [0, '']);
    assert.match(output, /^policy {6}.*, revision draft, \d+ bytes of wasm, 2 of data$/m);
    assert.match(output, /^inputs {6}3 of .*decisions\.ndjson, 1 lines had none$/m);
    const timing = /^decision {4}(\d+) a second; p50 ([\d.]+) µs, p99 ([\d.]+) µs, longest ([\d.]+) µs$/m.exec(output) ?? [];
    const [perSecond = 0, p50 = 0, p99 = 0, longest = 0] = timing.slice(1).map(Number);
    assert.ok(perSecond > 0 && p50 > 0 && p50 <= p99 && p99 <= longest, output);
    assert.match(output, /^decided {5}tool_forbidden 6[67] %, allowed 3[34] %$/m);
  });

  test('a policy that does not end is ended', async (t) => {
    const squares = '\tsome a in numbers.range(1, 900); some b in numbers.range(1, 900); some c in numbers.range(1, 900)\n';
    const folder = await createFolder(t, {
      ...LEAST,
      'mcp/inbound.rego': `${INBOUND.replace('}\n', '} if {\n')}${squares}\ta + b + c == -1\n}\n`,
    });
    const { code, errors } = await runPolicyVerb('bench', folder, '--seconds', '0.1');
    // Whichever comes first: its time, or its memory.
    assert.match(errors, /would not load this: mcp\/inbound\/decision was asked on trial: policy_(timeout|memory)/);
    assert.equal(code, 1);
  });

  test('a policy that gives no answer is a finding; inputs may be gzipped', async (t) => {
    const rules =
      'package mcp.inbound\n\ndecision := {"allow": true, "reason": "allowed"} if input.principal.subject == "probe"\n';
    const folder = await createFolder(t, { ...LEAST, 'mcp/inbound.rego': rules });
    const file = join(folder, 'decisions.gz');
    await writeFile(file, gzipSync(`${JSON.stringify({ input: input('a') })}\n`));
    const { code, output } = await runPolicyVerb('bench', folder, '--input', file, '--seconds', '0.1');
    assert.match(output, /^inputs {6}1 of .*decisions\.gz$/m);
    assert.match(output, /^decided {5}policy_undefined 100 %$/m);
    assert.equal(code, 1);
  });

  test('a file without inputs is refused', async (t) => {
    const folder = await createFolder(t, { ...LEAST, 'x.json': '{"a": 1}', 'x.ndjson': '{}\nx\n' });
    for (const [file, complaint] of [
      ['x.json', /there is no input in it/],
      ['x.ndjson', /there is no input in it/],
    ] as const) {
      const { code, errors } = await runPolicyVerb('bench', folder, '--input', join(folder, file));
      assert.equal(code, 2);
      assert.match(errors, complaint);
    }
    assert.equal((await runPolicyVerb('bench', folder, '--seconds', '61')).code, 2);
  });
});
