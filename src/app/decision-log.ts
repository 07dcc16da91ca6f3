/** The decision log of a process, put together from the configuration: which sinks, what lines show, masks, the chain. */
import { createPrivateKey, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import type { Config } from '../config.ts';
import { createChain } from '../decision-log/chain.ts';
import { verifyByKey } from '../decision-log/checkpoint-keys.ts';
import { createDecisionLog, type DecisionLog } from '../decision-log/decision-log.ts';
import { openDiskBuffer } from '../decision-log/disk-buffer.ts';
import { createMemoryBuffer } from '../decision-log/line-buffer.ts';
import { createMask, type MaskPolicy } from '../decision-log/masking.ts';
import { createRecordWrap, judgeRecords } from '../decision-log/otlp.ts';
import { createRedact } from '../decision-log/redaction.ts';
import { createShipper, UploadRefused } from '../decision-log/shipper.ts';
import type { LogSink, OnLost, SinkName } from '../decision-log/sink.ts';
import { judgeUpload, wrapEvents } from '../decision-log/upload.ts';
import { createService, type Service } from '../services/service.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { describeCause } from '../telemetry/redact.ts';
import { VERSION } from '../version.ts';
import { type LogFileParts, openLogFile } from './log-file.ts';
import { createToldLog } from './told-log.ts';

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
  /** Why the last request with lines to a service failed; null where it did not. Safe to show. */
  readonly lastUploadFailure: () => LastUploadFailure | null;
  /** Resolves when every line has left the process, or cannot. */
  readonly end: () => Promise<void>;
}

export interface LastUploadFailure {
  readonly message: string;
  /** Null where there was no answer. */
  readonly httpCode: number | null;
}

const END_MS = 5000;

/** Rejects where a file, a directory or a key cannot be used. */
export async function openDecisionLog(config: Config, parts: DecisionLogParts): Promise<OpenDecisionLog> {
  const settings = config.decisionLog;
  const { metrics } = parts;
  const labels: Labels = { ...config.labels, id: randomUUID(), version: VERSION };
  const tell = createToldLog(parts.log, () => performance.now());
  const onLost: OnLost = (sink, reason, count) => {
    metrics?.logDropped.inc({ sink, reason }, count);
    // A file that is broken has said so itself.
    if (sink !== 'file' || reason !== 'broken')
      tell({ level: 'error', message: 'the decision log lost lines', fields: { sink, reason } });
  };
  const failures = new Map<SinkName, LastUploadFailure>();
  const services: Service[] = [];
  const sinks: LogSink[] = [];
  const close = (): Promise<unknown> =>
    Promise.all([...sinks.map((sink) => sink.close(0)), ...services.map((one) => one.close())]);
  try {
    const { file, chain } = await openChainedFile(config, labels, { ...parts, tell, onLost });
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
        if (outcome === 'ok') {
          failures.delete(name);
          return;
        }
        failures.set(name, failureOf(cause));
        tell({ level: 'warn', message: 'decision-log lines could not be sent', fields: { sink: name, outcome }, cause });
      };
      const onUnkept = (cause: unknown): void =>
        tell({ level: 'error', message: 'decision-log lines wait in memory: their buffer fails', fields: { sink: name }, cause });
      const { maxBufferedBytes: maxUnkeptBytes } = settings;
      const told = { onUpload, onUnkept, onLost };
      sinks.push(createShipper({ ...given, name, service, buffer, maxUnkeptBytes, wrap, judge, ...told }));
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
          tell({ level: 'error', message: 'policy could not mask an event of the decision log', fields: { rule }, cause });
        },
      }),
      chain,
      onLines: (outcome, count) => metrics?.logLines.inc({ outcome }, count),
      onFailure: (cause) => tell({ level: 'error', message: 'the decision log lost lines', cause }),
    });
    return {
      labels,
      write: decisionLog.write,
      writeShadow: decisionLog.writeShadow,
      isFull: decisionLog.isFull,
      collect: () => {
        for (const { name, buffered } of sinks) metrics?.logBuffered.set({ sink: name }, buffered());
      },
      lastUploadFailure: () => failures.get('upload') ?? failures.get('otlp') ?? null,
      end: async () => {
        await decisionLog.end(END_MS);
        chain?.tellEnd();
        await Promise.all(services.map((service) => service.close()));
      },
    };
  } catch (cause) {
    await close();
    throw cause;
  }
}

function failureOf(cause: unknown): LastUploadFailure {
  const answered = cause instanceof UploadRefused;
  return { message: answered ? cause.message : describeCause(cause), httpCode: answered ? cause.status : null };
}

function openService({ services }: Config, name: string): Service {
  const settings = services.find((service) => service.name === name);
  if (settings === undefined) throw new Error(`${name} is not among services`);
  return createService(settings);
}

/** The file, if there is one, and the chain that goes on from its end, if one is wanted. */
async function openChainedFile(
  { decisionLog }: Config,
  labels: OpenDecisionLog['labels'],
  parts: DecisionLogParts & LogFileParts,
) {
  const { chain } = decisionLog;
  if (chain === undefined) return { file: await openLogFile(decisionLog, parts) };
  const key = createPrivateKey(await readFile(chain.keyFile));
  const file = await openLogFile(decisionLog, { ...parts, verify: verifyByKey(key) });
  const continues = file?.before ?? null;
  // A command may run beside the sidecar, whose chain goes on.
  const isCommand = parts.metrics === null;
  const log: Log = isCommand ? () => undefined : parts.log;
  if (continues?.ended === false) {
    const { id, seq, signed } = continues;
    const message = 'the decision log before did not end: its process was killed or still runs, or lines were cut off or forged';
    log('warn', message, { chain: id, seq, signed });
  }
  const links = createChain({ ...chain, id: labels.id, key, labels, continues, isCommand, now: Date.now });
  // Outside of the log itself: what is cut off it later is known by this.
  const tellEnd = (): void => log('info', 'the decision log has ended', { last: links.last() });
  return { file, chain: { links, checkpointMs: chain.checkpointMs, tellEnd } };
}
