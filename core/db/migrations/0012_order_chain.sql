-- The audit trail of orders: what caused each step, and a hash chain over the steps of each order. How the bytes are hashed is
-- written in core/checkout/chain.go.

ALTER TABLE order_events ADD COLUMN IF NOT EXISTS source TEXT NOT NULL DEFAULT ''; -- webhook: provider/webhook_id; outbox: kind/outbox_id

ALTER TABLE order_events ADD COLUMN IF NOT EXISTS source_hash BYTEA NOT NULL DEFAULT ''; -- SHA-256 of the webhook's payload

ALTER TABLE order_events ADD COLUMN IF NOT EXISTS hash BYTEA NOT NULL DEFAULT ''; -- of the row and of the hash before it

ALTER TABLE orders ADD COLUMN IF NOT EXISTS head BYTEA NOT NULL DEFAULT ''; -- hash of the order's last row of order_events

-- Heads of orders as they were seen after their commit, and the chain of each writer over them. Rows are only ever inserted.
CREATE TABLE IF NOT EXISTS order_heads (
    order_id UUID  NOT NULL,
    events   INT8  NOT NULL, -- how many rows of order_events the head stands for
    head     BYTEA NOT NULL,
    writer   UUID  NOT NULL, -- of the seal that covers the row
    sequence INT8  NOT NULL,
    PRIMARY KEY (order_id, events)
);

CREATE TABLE IF NOT EXISTS order_seals (
    writer    UUID        NOT NULL, -- incarnation of the process that sealed
    sequence  INT8        NOT NULL, -- counts that writer's seals from 1
    heads     INT8        NOT NULL, -- how many rows of order_heads it covers
    hash      BYTEA       NOT NULL,
    sealed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (writer, sequence)
);

-- Which order a webhook is about, and how often it came again.
ALTER TABLE webhooks ADD COLUMN IF NOT EXISTS order_id UUID NULL;

ALTER TABLE webhooks ADD COLUMN IF NOT EXISTS repeats INT8 NOT NULL DEFAULT 0;

ALTER TABLE webhooks ADD COLUMN IF NOT EXISTS repeated_at TIMESTAMPTZ NULL;

CREATE INDEX IF NOT EXISTS webhooks_by_order ON webhooks (order_id) WHERE order_id IS NOT NULL;
