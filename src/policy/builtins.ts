/**
 * The Rego built-ins that a policy compiled to wasm asks its host for, beyond those the SDK has. What is
 * neither here nor there is missing on purpose (network, key material, verification: what may be relied on
 * is in the input), and a bundle that needs it is to be refused when it is loaded.
 *
 * As in OPA, a call with a wrong type or a malformed value is undefined. A call throws only where it would
 * cost too much or could not be exact; that ends the evaluation, and the message names the reason.
 */
import type { Builtin } from './builtins/arguments.ts';
import { duration } from './builtins/duration.ts';
import { encoding } from './builtins/encoding.ts';
import { globs } from './builtins/globs.ts';
import { graph } from './builtins/graph.ts';
import { json } from './builtins/json.ts';
import { patch } from './builtins/json-patch.ts';
import { jwt } from './builtins/jwt.ts';
import { net } from './builtins/net.ts';
import { numbers } from './builtins/numbers.ts';
import { objects } from './builtins/object.ts';
import { oncePer, randomness } from './builtins/randomness.ts';
import { regex } from './builtins/regex.ts';
import { semver } from './builtins/semver.ts';
import { strings } from './builtins/strings.ts';
import { time } from './builtins/time.ts';
import { uri } from './builtins/uri.ts';
import { uuid } from './builtins/uuid.ts';
import { createWire, type Instance, type Wire } from './builtins/wire.ts';

/** The built-ins @open-policy-agent/opa-wasm 1.10.0 brings itself; it prefers them to ours. */
export const suppliedByTheSdk: readonly string[] = [
  'json.is_valid',
  'sprintf',
  'yaml.is_valid',
  'yaml.marshal',
  'yaml.unmarshal',
];

export type Builtins = Readonly<Record<string, Builtin>>;

const wires = new WeakMap<Builtins, Wire>();

/** By name, for the SDK's loadPolicy. `now` is the time in milliseconds since 1970. */
export function createBuiltins(now: () => number): Builtins {
  const wire = createWire();
  const once = oncePer(wire.evaluation);
  const families = [
    time(() => once('now', now) ?? now(), wire),
    duration,
    jwt,
    json,
    patch(wire),
    objects(wire),
    semver,
    regex,
    globs,
    numbers,
    uuid,
    strings,
    encoding,
    uri,
    net(wire),
    graph,
    randomness(once),
  ];
  const builtins: Builtins = Object.freeze(Object.assign(Object.create(null), ...families));
  wires.set(builtins, wire);
  return builtins;
}

/**
 * Lets sets and large integers pass between these functions and an instance the SDK has loaded with them,
 * and makes time, random numbers and UUIDs the same throughout one evaluation. Call it before the instance
 * evaluates: without it a built-in that would return a set ends the evaluation, as does one whose answer
 * depends on whether an argument is a set, and those that draw at random.
 */
export function connectBuiltins(builtins: Builtins, instance: Instance): void {
  wires.get(builtins)?.connect(instance);
}
