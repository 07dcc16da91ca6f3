/** Lines as OPA uploads decision logs: gzipped JSON arrays of events. */
import type { ServiceResponse } from '../services/service.ts';
import type { Receipt } from './shipper.ts';

export function wrapEvents(lines: readonly string[]): string {
  return `[${lines.join(',')}]`;
}

/** Whatever is no success is tried again, as OPA does; but what is too large would be too large again. */
export function judgeUpload({ status }: ServiceResponse): Receipt {
  if (status >= 200 && status < 300) return { taken: true, refused: 0 };
  return status === 413 ? { taken: 'too_large' } : { taken: false, cause: `the service answered ${status}` };
}
