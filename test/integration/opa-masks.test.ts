/** Masks take out of an event what real OPA takes out, and say so in its words. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { findOpa } from '../../scripts/opa.ts';
import { applyMask, type Event, readMaskRules } from '../../src/decision-log/mask-rules.ts';
import { waitUntil } from '../support/ndjson.ts';
import { startService, type TestService } from '../unit/support/service.ts';

const opa = findOpa();
const skip = opa === null ? 'there is no opa' : false;

/** The rules of a mask come with each question, and so does what they are for. */
const POLICY = `package system.log
mask := input.input.rules
drop if input.input.drop == true
`;
const RESULT = { a: { b: 1, c: [1, { d: 2 }, 3] }, list: [1, 2, 3], text: 'x' };
const ASKED = `package asked\nanswer := ${JSON.stringify(RESULT)}\n`;
const DOCUMENT = {
  a: { b: [1, { c: 2 }, 3], 'x y': 1, '~1': 1, 'p/q': 1 },
  list: [[1, 2], [3]],
  text: 'x',
  null: null,
  '': { '': 1 },
};

let dir: string;
let service: TestService;
let opaProcess: ReturnType<typeof spawn>;

before(async () => {
  if (opa === null) return;
  dir = mkdtempSync(join(tmpdir(), 'opa-'));
  service = await startService();
  writeFileSync(join(dir, 'mask.rego'), POLICY);
  writeFileSync(join(dir, 'asked.rego'), ASKED);
  const reporting = { min_delay_seconds: 1, max_delay_seconds: 1 };
  const config = { services: { logs: { url: service.url } }, decision_logs: { service: 'logs', reporting } };
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
  const files = ['mask.rego', 'asked.rego'].map((file) => join(dir, file));
  const args = ['run', '--server', '--addr', `unix://${dir}/opa.sock`, '--config-file', join(dir, 'config.json'), ...files];
  opaProcess = spawn(opa, args, { stdio: 'ignore' });
  await waitUntil('opa answers', () =>
    ask({}).then(
      () => true,
      () => false,
    ),
  );
});
after(async () => {
  opaProcess?.kill('SIGKILL');
  await service?.close();
  if (dir !== undefined) rmSync(dir, { recursive: true });
});

function ask(input: object): Promise<void> {
  const body = JSON.stringify({ input });
  return new Promise((resolve, reject) => {
    const options = { socketPath: join(dir, 'opa.sock'), method: 'POST', path: '/v1/data/asked/answer' };
    const asking = request(options, (response) => {
      response.resume().on('end', resolve);
    });
    asking.on('error', reject).end(body);
  });
}

const segment = fc.constantFrom(
  'a',
  'b',
  'c',
  'd',
  'x y',
  'x%20y',
  '~1',
  'p/q',
  'list',
  'text',
  'null',
  '',
  '0',
  '1',
  '2',
  '9',
  '+1',
  '-1',
  '01',
  'new',
  '%zz',
);
const path = fc.tuple(
  fc.constantFrom('/input/doc', '/input/doc', '/result', '/nd_builtin_cache', '/input', '/labels', 'input'),
  fc.array(segment, { maxLength: 4 }),
);
const pathText = path.map(([root, parts]) => [root, ...parts].join('/'));
const value = fc.constantFrom(null, '**', 7, { a: [1] }, [{ b: 2 }]);
const op = fc.constantFrom('remove', 'upsert', 'upsert', 'upsert', 'other');
const rule = fc.oneof(
  { weight: 4, arbitrary: pathText },
  { weight: 4, arbitrary: fc.record({ op, path: pathText, value }) },
  { weight: 1, arbitrary: fc.record({ path: pathText }) },
);

/** The questions themselves must not be masked away: they tell the events apart. */
const isKept = (rules: readonly unknown[]) => !JSON.stringify(rules).match(/"\/input(\/(?!doc)[^"]*)?"/);

test('each masked event is as OPA has it', { skip, timeout: 300_000 }, async () => {
  const rules = fc.sample(fc.array(rule, { minLength: 1, maxLength: 3 }), { numRuns: 1500, seed: 7 }).filter(isKept);
  const questions = [...rules.map((mask, id) => ({ id, rules: mask, doc: DOCUMENT })), { id: -1, rules: [], doc: DOCUMENT }];
  for (const question of questions) await ask(question);
  await service.until(() => service.events().some(({ input }) => input?.id === -1));
  const logged = new Map<number, Event>(service.events().map((event) => [event.input?.id, event]));
  let [changed, voided] = [0, 0];
  for (const question of questions) {
    const ours: Event = structuredClone({ input: question, result: RESULT });
    const opas = logged.get(question.id);
    try {
      applyMask(ours, readMaskRules(question.rules));
    } catch {
      assert.equal(opas, undefined, `OPA takes what we refuse: ${JSON.stringify(question.rules)}`);
      voided += 1;
      continue;
    }
    assert.ok(opas !== undefined, `OPA refuses what we take: ${JSON.stringify(question.rules)}`);
    const { input, result, erased, masked } = opas;
    const theirs = {
      input,
      ...('result' in opas && { result }),
      ...(erased !== undefined && { erased }),
      ...(masked !== undefined && { masked }),
    };
    assert.deepEqual(ours, theirs, JSON.stringify(question.rules));
    if (erased !== undefined || masked !== undefined) changed += 1;
  }
  assert.ok(changed > 100 && voided > 100, `${changed} changed, ${voided} void`);
});

test('what OPA drops is not there', { skip }, async () => {
  await ask({ id: -2, rules: [], drop: true });
  await ask({ id: -3, rules: [], drop: 'true' });
  await service.until(() => service.events().some(({ input }) => input?.id === -3));
  assert.ok(!service.events().some(({ input }) => input?.id === -2));
});
