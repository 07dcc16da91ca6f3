/** Further listeners beside the one of envoy/envoy.yaml: the same but for one thing, to see what becomes of it. */

type Tree = Record<string, any>;

/** The parts of a listener that tests take apart. */
export interface ListenerParts {
  readonly manager: Tree;
  readonly filters: Tree[];
  readonly extAuthz: Tree;
  readonly routes: Tree[];
}

/** Puts a copy of the edge listener on another port, changed. For `adjustEnvoy`. */
export function addListener(config: Tree, name: string, port: number, change: (parts: ListenerParts) => void): void {
  const copy = structuredClone(config.static_resources.listeners[0]) as Tree;
  copy.name = name;
  copy.address.socket_address.port_value = port;
  const parts = partsOf(copy);
  parts.manager.stat_prefix = name;
  change(parts);
  config.static_resources.listeners.push(copy);
}

export function partsOf(listener: Tree): ListenerParts {
  const manager = listener.filter_chains[0].filters[0].typed_config as Tree;
  const filters = manager.http_filters as Tree[];
  const extAuthz = filters.find(({ name }) => name === 'envoy.filters.http.ext_authz')?.typed_config as Tree;
  return { manager, filters, extAuthz, routes: manager.route_config.virtual_hosts[0].routes };
}
