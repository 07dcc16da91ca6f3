/** `mcp-ext-authz policy accept`: lets a revision in that is older than the one in force, or was used before, once. */
import { giveOrder } from '../app/order-command.ts';
import { EXIT, type Io, readArguments, UsageError } from './io.ts';

export const HELP = `mcp-ext-authz policy accept --config FILE REVISION

Revisions never go back by themselves. This lets REVISION back in, once: serve its bundle, then say this. Nothing else is let
in by it: the bundle must be signed as any other. At each replica, since each remembers what was in force there; it finds the
word in policy.persistDirectory, at once where it runs, or when it is started.

  0 in force, or let in as soon as the source offers it    2 no configuration, or none that keeps anything on disk
`;

export async function run(args: readonly string[], { out }: Io): Promise<number> {
  const { values, positionals } = readArguments(args, { config: { type: 'string', short: 'c' } }, 1);
  const [revision] = positionals;
  if (values.config === undefined || revision === undefined) throw new UsageError('give --config FILE and a revision');
  const { taken, after } = await giveOrder(values.config, { order: 'accept', revision });
  const current = after.history.at(-1)?.revision;
  if (!taken) out.write(`${revision} is let in by the sidecar when it is started; none has taken the word yet\n`);
  else if (current === revision) out.write(`${revision} is in force\n`);
  else out.write(`${revision} is let in once its source offers it; in force is ${current ?? 'nothing'}\n`);
  return EXIT.fine;
}
