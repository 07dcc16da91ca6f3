/** Commands in the documents can be typed: npm verbs exist, and so do the scripts that node is to run. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { documents, files, read } from './tree.ts';

const manifest = JSON.parse(read('package.json')) as {
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
};

describe('commands', () => {
  test('every `npm run` names a verb of package.json', () => {
    const verbs = documents.flatMap((file) => [...read(file).matchAll(/npm run ([a-z:-]+)/g)].map(([, verb = '']) => verb));
    assert.deepEqual(
      verbs.filter((verb) => manifest.scripts[verb] === undefined),
      [],
    );
  });

  test('every verb is told in CONTRIBUTING.md', () => {
    const text = read('CONTRIBUTING.md');
    const told = (verb: string) => text.includes(verb === 'test' ? 'npm test' : `npm run ${verb}`);
    assert.deepEqual(
      Object.keys(manifest.scripts).filter((verb) => !told(verb)),
      [],
    );
  });

  test('every file that node is to run is there', () => {
    const run = documents.flatMap((file) =>
      [...read(file).matchAll(/\bnode (?:--test )?((?:scripts|test|deploy|examples|src)\/[\w/.-]+\.ts)/g)].map(
        ([, path = '']) => path,
      ),
    );
    assert.deepEqual(
      run.filter((path) => !files.includes(path)),
      [],
    );
  });

  test('the README opens with the two commands that show and prove it', () => {
    const opening = read('README.md').split('\n').slice(0, 20).join('\n');
    assert.match(opening, /^npm ci && npm run demo\nnpm test$/m);
  });
});

describe('dependencies', () => {
  const sources = files
    .filter((file) => /\.m?ts$|\.mjs$/.test(file))
    .map(read)
    .join('\n');
  const { dependencies, devDependencies, optionalDependencies } = manifest;
  const contributing = read('CONTRIBUTING.md');
  const isUsed = (name: string) =>
    name.startsWith('@types/') || ['typescript', '@biomejs/biome'].includes(name) || sources.includes(`'${name}`);

  test('each that is used has its reason in CONTRIBUTING.md', () => {
    const used = [...Object.keys(dependencies), ...Object.keys(devDependencies)].filter(
      (name) => isUsed(name) && !name.startsWith('@types/'),
    );
    const untold = [...used, ...Object.keys(optionalDependencies)].filter((name) => !contributing.includes(`\`${name}\``));
    assert.deepEqual(untold, []);
  });

  test('each that has a reason is installed', () => {
    const text = contributing.slice(contributing.indexOf('## Dependencies'), contributing.indexOf('## Generated things'));
    const told = [...text.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
    );
    assert.ok(told.length > 20);
    assert.deepEqual(
      told.filter((name) => dependencies[name] === undefined && devDependencies[name] === undefined),
      [],
    );
  });

  test('each is used', () => {
    const unused = [...Object.keys(dependencies), ...Object.keys(devDependencies)].filter((name) => !isUsed(name));
    assert.deepEqual(unused, []);
    assert.equal(devDependencies['@types/express'], undefined);
  });

  test('each has one exact version, and a stable one but for those with a reason', () => {
    const preReleases = new Map([
      // No stable version knows MCP 2026-07-28.
      ['@modelcontextprotocol/conformance', /^0\.2\.0-alpha\.\d+$/],
    ]);
    const loose = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies }).filter(
      ([name, version]) => !(preReleases.get(name) ?? /^\d+\.\d+\.\d+$/).test(version),
    );
    assert.deepEqual(loose, []);
  });
});
