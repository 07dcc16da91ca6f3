/**
 * `mcp-ext-authz catalog show|diff|approve`: asks the backends now, as the gateway, and compares with what was approved.
 * Nothing is approved unless everything that was asked for could be had.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { type Approvals, type ApprovedTool, parseApprovals, writeApprovals } from '../catalog/approvals.ts';
import { askBackend } from '../catalog/asking.ts';
import type { BackendView, CatalogTool } from '../catalog/view.ts';
import type { Config } from '../config.ts';
import type { Log } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { describeCause } from '../telemetry/redact.ts';
import { VERSION } from '../version.ts';
import { backendsOf, MAX_CATALOG_BYTES } from './backends.ts';
import { createPaint, currentDefinition, describeDifferences, describeView, differences } from './catalog-report.ts';
import { openOwnLog } from './own-log.ts';
import { buildLive } from './ports.ts';

const VERBS = ['show', 'diff', 'approve'] as const;

export type CatalogVerb = (typeof VERBS)[number];

export function isCatalogVerb(word: string): word is CatalogVerb {
  return VERBS.some((verb) => verb === word);
}

export interface CatalogOutput {
  readonly out: Writable & { readonly isTTY?: boolean };
  readonly log: Log;
  /** What is shown is for programs: `policy check --catalog` reads it. */
  readonly json?: boolean;
}

type Offered = ReadonlyMap<string, BackendView>;

/** The exit code: 0, or 1 where `diff` found something. Rejects where a backend or the file cannot be used. */
export async function runCatalog(
  verb: CatalogVerb,
  config: Config,
  names: readonly string[],
  { out, log, json = false }: CatalogOutput,
): Promise<number> {
  const paint = createPaint(out.isTTY === true);
  const chosen = names.map(readChosen);
  const file = verb === 'show' ? '' : pinningFile(config);
  const offered = await askBackends(config, new Set(chosen.map(([backend]) => backend)), log);
  if (verb === 'show') {
    if (json) out.write(writeDefinitions(offered));
    else for (const [backend, view] of offered) out.write(describeView(backend, view, paint));
    return 0;
  }
  const approvals = await readIfThere(file);
  const found = [...offered].map(([backend, view]) => ({ backend, view, changes: differences(backend, view, approvals) }));
  if (verb === 'diff') {
    for (const { backend, changes } of found) out.write(describeDifferences(backend, changes, paint));
    return found.some(({ changes }) => changes.length > 0) ? 1 : 0;
  }
  const approved = chosen.length === 0 ? [...offered.keys()].map((backend) => [backend] as [string]) : chosen;
  const next = approve(approvals, offered, approved, new Date().toISOString().slice(0, 10));
  await writeFile(`${file}.new`, writeApprovals(next));
  await rename(`${file}.new`, file);
  for (const { backend, view } of found) {
    const changes = differences(backend, view, approvals).filter(
      ({ tool }) => approvals.get(backend)?.get(tool)?.fingerprint !== next.get(backend)?.get(tool)?.fingerprint,
    );
    out.write(describeDifferences(backend, changes, paint));
  }
  out.write(`approved in ${file}\n`);
  return 0;
}

/** The name of a backend has no colon, that of a tool may. */
function readChosen(name: string): [backend: string, tool?: string] {
  const colon = name.indexOf(':');
  return colon < 0 ? [name] : [name.slice(0, colon), name.slice(colon + 1)];
}

function pinningFile({ catalog }: Config): string {
  if (catalog.pinning === undefined) throw new Error('catalog.pinning.file is not set: there is no file of approved tools');
  return catalog.pinning.file;
}

async function readIfThere(file: string): Promise<Approvals> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return null;
    throw cause;
  });
  return text === null ? new Map() : parseApprovals(text);
}

/** In the shape of the file of approved tools, without its approvals. */
function writeDefinitions(offered: Offered): string {
  const backends = [...offered].map(([backend, { tools }]) => [
    backend,
    Object.fromEntries([...tools].map(([name, tool]) => [name, { definition: currentDefinition(tool) }])),
  ]);
  return `${JSON.stringify({ version: 1, backends: Object.fromEntries(backends) }, null, 2)}\n`;
}

/** As the gateway, now. @param only names of backends; all that have a url where there are none. */
export async function askBackends(config: Config, only: ReadonlySet<string>, log: Log): Promise<Offered> {
  const ownLog = await openOwnLog(config);
  const known = config.resources.filter(({ url }) => url !== undefined).map(({ name }) => name);
  const strangers = [...only].filter((name) => !known.includes(name));
  if (strangers.length > 0) throw new Error(`no backend with a url is called ${strangers.join(', ')}`);
  const live = await buildLive(config, { metrics: createMetrics(VERSION), log }, null);
  try {
    const backends = backendsOf(config, { live: () => live, observe: ownLog.observe });
    const asked = backends.filter(({ name }) => only.size === 0 || only.has(name));
    const told = await Promise.all(
      asked.map(async ({ name, connect }): Promise<[string, BackendView]> => {
        const limits = { ...config.catalog, maxBytes: MAX_CATALOG_BYTES };
        const answer = await askBackend(connect(), limits, new AbortController().signal).catch((cause: unknown) => {
          throw new Error(`${name}: ${describeCause(cause)}`);
        });
        return [name, answer.view];
      }),
    );
    return new Map(told);
  } finally {
    await live.close();
    await ownLog.close();
  }
}

/** A backend by itself: as it is now, without what it no longer offers. With a tool: that tool alone. */
function approve(
  approvals: Approvals,
  offered: Offered,
  chosen: readonly (readonly [backend: string, tool?: string])[],
  today: string,
): Approvals {
  const next = new Map([...approvals].map(([backend, tools]) => [backend, new Map(tools)]));
  for (const [backend, tool] of chosen) {
    const view = offered.get(backend) as BackendView;
    const before = approvals.get(backend) ?? new Map<string, ApprovedTool>();
    const approveNow = (current: CatalogTool): ApprovedTool => {
      const known = before.get(current.name);
      if (known?.fingerprint === current.fingerprint) return known;
      return { fingerprint: current.fingerprint, approved: today, definition: currentDefinition(current) };
    };
    if (tool === undefined) {
      next.set(backend, new Map([...view.tools.values()].map((current) => [current.name, approveNow(current)])));
      continue;
    }
    const current = view.tools.get(tool);
    if (current === undefined && !before.has(tool)) throw new Error(`${backend} offers no tool ${tool}`);
    const tools = next.get(backend) ?? new Map<string, ApprovedTool>();
    tools.delete(tool);
    if (current !== undefined) tools.set(tool, approveNow(current));
    next.set(backend, tools);
  }
  return next;
}
