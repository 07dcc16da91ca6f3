/** `mcp-ext-authz policy promote`: puts the candidate beside the policy in force in its place. */
import { giveOrder } from '../app/order-command.ts';
import { EXIT, type Io, readArguments, ToolError, UsageError } from './io.ts';

export const HELP = `mcp-ext-authz policy promote --config FILE

Puts the bundle of policy.shadow in force in place of the policy that is, under the rules of policy.signing. The order goes
through policy.persistDirectory to the sidecar that runs; at each replica on its own.

  0 in force    1 the sidecar refused, and its log says why    2 no sidecar took the order, or no configuration
`;

export async function run(args: readonly string[], { out }: Io): Promise<number> {
  const { values } = readArguments(args, { config: { type: 'string', short: 'c' } }, 0);
  if (values.config === undefined) throw new UsageError('give --config FILE');
  const { taken, before, after } = await giveOrder(values.config, { order: 'promote' });
  if (!taken) throw new ToolError('no sidecar has taken the order, and it was taken back');
  const [was, is] = [before.history.at(-1), after.history.at(-1)];
  if (is === undefined || is.digest === was?.digest) {
    out.write(
      `in force is ${is?.revision ?? 'nothing'}, as before: the candidate was in force already, or was refused; see the log\n`,
    );
    return EXIT.found;
  }
  out.write(`${is.revision} is in force\n`);
  return EXIT.fine;
}
