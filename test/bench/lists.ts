/**
 * What it costs to show each caller its own list, of 10, 100 and 1,000 tools: policy alone, asked in one go by a new instance
 * and by one that is warm; and a whole tools/list through a real Envoy, beside one that nobody looks into.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent } from 'undici';
import { createCertificates } from '../../examples/reference/certificate-authority.ts';
import { enterpriseLedgerTools } from '../../examples/reference/enterprise-ledger-tools.ts';
import { freePort } from '../../examples/reference/free-port.ts';
import { startEnvoy } from '../../examples/reference/gateway.ts';
import { bold, dim } from '../../examples/reference/paint.ts';
import { bringEnvoy } from '../../scripts/envoy.ts';
import { readBundle } from '../../src/bundle/bundle.ts';
import { judgeVisible, type Reader } from '../../src/check/visible.ts';
import { noFacts } from '../../src/http.ts';
import { LISTS, type ListRow } from '../../src/mcp/lists.ts';
import { readOperation } from '../../src/mcp/operation.ts';
import { OPA_DEFAULTS } from '../../src/opa/opa.ts';
import { loadPolicy, type Policy } from '../../src/policy/policy.ts';
import { publicName, type Resource } from '../../src/resource.ts';
import type { Principal } from '../../src/token/principal.ts';
import { median, type Run, type Subject } from './run.ts';
import { ORIGIN } from './world.ts';

const SIZES = [10, 100, 1000] as const;
const BUNDLE = fileURLToPath(new URL('../../policies/bundle.tar.gz', import.meta.url));
const PATH = '/enterprise-ledger/mcp';
const ASK = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}');
const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

export interface ListsOptions extends Run {
  readonly filtered: Subject;
  readonly unfiltered: Subject;
  readonly token: string;
}

type Row = Readonly<Record<'first' | 'warm' | 'unfiltered' | 'filtered', number>>;

export async function measureLists(options: ListsOptions): Promise<Record<string, Row>> {
  const { quick, say, progress } = options;
  const rounds = quick ? 50 : 400;
  say(`\n${bold('Lists')}${dim(`  (ms, medians of ${rounds}, one caller; up to 8 tools may be called; the first time: of 5)`)}`);
  say(
    `  ${'tools'.padEnd(8)}${['judged first', 'judged warm', 'unfiltered', 'filtered'].map((head) => head.padStart(14)).join('')}`,
  );
  const results: Record<string, Row> = {};
  const whole = await openWhole(options);
  try {
    for (const size of SIZES) {
      progress(`lists of ${size} tools …`);
      const row = { ...(await measureJudging(size, rounds)), ...(await whole.measure(size, rounds)) };
      results[size] = row;
      progress('');
      const cells = [row.first, row.warm, row.unfiltered, row.filtered];
      say(`  ${String(size).padEnd(8)}${cells.map((value) => value.toFixed(2).padStart(14)).join('')}`);
    }
  } finally {
    await whole.close();
  }
  return results;
}

/** Those of the ledger, and others between them that nobody may call. */
function toolsOf(size: number): { readonly name: string; readonly description: string; readonly inputSchema: object }[] {
  const inputSchema = { type: 'object', properties: { accountId: { type: 'string', description: 'Of the account.' } } };
  const known = enterpriseLedgerTools.map(({ name }) => name);
  return Array.from({ length: size }, (_, at) => ({
    name: (at % 2 === 0 ? known[at / 2] : undefined) ?? `tool_${at}`,
    description: 'What a tool is for, in a sentence or two, as servers tell it to the models that are to choose among them.',
    inputSchema,
  }));
}

async function measureJudging(size: number, rounds: number): Promise<Pick<Row, 'first' | 'warm'>> {
  const items = toolsOf(size).map((value) => ({ name: value.name, value: { ...value } }));
  const bundle = await readBundle(await readFile(BUNDLE), { maxBytes: 2 ** 25, signing: null, compile: OPA_DEFAULTS });
  const options = { workers: 2, timeoutMs: 10_000, maxMemoryBytes: 2 ** 26, maxTtlSeconds: 5, now: Date.now };
  const load = () => loadPolicy(bundle, options);
  const judge = async (policy: Policy): Promise<number> => {
    const start = performance.now();
    const shown = await judgeVisible(reader(), LISTS.get('tools/list') as ListRow, items, portsOf(policy));
    const took = performance.now() - start;
    if (!shown.ok || !shown.value.includes(true) || !shown.value.includes(false)) throw new Error('the list was not judged');
    return took;
  };
  const firsts: number[] = [];
  for (let round = 0; round < 5; round++) {
    const policy = await load();
    firsts.push(await judge(policy));
    await policy.close();
  }
  const policy = await load();
  for (let round = 0; round < 20; round++) await judge(policy);
  const later: number[] = [];
  for (let round = 0; round < rounds; round++) later.push(await judge(policy));
  await policy.close();
  return { first: medianOf(firsts), warm: medianOf(later) };
}

function portsOf(policy: Policy) {
  return { policy: () => policy, now: Date.now, policyHeaders: [], showsStepUp: true, views: () => null, approvals: () => null };
}

function reader(): Reader {
  const headers = new Map(Object.entries(JSON_HEADERS).map(([name, value]) => [name, [value]]));
  const http = { ...noFacts(), method: 'POST', path: PATH, headers, body: ASK, statedSize: ASK.length, timeMs: Date.now() };
  const operation = readOperation(http, { maxBytes: 65_536, maxDepth: 64, maxMembers: 64 });
  if (!operation.ok) throw new Error(operation.denial.reason);
  return { http, resource: LEDGER, operation: operation.value, principal: USER };
}

const LEDGER: Resource = {
  name: 'enterprise-ledger',
  path: PATH,
  publicNames: [publicName(ORIGIN + PATH)],
  audiences: new Set([ORIGIN + PATH]),
  issuers: new Set(),
  scopesSupported: [],
  challengeScopes: [],
  strict: false,
  delegation: 'mint',
  tools: new Map(),
  documentation: null,
  url: null,
  members: [],
};

const USER: Principal = {
  issuer: 'https://as.example',
  subject: 'user-0',
  clientId: 'claude-code',
  scopes: ['ledger:read', 'ledger:write', 'pii:read', 'audit:read'],
  audience: [ORIGIN + PATH],
  actor: [],
  claims: { roles: ['analyst', 'auditor'], tenant: 'acme' },
  expiresAt: 4_000_000_000,
  tokenId: 'token-0',
  binding: null,
};

/** Two Envoys, each with its sidecar, in front of one backend. */
async function openWhole({ dir, filtered, unfiltered, token, say }: ListsOptions) {
  const binary = await bringEnvoy(say);
  let answer = '';
  const backend = createServer((request, response) => {
    request.resume();
    response.setHeader('content-type', 'application/json').end(answer);
  });
  await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
  const { port } = backend.address() as AddressInfo;
  const certificates = await createCertificates({ dir, hosts: ['localhost'] });
  const agent = new Agent({ connect: { ca: certificates.caPem }, connections: 1 });
  const start = async (name: string, { ready }: Subject) => {
    const home = join(dir, `envoy-${name}-lists`);
    await mkdir(home);
    return startEnvoy({
      dir: home,
      binary,
      port: await freePort(),
      authz: ready.target,
      backends: { enterprise_ledger: port, employee_directory: port },
      certFile: certificates.certFile,
      keyFile: certificates.keyFile,
    });
  };
  const envoys = { unfiltered: await start('unfiltered', unfiltered), filtered: await start('filtered', filtered) };

  async function askOnce(at: number): Promise<{ readonly took: number; readonly text: string }> {
    const begun = performance.now();
    const headers = { ...JSON_HEADERS, authorization: `Bearer ${token}` };
    const { statusCode, body } = await agent.request({
      origin: `https://localhost:${at}`,
      method: 'POST',
      path: PATH,
      headers,
      body: ASK,
    });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`a list was answered ${statusCode}`);
    return { took: performance.now() - begun, text };
  }

  async function measure(size: number, rounds: number): Promise<Pick<Row, 'filtered' | 'unfiltered'>> {
    answer = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools: toolsOf(size) } });
    const samples = { unfiltered: [] as number[], filtered: [] as number[] };
    for (const name of ['unfiltered', 'filtered'] as const) {
      for (let round = 0; round < 20; round++) {
        const { text } = await askOnce(envoys[name].port);
        if ((text === answer) !== (name === 'unfiltered'))
          throw new Error(`a list was ${text === answer ? 'not ' : ''}filtered: ${name}`);
      }
    }
    for (let round = 0; round < rounds; round++) {
      for (const name of ['unfiltered', 'filtered'] as const) samples[name].push((await askOnce(envoys[name].port)).took);
    }
    return { unfiltered: medianOf(samples.unfiltered), filtered: medianOf(samples.filtered) };
  }

  const close = async () => {
    await agent.close();
    await envoys.unfiltered.stop();
    await envoys.filtered.stop();
    backend.close();
  };
  return { measure, close };
}

function medianOf(samples: readonly number[]): number {
  return Math.round(median(samples) * 100) / 100;
}
