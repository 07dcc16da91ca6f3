/**
 * What the Enterprise Ledger knows: a handful of accounts, bookings and customers, made anew for every server so that a
 * transfer in one test is never seen by another. All names and numbers are invented.
 */

export type LedgerAccount = {
  readonly id: string;
  readonly name: string;
  readonly customerId: string;
  readonly currency: string;
  /** In minor units (cents), as ledgers do. */
  balance: number;
};

export type Transaction = {
  readonly id: string;
  readonly accountId: string;
  readonly date: string;
  readonly amount: number;
  readonly currency: string;
  readonly text: string;
};

export type Customer = {
  readonly id: string;
  readonly name: string;
  readonly dateOfBirth: string;
  readonly taxId: string;
  readonly address: string;
};

export type Invoice = {
  readonly id: string;
  readonly customerId: string;
  readonly amount: number;
  readonly currency: string;
  readonly dueDate: string;
};

export type AuditEvent = {
  readonly time: string;
  readonly action: string;
  readonly object: string;
};

export type Ledger = {
  readonly accounts: LedgerAccount[];
  readonly transactions: Transaction[];
  readonly customers: Customer[];
  readonly invoices: Invoice[];
  readonly audit: AuditEvent[];
};

/** A fresh ledger. */
export function createLedger(): Ledger {
  return {
    accounts: [
      { id: 'ACC-1001', name: 'Operating account', customerId: 'CUS-1', currency: 'EUR', balance: 12_500_000 },
      { id: 'ACC-1002', name: 'Payroll', customerId: 'CUS-1', currency: 'EUR', balance: 4_310_050 },
      { id: 'ACC-2001', name: 'Export receivables', customerId: 'CUS-2', currency: 'USD', balance: 986_020 },
    ],
    transactions: [
      transaction('TX-1', 'ACC-1001', '2026-10-30', -120_000, 'EUR', 'Office rent November'),
      transaction('TX-2', 'ACC-1001', '2026-11-02', 2_400_000, 'EUR', 'Invoice INV-1, Nordwind GmbH'),
      transaction('TX-3', 'ACC-1002', '2026-11-05', -1_905_000, 'EUR', 'Salaries October'),
      transaction('TX-4', 'ACC-2001', '2026-11-06', 340_000, 'USD', 'Shipment 4471'),
    ],
    customers: [
      {
        id: 'CUS-1',
        name: 'Greta Lindqvist',
        dateOfBirth: '1979-04-12',
        taxId: 'SE-790412-0000',
        address: 'Storgatan 5, Uppsala',
      },
      {
        id: 'CUS-2',
        name: 'Mateus Prado',
        dateOfBirth: '1986-09-30',
        taxId: 'BR-000.000.000-00',
        address: 'Rua das Laranjeiras 12, Porto Alegre',
      },
    ],
    invoices: [{ id: 'INV-1', customerId: 'CUS-1', amount: 2_400_000, currency: 'EUR', dueDate: '2026-11-15' }],
    audit: [
      { time: '2026-11-05T08:00:12Z', action: 'payroll.released', object: 'ACC-1002' },
      { time: '2026-11-06T16:41:03Z', action: 'receivable.booked', object: 'ACC-2001' },
    ],
  };
}

function transaction(id: string, accountId: string, date: string, amount: number, currency: string, text: string): Transaction {
  return { id, accountId, date, amount, currency, text };
}

/** The account of that number; throws in words a model can use. */
export function requireAccount(ledger: Ledger, id: string): LedgerAccount {
  const account = ledger.accounts.find((candidate) => candidate.id === id);
  if (!account) throw new Error(`There is no account ${id}.`);
  return account;
}

/** The customer of that number; throws in words a model can use. */
export function requireCustomer(ledger: Ledger, id: string): Customer {
  const customer = ledger.customers.find((candidate) => candidate.id === id);
  if (!customer) throw new Error(`There is no customer ${id}.`);
  return customer;
}
