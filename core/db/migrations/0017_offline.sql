-- What operators decide about money that came without a payment provider and that no payment has taken.

-- What of a receipt was sent back. The rest, amount_minor - used_minor - returned_minor, stands in the ledger as late_money.
ALTER TABLE offline_receipts ADD COLUMN IF NOT EXISTS returned_minor INT8 NOT NULL DEFAULT 0 CHECK (returned_minor >= 0);

CREATE TABLE IF NOT EXISTS offline_decisions (
    decision_id  UUID        NOT NULL PRIMARY KEY, -- follows from receipt, verb and payment: nothing is decided twice
    receipt_id   TEXT        NOT NULL,
    verb         TEXT        NOT NULL CHECK (verb IN ('assigned', 'returned')),
    order_id     UUID        NULL, -- of what it was assigned to
    payment_id   UUID        NULL,
    amount_minor INT8        NOT NULL CHECK (amount_minor > 0),
    currency     TEXT        NOT NULL,
    actor        TEXT        NOT NULL,
    reason       TEXT        NOT NULL,
    decided_at   TIMESTAMPTZ NOT NULL
);

CREATE INDEX IF NOT EXISTS offline_payments_by_order ON offline_payments (order_id);
