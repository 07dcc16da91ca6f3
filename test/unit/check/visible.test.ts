import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { fingerprintOf } from '../../../src/catalog/fingerprint.ts';
import { judgeVisible, type VisiblePorts } from '../../../src/check/visible.ts';
import { LISTS, type ListRow } from '../../../src/mcp/lists.ts';
import { readOperation } from '../../../src/mcp/operation.ts';
import type { Policy } from '../../../src/policy/policy.ts';
import { deny, ok, type Result } from '../../../src/result.ts';
import type { Denial } from '../../../src/verdict.ts';
import { alice, ledger, request } from '../support/facts.ts';
import { fakePolicy } from '../support/ports.ts';

const http = request({ body: { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} } });
const operation = (() => {
  const read = readOperation(http, { maxBytes: 65_536, maxDepth: 64, maxMembers: 64 });
  assert.ok(read.ok);
  return read.value;
})();
const row = (method = 'tools/list') => LISTS.get(method) as ListRow;

const PORTS = { policyHeaders: [], showsStepUp: false, views: () => null, approvals: () => null, now: () => 0 };

/** Says this of each, and remembers the inputs. */
function answering(answers: readonly Result<null>[]): Policy & { readonly asked: any[] } {
  const asked: any[] = [];
  return {
    ...fakePolicy(),
    asked,
    askEach: async ({ input }, members, each) => {
      for (const texts of each) {
        const changed = Object.fromEntries(members.map((name, at) => [name, JSON.parse(texts[at] as string)]));
        asked.push({ ...JSON.parse(input), ...changed });
      }
      return ok(answers.map((answer) => (answer.ok ? ok({ logOnly: [] }) : answer)));
    },
  };
}

async function judge(
  answers: readonly Result<null>[],
  changes: Partial<Omit<VisiblePorts, 'policy'>> & { policy?: Policy | null } = {},
  resource = ledger,
  method?: string,
) {
  const policy = answering(answers);
  const ports = { ...PORTS, ...changes, policy: () => (changes.policy === undefined ? policy : changes.policy) };
  const items = answers.map((_, at) => ({ name: `item${at}`, value: { name: `item${at}` } }));
  return {
    result: await judgeVisible({ http, resource, operation, principal: alice }, row(method), items, ports),
    asked: policy.asked,
  };
}

const no = (reason: Denial['reason']): Result<null> => deny({ reason });

suite('what is shown', () => {
  const answers = [
    ok(null),
    no('tool_forbidden'),
    no('argument_forbidden'),
    no('limit_exceeded'),
    no('insufficient_scope'),
    no('tool_unknown'),
  ];
  test('what is allowed, and what is refused for its arguments alone', async () => {
    assert.deepEqual((await judge(answers)).result, ok([true, false, true, true, false, false]));
  });
  test('what a scope would open, where that is wanted', async () => {
    assert.deepEqual((await judge(answers, { showsStepUp: true })).result, ok([true, false, true, true, true, false]));
  });
  test('nothing of nothing', async () => assert.deepEqual((await judge([])).result, ok([])));
});

suite('what policy is asked', () => {
  test('what it is asked of a call, but for the arguments', async () => {
    const [first, second] = (await judge([ok(null), ok(null)])).asked;
    assert.deepEqual(first.mcp, {
      ...{ era: 'legacy', revision: '2025-11-25', kind: 'request', method: 'tools/call' },
      ...{ targets: [{ type: 'tool', name: 'item0' }], tool: 'item0', arguments: null, backend: 'ledger' },
    });
    assert.deepEqual([first.principal.subject, first.request.method, first.tool.known], ['alice', 'POST', false]);
    assert.equal(second.mcp.tool, 'item1');
  });
  for (const [method, asks, type] of [
    ['prompts/list', 'prompts/get', 'prompt'],
    ['resources/list', 'resources/read', 'resource'],
    ['resources/templates/list', 'resources/read', 'resource_template'],
  ] as const) {
    test(method, async () => {
      const [{ mcp }] = (await judge([ok(null)], {}, ledger, method)).asked;
      assert.deepEqual([mcp.method, mcp.tool, mcp.targets], [asks, null, [{ type, name: 'item0' }]]);
    });
  }
  test('of a list that is repeated on a stream, as of any other', async () => {
    const read = readOperation(
      { ...http, method: 'GET', body: new Uint8Array(0), statedSize: null },
      { maxBytes: 1, maxDepth: 1 },
    );
    assert.ok(read.ok);
    const policy = answering([ok(null)]);
    const ports = { ...PORTS, policy: () => policy };
    const reader = { http: { ...http, method: 'GET' }, resource: ledger, operation: read.value, principal: alice };
    await judgeVisible(reader, row(), [{ name: 'a', value: { name: 'a' } }], ports);
    const [{ mcp, request: asked }] = policy.asked;
    assert.deepEqual([mcp.kind, mcp.method, asked.method], ['request', 'tools/call', 'POST']);
  });
});

suite('policy that is broken shows nothing', () => {
  test('there is none', async () => assert.deepEqual((await judge([ok(null)], { policy: null })).result, no('policy_undefined')));
  test('it fails', async () => {
    const policy = { ...fakePolicy(), askEach: async () => deny({ reason: 'policy_failed', cause: 'c' }) };
    assert.deepEqual((await judge([ok(null)], { policy })).result, deny({ reason: 'policy_failed', cause: 'c' }));
  });
  test('it says what it may not, of one of many', async () => {
    assert.deepEqual((await judge([ok(null), no('policy_invalid'), ok(null)])).result, no('policy_invalid'));
  });
});

suite('pinned tools', () => {
  const approved = (name: string, definition: object) => ({
    fingerprint: fingerprintOf(definition as never),
    approved: '2026-11-21',
    definition: { name },
  });
  const approvals = () =>
    new Map([
      [
        'ledger',
        new Map([
          ['item0', approved('item0', { name: 'item0' })],
          ['item1', approved('item1', { name: 'item1', description: 'as it was' })],
        ]),
      ],
    ]);
  const pinned = { ...ledger, url: 'https://ledger.internal/mcp' };
  const allowed = [ok(null), ok(null), ok(null)];
  test('a tool that changed, or was never approved, is not shown', async () => {
    assert.deepEqual((await judge(allowed, { approvals }, pinned)).result, ok([true, false, false]));
  });
  test('an approval shows nothing that policy hides', async () => {
    assert.deepEqual((await judge([no('tool_forbidden')], { approvals }, pinned)).result, ok([false]));
  });
  test('prompts, and backends without a catalog, have none', async () => {
    assert.deepEqual((await judge(allowed, { approvals }, pinned, 'prompts/list')).result, ok([true, true, true]));
    assert.deepEqual((await judge(allowed, { approvals })).result, ok([true, true, true]));
  });
});
