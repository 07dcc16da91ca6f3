/** What is to be pasted out of the documents works: configurations, Envoy filters, Rego, JSON. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { searchOpa } from '../../scripts/opa.ts';
import { parseConfig } from '../../src/config.ts';
import { loadArchive } from '../unit/support/bundles.ts';
import { documents, labelledBlocks, read, root } from './tree.ts';

type Tree = Record<string, any>;

const yaml = labelledBlocks('yaml').filter(({ file }) => file !== 'docs/tutorial.md');
const labelled = (label: string) => yaml.filter((block) => block.label === label);
const reference = read('examples/reference/mcp-ext-authz.yaml');
/** Without what only several sidecars need: docs/deploying.md tells of it, no fragment repeats it. */
const envoy = JSON.parse(JSON.stringify(parse(read('envoy/envoy.yaml'))), (key, value) =>
  key === 'retry_policy' ? undefined : value,
) as Tree;
const manager: Tree = envoy.static_resources.listeners[0].filter_chains[0].filters[0].typed_config;
const filters: Tree[] = manager.http_filters;
const routes: Tree[] = manager.route_config.virtual_hosts[0].routes;
const clusters: Tree[] = envoy.static_resources.clusters;

test('every labelled block is of a kind that is tried here', () => {
  const ofEnvoy = ['http_filters', 'routes', 'clusters', 'envoy-endpoint', 'envoy-transport-socket'];
  const known = ['sidecar', 'sidecar-part', ...ofEnvoy];
  assert.deepEqual(
    yaml.filter(({ label }) => !known.includes(label)),
    [],
  );
});

describe('configurations of the sidecar', () => {
  for (const { file, text } of labelled('sidecar')) test(file, () => void parseConfig(text));
  for (const { file, text } of labelled('sidecar-part')) {
    test(`${file}: ${text.split('\n')[1]?.trim()}`, () => void parseConfig(stringify(addPart(parse(reference), parse(text)))));
  }
  test('the reference configuration', () => void parseConfig(reference));
});

/** Sections replace sections, and a resource the one of its name: the front door needs those that a part does not tell of. */
function addPart(whole: Tree, part: Tree): Tree {
  const resources = new Map([...whole.resources, ...(part.resources ?? [])].map((one: Tree) => [one.name, one]));
  return { ...whole, ...part, resources: [...resources.values()] };
}

describe('Envoy', () => {
  test('filters are those of envoy/envoy.yaml, but for the retries', () => {
    for (const { file, text } of labelled('http_filters')) {
      assert.deepEqual(parse(text), filters.slice(0, -1), file);
      assert.equal(filters.at(-1)?.name, 'envoy.filters.http.router');
    }
  });

  test('so are the clusters, but for their health checks', () => {
    const blocks = labelled('clusters').map(({ file, text }) => ({ file, shown: parse(text) as Tree[] }));
    for (const { file, shown } of blocks) {
      const named = shown.map(({ name }) => clusters.find((one) => one.name === name));
      assert.deepEqual(
        shown,
        named.map(({ health_checks: _, ...rest }: Tree = {}) => rest),
        file,
      );
    }
    const told = blocks.flatMap(({ shown }) => shown.map(({ name }) => name)).sort();
    assert.deepEqual(told, ['front_door', 'mcp_ext_authz', 'mcp_ext_proc']);
  });

  test('so are the routes, by another name', () => {
    const blocks = labelled('routes').map(({ file, text }) => ({ file, shown: parse(text) as Tree[] }));
    for (const { file, shown } of blocks) {
      const paths = new Set(shown.map(({ match }) => match.path));
      const own = JSON.stringify(routes)
        .replaceAll(/enterprise[-_]ledger/g, 'orders')
        .replaceAll(/employee[-_]directory/g, 'staff');
      const expected = (JSON.parse(own) as Tree[]).filter(({ match }) => paths.has(match.path));
      assert.deepEqual(shown, expected, file);
    }
    assert.deepEqual(
      blocks.map(({ file }) => file),
      ['README.md', 'docs/deploying.md'],
    );
  });

  test('and the endpoint on a Unix socket is the one that the file proposes', () => {
    for (const { text } of labelled('envoy-endpoint')) {
      assert.ok(read('envoy/envoy.yaml').includes(`{ pipe: { path: ${parse(text).endpoint.address.pipe.path} } }`));
    }
  });

  test('the number is one number', () => {
    const sizes = [...read('docs/deploying.md').matchAll(/262144/g)].length;
    assert.ok(sizes > 0);
    assert.equal(filters[0]?.typed_config.max_request_bytes, parseConfig(reference).mcp.maxBodyBytes);
  });
});

test('JSON is JSON', () => {
  for (const file of documents) {
    for (const [, text = ''] of read(file).matchAll(/^```json\n([\s\S]*?)^```$/gm))
      assert.doesNotThrow(() => JSON.parse(text), file);
  }
});

describe('docs/clients', () => {
  const pages = documents.filter((file) => file.startsWith('docs/clients/'));
  const blocks = (file: string, language: string) =>
    [...read(file).matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, text = '']) => text);
  const python = spawnSync('python3', ['--version']).status === 0;
  const served: string[] = parse(reference).resources.flatMap(({ publicUrls }: Tree) => publicUrls);

  test('the JSON of each is an object, and there are such pages', () => {
    const found = pages.flatMap((file) => blocks(file, 'json').map((text) => JSON.parse(text)));
    assert.ok(found.length > 5 && found.every((value) => typeof value === 'object' && !Array.isArray(value)));
  });

  test('shell is shell', () => {
    for (const file of pages)
      for (const text of blocks(file, 'sh')) assert.doesNotThrow(() => execFileSync('sh', ['-n'], { input: text }), file);
  });

  test('Python is Python', { skip: python ? false : 'no python3 on PATH' }, () => {
    const scripts = pages.flatMap((file) => blocks(file, 'python'));
    assert.ok(scripts.length > 0);
    for (const text of scripts) execFileSync('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], { input: text });
  });

  test('every address at the gateway is one that the reference configuration serves, or the front door', () => {
    const known = new Set([...served, 'https://gateway.example/mcp']);
    for (const file of pages) {
      const named = [...read(file).matchAll(/https:\/\/gateway\.example[^\s"'`]*/g)].map(([url]) => url);
      const wrong = named.filter((url) => !known.has(url) && !served.some((one) => url === metadataOf(one)));
      assert.deepEqual(wrong, [], file);
    }
  });

  function metadataOf(url: string): string {
    const { origin, pathname } = new URL(url);
    return `${origin}/.well-known/oauth-protected-resource${pathname}`;
  }
});

describe('the policy of docs/policy.md', async () => {
  const opa = searchOpa();
  const command = /^node dist\/main\.js policy build .*$/m.exec(read('docs/policy.md'))?.[0] ?? '';

  test('is built by the command that the README has too', () => assert.ok(command !== '' && read('README.md').includes(command)));

  test('says what the text says', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'policy-'));
    try {
      const blocks = labelledBlocks('rego').filter(({ file }) => file === 'docs/policy.md');
      await mkdir(join(dir, 'policy'));
      for (const { label, text } of blocks) await writeFile(join(dir, 'policy', label), text);
      const [, , ...args] = command.split(' ');
      execFileSync(process.execPath, [join(root, 'src/main.ts'), ...args], { cwd: dir });
      if (opa.path !== null) execFileSync(opa.path, ['fmt', '--fail', '--list', 'policy'], { cwd: dir });
      const archive = await readFile(join(dir, 'bundle.tar.gz'));
      const policy = await loadArchive(archive);
      const ask = (method: string, tool: string | null, known: boolean, readOnlyHint: boolean, scopes: string[]) => {
        const mcp = { method, tool, backend: 'orders' };
        const input = { version: 1, mcp, principal: { scopes }, tool: { known, annotations: { readOnlyHint } } };
        return policy.ask({ input: JSON.stringify(input), caller: 'a', deadlineMs: Number.POSITIVE_INFINITY });
      };
      const reason = async (...about: Parameters<typeof ask>) => {
        const result = (await ask(...about)).inbound;
        return result.ok ? 'allowed' : result.denial.reason;
      };
      assert.equal(await reason('initialize', null, false, false, []), 'allowed');
      assert.equal(await reason('resources/read', null, false, false, ['orders:read']), 'method_forbidden');
      assert.equal(await reason('tools/call', 'listOrders', true, true, ['orders:read']), 'allowed');
      assert.equal(await reason('tools/call', 'listOrders', true, true, []), 'insufficient_scope');
      assert.equal(await reason('tools/call', 'cancelOrder', true, false, ['orders:read']), 'read_only');
      assert.equal(await reason('tools/call', 'dropAll', false, true, ['orders:read']), 'tool_unknown');
      const scopeOf = async (...about: Parameters<typeof ask>) => {
        const result = (await ask(...about)).outbound;
        if (result === null) return null;
        return result.ok ? result.value.scopes.join(' ') : result.denial.reason;
      };
      assert.equal(await scopeOf('tools/call', 'listOrders', true, true, ['orders:read']), 'orders:listOrders');
      assert.equal(await scopeOf('tools/list', null, false, false, []), 'orders:protocol');
      await policy.close();
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
