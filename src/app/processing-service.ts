/** ext_proc's service, tied to the configuration in force, to log and metrics. */
import type { Verdict } from '../check/authorize.ts';
import type { Service } from '../ext-authz/server.ts';
import { extProcService } from '../ext-proc/server.ts';
import { createProcessing, type ProcessingPorts } from '../processing/processing.ts';
import { describeCause } from '../telemetry/redact.ts';
import type { Live, Observers } from './ports.ts';

export interface ProcessingOptions extends Observers {
  readonly live: () => Live;
  /** Called once for each request that is refused after its Check. */
  readonly observe: (verdict: Verdict) => void;
  readonly maxInFlight: number;
}

export function processingService({ live, observe, maxInFlight, metrics, log }: ProcessingOptions): Service {
  const open = createProcessing(() => processingPorts(live()), {
    onRefused: (verdict) => {
      observe(verdict);
      const { reason, cause, facts } = verdict;
      if (reason !== 'backend_unavailable') return;
      const backend = facts.resource?.name ?? '';
      metrics.frontDoorFailures.inc({ backend });
      log('warn', 'a backend behind the front door is out of reach', { backend, cause: describeCause(cause) });
    },
    onList: (backend, { row, shown, hidden }) => {
      metrics.listItems.inc({ backend, list: row.member, outcome: 'shown' }, shown);
      metrics.listItems.inc({ backend, list: row.member, outcome: 'hidden' }, hidden);
    },
  });
  return extProcService({
    open,
    maxInFlight,
    onInFlight: (count) => metrics.processing.set(count),
    onFailure: (cause) => {
      metrics.processingFailures.inc();
      log('error', 'an exchange was given up in ext_proc', { cause: describeCause(cause) });
    },
  });
}

/** Throws where answers are not to be processed: an exchange that comes nevertheless ends. */
function processingPorts({ config: { processing }, ports }: Live): ProcessingPorts {
  const { sealer } = ports;
  if (processing === undefined || sealer === null) throw new Error('the configuration has no section processing');
  return {
    ...ports,
    sealer,
    showsStepUp: processing.stepUpItems === 'show',
    maxAnswerBytes: processing.maxAnswerBytes,
    maxListItems: processing.maxListItems,
  };
}
