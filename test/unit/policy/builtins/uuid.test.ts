import fc from 'fast-check';
import { agreesOnSamples, agreesWithOpa, callsOf, textOf } from './against-opa.ts';
import { gives } from './direct.ts';

gives('what a UUID says', [
  [['uuid.parse', '6ba7b810-9dad-41d1-80b4-00c04fd430c8'], '{"version":4,"variant":"RFC4122"}'],
  [
    ['uuid.parse', 'urn:uuid:000003e8-48b9-21ee-b200-325096b39f47'],
    '{"version":2,"variant":"RFC4122","time":1693566990121469600,"nodeid":"32-50-96-b3-9f-47",' +
      '"macvariables":"local:unicast","clocksequence":12800,"id":1000,"domain":"Person"}',
  ],
  [['uuid.parse', '6ba7b810'], undefined],
  [['uuid.parse', 6], undefined],
]);

agreesWithOpa('uuid', [
  ['uuid.parse', '{6ba7b810-9dad-11d1-c0b4-00c04fd430c8}'],
  ['uuid.parse', 'x6ba7b810-9dad-11d1-e0b4-00c04fd430c8y'],
  ['uuid.parse', '6BA7B8109DAD11D100B400C04FD430C8'],
  ['uuid.parse', '6ba7b810_9dad-11d1-80b4-00c04fd430c8'],
  ['uuid.parse', 'é6ba7b810-9dad-11d1-80b4-00c04fd430c8'],
  ['uuid.parse', null],
]);

const spelt = fc
  .tuple(fc.constantFrom('', 'urn:uuid:', 'URN:UUID:', '{'), fc.uuid({ version: [1, 2, 4, 7] }), fc.constantFrom('', '}', 'x'))
  .map((parts) => parts.join(''));

agreesOnSamples('uuid', callsOf('uuid.parse', fc.oneof(spelt, textOf(['0', 'a', '-', 'g', 'é'], 40))));
