-- The double-entry ledger. Rows of ledger_transfers and ledger_seals are only ever inserted.

CREATE TABLE IF NOT EXISTS ledger_accounts (
    account_id   UUID NOT NULL PRIMARY KEY, -- UUIDv5(code, currency)
    code         TEXT NOT NULL,
    currency     TEXT NOT NULL,
    non_negative BOOL NOT NULL, -- credits posted may not fall below debits posted and pending
    CONSTRAINT ledger_accounts_unique UNIQUE (code, currency)
);

CREATE TABLE IF NOT EXISTS ledger_balances (
    account_id      UUID NOT NULL PRIMARY KEY,
    non_negative    BOOL NOT NULL,
    debits_pending  INT8 NOT NULL CHECK (debits_pending >= 0),
    credits_pending INT8 NOT NULL CHECK (credits_pending >= 0),
    debits_posted   INT8 NOT NULL CHECK (debits_posted >= 0),
    credits_posted  INT8 NOT NULL CHECK (credits_posted >= 0),
    CONSTRAINT ledger_balances_covered CHECK (NOT non_negative OR credits_posted >= debits_posted + debits_pending)
) WITH (fillfactor = 50);

-- kind: single | pending | post | void. post and void name the pending transfer they end; it ends once.
CREATE TABLE IF NOT EXISTS ledger_transfers (
    transfer_id    UUID        NOT NULL PRIMARY KEY,
    debit_account  UUID        NOT NULL,
    credit_account UUID        NOT NULL,
    amount_minor   INT8        NOT NULL CHECK (amount_minor > 0),
    currency       TEXT        NOT NULL,
    code           TEXT        NOT NULL,
    reference      UUID        NOT NULL, -- the order, refund, payout … that explains it
    kind           TEXT        NOT NULL CHECK (kind IN ('single', 'pending', 'post', 'void')),
    pending_id     UUID        NULL,
    writer         UUID        NOT NULL, -- incarnation of the process that wrote it
    sequence       INT8        NOT NULL, -- counts that writer's transfers from 1
    created_at     TIMESTAMPTZ NOT NULL,
    CONSTRAINT ledger_transfers_two_sides CHECK (debit_account <> credit_account),
    CONSTRAINT ledger_transfers_pending_link CHECK ((pending_id IS NOT NULL) = (kind IN ('post', 'void')))
);

CREATE UNIQUE INDEX IF NOT EXISTS ledger_transfers_end_once ON ledger_transfers (pending_id) WHERE pending_id IS NOT NULL;

CREATE UNIQUE INDEX IF NOT EXISTS ledger_transfers_by_writer ON ledger_transfers (writer, sequence);

CREATE INDEX IF NOT EXISTS ledger_transfers_by_reference ON ledger_transfers (reference);

-- Hash chain per writer: hash = SHA-256(previous hash, canonical bytes of the transfers first..last).
CREATE TABLE IF NOT EXISTS ledger_seals (
    writer         UUID        NOT NULL,
    last_sequence  INT8        NOT NULL,
    first_sequence INT8        NOT NULL,
    hash           BYTEA       NOT NULL,
    sealed_at      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (writer, last_sequence)
);
