import fc from 'fast-check';
import { agreesOnSamples, agreesWithOpa, callsOf, textOf } from './against-opa.ts';
import { gives, refuses } from './direct.ts';

gives('hex and base64url', [
  [['hex.encode', 'é'], '"c3a9"'],
  [['hex.decode', 'C3a9'], '"é"'],
  [['hex.decode', 'c3a'], undefined],
  [['hex.decode', 'zz'], undefined],
  [['hex.decode', 12], undefined],
  [['base64url.encode_no_pad', '?>'], '"Pz4"'],
]);

gives('queries', [
  [['urlquery.encode', "a b&é!'()*~"], '"a+b%26%C3%A9%21%27%28%29%2A~"'],
  [['urlquery.decode', 'a+b%26%C3%A9'], '"a b&é"'],
  [['urlquery.decode', '%4'], undefined],
  [['urlquery.encode_object', { b: ['2', '1'], a: 'x y', '😀': [], '\uffff': '' }], '"a=x+y&b=2&b=1&%EF%BF%BF="'],
  [['urlquery.encode_object', { a: 1 }], undefined],
  [['urlquery.decode_object', 'a=1&b&a=2&=3&&__proto__=x'], '{"a":["1","2"],"b":[""],"":["3"],"__proto__":["x"]}'],
  [['urlquery.decode_object', 'a=1;b=2'], undefined],
  [['urlquery.decode_object', '&'.repeat(10_000)], undefined],
]);

gives('digests', [
  [['crypto.md5', ''], '"d41d8cd98f00b204e9800998ecf8427e"'],
  [['crypto.sha1', 'abc'], '"a9993e364706816aba3e25717850c26c9cd0d89d"'],
  [['crypto.sha256', 'abc'], '"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"'],
  [
    ['crypto.hmac.sha256', 'what do ya want for nothing?', 'Jefe'],
    '"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"', // RFC 4231, test case 2
  ],
  [['crypto.hmac.equal', 'ab', 'ab'], 'true'],
  [['crypto.hmac.equal', 'ab', 'abc'], 'false'],
  [['crypto.hmac.sha256', 'a', null], undefined],
]);

refuses('what decodes to bytes that no text has', [
  [['hex.decode', 'ff'], 'decodes to bytes that are not UTF-8'],
  [['urlquery.decode', '%ff'], 'decodes to bytes that are not UTF-8'],
  [['urlquery.decode_object', 'a=%ff'], 'decodes to bytes that are not UTF-8'],
]);

agreesWithOpa('encoding', [
  'urlquery.encode_object({"a": {"x"}})',
  ['urlquery.encode_object', { a: { b: 'c' } }],
  ['urlquery.encode_object', [1]],
  ['urlquery.decode_object', '&'.repeat(9_999)],
  ['hex.encode', 1],
  ['crypto.sha256', ['a']],
  ['crypto.hmac.sha1', '', ''],
]);

const text = textOf(['a', '=', '&', ';', '%41', '%', '+', ' ', 'é', '%C3%A9', '~', "'", '__proto__', '\u0000']);

agreesOnSamples(
  'encoding',
  fc.oneof(
    callsOf('urlquery.encode', text),
    callsOf('urlquery.decode', text),
    callsOf('urlquery.decode_object', text),
    callsOf('urlquery.encode_object', fc.dictionary(text, fc.oneof(text, fc.array(text, { maxLength: 3 })))),
    callsOf('hex.encode', text),
    callsOf('hex.decode', textOf(['41', '4A', 'g', 'c3a9'])),
    callsOf('base64url.encode_no_pad', text),
    callsOf('crypto.hmac.sha512', text, text),
    callsOf('crypto.hmac.md5', text, text),
    callsOf('crypto.hmac.equal', text, text),
  ),
);
