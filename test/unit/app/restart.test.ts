import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needingRestart } from '../../../src/app/restart.ts';
import { parseConfig } from '../../../src/config.ts';
import { yamlOf } from '../support/config.ts';

const door = (config: Record<string, any>): void => {
  config.processing = { keys: [{ env: 'KEY' }] };
  config.resources[0].url = 'http://127.0.0.1:9301/mcp';
  config.frontDoor = { publicUrls: ['https://gateway.example/mcp'], backends: { ledger: {} } };
};

test('what a reload does not reach is named, and nothing else', () => {
  const started = parseConfig(yamlOf(door));
  const changed = (change: (config: Record<string, any>) => void) =>
    needingRestart(
      started,
      parseConfig(
        yamlOf((config) => {
          door(config);
          change(config);
        }),
      ),
    );
  assert.deepEqual(
    changed(() => {}),
    [],
  );
  assert.deepEqual(
    changed((config) => {
      config.mcp = { maxDepth: 32 };
      config.frontDoor.backends.ledger.prefix = 'l';
      config.processing.stepUpItems = 'show';
    }),
    [],
  );
  assert.deepEqual(
    changed((config) => {
      config.server = { maxInFlight: 7 };
      config.frontDoor.listen = '127.0.0.1:9999';
      config.processing.maxInFlight = 7;
      config.labels = { region: 'eu-1' };
      config.decisionLog = { file: 'decisions.ndjson' };
    }),
    ['server', 'frontDoor.listen', 'processing.maxInFlight', 'labels', 'decisionLog'],
  );
  assert.deepEqual(needingRestart(parseConfig(yamlOf()), started), ['frontDoor.listen', 'processing.maxInFlight']);
});
