-- Tickets that were put into wallets, and the phones that ask to be told when one changes; see core/ticket/passes.

-- One pass: a ticket in one kind of wallet of one owner. It keeps its name while what it shows changes, and shows the ticket as long as the
-- ticket is that owner's.
CREATE TABLE IF NOT EXISTS wallet_passes (
    ticket_id  UUID        NOT NULL,
    owner      BYTEA       NOT NULL,
    wallet     TEXT        NOT NULL CHECK (wallet IN ('apple', 'google')),
    name_epoch INT8        NOT NULL, -- of the ticket when the owner first saved it; the second half of the pass's name
    order_id   UUID        NOT NULL,
    version    INT8        NOT NULL, -- counts the changes
    changed_at TIMESTAMPTZ NOT NULL,
    due_at     TIMESTAMPTZ NULL,     -- when wallets are to be told, or told again; NULL: they have been, or there is nothing to tell
    attempts   INT8        NOT NULL, -- to tell of the changes since they were last told
    last_error TEXT        NOT NULL,
    saved_at   TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (ticket_id, owner, wallet)
);

CREATE UNIQUE INDEX IF NOT EXISTS wallet_passes_by_name ON wallet_passes (ticket_id, name_epoch, wallet);

CREATE INDEX IF NOT EXISTS wallet_passes_due ON wallet_passes (due_at) WHERE due_at IS NOT NULL;

CREATE INDEX IF NOT EXISTS wallet_passes_by_order ON wallet_passes (order_id);

-- A phone that has a pass in Apple Wallet. The push token is good for telling it that something has changed, and for nothing else.
CREATE TABLE IF NOT EXISTS apple_registrations (
    device_id     TEXT        NOT NULL,
    ticket_id     UUID        NOT NULL,
    name_epoch    INT8        NOT NULL,
    push_token    TEXT        NOT NULL,
    registered_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (device_id, ticket_id, name_epoch)
);

CREATE INDEX IF NOT EXISTS apple_registrations_by_pass ON apple_registrations (ticket_id, name_epoch);

CREATE INDEX IF NOT EXISTS apple_registrations_by_token ON apple_registrations (push_token);
