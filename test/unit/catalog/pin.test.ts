import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  createPaint,
  currentDefinition,
  describeDifferences,
  describeView,
  differences,
  spell,
} from '../../../src/app/catalog-report.ts';
import { ApprovalsInvalid, parseApprovals, writeApprovals } from '../../../src/catalog/approvals.ts';
import { canonicalJson, fingerprintOf } from '../../../src/catalog/fingerprint.ts';
import { judgePin } from '../../../src/catalog/pin.ts';
import { readTools } from '../../../src/catalog/reading.ts';
import { toolFacts } from '../../../src/catalog/tool-facts.ts';
import type { BackendView } from '../../../src/catalog/view.ts';
import { ledger } from '../support/facts.ts';

const greet = {
  name: 'greet',
  title: 'Greet',
  description: 'Says hello.',
  inputSchema: {
    type: 'object',
    properties: { whom: { type: 'string', maxLength: 10 }, loud: { type: 'boolean' } },
    required: ['whom'],
  },
  annotations: { readOnlyHint: true },
};

function viewOf(...tools: unknown[]): BackendView {
  return {
    reachable: true,
    eras: { legacy: true, modern: false },
    capabilities: {},
    instructions: null,
    tools: readTools(tools),
    resourceUris: new Set(),
    resourceTemplates: [],
  };
}

const approvalsOf = (...tools: unknown[]) =>
  new Map([
    [
      'ledger',
      new Map(
        [...readTools(tools).values()].map((tool) => [
          tool.name,
          { fingerprint: tool.fingerprint, approved: '2026-11-30', definition: currentDefinition(tool) },
        ]),
      ),
    ],
  ]);

suite('a fingerprint', () => {
  test('is the same however the members are ordered', () => {
    const { name, inputSchema, ...rest } = greet;
    const other = { ...rest, inputSchema: Object.fromEntries(Object.entries(inputSchema).reverse()), name };
    assert.equal(fingerprintOf(other), fingerprintOf(greet));
    assert.match(fingerprintOf(greet), /^[\w-]{43}$/);
  });

  test('is another for whatever a model is told', () => {
    const others = [
      { ...greet, description: 'Says hello. ' },
      { ...greet, title: undefined },
      { ...greet, annotations: { readOnlyHint: false } },
      { ...greet, outputSchema: { type: 'object' } },
      { ...greet, inputSchema: { ...greet.inputSchema, required: [] } },
      { ...greet, name: 'Greet' },
    ];
    assert.equal(new Set([greet, ...others].map(fingerprintOf)).size, others.length + 1);
  });

  test('is not moved by what a model is not told, nor by no annotations', () => {
    assert.equal(fingerprintOf({ ...greet, _meta: { a: 1 }, icons: [], execution: {} }), fingerprintOf(greet));
    const { annotations: _, ...bare } = greet;
    assert.equal(fingerprintOf({ ...bare, annotations: {} }), fingerprintOf(bare));
  });

  test('is there for what is no tool, and is no tool’s', () => {
    for (const odd of [null, 5, 'greet', [], undefined]) assert.notEqual(fingerprintOf(odd), fingerprintOf(greet));
  });

  test('is made of text that JSON.parse reads back', () => {
    for (const value of [greet, [1, 'a\n', null, true, 1e21, { b: 1, a: [{}] }]]) {
      assert.deepEqual(JSON.parse(canonicalJson(value)), value);
    }
    assert.equal(canonicalJson({ b: 1, a: { d: 2, c: 3 } }), '{"a":{"c":3,"d":2},"b":1}');
  });
});

suite('a pin', () => {
  const pinned = { name: 'ledger', url: 'https://ledger.internal/mcp' };

  test('holds a tool to what was approved', () => {
    const approvals = approvalsOf(greet);
    assert.equal(judgePin(pinned, 'greet', viewOf(greet), approvals), null);
    assert.equal(judgePin(pinned, 'greet', viewOf({ ...greet, description: 'Says more.' }), approvals), 'tool_changed');
    assert.equal(judgePin(pinned, 'greet', viewOf(), approvals), 'tool_changed');
    assert.equal(judgePin(pinned, 'other', viewOf(greet, { ...greet, name: 'other' }), approvals), 'tool_changed');
    assert.equal(judgePin({ ...pinned, name: 'other' }, 'greet', viewOf(greet), approvals), 'tool_changed');
    assert.equal(judgePin(pinned, 'greet', viewOf(greet), new Map()), 'tool_changed');
  });

  test('refuses while there is nothing to compare', () => {
    assert.equal(judgePin(pinned, 'greet', null, approvalsOf(greet)), 'catalog_unavailable');
  });

  test('is not there where nothing is pinned, or where the sidecar cannot reach the backend', () => {
    assert.equal(judgePin(pinned, 'greet', null, null), null);
    assert.equal(judgePin({ ...pinned, url: null }, 'greet', null, approvalsOf(greet)), null);
  });
});

suite('the file of approved tools', () => {
  test('is read as it was written, in an order of its own', () => {
    const [a, b] = [greet, { ...greet, name: 'again', description: 'Two\nlines: "#" & \u200b invisible, yes' }];
    const text = writeApprovals(approvalsOf(a, b));
    assert.equal(writeApprovals(approvalsOf(b, a)), text);
    assert.equal(writeApprovals(parseApprovals(text)), text);
    assert.equal(parseApprovals(text).get('ledger')?.get('again')?.fingerprint, fingerprintOf(b));
  });

  test('is refused where what was reviewed is not what counts', () => {
    const text = writeApprovals(approvalsOf(greet));
    assert.throws(
      () => parseApprovals(text.replace('Says hello.', 'Says more.')),
      /greet: the definition does not have this fingerprint/,
    );
    assert.throws(() => parseApprovals(text.replace(/fingerprint: .*/, 'fingerprint: x')), /does not have this fingerprint/);
    assert.throws(() => parseApprovals(text.replace('name: greet', 'name: other')), /is not of this tool/);
    assert.throws(() => parseApprovals(text.replace('2026-11-30', 'soon')), /is no day/);
    assert.throws(() => parseApprovals(text.replace('version: 1', 'version: 2')), /version: 1/);
    for (const odd of ['', '[]', 'version: 1', 'version: 1\nbackends: []', 'version: 1\nbackends: {a: 1}', 'a: 1\na: 2']) {
      assert.throws(() => parseApprovals(odd), ApprovalsInvalid, odd);
    }
  });
});

suite('what is known of a tool', () => {
  const views = () => viewOf({ ...greet, name: 'getBalance' }, greet);

  test('is what the configuration says, else what the catalog says', () => {
    assert.equal(toolFacts(ledger, views, 'getBalance').title, 'Get a balance');
    assert.deepEqual(toolFacts(ledger, views, 'greet'), { title: 'Greet', annotations: { readOnlyHint: true }, known: true });
    for (const name of ['other', null]) assert.equal(toolFacts(ledger, views, name).known, false);
    assert.equal(toolFacts(ledger, () => null, 'greet').known, false);
  });
});

suite('the report', () => {
  const plain = createPaint(false);

  test('shows what changed, member by member', () => {
    const schema = {
      ...greet.inputSchema,
      properties: { ...greet.inputSchema.properties, whom: { type: 'string', maxLength: 99 } },
    };
    const now = viewOf({ ...greet, inputSchema: schema, annotations: { readOnlyHint: false } }, { ...greet, name: 'new' });
    const found = differences('ledger', now, approvalsOf(greet, { ...greet, name: 'gone' }));
    assert.equal(
      describeDifferences('ledger', found, plain),
      [
        'ledger',
        '  - gone  approved, and not offered any more',
        '  ~ greet',
        '      annotations.readOnlyHint',
        '        - true',
        '        + false',
        '      inputSchema.properties.whom.maxLength',
        '        - 10',
        '        + 99',
        '  + new  never approved',
        '      Says hello.',
        '',
      ].join('\n'),
    );
    assert.equal(describeDifferences('ledger', [], plain), 'ledger: as approved\n');
  });

  test('names arguments with their types', () => {
    assert.equal(
      describeView('ledger', viewOf(greet), plain),
      'ledger  MCP up to 2025-11-25\n  greet  Greet · readOnlyHint: true\n      whom: string (maxLength 10)\n      loud?: boolean\n',
    );
  });

  test('spells out what cannot be seen, so that no terminal obeys it and no reviewer misses it', () => {
    assert.equal(spell('a\u001b[2Jb\u200bc\u202ed\u{e0041}e\r'), 'a\\u{1b}[2Jb\\u{200b}c\\u{202e}d\\u{e0041}e\\u{d}');
    const sly = viewOf({ ...greet, name: 'x\u001b]0;y', title: '\u0007', description: '\u001b[31m' });
    const shown =
      describeDifferences('ledger', differences('ledger', sly, new Map()), plain) + describeView('ledger', sly, plain);
    assert.doesNotMatch(shown.replaceAll('\n', ''), /\p{Cc}/u);
    assert.ok(createPaint(true).bold('x').startsWith('\u001b[1mx'));
  });
});
