/** Rules of the house that no tool of the trade checks: words, length, who may know which library, which way imports point. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { describe, test } from 'node:test';
import { filesBelow, generate, generated } from '../../scripts/gen.ts';
import { files, read } from './tree.ts';

const sources = files.filter((file) => file.startsWith('src/') && file.endsWith('.ts'));
const written = sources.filter((file) => !file.startsWith('src/gen/'));

describe('words', () => {
  // In brackets, so that this file does not hold them.
  const forbidden: Readonly<Record<string, RegExp>> = {
    'no notes to oneself': /\b([T]ODO|[F]IXME|[X]XX|[H]ACK)\b/,
    'no paths of one machine': /(^|[^\w.$-])\/([w]ork|[r]oot|[h]ome|[U]sers)\//m,
    'no package hosts': /registry\.[n]pmjs|[p]ypi\.org|files\.[p]ythonhosted|proxy\.[g]olang|[c]rates\.io|repo1\.[m]aven/,
  };
  for (const [name, pattern] of Object.entries(forbidden)) {
    test(name, () => {
      const found = files.filter((file) => file !== 'package-lock.json' && pattern.test(read(file)));
      assert.deepEqual(found, []);
    });
  }

  test('the lockfile names no host', () => {
    assert.ok(!read('package-lock.json').includes('"resolved"'), 'run npm with omit-lockfile-registry-resolved');
  });

  test('no default exports', () => {
    const found = files.filter((file) => file.endsWith('.ts') && /^export default\b/m.test(read(file)));
    assert.deepEqual(found, []);
  });
});

test('no file is longer than 250 lines, but the table of reasons', () => {
  const long = written.filter((file) => file !== 'src/reasons.ts' && read(file).trimEnd().split('\n').length > 250);
  assert.deepEqual(long, []);
});

test('every file opens with what it is', () => {
  const silent = written.filter((file) => !/^(#!.*\n)?\/\*\*/.test(read(file)));
  assert.deepEqual(silent, []);
});

describe('who may know which library', () => {
  const owners: Readonly<Record<string, RegExp>> = {
    '@grpc/grpc-js': /^src\/(ext-authz|ext-proc|gen)\//,
    '@grpc/proto-loader': /^src\/(ext-authz|gen)\//,
    'grpc-health-check': /^src\/ext-authz\//,
    'prom-client': /^src\/telemetry\//,
    jose: /^src\/(token|bundle|decision-log)\//,
    oauth4webapi: /^src\/(token\/|delegation\/|services\/|client-authentication\.ts$)/,
    '@open-policy-agent/opa-wasm': /^src\/policy\/engine\.ts$/,
    'tar-stream': /^src\/(bundle|tools)\//,
    re2js: /^src\/policy\/builtins\//,
    '@modelcontextprotocol/client': /^src\/(catalog|front-door)\//,
    '@modelcontextprotocol/server': /^src\/front-door\//,
    undici: /^src\/http-client\.ts$/,
    '@bjorn3/browser_wasi_shim': /^src\/opa\//,
    yaml: /^src\/(config|catalog\/approvals|tools\/people)\.ts$/,
    zod: /^src\/config(-schema(\/[a-z-]+)?)?\.ts$/,
    'lru-cache': /^src\/(token|policy|delegation)\//,
  };

  test('each stays where it belongs', () => {
    const strays = sources.flatMap((file) =>
      importsOf(file)
        .filter((name) => owners[name] !== undefined && !owners[name].test(file))
        .map((name) => `${file}: ${name}`),
    );
    assert.deepEqual(strays, []);
  });

  test('each has its place', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
    assert.deepEqual(Object.keys(owners).sort(), Object.keys(dependencies).sort());
  });
});

test('imports point one way: ARCHITECTURE.md#layers', () => {
  const wrong = written.flatMap((file) =>
    importsOf(file)
      .filter((name) => name.startsWith('.'))
      .map((name) => normalize(join(dirname(file), name)))
      .filter((target) => !target.startsWith('src/gen/') && !mayImport(file, target))
      .map((target) => `${file} imports ${target}`),
  );
  assert.deepEqual(wrong, []);
});

test('src/gen is what proto gives; `npm run gen` writes it', async () => {
  const fresh = await mkdtemp(join(tmpdir(), 'gen-'));
  try {
    await generate(fresh);
    const [expected, actual] = [await filesBelow(fresh), await filesBelow(generated)];
    assert.deepEqual([...actual.keys()], [...expected.keys()]);
    for (const [name, content] of expected) assert.ok(actual.get(name) === content, name);
  } finally {
    await rm(fresh, { recursive: true });
  }
});

function importsOf(file: string): string[] {
  return [...read(file).matchAll(/(?:^|[\s;}])(?:from|import)\s*\(?\s*'([^']+)'/gm)].map(([, name = '']) => name);
}

/** Left to right; files on one level may know each other, but Envoy's wire and the observers do not. */
function levelOf(file: string): number {
  const name = file.slice('src/'.length);
  const levels = [
    /^(result|verdict|reasons|json-text|http|http-client|http-server|version|deadline|socket-file|seal|client-authentication|thread-url|thread-reply|directory-lock)\.ts$|^(opa|services)\//,
    /^mcp\//,
    /^(token\/|resource\.ts$)/,
    /^bundle\//,
    /^policy\//,
    /^delegation\//,
    /^(catalog\/|facade\/|check\/|check\.ts$)/,
    /^(ext-authz|ext-proc|front-door|processing|telemetry|decision-log)\//,
    /^(config-schema\/|app\/|tools\/|(config|config-schema|app|main)\.ts$)/,
  ];
  const level = levels.findIndex((pattern) => pattern.test(name));
  assert.ok(level >= 0, `${file} has no place in the layers`);
  return level;
}

function mayImport(file: string, target: string): boolean {
  const [from, to] = [levelOf(file), levelOf(target)];
  const isCrossing = (a: string, b: string) =>
    /^src\/(ext-authz|ext-proc|processing|front-door)\//.test(a) && /^src\/(telemetry|decision-log)\//.test(b);
  return to <= from && !isCrossing(file, target) && !isCrossing(target, file);
}
