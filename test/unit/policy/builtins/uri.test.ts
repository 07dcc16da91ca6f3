import fc from 'fast-check';
import { agreesOnSamples, agreesWithOpa, callsOf, textOf } from './against-opa.ts';
import { gives, refuses } from './direct.ts';

gives('parts of a URI', [
  [
    ['uri.parse', 'HTTPS://user@example.com:8443/a%20b?x=1#f%20g'],
    '{"scheme":"https","hostname":"example.com","port":"8443","path":"/a b","raw_path":"/a b","raw_query":"x=1","fragment":"f g"}',
  ],
  [['uri.parse', '/a%2Fb'], '{"path":"/a/b","raw_path":"/a%2Fb"}'],
  [['uri.parse', 'http://[fe80::1%25en0]/'], '{"scheme":"http","hostname":"fe80::1%en0","path":"/","raw_path":"/"}'],
  [['uri.parse', 'mailto:a@b'], '{"scheme":"mailto"}'],
  [['uri.parse', ''], '{}'],
  [['uri.parse', 'http://[::1'], undefined],
  [['uri.parse', 1], undefined],
]);

gives('what is no URI', [
  [['uri.is_valid', 'https://example.com'], 'true'],
  [['uri.is_valid', ''], 'false'],
  [['uri.is_valid', 'a:b:c'], 'true'],
  [['uri.is_valid', ':b'], 'false'],
  [['uri.is_valid', '/%zz'], 'false'],
  [['uri.is_valid', 'http://a b/'], 'false'],
  [['uri.is_valid', 'http://a:b/'], 'false'],
  [['uri.is_valid', 'http://%41/'], 'false'],
  [['uri.is_valid', 'a\nb'], 'false'],
  [['uri.is_valid', '/%ff'], 'true'],
  [['uri.is_valid', null], 'false'],
]);

refuses('a path that no text has', [[['uri.parse', '/%ff'], 'decodes to bytes that are not UTF-8']]);

agreesWithOpa('uri', [
  ['uri.parse', '*'],
  ['uri.parse', '//host:80?#'],
  ['uri.parse', '///path'],
  ['uri.parse', "/(x)!*'~$&+,;=:@"],
  ['uri.parse', '/%28x%29'],
  ['uri.parse', 'http://a:1:2/'],
  ['uri.parse', 'ftp://a:1:2/'],
  ['uri.parse', 'http://u:p%zz@h/'],
  ['uri.parse', 'http://u@v@h:/'],
  ['uri.parse', 'http://[::1]:x/'],
  ['uri.parse', 'http://[1.2.3.4]/'],
  ['uri.parse', 'http://[::1%25]/'],
  ['uri.parse', 'http://[::1%25e%6E]/'],
  ['uri.parse', '1http://h/'],
  ['uri.is_valid', 1],
]);

const noise = textOf(
  [
    'http',
    'HTTPS',
    '://',
    '//',
    '/',
    'a',
    'b.c',
    ':',
    '80',
    '@',
    'u',
    '?',
    '#',
    '%20',
    '%2F',
    '%',
    '%41',
    'é',
    '[::1]',
    '[',
    ']',
    '*',
    ' ',
    "'",
    ';',
    '+',
    '\t',
    'mailto:',
    '..',
    '%C3%A9',
    '<',
    '|',
  ],
  9,
);
const host = textOf(['a', '.', '[::1]', ':', '80', '%41', '%C3%A9', 'é', '[fe80::1%25e%6E0]', '1.2.3.4', '"', '@'], 4);
const address = fc
  .tuple(
    fc.constantFrom('http://', '//', 'ftp://', 'https://u:p@'),
    host,
    fc.constantFrom('', '/', '/a b', '/%7E', '/a;b,c', '/x?y=z#f'),
  )
  .map((parts) => parts.join(''));
const text = fc.oneof(noise, address, fc.webUrl({ withFragments: true, withQueryParameters: true }));

agreesOnSamples('uri', fc.oneof(callsOf('uri.parse', text), callsOf('uri.is_valid', text)), 800);
