/**
 * The eight tools of the Enterprise Ledger: six that look, one of them at personal data and one at the audit trail, one
 * that adds an invoice and one that moves money. The table is static, so a policy or a scope list can be made from it
 * without starting anything. Who may call what is not decided here: that is the gateway's policy.
 */
import { z } from 'zod';
import { type Ledger, requireAccount, requireCustomer } from './enterprise-ledger-data.ts';
import { additive, destructive, readOnly, type Tool, toolsOf } from './tool.ts';

const tool = toolsOf<Ledger>();
const accountId = z.string().describe('Account number, e.g. ACC-1001');
const customerId = z.string().describe('Customer number, e.g. CUS-1');
const currency = z
  .string()
  .regex(/^[A-Z]{3}$/)
  .describe('ISO 4217 code, e.g. EUR');
const minorUnits = z.int().positive().describe('Amount in minor units, e.g. cents');

export const enterpriseLedgerTools: readonly Tool<Ledger>[] = [
  tool({
    name: 'listAccounts',
    title: 'List accounts',
    description: 'Lists all accounts with their numbers, names and currencies.',
    annotations: readOnly,
    inputSchema: z.object({}),
    run: (_args, ledger) => ledger.accounts.map(({ id, name, currency }) => ({ id, name, currency })),
  }),
  tool({
    name: 'getAccount',
    title: 'Get an account',
    description: 'Returns one account by its number.',
    annotations: readOnly,
    inputSchema: z.object({ accountId }),
    run: ({ accountId }, ledger) => ({ ...requireAccount(ledger, accountId) }),
  }),
  tool({
    name: 'getBalance',
    title: 'Get a balance',
    description: 'Returns the current balance of an account, in minor units.',
    annotations: readOnly,
    inputSchema: z.object({ accountId }),
    run: ({ accountId }, ledger) => {
      const { balance, currency } = requireAccount(ledger, accountId);
      return { accountId, balance, currency };
    },
  }),
  tool({
    name: 'listTransactions',
    title: 'List transactions',
    description: 'Lists the bookings of an account, newest first.',
    annotations: readOnly,
    inputSchema: z.object({ accountId, limit: z.int().min(1).max(100).default(20) }),
    run: ({ accountId, limit }, ledger) => {
      requireAccount(ledger, accountId);
      const booked = ledger.transactions.filter((transaction) => transaction.accountId === accountId);
      return booked.toReversed().slice(0, limit);
    },
  }),
  tool({
    name: 'getCustomerPII',
    title: 'Get personal data of a customer',
    description: 'Returns name, date of birth, tax number and address of a customer. Personal data.',
    annotations: readOnly,
    inputSchema: z.object({ customerId }),
    run: ({ customerId }, ledger) => requireCustomer(ledger, customerId),
  }),
  tool({
    name: 'getAuditTrail',
    title: 'Get the audit trail',
    description: 'Lists what was done in the ledger, oldest first.',
    annotations: readOnly,
    inputSchema: z.object({ since: z.iso.date().optional().describe('Only events of this day or later') }),
    run: ({ since }, ledger) => ledger.audit.filter((event) => since === undefined || event.time >= since),
  }),
  tool({
    name: 'transferFunds',
    title: 'Transfer funds',
    description: 'Moves money from one account to another. Cannot be undone.',
    annotations: destructive,
    inputSchema: z.object({ from: accountId, to: accountId, amount: minorUnits, currency }),
    run: transferFunds,
  }),
  tool({
    name: 'createInvoice',
    title: 'Create an invoice',
    description: 'Writes a new invoice for a customer.',
    annotations: additive,
    inputSchema: z.object({ customerId, amount: minorUnits, currency, dueDate: z.iso.date() }),
    run: ({ customerId, amount, currency, dueDate }, ledger) => {
      requireCustomer(ledger, customerId);
      const invoice = { id: `INV-${ledger.invoices.length + 1}`, customerId, amount, currency, dueDate };
      ledger.invoices.push(invoice);
      ledger.audit.push({ time: new Date().toISOString(), action: 'invoice.created', object: invoice.id });
      return invoice;
    },
  }),
];

type Transfer = { from: string; to: string; amount: number; currency: string };

function transferFunds({ from, to, amount, currency }: Transfer, ledger: Ledger) {
  const debtor = requireAccount(ledger, from);
  const creditor = requireAccount(ledger, to);
  if (debtor === creditor) throw new Error('Both accounts are the same.');
  if (debtor.currency !== currency || creditor.currency !== currency) {
    throw new Error(`Both accounts must be kept in ${currency}.`);
  }
  if (debtor.balance < amount) throw new Error(`The balance of ${from} is too low.`);

  debtor.balance -= amount;
  creditor.balance += amount;
  const time = new Date().toISOString();
  for (const [account, signed] of [
    [from, -amount],
    [to, amount],
  ] as const) {
    const id = `TX-${ledger.transactions.length + 1}`;
    const text = `Transfer ${from} to ${to}`;
    ledger.transactions.push({ id, accountId: account, date: time.slice(0, 10), amount: signed, currency, text });
  }
  ledger.audit.push({ time, action: 'funds.transferred', object: `${from} to ${to}` });
  return { from, to, amount, currency, balance: debtor.balance };
}
