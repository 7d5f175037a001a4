-- Orders, payments, outbox, webhook inbox and tickets.

-- Every row below is written by a purchase, and every index on it is written as well: an id that is derived from what it
-- must be unique in makes a second unique index needless, and what changes while a purchase goes on (states, leases, times)
-- stands in no index where that can be helped, so that PostgreSQL updates the row on its own page and touches no index.

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
    key_id       UUID        NOT NULL, -- UUIDv5(event, entrant, Idempotency-Key)
    events       INT8        NOT NULL, -- how many rows order_events has: the next one's seq
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    CONSTRAINT orders_key_unique UNIQUE (key_id)
) WITH (fillfactor = 60);

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

-- One attempt to pay one order. live says that money may still come of it.
CREATE TABLE IF NOT EXISTS payments (
    order_id      UUID        NOT NULL,
    attempt       INT8        NOT NULL,
    payment_id    UUID        NOT NULL, -- UUIDv5(order, attempt): looked up with its order
    provider      TEXT        NOT NULL,
    provider_ref  TEXT        NOT NULL, -- '' until the provider's object is known
    client_secret TEXT        NOT NULL,
    state         TEXT        NOT NULL CHECK (state IN ('created', 'begun', 'authorized', 'captured', 'voiding', 'voided', 'capture_failed')),
    live          BOOL        NOT NULL,
    failure       TEXT        NOT NULL,
    declines      TEXT        NOT NULL, -- the provider's names of the tries it declined, separated by spaces: each is news once
    amount_minor  INT8        NOT NULL CHECK (amount_minor > 0),
    currency      TEXT        NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (order_id, attempt),
    CONSTRAINT payments_live_by_state CHECK (live = (state IN ('created', 'begun', 'authorized')))
) WITH (fillfactor = 60);

-- One live attempt per order. Those whose outcome the provider has not told us yet are found through it, too.
CREATE UNIQUE INDEX IF NOT EXISTS payments_one_live ON payments (order_id) WHERE live;

-- What the outside world still has to be told. lease_until guards a row while one worker runs it.
CREATE TABLE IF NOT EXISTS outbox (
    order_id    UUID        NOT NULL,
    outbox_id   UUID        NOT NULL, -- UUIDv5(payment, kind)
    kind        TEXT        NOT NULL,
    payment_id  UUID        NOT NULL,
    payload     TEXT        NOT NULL,
    state       TEXT        NOT NULL CHECK (state IN ('ready', 'done', 'dead')),
    attempts    INT8        NOT NULL,
    due_at      TIMESTAMPTZ NOT NULL,
    lease_until TIMESTAMPTZ NULL,
    last_error  TEXT        NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    done_at     TIMESTAMPTZ NULL,
    PRIMARY KEY (order_id, outbox_id)
) WITH (fillfactor = 70);

-- For the search alone. Its condition is one that statements which know their tasks by id do not repeat: otherwise a planner
-- would rather walk through all tasks that are ready for them.
CREATE INDEX IF NOT EXISTS outbox_due ON outbox (due_at) WHERE done_at IS NULL;

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
    issued_at TIMESTAMPTZ NOT NULL
);

CREATE UNIQUE INDEX IF NOT EXISTS tickets_one_per_seat ON tickets (event_id, seat) WHERE state = 'valid' AND seat <> '';
