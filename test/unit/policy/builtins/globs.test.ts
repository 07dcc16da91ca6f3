import fc from 'fast-check';
import { agreesOnSamples, agreesWithOpa, callsOf, textOf } from './against-opa.ts';
import { gives, refuses } from './direct.ts';

const name = 'regex.globs_match';

gives('whether some string matches both', [
  [[name, 'foo.*bar', 'foobar'], 'true'],
  [[name, 'a.a', 'b.b'], 'false'],
  [[name, '[a-c]+x', '[c-e]*.'], 'true'],
  [[name, '.*', ''], 'false'],
  [[name, 'a\\*', 'a[*]'], 'true'],
  [[name, '[', 'a'], undefined],
  [[name, '*', 'a'], undefined],
  [[name, '[b-a]', 'a'], undefined],
  [[name, 1, 'a'], undefined],
]);

gives('globs full of stars, which take OPA exponential time', [
  [[name, `${'.*a'.repeat(60)}c`, `${'.*a'.repeat(60)}d`], 'false'],
]);

refuses('globs too long', [[[name, 'ab'.repeat(101), 'a'], 'globs longer than 200']]);

agreesWithOpa(name, [
  [name, '', ''],
  [name, 'a\\', 'a'],
  [name, '[]', '.'],
  [name, '[a-]', 'a'],
  [name, '[a\\-z]', '-'],
  [name, '[[]', '\\['],
  [name, '😀+', '[🙀-😂]'],
  [name, null, 'a'],
]);

const flagged = fc
  .array(fc.tuple(fc.constantFrom('a', 'b', '.', '[ab]', '[bc]', 'c'), fc.constantFrom('', '', '*', '+')), { maxLength: 7 })
  .map((tokens) => tokens.flat().join(''));
const noise = textOf(['a', '.', '*', '+', '[ab]', '[a-c]', '[]', '\\*', '\\', '.*', '[^a]', '[a-]', '-', ']', '[', 'é'], 7);

agreesOnSamples(name, fc.oneof(callsOf(name, flagged, flagged), callsOf(name, noise, noise)), 600);
