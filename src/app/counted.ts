/** A way of delegation with its counts: what a token was asked for, what came of it and how long it took. */
import type { Config } from '../config.ts';
import type { Delegate } from '../delegation/delegation.ts';
import type { Metrics } from '../telemetry/metrics.ts';

const OUTCOMES = {
  exchange_refused: 'refused',
  exchange_invalid: 'invalid',
  exchange_timeout: 'timeout',
  exchange_unavailable: 'unavailable',
  mint_failed: 'unavailable',
} as const;

export function counted(
  mode: 'exchange' | 'mint',
  make: Delegate,
  { delegations, exchangeDuration }: Metrics,
  { resources, delegation }: Config,
): Delegate {
  for (const resource of resources.filter((one) => (one.delegation ?? delegation.mode) === mode)) {
    for (const outcome of ['ok', ...Object.values(OUTCOMES)]) delegations.inc({ mode, backend: resource.name, outcome }, 0);
  }

  return (request) => {
    const start = performance.now();
    const count = (result: Awaited<ReturnType<Delegate>>): typeof result => {
      const outcome = result.ok ? 'ok' : OUTCOMES[result.denial.reason as keyof typeof OUTCOMES];
      delegations.inc({ mode, backend: request.backend, outcome });
      if (mode === 'exchange') exchangeDuration.observe({ outcome }, (performance.now() - start) / 1000);
      return result;
    };
    const result = make(request);
    return result instanceof Promise ? result.then(count) : count(result);
  };
}
