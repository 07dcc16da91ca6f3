import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { findResourceOwner, matchesTemplate } from '../../../src/check/resource-owner.ts';
import { memberAt, viewOf } from '../../support/front-door.ts';
import { cpuMs } from '../support/cpu.ts';

suite('whose resource', () => {
  const members = [memberAt('a'), memberAt('b'), memberAt('c')];
  const views = (name: string) =>
    ({
      a: viewOf({ resourceTemplates: ['x://{any}'] }),
      b: viewOf({ resourceUris: new Set(['x://listed']), resourceTemplates: ['x://{any}', 'y://{id}/z'] }),
    })[name] ?? null;
  const owner = (uri: string) => findResourceOwner(members, views, uri)?.resource.name;

  test('the one that lists it, else the first with a template for it, else none', () => {
    assert.equal(owner('x://listed'), 'b');
    assert.equal(owner('x://other'), 'a');
    assert.equal(owner('y://1/z'), 'b');
    assert.equal(owner('y://{id}/z'), 'b');
    assert.equal(owner('z://1'), undefined);
  });
});

suite('templates', () => {
  const cases: [template: string, uri: string, matches: boolean][] = [
    ['x://{id}', 'x://1', true],
    ['x://{id}', 'x://', false],
    ['x://{id}', 'x://1/2', false],
    ['x://{id}/end', 'x://1/end', true],
    ['x://{id}/end', 'x://1/endless', false],
    ['file:///{+path}', 'file:///a/b?c#d', true],
    ['x://a{/path}', 'x://a/b', true],
    ['x://a{/path}', 'x://a', true],
    ['x://a{?q,r}', 'x://a?q=1&r=2', true],
    ['x://a{?q,r}', 'x://a', true],
    ['x://a{?q}', 'x://ab', false],
    ['x://{a}{b}', 'x://12', true],
    ['x://{a}{b}', 'x://1', false],
    ['x://{}', 'x://1', false],
    ['x://{id', 'x://1', false],
    ['x://.*', 'x://abc', false],
    ['{+a}', '', false],
    ['', '', true],
  ];
  for (const [template, uri, matches] of cases) {
    test(`${template} ${matches ? 'is' : 'is not'} for ${uri}`, () => assert.equal(matchesTemplate(template, uri), matches));
  }

  test('of a hostile backend cost little', () => {
    const begun = cpuMs();
    assert.equal(matchesTemplate(`${'{+a}'.repeat(32)}!`, 'a'.repeat(2048)), false);
    assert.equal(matchesTemplate(`${'{+a}'.repeat(33)}`, 'a'.repeat(2048)), false);
    assert.ok(cpuMs() - begun < 500);
  });
});

test('of one backend a bounded number of templates is looked at', () => {
  const resourceTemplates = Array.from({ length: 65 }, (_, at) => `x${at}://{any}`);
  const views = () => viewOf({ resourceTemplates });
  const members = [memberAt('a')];
  assert.equal(findResourceOwner(members, views, 'x63://y'), members[0]);
  assert.equal(findResourceOwner(members, views, 'x64://y'), null);
});
