/** Our status beside that of a real OPA in the same circumstances: what we share has the same name, place and type. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { searchOpa } from '../../../scripts/opa.ts';
import { createService } from '../../../src/services/service.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { createStatusReporter } from '../../../src/telemetry/status.ts';
import { statusMetrics } from '../../../src/telemetry/status-metrics.ts';
import type { BundleFacts } from '../../../src/telemetry/status-update.ts';
import { type Seen, startPeer } from '../support/peer.ts';

const opa = searchOpa();
const AT = Date.now();

/** What OPA is told to fetch: one bundle that is there, and one that is not. */
const OURS: readonly BundleFacts[] = [
  {
    name: 'policy',
    revision: 'r1',
    sizeBytes: 261,
    activatedAt: AT,
    downloadedAt: AT,
    requestedAt: AT,
    answeredAt: AT,
    error: null,
  },
  {
    name: 'shadow',
    revision: null,
    sizeBytes: null,
    activatedAt: null,
    downloadedAt: null,
    requestedAt: AT,
    answeredAt: null,
    error: { code: 'download_failed', message: 'not there' },
  },
];

test('what OPA reports and we report is reported alike', { skip: opa.problem ?? false, timeout: 300_000 }, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'status-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const bundle = await buildBundle(dir);
  const complete = Promise.withResolvers<Seen>();
  const peer = await startPeer(t, (response, seen) => {
    if (seen.method === 'GET') {
      if (seen.path === '/good.tar.gz') response.end(bundle);
      else response.writeHead(404).end();
      return;
    }
    if (seen.path === '/logs') {
      response.writeHead(503).end();
      return;
    }
    if (seen.path === '/status/of/opa' && isComplete(JSON.parse(seen.body))) complete.resolve(seen);
    response.end();
  });
  await startOpa(t, dir, peer.url);
  const theirs = await complete.promise;

  const metrics = createMetrics('1');
  metrics.inFlight.set(1);
  const service = createService({ name: 'control', url: peer.url, timeoutMs: 20_000 });
  t.after(service.close);
  const reporter = createStatusReporter({
    send: service.send,
    path: 'status/of/us',
    facts: () => ({
      labels: { id: 'i', version: '1', app: 'a' },
      bundles: OURS,
      decisionLogError: null,
      uploadFailure: { message: 'the service answered 503', httpCode: 503 },
    }),
    metrics: () => statusMetrics(metrics.register),
    minIntervalMs: 1000,
    maxIntervalMs: 1000,
    log: () => {},
    onUpload: () => {},
    now: () => performance.now(),
  });
  await reporter.look();
  const ours = peer.seen.find(({ path }) => path === '/status/of/us') as Seen;

  assert.equal(ours.method, theirs.method);
  assert.equal(ours.headers['content-type'], theirs.headers['content-type']);
  const [said, expected] = [shapeOf(JSON.parse(ours.body)), shapeOf(JSON.parse(theirs.body))];
  // OPA puts the errors of its compiler there; no bundle of this test has any.
  said.delete('bundles.shadow.errors');
  for (const [path, type] of said) assert.equal(expected.get(path), type, path);
  const missing = [...expected.keys()].filter((path) => !said.has(path));
  assert.deepEqual(
    missing.filter((path) => !/^(bundles\.\w+\.(metrics|http_code)|plugins\.discovery)/.test(path)),
    [],
    'what OPA reports and we do not',
  );
  const [mine, its] = [ours, theirs].map(({ body }) => familyShapes(JSON.parse(body).metrics.prometheus)) as [Shapes, Shapes];
  assert.deepEqual([...mine.keys()].sort(), ['COUNTER', 'GAUGE', 'HISTOGRAM', 'label']);
  for (const [type, shape] of mine)
    for (const [path, kind] of shape) assert.equal(its.get(type)?.get(path), kind, `${type} ${path}`);
});

type Shapes = Map<string, Shape>;

/** By type, what families of it look like, all taken together. */
function familyShapes(families: Record<string, any>): Shapes {
  const shapes: Shapes = new Map();
  for (const family of Object.values(families)) {
    const shape = shapes.get(family.type) ?? new Map();
    shapes.set(family.type, shape);
    const [{ label = [], histogram, ...sample } = {}] = family.metric ?? [];
    for (const one of label) shapes.set('label', shapeOf(one));
    shapeOf({ ...family, metric: { ...sample } }, '', shape);
    if (histogram === undefined) continue;
    const { bucket, ...sums } = histogram;
    shapeOf({ ...sums, bucket: bucket[0] }, 'histogram', shape);
  }
  return shapes;
}

/** OPA tells of its parts one by one as they begin. */
function isComplete({ bundles, decision_logs }: any): boolean {
  return (
    bundles?.policy?.active_revision !== undefined && bundles.shadow?.code !== undefined && decision_logs?.code !== undefined
  );
}

type Shape = Map<string, string>;

/** Every member by its path, with its type; times are a type of their own, and so are those that never were. */
function shapeOf(value: unknown, path = '', shape: Shape = new Map()): Shape {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !/^metrics/.test(path)) {
    for (const [name, member] of Object.entries(value)) shapeOf(member, path === '' ? name : `${path}.${name}`, shape);
    if (Object.keys(value).length === 0) shape.set(path, 'object');
    return shape;
  }
  shape.set(path, Array.isArray(value) ? 'array' : typeof value === 'string' ? textType(value) : typeof value);
  return shape;
}

function textType(text: string): string {
  if (text === '0001-01-01T00:00:00Z') return 'never';
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text)) return 'time';
  return /^(OK|NOT_READY|ERROR|WARN)$/.test(text) ? 'state' : 'string';
}

async function buildBundle(dir: string): Promise<Buffer> {
  await mkdir(join(dir, 'src'));
  await writeFile(join(dir, 'src', 'policy.rego'), 'package p\n\nallow := true\n');
  const built = spawnSync(opa.path as string, ['build', '-b', 'src', '-r', 'r1', '-o', 'good.tar.gz'], {
    cwd: dir,
    encoding: 'utf8',
  });
  assert.equal(built.status, 0, built.stderr);
  return readFile(join(dir, 'good.tar.gz'));
}

async function startOpa(t: { after: (work: () => unknown) => void }, dir: string, url: string): Promise<void> {
  const polling = { min_delay_seconds: 1, max_delay_seconds: 1 };
  const config = {
    labels: { app: 'a' },
    services: { control: { url } },
    bundles: {
      policy: { service: 'control', resource: 'good.tar.gz', polling },
      shadow: { service: 'control', resource: 'missing.tar.gz', polling },
    },
    decision_logs: { service: 'control', reporting: polling },
    status: { service: 'control', partition_name: 'of/opa' },
  };
  await writeFile(join(dir, 'opa.json'), JSON.stringify(config));
  const child = spawn(opa.path as string, ['run', '--server', '--addr', 'unix://opa.sock', '-c', 'opa.json'], {
    cwd: dir,
    stdio: 'ignore',
  });
  t.after(async () => {
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  });
  await decideOnce(join(dir, 'opa.sock'));
}

/** So that it has something to upload. */
async function decideOnce(socketPath: string): Promise<void> {
  const ask = async (): Promise<unknown> => {
    const asked = request({ socketPath, path: '/v1/data/p/allow', method: 'POST' }).end('{}');
    return once(asked, 'response').then(([answer]) => answer.resume());
  };
  while ((await ask().catch(() => null)) === null) await pause(50);
}
