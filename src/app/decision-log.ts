/** The decision log of a process, put together from the configuration: which sinks, what lines show, masks, the chain. */
import { createPrivateKey, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import type { Config } from '../config.ts';
import { type ChainEnd, createChain } from '../decision-log/chain.ts';
import { createDecisionLog, type DecisionLog } from '../decision-log/decision-log.ts';
import { openDiskBuffer } from '../decision-log/disk-buffer.ts';
import { createMemoryBuffer } from '../decision-log/line-buffer.ts';
import { createMask, type MaskPolicy } from '../decision-log/masking.ts';
import { createRecordWrap, judgeRecords } from '../decision-log/otlp.ts';
import { createRedact } from '../decision-log/redaction.ts';
import { createShipper } from '../decision-log/shipper.ts';
import type { LogSink, OnLost } from '../decision-log/sink.ts';
import { judgeUpload, wrapEvents } from '../decision-log/upload.ts';
import { createService, type Service } from '../services/service.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { describeCause } from '../telemetry/redact.ts';
import { VERSION } from '../version.ts';
import { openLogFile } from './log-file.ts';

export interface DecisionLogParts {
  readonly log: Log;
  /** Null for a command, which nobody scrapes. */
  readonly metrics: Metrics | null;
  /** The policy in force, for masks. */
  readonly policy: () => MaskPolicy | null;
  /** What `-` means. */
  readonly standard: Writable;
}

type Labels = Readonly<Record<string, string>> & Readonly<Record<'id' | 'version', string>>;

export interface OpenDecisionLog extends Pick<DecisionLog, 'write' | 'writeShadow' | 'isFull'> {
  /** Who writes; the status says the same. */
  readonly labels: Labels;
  /** Gauges that are read when somebody looks. */
  readonly collect: () => void;
  /** Of lines for a service; null while they arrive. */
  readonly lastUploadFailure: () => { readonly message: string; readonly httpCode: number | null } | null;
  /** Resolves when every line has left the process, or cannot. */
  readonly end: () => Promise<void>;
}

const END_MS = 5000;
const TELL_EVERY_MS = 60_000;

/** Rejects where a file, a directory or a key cannot be used. */
export async function openDecisionLog(config: Config, parts: DecisionLogParts): Promise<OpenDecisionLog> {
  const settings = config.decisionLog;
  const { metrics } = parts;
  const labels: Labels = { ...config.labels, id: randomUUID(), version: VERSION };
  const tell = createTold(parts.log);
  const onLost: OnLost = (sink, reason, count) => {
    metrics?.logDropped.inc({ sink, reason }, count);
    if (reason !== 'broken') tell('error', 'the decision log lost lines', { sink, reason });
  };
  const services: Service[] = [];
  const sinks: LogSink[] = [];
  const close = (): Promise<unknown> =>
    Promise.all([...sinks.map((sink) => sink.close(0)), ...services.map((one) => one.close())]);
  try {
    const file = await openLogFile(settings, parts, onLost);
    if (file !== null) sinks.push(file.sink);
    for (const name of ['upload', 'otlp'] as const) {
      const given = settings[name];
      if (given === undefined) continue;
      const service = openService(config, given.service);
      services.push(service);
      const { wrap, judge } =
        name === 'upload'
          ? { wrap: wrapEvents, judge: judgeUpload }
          : { wrap: createRecordWrap(labels, Date.now), judge: judgeRecords };
      const onDamaged = (count: number): void => onLost(name, 'damaged', count);
      // A command may run beside the sidecar, whose directory that is.
      const directory = metrics === null ? undefined : given.bufferDirectory;
      const buffer = directory === undefined ? createMemoryBuffer() : await openDiskBuffer({ directory, onDamaged });
      for (const outcome of ['ok', 'failed', 'refused']) metrics?.logUploads.inc({ sink: name, outcome }, 0);
      const onUpload = (outcome: string, cause?: unknown): void => {
        metrics?.logUploads.inc({ sink: name, outcome });
        if (outcome !== 'ok')
          tell('warn', 'decision-log lines could not be sent', { sink: name, outcome, cause: describeCause(cause) });
      };
      sinks.push(createShipper({ ...given, name, service, buffer, wrap, judge, onUpload, onLost }));
    }
    const decisionLog = createDecisionLog({
      sinks,
      labels,
      maxBufferedBytes: settings.maxBufferedBytes,
      requireRecord: settings.requireRecord,
      redact: createRedact(settings),
      mask: createMask({
        policy: parts.policy,
        now: Date.now,
        onFailure: (rule, cause) => {
          metrics?.logMaskFailures.inc({ rule });
          tell('error', 'policy could not mask an event of the decision log', { rule, cause: describeCause(cause) });
        },
      }),
      chain: await openChain(settings, labels, file?.before ?? null),
      onLines: (outcome, count) => metrics?.logLines.inc({ outcome }, count),
      onFailure: (cause) => tell('error', 'the decision log lost lines', { cause: describeCause(cause) }),
    });
    return {
      labels,
      write: decisionLog.write,
      writeShadow: decisionLog.writeShadow,
      isFull: decisionLog.isFull,
      collect: () => {
        for (const { name, buffered } of sinks) metrics?.logBuffered.set({ sink: name }, buffered());
      },
      lastUploadFailure: () => null,
      end: async () => {
        await decisionLog.end(END_MS);
        await Promise.all(services.map((service) => service.close()));
      },
    };
  } catch (cause) {
    await close();
    throw cause;
  }
}

function openService({ services }: Config, name: string): Service {
  const settings = services.find((service) => service.name === name);
  if (settings === undefined) throw new Error(`${name} is not among services`);
  return createService(settings);
}

async function openChain({ chain }: Config['decisionLog'], labels: Labels, continues: ChainEnd | null) {
  if (chain === undefined) return undefined;
  const key = createPrivateKey(await readFile(chain.keyFile));
  return {
    links: createChain({ ...chain, id: labels.id, key, labels, continues, now: Date.now }),
    checkpointMs: chain.checkpointMs,
  };
}

/** The same trouble is told once a minute: it comes with every line. */
function createTold(log: Log): Log {
  const told = new Map<string, number>();
  return (level, message, fields = {}) => {
    const key = `${message} ${fields.sink} ${fields.reason} ${fields.rule}`;
    const now = performance.now();
    if (now - (told.get(key) ?? Number.NEGATIVE_INFINITY) < TELL_EVERY_MS) return;
    told.set(key, now);
    log(level, message, fields);
  };
}
