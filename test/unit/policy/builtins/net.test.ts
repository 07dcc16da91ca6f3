import assert from 'node:assert/strict';
import fc from 'fast-check';
import { agreesOnSamples, agreesWithOpa, callsOf, textOf, throughWasm } from './against-opa.ts';
import { gives, refuses } from './direct.ts';

const matches = 'net.cidr_contains_matches';

gives('networks', [
  [['net.cidr_is_valid', '10.0.0.0/8'], 'true'],
  [['net.cidr_is_valid', '2001:db8::/129'], 'false'],
  [['net.cidr_is_valid', '10.0.0.01/8'], 'false'],
  [['net.cidr_is_valid', 'fe80::1%eth0/64'], 'false'],
  [['net.cidr_is_valid', 10], 'false'],
  [['net.cidr_expand', '192.168.0.7/30'], '{"192.168.0.4","192.168.0.5","192.168.0.6","192.168.0.7"}'],
  [['net.cidr_expand', '255.255.255.255/32'], '{"255.255.255.255"}'],
  [['net.cidr_expand', '2001:db8:0:0:1::/127'], '{"2001:db8:0:0:1::","2001:db8::1:0:0:1"}'],
  [['net.cidr_expand', '10.0.0.0'], undefined],
]);

gives('merging', [
  [['net.cidr_merge', ['192.0.128.0/24', '192.0.129.0/24']], '{"192.0.128.0/23"}'],
  [['net.cidr_merge', ['10.0.0.0/8', '10.1.0.0/16', '::/1', '8000::/1']], '{"::/0"}'],
  [['net.cidr_merge', ['192.0.2.112/30', '192.0.2.118/31']], '{"192.0.2.118/31","192.0.2.112/30"}'],
  [['net.cidr_merge', ['192.0.2.1']], '{"192.0.2.1/24"}'], // a bare address counts as its class, as in OPA
  [['net.cidr_merge', ['2001:db8::1']], undefined],
  [['net.cidr_merge', []], 'set()'],
  [['net.cidr_merge', '10.0.0.0/8'], undefined],
  [['net.cidr_merge', ['::/128', '::1/128']], '{"::/127"}'], // OPA 1.22 crashes
]);

gives('matching', [
  [[matches, '10.0.0.0/8', '10.1.2.3'], '{["10.0.0.0/8","10.1.2.3"]}'],
  [[matches, { a: '10.0.0.0/8', b: ['::/0', 'x'] }, '10.1.2.0/24'], '{["a","10.1.2.0/24"]}'],
  [[matches, '::/0', '10.1.2.3'], 'set()'],
  [[matches, '10.0.0.0/8', '10.1'], undefined],
  [[matches, 1, '10.1'], 'set()'],
]);

refuses('what would be too much, or could be a set', [
  [['net.cidr_expand', '10.0.0.0/15'], 'more than 65536 addresses'],
  [['net.cidr_expand', '::/0'], 'more than 65536 addresses'],
  [['net.cidr_merge', new Array(4_097).fill('10.0.0.0/8')], 'more than 4096 networks'],
  [[matches, ['10.0.0.0/8'], '10.1.2.3'], 'arrays and sets look alike here'],
]);

throughWasm('results are sets', ['net.cidr_expand("10.0.0.0/31")["10.0.0.1"]', 'is_set(net.cidr_merge([]))'], (outcomes) => {
  assert.deepEqual(
    outcomes.map(({ value }) => value),
    ['10.0.0.1', true],
  );
});

agreesWithOpa('net', [
  `${matches}(["10.0.0.0/8", ["1.1.0.0/16", "x"]], {"10.1.2.3", "1.1.1.1"})`,
  `${matches}({["10.0.0.0/8", {"x"}]}, {"k": "10.1.2.3"})`,
  `${matches}([], ["nonsense"])`,
  [matches, [1], []],
  [matches, ['10.0.0.0/8'], [[]]],
  [matches, '::ffff:10.0.0.0/104', '10.1.2.3'],
  ['net.cidr_expand', '::ffff:1.2.3.4/126'],
  ['net.cidr_expand', '0.0.0.0/31'],
  ['net.cidr_is_valid', '10.0.0.0/008'],
  ['net.cidr_is_valid', '1.2.3.4.5/8'],
  ['net.cidr_is_valid', '::1.2.3.4/8'],
  ['net.cidr_is_valid', '1.2.3.4::/8'],
  ['net.cidr_is_valid', '1:2:3:4:5:6:7::8/8'],
  ['net.cidr_merge', ['10.0.0.0/8', 1]],
  'net.cidr_merge({"10.0.0.0/9", "10.128.0.0/9"})',
]);

const near = fc
  .tuple(fc.constantFrom('10.0.0.', '10.0.1.', '192.168.0.'), fc.nat(255), fc.integer({ min: 22, max: 32 }))
  .map(([net, host, bits]) => `${net}${host}/${bits}`);
const near6 = fc
  .tuple(fc.constantFrom('2001:db8::', '2001:db8::1:'), fc.nat(0xffff), fc.integer({ min: 112, max: 128 }))
  .map(([net, host, bits]) => `${net}${host.toString(16)}/${bits}`);
const noise = textOf(['1', '.', '0', '256', '::', ':', 'a', '/', 'ffff', '10.0.0.0', '01', '%eth0', 'g'], 6);
const network = fc.oneof(near, near6);
const either = fc.oneof(network, network, fc.ipV4(), fc.ipV6(), noise);
const side = fc.oneof(either, fc.array(either, { maxLength: 3 }), fc.dictionary(fc.constantFrom('a', 'b'), either));

agreesOnSamples(
  'net',
  fc.oneof(
    callsOf('net.cidr_is_valid', either),
    callsOf('net.cidr_merge', fc.array(fc.oneof(near, near, near6, fc.ipV4()), { maxLength: 8 })),
    callsOf(matches, side, side),
    callsOf(
      'net.cidr_expand',
      near6.filter((text) => Number(text.split('/')[1]) > 120),
    ),
  ),
  600,
);
