/**
 * How long it takes from a bundle that is published to the first Check that it decides: over HTTP and out of a file, with new data
 * and with new Rego. The policy is the tests' `echo`, whose data says what is answered.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, credentials } from '@grpc/grpc-js';
import { bold, dim } from '../../examples/reference/paint.ts';
import { type BundleServer, startBundleServer } from '../support/bundle-server.ts';
import { replaceFile } from '../support/reconfigure.ts';
import { echoBundle, packBundle } from '../unit/support/bundles.ts';
import { ask } from './ask.ts';
import { median, type Run, type Subject } from './run.ts';
import { type Call, toCheckRequest } from './world.ts';

const ECHO = fileURLToPath(new URL('../fixtures/policies/echo/', import.meta.url));
/** Longer than any of them takes. */
const GIVE_UP_MS = 30_000;
const SECONDS_BETWEEN = { minDelayMs: 1000, maxDelayMs: 2000 };
const LONG = { ...SECONDS_BETWEEN, longPollingTimeoutMs: 30_000 };

export interface DeliveryOptions extends Run {
  readonly calls: readonly Call[];
  readonly start: (name: string, adjust: (config: Record<string, any>) => void) => Promise<Subject>;
}

interface Row {
  readonly bundles: number;
  readonly p50: number;
  readonly max: number;
}

interface Way {
  readonly polling: object;
  /** How it gets to where the sidecar looks; null for the server. */
  readonly file: string | null;
  readonly manner: BundleServer['manner'];
  readonly make: (revision: number, isOpen: boolean) => Promise<Buffer>;
  readonly bundles: number;
}

export async function measureDelivery(options: DeliveryOptions): Promise<Record<string, Row>> {
  const { dir, quick, say, progress } = options;
  const ways: Readonly<Record<string, Way>> = {
    'long polling': { polling: LONG, file: null, manner: 'long-polling', make: ofData, bundles: quick ? 10 : 40 },
    'long polling, Rego': { polling: LONG, file: null, manner: 'long-polling', make: ofRego, bundles: quick ? 5 : 20 },
    polling: { polling: SECONDS_BETWEEN, file: null, manner: 'etag', make: ofData, bundles: quick ? 5 : 20 },
    file: {
      polling: SECONDS_BETWEEN,
      file: join(dir, 'delivered.tar.gz'),
      manner: 'etag',
      make: ofData,
      bundles: quick ? 5 : 20,
    },
  };
  say(`\n${bold('From published to enforced')}${dim('  (ms; polling and the file: looked at every 1 to 2 s)')}`);
  say(`  ${'what'.padEnd(20)}${'p50'.padStart(8)}${'max'.padStart(8)}${'bundles'.padStart(9)}`);
  const rows: Record<string, Row> = {};
  for (const [name, way] of Object.entries(ways)) {
    const times = await measureOne(name, way, options);
    const row = { bundles: times.length, p50: median(times), max: Math.max(...times) };
    progress('');
    rows[name] = row;
    say(
      `  ${name.padEnd(20)}${row.p50.toFixed(0).padStart(8)}${row.max.toFixed(0).padStart(8)}${String(row.bundles).padStart(9)}`,
    );
  }
  return rows;
}

async function measureOne(name: string, way: Way, { dir, calls, start, progress }: DeliveryOptions): Promise<number[]> {
  const server = await startBundleServer(way.manner);
  const publish = async (archive: Buffer): Promise<void> => {
    if (way.file === null) return server.publish(archive);
    await replaceFile(way.file, archive);
  };
  await publish(await way.make(1, true));
  const { ready, stop } = await start(`delivery-${name.replace(/\W+/g, '-')}`, (config) => {
    const source = way.file === null ? { bundle: { service: 'bundles', resource: 'b.tar.gz' } } : { bundleFile: way.file };
    config.services = [{ name: 'bundles', url: server.url }];
    config.policy = { ...source, polling: way.polling, persistDirectory: join(dir, `kept-${name}`) };
  });
  const client = new Client(ready.target, credentials.createInsecure());
  const request = toCheckRequest(calls[0] as Call, 0);
  try {
    await until(client, request, 'allowed');
    const times: number[] = [];
    for (let round = 1; round <= way.bundles; round++) {
      const isOpen = round % 2 === 0;
      const archive = await way.make(round + 1, isOpen);
      progress(`${name}: bundle ${round} of ${way.bundles} …`);
      await publish(archive);
      const publishedAt = performance.now();
      await until(client, request, isOpen ? 'allowed' : 'read_only');
      times.push(performance.now() - publishedAt);
    }
    return times;
  } finally {
    client.close();
    await stop();
    await server.die();
  }
}

async function until(client: Client, request: object, wanted: string): Promise<void> {
  const end = performance.now() + GIVE_UP_MS;
  for (let said = await ask(client, request); said !== wanted; said = await ask(client, request))
    if (performance.now() > end) throw new Error(`policy says ${said}, and not ${wanted}`);
}

const answersOf = (isOpen: boolean): object => (isOpen ? {} : { inbound: { allow: false, reason: 'read_only' } });

function ofData(revision: number, isOpen: boolean): Promise<Buffer> {
  return echoBundle({ revision: String(revision), answers: answersOf(isOpen) });
}

/** As its author wrote it, and each time another text: it is compiled anew. */
async function ofRego(revision: number, isOpen: boolean): Promise<Buffer> {
  const [inbound, outbound, data] = await Promise.all(
    ['echo.rego', 'outbound.rego', 'data.json'].map((name) => readFile(join(ECHO, name), 'utf8')),
  );
  const { answers } = JSON.parse(data as string);
  return packBundle([
    { name: '/echo.rego', content: `${inbound}\n# ${revision}\n` },
    { name: '/outbound.rego', content: outbound as string },
    { name: '/data.json', content: JSON.stringify({ answers: { ...answers, ...answersOf(isOpen) } }) },
    { name: '/.manifest', content: JSON.stringify({ revision: String(revision) }) },
  ]);
}
