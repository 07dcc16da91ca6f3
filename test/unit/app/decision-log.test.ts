import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { suite, test } from 'node:test';
import { openDecisionLog } from '../../../src/app/decision-log.ts';
import { denied, newFacts } from '../../../src/check/authorize.ts';
import { decisionRecord } from '../../../src/check/record.ts';
import { noFacts } from '../../../src/http.ts';
import { VERSION } from '../../../src/version.ts';
import { createWorld } from '../support/world.ts';

suite('the decision log of a process', () => {
  test('has the labels of the configuration in every line, beside those of each process', async (t) => {
    const world = await createWorld(t);
    const config = world.config((tree) => {
      tree.labels = { app: 'ledger', region: 'eu' };
    });
    const log = await openDecisionLog(config, {
      log: () => {},
      metrics: null,
      policy: () => null,
      standard: new PassThrough(),
    });
    const verdict = denied({ reason: 'internal_error' }, newFacts(noFacts(), 'd1'), { allowedOrigins: new Set() });
    log.write(verdict, decisionRecord(verdict), 1, false);
    await log.end();
    const { labels } = JSON.parse(await readFile(world.path('decisions.log'), 'utf8'));
    assert.deepEqual(labels, { app: 'ledger', region: 'eu', id: log.labels.id, version: VERSION });
    assert.deepEqual(log.labels, labels, 'the status says the same');
  });
});
