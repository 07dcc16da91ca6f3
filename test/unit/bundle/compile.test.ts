import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPA_VERSION } from '../../../src/bundle/compile.ts';
import { openOpa } from '../../../src/opa/opa.ts';

test('the version that compiled policies are kept by is that of the OPA that compiles them', async () => {
  const opa = openOpa();
  try {
    assert.deepEqual((await opa.ask({ command: 'version' })).result, { opa: OPA_VERSION });
  } finally {
    await opa.close();
  }
});
