-- The double-entry ledger. Rows of ledger_transfers and ledger_seals are only ever inserted.

CREATE TABLE IF NOT EXISTS ledger_accounts (
    account_id   UUID NOT NULL PRIMARY KEY, -- UUIDv5(code, currency)
    code         TEXT NOT NULL,
    currency     TEXT NOT NULL,
    non_negative BOOL NOT NULL, -- credits posted may not fall below debits posted and pending
    CONSTRAINT ledger_accounts_unique UNIQUE (code, currency)
);

-- An account's balance is the sum of its stripes, so that several writers move a busy account without waiting for each other. An
-- account that may not go negative has stripe 0 alone. Of a pending transfer and its end two stripes may each hold one: a stripe's
-- pending figure may be negative, an account's may not.
CREATE TABLE IF NOT EXISTS ledger_balances (
    account_id      UUID NOT NULL,
    stripe          INT8 NOT NULL,
    non_negative    BOOL NOT NULL,
    debits_pending  INT8 NOT NULL,
    credits_pending INT8 NOT NULL,
    debits_posted   INT8 NOT NULL CHECK (debits_posted >= 0),
    credits_posted  INT8 NOT NULL CHECK (credits_posted >= 0),
    PRIMARY KEY (account_id, stripe),
    CONSTRAINT ledger_balances_covered CHECK (NOT non_negative OR stripe = 0 AND credits_posted >= debits_posted + debits_pending)
) WITH (fillfactor = 50);

-- kind: single | pending | post | void | reverse. The last three answer an earlier transfer. Ids begin with the first six bytes of
-- their reference, so that the transfers of one order lie together and are found without an index of their own; the id of an answer
-- follows from what it answers, so that this primary key also lets a transfer be ended, or reversed, once.
CREATE TABLE IF NOT EXISTS ledger_transfers (
    transfer_id    UUID        NOT NULL PRIMARY KEY,
    debit_account  UUID        NOT NULL,
    credit_account UUID        NOT NULL,
    amount_minor   INT8        NOT NULL CHECK (amount_minor > 0),
    currency       TEXT        NOT NULL,
    code           TEXT        NOT NULL,
    reference      UUID        NOT NULL, -- the order, payout, settlement … that explains it
    kind           TEXT        NOT NULL CHECK (kind IN ('single', 'pending', 'post', 'void', 'reverse')),
    prior_id       UUID        NULL,     -- the transfer that a post, void or reversal answers
    writer         UUID        NOT NULL, -- incarnation of the process that wrote it
    sequence       INT8        NOT NULL, -- counts that writer's transfers from 1
    created_at     TIMESTAMPTZ NOT NULL,
    CONSTRAINT ledger_transfers_two_sides CHECK (debit_account <> credit_account),
    CONSTRAINT ledger_transfers_prior_link CHECK ((prior_id IS NOT NULL) = (kind IN ('post', 'void', 'reverse')))
);

CREATE UNIQUE INDEX IF NOT EXISTS ledger_transfers_by_writer ON ledger_transfers (writer, sequence);

-- Statements read an account's two sides in the order of time. New entries go to the end of their account.
CREATE INDEX IF NOT EXISTS ledger_transfers_by_debit ON ledger_transfers (debit_account, created_at, sequence);

CREATE INDEX IF NOT EXISTS ledger_transfers_by_credit ON ledger_transfers (credit_account, created_at, sequence);

-- Hash chain per writer: hash = SHA-256(previous hash, canonical bytes of the transfers first..last).
CREATE TABLE IF NOT EXISTS ledger_seals (
    writer         UUID        NOT NULL,
    last_sequence  INT8        NOT NULL,
    first_sequence INT8        NOT NULL,
    hash           BYTEA       NOT NULL,
    sealed_at      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (writer, last_sequence)
);
