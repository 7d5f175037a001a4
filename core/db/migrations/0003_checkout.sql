-- Orders, payments, outbox, webhook inbox and tickets.

-- lines is JSON: one priced line per unit group, see checkout.Line.
CREATE TABLE IF NOT EXISTS orders (
    order_id     UUID        NOT NULL PRIMARY KEY, -- UUIDv5 of the hold id: one order per hold
    event_id     UUID        NOT NULL,
    hold_id      UUID        NOT NULL,
    entrant      BYTEA       NOT NULL,
    state        TEXT        NOT NULL,
    amount_minor INT8        NOT NULL CHECK (amount_minor >= 0),
    currency     TEXT        NOT NULL,
    lines        TEXT        NOT NULL,
    email        TEXT        NOT NULL,
    body_hash    BYTEA       NOT NULL,
    idempotency_key TEXT     NOT NULL,
    events       INT8        NOT NULL, -- how many rows order_events has: the next one's seq
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    CONSTRAINT orders_hold_unique UNIQUE (hold_id),
    CONSTRAINT orders_key_unique UNIQUE (event_id, entrant, idempotency_key)
) WITH (fillfactor = 50);

CREATE INDEX IF NOT EXISTS orders_by_event ON orders (event_id, created_at, order_id);

CREATE TABLE IF NOT EXISTS order_events (
    order_id   UUID        NOT NULL,
    seq        INT8        NOT NULL,
    cause      TEXT        NOT NULL,
    from_state TEXT        NOT NULL,
    to_state   TEXT        NOT NULL,
    actor      TEXT        NOT NULL,
    reason     TEXT        NOT NULL,
    at         TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (order_id, seq)
);

-- One attempt to pay one order.
CREATE TABLE IF NOT EXISTS payments (
    payment_id    UUID        NOT NULL PRIMARY KEY, -- UUIDv5(order, attempt)
    order_id      UUID        NOT NULL,
    attempt       INT8        NOT NULL,
    provider      TEXT        NOT NULL,
    provider_ref  TEXT        NOT NULL, -- '' until the provider's object is known
    client_secret TEXT        NOT NULL,
    state         TEXT        NOT NULL CHECK (state IN ('created', 'begun', 'authorized', 'captured', 'voiding', 'voided', 'capture_failed')),
    failure       TEXT        NOT NULL,
    declines      TEXT        NOT NULL, -- the provider's names of the tries it declined, separated by spaces: each is news once
    amount_minor  INT8        NOT NULL CHECK (amount_minor > 0),
    currency      TEXT        NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL,
    CONSTRAINT payments_attempt_unique UNIQUE (order_id, attempt)
) WITH (fillfactor = 50);

CREATE UNIQUE INDEX IF NOT EXISTS payments_one_live ON payments (order_id) WHERE state IN ('created', 'begun', 'authorized');

CREATE INDEX IF NOT EXISTS payments_by_ref ON payments (provider, provider_ref);

-- Payments whose outcome the provider has not told us yet: they are looked up now and then.
CREATE INDEX IF NOT EXISTS payments_open ON payments (updated_at) WHERE state = 'begun';

-- What the outside world still has to be told. lease_until guards a row while one worker runs it.
CREATE TABLE IF NOT EXISTS outbox (
    outbox_id   UUID        NOT NULL PRIMARY KEY,
    kind        TEXT        NOT NULL,
    order_id    UUID        NOT NULL,
    payment_id  UUID        NOT NULL,
    payload     TEXT        NOT NULL,
    state       TEXT        NOT NULL CHECK (state IN ('ready', 'done', 'dead')),
    attempts    INT8        NOT NULL,
    due_at      TIMESTAMPTZ NOT NULL,
    lease_until TIMESTAMPTZ NULL,
    last_error  TEXT        NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    done_at     TIMESTAMPTZ NULL
);

CREATE INDEX IF NOT EXISTS outbox_due ON outbox (due_at) WHERE state = 'ready';

-- Tasks being run: the claim looks here for another task of the same order, and enqueueing does not write here.
CREATE INDEX IF NOT EXISTS outbox_leased ON outbox (order_id) WHERE state = 'ready' AND lease_until IS NOT NULL;

CREATE INDEX IF NOT EXISTS outbox_by_order ON outbox (order_id, created_at);

CREATE INDEX IF NOT EXISTS outbox_dead ON outbox (created_at) WHERE state = 'dead';

CREATE TABLE IF NOT EXISTS webhooks (
    provider    TEXT        NOT NULL,
    webhook_id  TEXT        NOT NULL, -- the provider's event id: the same event twice is one row
    type        TEXT        NOT NULL,
    payload     BYTEA       NOT NULL,
    received_at TIMESTAMPTZ NOT NULL,
    handled_at  TIMESTAMPTZ NULL,
    attempts    INT8        NOT NULL,
    due_at      TIMESTAMPTZ NOT NULL,
    last_error  TEXT        NOT NULL,
    PRIMARY KEY (provider, webhook_id)
);

CREATE INDEX IF NOT EXISTS webhooks_unhandled ON webhooks (due_at) WHERE handled_at IS NULL;

CREATE TABLE IF NOT EXISTS tickets (
    ticket_id UUID        NOT NULL PRIMARY KEY, -- UUIDv5(order, item)
    event_id  UUID        NOT NULL,
    order_id  UUID        NOT NULL,
    item      INT8        NOT NULL,
    tier      TEXT        NOT NULL,
    seat      TEXT        NOT NULL, -- '' for general admission
    owner     BYTEA       NOT NULL,
    epoch     INT8        NOT NULL,
    key_no    INT8        NOT NULL,
    code      TEXT        NOT NULL,
    state     TEXT        NOT NULL CHECK (state IN ('valid', 'void')),
    issued_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT tickets_item_unique UNIQUE (order_id, item)
);

CREATE UNIQUE INDEX IF NOT EXISTS tickets_one_per_seat ON tickets (event_id, seat) WHERE state = 'valid' AND seat <> '';
