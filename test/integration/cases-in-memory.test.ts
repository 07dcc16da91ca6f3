/**
 * Every case of test/cases without Envoy: the CheckRequest that Envoy would send, through the real check with the ports of
 * the reference configuration, to what Envoy would do with the answer.
 */
import { after, before, describe, test } from 'node:test';
import { loadCases, makeConcrete } from '../support/cases.ts';
import { type Expectation, verify } from '../support/expectations.ts';
import { createMemoryWorld, type MemoryWorld } from '../support/memory.ts';

let memory: MemoryWorld;
before(async () => {
  memory = await createMemoryWorld();
});
after(() => memory.stop());

for (const { topic, cases } of loadCases()) {
  describe(topic, () => {
    for (const one of cases.filter(({ levels }) => levels.includes('memory'))) {
      test(one.name, { todo: one.bug ?? false }, async () => {
        const request = await makeConcrete(one.request, memory.world);
        verify(one.expect as Expectation, request, memory.world, await memory.observe(request));
      });
    }
  });
}
