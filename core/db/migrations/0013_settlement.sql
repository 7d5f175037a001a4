-- What payment providers settled, row by row, and what of it does not agree with the ledger.

-- One row per movement that a provider's settlement has. A row is kept as it was first read; digest tells when it reads otherwise.
-- transfer_id is the ledger's transfer that it was matched with, booking the reference under which its fee was booked.
CREATE TABLE IF NOT EXISTS settlement_rows (
    provider             TEXT        NOT NULL,
    row_id               TEXT        NOT NULL,
    day                  DATE        NOT NULL, -- of created_at, UTC
    kind                 TEXT        NOT NULL,
    source_ref           TEXT        NOT NULL,
    payment_ref          TEXT        NOT NULL,
    order_id             UUID        NULL,
    refund_id            UUID        NULL,
    gross_minor          INT8        NOT NULL, -- signed as it changes our balance at the provider
    fee_minor            INT8        NOT NULL,
    currency             TEXT        NOT NULL,
    presentment_minor    INT8        NOT NULL, -- 0 where no currency changed
    presentment_currency TEXT        NOT NULL,
    rate                 TEXT        NOT NULL,
    payout_ref           TEXT        NOT NULL,
    description          TEXT        NOT NULL,
    created_at           TIMESTAMPTZ NOT NULL, -- by the provider's clock
    digest               BYTEA       NOT NULL,
    reading              INT8        NOT NULL, -- the last reading that had it
    class                TEXT        NOT NULL CHECK (class IN ('matched', 'theirs_only', 'amount_differs', 'duplicated', 'corrected')),
    transfer_id          UUID        NULL,
    booking              UUID        NULL,
    PRIMARY KEY (provider, row_id)
) WITH (fillfactor = 80);

-- A transfer is matched once: the second row for it is a duplicate.
CREATE UNIQUE INDEX IF NOT EXISTS settlement_rows_by_transfer ON settlement_rows (transfer_id) WHERE transfer_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS settlement_rows_by_day ON settlement_rows (provider, day);

CREATE INDEX IF NOT EXISTS settlement_rows_unmatched ON settlement_rows (provider, day, row_id) WHERE class IN ('theirs_only', 'amount_differs', 'duplicated');

-- Rows about disputes name the payment alone; its charge says whose it is.
CREATE INDEX IF NOT EXISTS settlement_rows_charges ON settlement_rows (provider, payment_ref) WHERE kind = 'charge';

CREATE INDEX IF NOT EXISTS settlement_rows_conversions ON settlement_rows (provider, source_ref) WHERE kind = 'conversion';

-- What is not explained, or was and is on record: a sentence, and the transfers that would correct it.
CREATE TABLE IF NOT EXISTS settlement_items (
    item_id      UUID        NOT NULL PRIMARY KEY,
    provider     TEXT        NOT NULL,
    day          DATE        NOT NULL,
    class        TEXT        NOT NULL,
    row_id       TEXT        NOT NULL, -- '' for what only we have
    transfer_id  UUID        NULL,
    amount_minor INT8        NOT NULL CHECK (amount_minor >= 0),
    currency     TEXT        NOT NULL,
    why          TEXT        NOT NULL,
    proposal     TEXT        NOT NULL, -- JSON, see settlement.Proposal
    since        TIMESTAMPTZ NOT NULL,
    reading      INT8        NOT NULL,
    state        TEXT        NOT NULL CHECK (state IN ('open', 'healed', 'approved', 'rejected')),
    decided_by   TEXT        NOT NULL,
    reason       TEXT        NOT NULL,
    decided_at   TIMESTAMPTZ NULL
);

CREATE INDEX IF NOT EXISTS settlement_items_by_day ON settlement_items (provider, day, item_id);

CREATE INDEX IF NOT EXISTS settlement_items_by_row ON settlement_items (provider, row_id);

CREATE INDEX IF NOT EXISTS settlement_items_by_transfer ON settlement_items (transfer_id) WHERE transfer_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS settlement_items_open ON settlement_items (since) WHERE state = 'open';

-- Days that were read, with what came of the last reading.
CREATE TABLE IF NOT EXISTS settlement_days (
    provider TEXT        NOT NULL,
    day      DATE        NOT NULL,
    reading  INT8        NOT NULL,
    read_at  TIMESTAMPTZ NOT NULL,
    report   TEXT        NOT NULL, -- JSON, see settlement.Report
    PRIMARY KEY (provider, day)
);
