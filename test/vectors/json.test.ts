/** JSONTestSuite (RFC 8259) as whole bodies and inside the arguments of a tool call: what a strict reader lets through. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { readOperation } from '../../src/mcp/operation.ts';
import { REASONS, type Reason } from '../../src/reasons.ts';
import { corpusCases, corpusFile, needs } from '../support/corpora.ts';
import { LIMITS, post } from '../unit/mcp/facts.ts';

interface Case {
  readonly file: string;
  readonly bytes: number;
  readonly embedded: { readonly prefix: string; readonly suffix: string; readonly expect: string };
}

const read = (...parts: (string | Buffer)[]) =>
  readOperation(post(Buffer.concat(parts.map((part) => Buffer.from(part)))), LIMITS);
const bodyOf = ({ file }: Case): Buffer => corpusFile('json', 'JSONTestSuite', 'test_parsing', file);

/** Status and JSON-RPC code of a refusal, or what was accepted. */
function answerTo(result: ReturnType<typeof read>): unknown {
  if (result.ok) return result.value;
  const { status, code } = REASONS[result.denial.reason];
  return [status, code];
}

suite('JSONTestSuite', needs('json/mapping.jsonl', 'json/JSONTestSuite/test_parsing'), () => {
  const cases = corpusCases<Case>('json', 'mapping.jsonl');

  test('is all there', () => {
    const kinds = cases.map(({ file }) => file[0]);
    assert.deepEqual(
      ['n', 'y', 'i'].map((kind) => kinds.filter((one) => one === kind).length),
      [188, 95, 35],
    );
    for (const one of cases) assert.equal(bodyOf(one).length, one.bytes, one.file);
  });

  suite('as the whole body', () => {
    for (const one of cases) {
      test(one.file, () => {
        const answer = answerTo(read(bodyOf(one)));
        if (one.file.startsWith('n_')) assert.deepEqual(answer, [400, -32700]);
        else if (one.file.startsWith('y_')) assert.deepEqual(answer, [400, -32600]);
        else assert.equal((answer as number[])[0], 400);
      });
    }
  });

  suite('as an argument', () => {
    for (const one of cases) {
      test(`${one.file}: ${one.embedded.expect}`, () => {
        const { prefix, suffix, expect } = one.embedded;
        const result = read(prefix, bodyOf(one), suffix);
        if (expect.startsWith('reject 400 or allow')) return;
        if (expect.startsWith('reject 400')) return assert.equal((answerTo(result) as number[])[0], 400);
        assert.ok(result.ok, JSON.stringify(answerTo(result)));
        assert.equal(result.value.tool, 'enterprise_ledger_listAccounts');
        assert.deepEqual(result.value.arguments, { x: JSON.parse(bodyOf(one).toString('utf8')) });
      });
    }
  });
});

suite('JSONTestSuite, documents that parsers transform', needs('json/JSONTestSuite/test_transform'), () => {
  const answers: Record<string, Reason> = {
    'number_1.0.json': 'allowed',
    'number_1.000000000000000005.json': 'json_number_imprecise',
    'number_1000000000000000.json': 'allowed',
    'number_1e6.json': 'allowed',
    'number_1e-999.json': 'json_number_imprecise',
    'number_10000000000000000999.json': 'json_number_imprecise',
    'number_9223372036854775807.json': 'json_number_imprecise',
    'number_9223372036854775808.json': 'json_number_imprecise',
    'number_-9223372036854775808.json': 'json_number_imprecise',
    'number_-9223372036854775809.json': 'json_number_imprecise',
    'object_key_nfc_nfd.json': 'json_duplicate_key',
    'object_key_nfd_nfc.json': 'json_duplicate_key',
    'object_same_key_different_values.json': 'json_duplicate_key',
    'object_same_key_same_value.json': 'json_duplicate_key',
    'object_same_key_unclear_values.json': 'json_duplicate_key',
    'string_1_escaped_invalid_codepoint.json': 'json_invalid',
    'string_1_invalid_codepoint.json': 'json_invalid',
    'string_2_escaped_invalid_codepoints.json': 'json_invalid',
    'string_2_invalid_codepoints.json': 'json_invalid',
    'string_3_escaped_invalid_codepoints.json': 'json_invalid',
    'string_3_invalid_codepoints.json': 'json_invalid',
    'string_with_escaped_NULL.json': 'allowed',
  };
  for (const [file, reason] of Object.entries(answers)) {
    test(`${file}: ${reason}`, () => {
      const body = corpusFile('json', 'JSONTestSuite', 'test_transform', file);
      const result = read('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"x":', body, '}}}');
      assert.equal(result.ok ? 'allowed' : result.denial.reason, reason);
    });
  }
});
