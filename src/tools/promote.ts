/** `mcp-ext-authz policy promote`: puts the candidate beside the policy in force in its place. */
import { readConfigFile } from '../app/config-file.ts';
import { giveOrder } from '../app/order-command.ts';
import { isObject } from '../mcp/message.ts';
import { EXIT, type Io, readArguments, ToolError, UsageError } from './io.ts';

export const HELP = `mcp-ext-authz policy promote --config FILE [--revision REVISION]

Puts the bundle of policy.shadow in force in place of the policy that is, under the rules of policy.signing. The order goes
through policy.persistDirectory to the sidecar that runs; at each replica on its own.

  --revision REVISION   only where the candidate is that one: what was reviewed, and not what came since. Without it the one
                        that /readyz shows now, where admin.listen answers

  0 in force    1 the sidecar refused, and its log says why    2 no sidecar took the order, or no configuration
`;

const OPTIONS = { config: { type: 'string', short: 'c' }, revision: { type: 'string' } } as const;
const PATIENCE_MS = 2000;

export async function run(args: readonly string[], { out }: Io): Promise<number> {
  const { values } = readArguments(args, OPTIONS, 0);
  if (values.config === undefined) throw new UsageError('give --config FILE');
  if (values.revision === '') throw new UsageError('--revision: is empty');
  const { admin } = await readConfigFile(values.config);
  const candidate = await askCandidate(admin.listen);
  const revision = values.revision ?? candidate;
  if (candidate !== null) out.write(`the candidate is ${candidate}\n`);
  if (candidate !== null && candidate !== revision) {
    out.write(`that is not ${revision}: nothing was promoted\n`);
    return EXIT.found;
  }
  const { taken, before, after } = await giveOrder(values.config, {
    order: 'promote',
    ...(revision === null ? {} : { revision }),
  });
  if (!taken) throw new ToolError('no sidecar has taken the order, and it was taken back');
  const [was, is] = [before.history.at(-1), after.history.at(-1)];
  if (is === undefined || is.digest === was?.digest) {
    const why = revision === null ? '' : `, is not ${revision}`;
    out.write(
      `in force is ${is?.revision ?? 'nothing'}, as before: the candidate was in force already${why}, or was refused; see the log\n`,
    );
    return EXIT.found;
  }
  out.write(`${is.revision} is in force\n`);
  return EXIT.fine;
}

/** Null where nobody answers, or there is none: the sidecar that gets the order knows. */
async function askCandidate(listen: string): Promise<string | null> {
  try {
    const response = await fetch(`http://${listen}/readyz`, { signal: AbortSignal.timeout(PATIENCE_MS) });
    const ready: unknown = await response.json();
    const shadow = isObject(ready) && isObject(ready.shadow) ? ready.shadow : {};
    return typeof shadow.revision === 'string' ? shadow.revision : null;
  } catch {
    return null;
  }
}
