/** The admin listener: /metrics for Prometheus, /livez and /readyz for whoever keeps the process running. */
import type { Registry } from 'prom-client';
import { type HttpListener, type Page, serveHttp } from '../http-server.ts';

/** What `/readyz` shows: ready or not, and of each part how it stands. */
export interface Readiness {
  readonly ready: boolean;
  readonly [part: string]: unknown;
}

export interface AdminOptions {
  readonly listen: string;
  readonly register: Registry;
  readonly readiness: () => Readiness;
  /** Called before each scrape, for gauges that are read rather than kept. */
  readonly collect: () => void;
}

export function serveAdmin({ listen, register, readiness, collect }: AdminOptions): Promise<HttpListener> {
  return serveHttp(listen, async (path): Promise<Page | null> => {
    switch (path) {
      case '/metrics':
        collect();
        return { type: register.contentType, body: await register.metrics() };
      case '/livez':
        return { body: '{"live":true}' };
      case '/readyz': {
        const state = readiness();
        return { status: state.ready ? 200 : 503, body: JSON.stringify(state) };
      }
      default:
        return null;
    }
  });
}
