-- Payments by method, runs of outbox tasks that show signs of life, and money that comes without a payment provider.

-- What the buyer chose to pay with, '' for whatever is offered.
ALTER TABLE payments ADD COLUMN IF NOT EXISTS method TEXT NOT NULL DEFAULT '';

-- Which run holds the lease: lease_until moves while it shows signs of life, this stays.
ALTER TABLE outbox ADD COLUMN IF NOT EXISTS claim_id UUID NULL;

-- Payments by bank transfer or at a box office: what the buyer is told to quote, and what was paid in.
CREATE TABLE IF NOT EXISTS offline_payments (
    reference    TEXT        NOT NULL PRIMARY KEY, -- ISO 11649: RF, two check digits, 16 characters of the payment's id
    payment_id   UUID        NOT NULL,
    order_id     UUID        NOT NULL,
    attempt      INT8        NOT NULL,
    method       TEXT        NOT NULL,
    amount_minor INT8        NOT NULL CHECK (amount_minor > 0), -- what is due
    currency     TEXT        NOT NULL,
    state        TEXT        NOT NULL CHECK (state IN ('open', 'paid', 'void')),
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL
);

-- Money that came in, once for each row of the bank. used: what of it has gone to a payment; the rest waits for a person.
CREATE TABLE IF NOT EXISTS offline_receipts (
    receipt_id   TEXT        NOT NULL PRIMARY KEY, -- the bank's row, or what the operator calls it
    reference    TEXT        NOT NULL, -- as the buyer quoted it, without spaces, in capitals
    amount_minor INT8        NOT NULL CHECK (amount_minor > 0),
    currency     TEXT        NOT NULL,
    used_minor   INT8        NOT NULL CHECK (used_minor BETWEEN 0 AND amount_minor),
    review       TEXT        NOT NULL, -- why a person has to look at the rest; '' for no rest, or while more may come
    actor        TEXT        NOT NULL,
    note         TEXT        NOT NULL,
    received_at  TIMESTAMPTZ NOT NULL, -- by the bank
    recorded_at  TIMESTAMPTZ NOT NULL
);

CREATE INDEX IF NOT EXISTS offline_receipts_by_reference ON offline_receipts (reference);

CREATE INDEX IF NOT EXISTS offline_receipts_review ON offline_receipts (recorded_at) WHERE review <> '';

-- Money that somebody has to transfer back by hand.
CREATE TABLE IF NOT EXISTS offline_refunds (
    refund_id    UUID        NOT NULL PRIMARY KEY,
    reference    TEXT        NOT NULL,
    payment_id   UUID        NOT NULL,
    order_id     UUID        NOT NULL,
    amount_minor INT8        NOT NULL CHECK (amount_minor > 0),
    currency     TEXT        NOT NULL,
    state        TEXT        NOT NULL CHECK (state IN ('pending', 'succeeded', 'failed')),
    actor        TEXT        NOT NULL, -- who confirmed it
    note         TEXT        NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL
);

CREATE INDEX IF NOT EXISTS offline_refunds_pending ON offline_refunds (created_at) WHERE state = 'pending';
