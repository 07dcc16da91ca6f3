import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { createFolder, LEAST, runPolicyVerb } from './support.ts';

type Context = Parameters<typeof createFolder>[0];

const POLICIES = new URL('../../../policies/', import.meta.url);
const LIBRARY = Object.fromEntries(
  globSync(['library/*.rego', 'schemas/*.json'], { cwd: POLICIES, exclude: ['**/*_test.rego'] }).map((name) => [
    name.replaceAll('\\', '/'),
    readFileSync(new URL(name, POLICIES), 'utf8'),
  ]),
);

/** The lines before the summary. */
async function check(t: Context, files: Record<string, string>): Promise<{ code: number; said: string[]; errors: string }> {
  const { code, output, errors } = await runPolicyVerb('check', await createFolder(t, { ...LEAST, ...files }));
  return { code, said: output.split('\n').slice(0, -3), errors };
}

const annotated = (...lines: string[]): string =>
  `# METADATA\n# scope: package\n# schemas:\n${lines.map((line) => `#   - ${line}\n`).join('')}package own\n\nx := 1\n`;
const SIZE = JSON.stringify({ type: 'object', additionalProperties: false, properties: { most: { type: 'number' } } });

suite('policy check of data', { timeout: 300_000 }, () => {
  // Each document of the library may be wrong once in a folder.
  const wrong: readonly (readonly [string, readonly string[]])[] = [
    [
      'abac: {orders: {tool: {refund: []}}}\nread_only: {everywhere: false, backends: orders}\nwindows: [{backends: orders}]\nprotocol: false',
      [
        'data.abac.orders: Additional property tool is not allowed',
        'data.protocol: Invalid type. Expected: object, given: boolean',
        'data.read_only.backends: Invalid type. Expected: array, given: string',
        'data.windows.0.backends: Invalid type. Expected: array, given: string',
      ],
    ],
    [
      'abac: {orders: {tools: {refund: false}}}\nread_only:\nwindows: [{netwroks: ["::/0"]}]\nprotocol: "{}"',
      [
        'data.abac.orders.tools.refund: Invalid type. Expected: array, given: boolean',
        'data.protocol: Invalid type. Expected: object, given: string',
        'data.read_only: Invalid type. Expected: object, given: null',
        'data.windows.0: Additional property netwroks is not allowed',
      ],
    ],
  ];
  test('says where it is not what the library reads', async (t) => {
    for (const [data, lines] of wrong) {
      const { code, said, errors } = await check(t, { ...LIBRARY, 'data.yaml': data });
      assert.deepEqual({ code, said: said.sort(), errors }, { code: 1, said: lines, errors: '' });
    }
  });

  test('all of it at once, each thing once', async (t) => {
    const lines = ['data.own.size: schema["size"]', 'data.own["other size"]: schema.size', 'data.own.inline: {type: string}'];
    const ran = await check(t, {
      'schemas/size.json': SIZE,
      'a.rego': annotated(...lines).replace('package own', 'package a'),
      'b.rego': annotated(...lines)
        .replace('package own', 'package b')
        .replaceAll('\n', '\r\n'),
      'own/data.json': JSON.stringify({ size: { most: 'x', mots: 1 }, 'other size': [], inline: 5 }),
    });
    assert.deepEqual(ran.said.sort(), [
      'data.own.inline: Invalid type. Expected: string, given: integer',
      'data.own.size.most: Invalid type. Expected: number, given: string',
      'data.own.size: Additional property mots is not allowed',
      'data.own["other size"]: Invalid type. Expected: object, given: array',
    ]);
    assert.equal(ran.code, 1);
  });

  test('finds nothing where it is right, absent, or of no annotation', async (t) => {
    const rego = annotated('data.own.size: schema["size"]', 'input: schema["size"]');
    for (const data of ['{"own": {"size": {"most": 5}}}', '{"own": {}}', '{}', '{"size": false}']) {
      const ran = await check(t, { 'schemas/size.json': SIZE, 'a/own.rego': rego.replace('own\n', 'a\n'), 'data.json': data });
      assert.deepEqual(ran, { code: 0, said: [], errors: '' }, data);
    }
  });
});
