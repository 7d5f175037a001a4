-- What buyers' banks dispute. state: as payment.DisputeState. taken says that the ledger has the money taken back, fee_minor what of
-- the provider's fee it has. task is NULL or what was sent last as evidence.
CREATE TABLE IF NOT EXISTS disputes (
    ref          TEXT        NOT NULL, -- the provider's name of it
    provider     TEXT        NOT NULL,
    dispute_id   UUID        NOT NULL, -- UUIDv5(order, provider, ref)
    order_id     UUID        NOT NULL,
    payment_id   UUID        NOT NULL,
    event_id     UUID        NOT NULL,
    amount_minor INT8        NOT NULL CHECK (amount_minor > 0),
    currency     TEXT        NOT NULL,
    fee_minor    INT8        NOT NULL CHECK (fee_minor >= 0),
    reason       TEXT        NOT NULL,
    state        TEXT        NOT NULL CHECK (state IN ('inquiry', 'open', 'review', 'won', 'lost')),
    taken        BOOL        NOT NULL,
    respond_by   TIMESTAMPTZ NULL,
    evidence     TEXT        NOT NULL, -- as it was sent last
    drafted_at   TIMESTAMPTZ NULL,
    submitted_at TIMESTAMPTZ NULL,
    submitted_by TEXT        NOT NULL,
    opened_at    TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    closed_at    TIMESTAMPTZ NULL,
    PRIMARY KEY (ref, provider)
);

CREATE INDEX IF NOT EXISTS disputes_by_order ON disputes (order_id);

CREATE INDEX IF NOT EXISTS disputes_by_time ON disputes (opened_at, ref);
