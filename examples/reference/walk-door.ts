/** The step of the walk at the one front door: one list of both servers, and calls that reach each under its own names. */
import { actor } from './deployment.ts';
import { expect, type Walker } from './walker.ts';

const CALLS = [
  { backend: 'enterprise-ledger', tool: 'listAccounts', name: 'enterprise_ledger_listAccounts' },
  { backend: 'employee-directory', tool: 'listEmployees', name: 'employee_directory_listEmployees' },
] as const;

export async function useFrontDoor({ deployment, open, userToken, lastCall, allowed, shown }: Walker): Promise<void> {
  const { frontDoorUrl } = deployment;
  const alice = await open(frontDoorUrl, await userToken('alice', frontDoorUrl, 'ledger:read directory:read'));
  const tools = await alice.listTools();
  const isMerged = CALLS.every(({ name }) => tools.includes(name));
  expect(isMerged, 'one list has the tools of both servers', tools);
  allowed(`tools/list at ${new URL(frontDoorUrl).pathname} as alice: ${tools.length} tools of two servers`);
  for (const name of tools) shown(name);
  for (const { backend, tool, name } of CALLS) {
    const found = JSON.parse(await alice.callTool(name, {})) as unknown[];
    const seen = lastCall(tool);
    const { aud, scope, act } = seen.delegation as { aud: string; scope: string; act?: { sub: string } };
    const isItsOwn = aud === `https://${backend}.internal/mcp` && scope === `${backend}:${tool}` && act?.sub === actor;
    expect(seen.backend === backend && seen.verified && isItsOwn, `${backend} gets a token of its own`, seen.delegation);
    allowed(`${name} as alice: ${found.length} found`);
    shown(`${backend} saw ${tool}, aud ${aud}, scope ${scope}`);
  }
}
