/**
 * The service of Envoy's ext_proc filter: one stream for each HTTP exchange. Whatever goes wrong ends the stream with a gRPC
 * error, on which Envoy answers 500 or resets. Never with OK before Envoy has ended its own side: that would let the rest pass
 * unprocessed.
 */
import { type GrpcObject, type ServerDuplexStream, type ServiceDefinition, status } from '@grpc/grpc-js';
import { loadProto, type Service } from '../ext-authz/server.ts';
import type { ProcessingRequest } from '../gen/envoy/service/ext_proc/v3/ProcessingRequest.ts';
import type { ProtoGrpcType } from '../gen/external_processor.ts';
import { beginConversation, type Conversation } from './conversation.ts';
import type { OpenExchange } from './exchange.ts';
import { readMessage } from './messages.ts';

export interface ExtProcOptions {
  readonly open: OpenExchange;
  /** Streams under way at once; what exceeds it is refused. A stream lasts as long as the answer it processes. */
  readonly maxInFlight: number;
  /** Why an exchange was given up; once for each. */
  readonly onFailure: (cause: unknown) => void;
  readonly onInFlight?: (count: number) => void;
}

export const EXT_PROC_NAME = 'envoy.service.ext_proc.v3.ExternalProcessor';

export function loadExternalProcessor(): ProtoGrpcType['envoy']['service']['ext_proc']['v3']['ExternalProcessor'] {
  const root = loadProto('envoy/service/ext_proc/v3/external_processor.proto') as GrpcObject & ProtoGrpcType;
  return root.envoy.service.ext_proc.v3.ExternalProcessor;
}

type Call = ServerDuplexStream<Buffer, Buffer>;

/** For `startServer`. */
export function extProcService(options: ExtProcOptions): Service {
  const { Process } = loadExternalProcessor().service;
  const asIs = (bytes: Buffer): Buffer => bytes;
  // Read and written here and not by grpc-js, so that a failure of either is one of the exchange.
  const definition: ServiceDefinition = { Process: { ...Process, requestDeserialize: asIs, responseSerialize: asIs } };
  const answer = async (converse: Conversation, bytes: Buffer): Promise<Buffer> => {
    // Its declared type is that of messages we send.
    const message = Process.requestDeserialize(bytes) as ProcessingRequest;
    return Process.responseSerialize(await converse.answer(readMessage(message)));
  };
  return { name: EXT_PROC_NAME, definition, implementation: { Process: processHandler(options, answer) } };
}

function processHandler(
  { open, maxInFlight, onFailure, onInFlight }: ExtProcOptions,
  answer: (converse: Conversation, bytes: Buffer) => Promise<Buffer>,
): (call: Call) => void {
  let inFlight = 0;
  const count = (change: 1 | -1): void => {
    inFlight += change;
    onInFlight?.(inFlight);
  };

  return function Process(call) {
    let converse: Conversation | null = null;
    let failed = false;
    let closed = false;
    /** One message after the other, and none is read before the one before is answered. */
    let answering = Promise.resolve();

    function fail(code: status, details: string, cause: unknown): void {
      failed = true;
      converse = null;
      // grpc-js ends the stream with it. What went wrong is for the log and not for Envoy's.
      call.emit('error', { code, details });
      onFailure(cause);
    }

    async function take(bytes: Buffer): Promise<void> {
      if (failed || closed) return;
      try {
        converse ??= beginConversation(open());
        const reply = await answer(converse, bytes);
        if (!closed && !call.write(reply)) await drained(call);
      } catch (cause) {
        fail(status.INTERNAL, 'the exchange cannot be processed', cause);
      }
    }

    count(1);
    // However a stream ends, grpc-js destroys it in the end.
    call.once('close', () => {
      closed = true;
      try {
        converse?.end();
      } catch (cause) {
        onFailure(cause);
      }
      count(-1);
    });
    call.on('data', (bytes: Buffer) => {
      call.pause();
      answering = answering.then(() => take(bytes)).then(() => void call.resume());
    });
    call.once('end', () => {
      answering.then(() => {
        if (!failed) call.end();
      });
    });
    if (inFlight > maxInFlight) {
      fail(status.RESOURCE_EXHAUSTED, 'too many exchanges', new Error(`more than ${maxInFlight} exchanges under way`));
    }
  };
}

/** Nothing piles up here for an Envoy that does not read. */
function drained(call: Call): Promise<void> {
  return new Promise((resolve) => {
    call.once('drain', resolve).once('close', resolve);
  });
}
