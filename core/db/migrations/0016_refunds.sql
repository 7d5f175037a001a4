-- Money that goes back, and the refunds of cancelled events.

-- One refund of one payment. items is JSON: the numbers of the order's lines whose tickets it made void. A refund that
-- failed is settled by another (resolution retried) or was paid another way (paid_otherwise). One made in the provider's
-- own pages is kind found: nobody has decided yet what it means for the tickets.
CREATE TABLE IF NOT EXISTS refunds (
    refund_id    UUID        NOT NULL PRIMARY KEY, -- UUIDv5(order, Idempotency-Key), so that the same request is one refund
    order_id     UUID        NOT NULL,
    event_id     UUID        NOT NULL,
    payment_id   UUID        NOT NULL,
    provider     TEXT        NOT NULL,
    provider_ref TEXT        NOT NULL, -- '' until the provider's object is known
    kind         TEXT        NOT NULL CHECK (kind IN ('order', 'tickets', 'amount', 'late', 'found')),
    state        TEXT        NOT NULL CHECK (state IN ('requested', 'pending', 'succeeded', 'failed')),
    resolution   TEXT        NOT NULL CHECK (resolution IN ('', 'retried', 'paid_otherwise')),
    amount_minor INT8        NOT NULL CHECK (amount_minor > 0),
    face_minor   INT8        NOT NULL CHECK (face_minor >= 0),
    fee_minor    INT8        NOT NULL CHECK (fee_minor >= 0),
    tax_minor    INT8        NOT NULL CHECK (tax_minor >= 0),
    currency     TEXT        NOT NULL,
    items        TEXT        NOT NULL,
    body_hash    BYTEA       NOT NULL,
    retry_of     UUID        NULL,
    run_id       UUID        NULL,
    failure      TEXT        NOT NULL,
    reason       TEXT        NOT NULL,
    actor        TEXT        NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    done_at      TIMESTAMPTZ NULL
) WITH (fillfactor = 70);

CREATE INDEX IF NOT EXISTS refunds_by_order ON refunds (order_id);

CREATE INDEX IF NOT EXISTS refunds_by_event ON refunds (event_id, created_at, refund_id);

CREATE INDEX IF NOT EXISTS refunds_by_time ON refunds (created_at, refund_id);

CREATE UNIQUE INDEX IF NOT EXISTS refunds_by_ref ON refunds (provider, provider_ref) WHERE provider_ref <> '';

CREATE INDEX IF NOT EXISTS refunds_by_run ON refunds (run_id) WHERE run_id IS NOT NULL;

-- The refund of everything that was paid for a cancelled event. It goes through the event's orders by time; the order it
-- has come to is kept, so that any core goes on where another stopped. clear says that nothing was under way when the
-- present pass began: then it is the last one.
CREATE TABLE IF NOT EXISTS refund_runs (
    run_id      UUID        NOT NULL PRIMARY KEY, -- UUIDv5(event): one run per event
    event_id    UUID        NOT NULL,
    state       TEXT        NOT NULL CHECK (state IN ('running', 'settling', 'done')),
    reason      TEXT        NOT NULL,
    actor       TEXT        NOT NULL,
    pass        INT8        NOT NULL,
    clear       BOOL        NOT NULL,
    after_at    TIMESTAMPTZ NOT NULL,
    after_order UUID        NOT NULL,
    lease_owner UUID        NULL,
    lease_until TIMESTAMPTZ NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL,
    done_at     TIMESTAMPTZ NULL
);

CREATE INDEX IF NOT EXISTS refund_runs_open ON refund_runs (created_at) WHERE state <> 'done';
