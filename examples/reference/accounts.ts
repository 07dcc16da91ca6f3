/**
 * The people who can sign in to the reference authorization server: who they are, which roles they have and which
 * scopes they may be granted. Passwords are not here: they are made at random at every start, or given by whoever
 * starts the server.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

export type Account = {
  readonly username: string;
  readonly roles: readonly string[];
  readonly tenant: string;
  /** All this person can ever be granted; anything more that is asked for is dropped from the grant. */
  readonly scopes: readonly string[];
};

export const accounts: readonly Account[] = [
  {
    username: 'alice',
    roles: ['analyst'],
    tenant: 'acme',
    scopes: ['ledger:read', 'ledger:write', 'pii:read', 'directory:read'],
  },
  { username: 'bob', roles: ['employee'], tenant: 'acme', scopes: ['directory:read', 'ledger:read'] },
  { username: 'carol', roles: ['auditor'], tenant: 'acme', scopes: ['ledger:read', 'audit:read', 'directory:read'] },
];

/** The account of that name, or undefined. */
export function findAccount(username: string): Account | undefined {
  return accounts.find((account) => account.username === username);
}

/** A password for every account: the given one, else one made at random. */
export function createPasswords(given: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(accounts.map(({ username }) => [username, given[username] ?? randomBytes(18).toString('base64url')]));
}

/** The account whose password this is, or undefined; equally slow for a wrong name and a wrong password. */
export function authenticate(
  passwords: Readonly<Record<string, string>>,
  username: string,
  password: string,
): Account | undefined {
  const account = findAccount(username);
  const expected = account && passwords[account.username];
  const matches = timingSafeEqual(digest(expected ?? ''), digest(password));
  return matches && expected ? account : undefined;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
