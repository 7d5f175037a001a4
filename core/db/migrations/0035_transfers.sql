-- Tickets that are handed on, and whom their units count for.

-- A sold unit that counts for another buyer than its hold's; see core/inventory/pass.go. The lists are ids of rows of quota, 16 bytes each.
CREATE TABLE IF NOT EXISTS passed_units (
    unit_id     UUID  NOT NULL PRIMARY KEY, -- the ticket
    hold_id     UUID  NOT NULL,
    left_quotas BYTEA NOT NULL, -- its hold's, in which it no longer counts
    quotas      BYTEA NOT NULL  -- in which it counts instead
);

CREATE INDEX IF NOT EXISTS passed_units_by_hold ON passed_units (hold_id);

-- One offer to hand a ticket on. 'ended': the ticket became void, entered or changed otherwise before anybody accepted.
CREATE TABLE IF NOT EXISTS transfers (
    transfer_id   UUID        NOT NULL PRIMARY KEY, -- UUIDv5(ticket, giver, Idempotency-Key)
    event_id      UUID        NOT NULL,
    ticket_id     UUID        NOT NULL,
    epoch         INT8        NOT NULL, -- of the ticket when it was offered, as are tier and seat
    tier          TEXT        NOT NULL,
    seat          TEXT        NOT NULL,
    giver         BYTEA       NOT NULL, -- the ticket's owner then
    giver_account UUID        NULL, -- NULL of a giver who is not signed in
    giver_email   TEXT        NOT NULL, -- '' where none is known
    giver_language TEXT       NOT NULL, -- of the mails to the giver
    receiver      TEXT        NOT NULL, -- e-mail address, normalized
    language      TEXT        NOT NULL, -- of the mail to the receiver
    state         TEXT        NOT NULL CHECK (state IN ('offered', 'accepted', 'declined', 'cancelled', 'expired', 'ended')),
    reason        TEXT        NOT NULL, -- of 'ended'
    account_id    UUID        NULL, -- who accepted or declined
    owner         BYTEA       NOT NULL, -- the ticket's owner since it was accepted; '' before
    body_hash     BYTEA       NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    expires_at    TIMESTAMPTZ NOT NULL,
    closed_at     TIMESTAMPTZ NULL
);

-- The last line behind "one offer at a time".
CREATE UNIQUE INDEX IF NOT EXISTS transfers_one_open ON transfers (ticket_id) WHERE state = 'offered';

CREATE INDEX IF NOT EXISTS transfers_open ON transfers (expires_at, transfer_id) WHERE state = 'offered';

CREATE INDEX IF NOT EXISTS transfers_by_ticket ON transfers (ticket_id, created_at);

CREATE INDEX IF NOT EXISTS transfers_by_receiver ON transfers (receiver, created_at);

CREATE INDEX IF NOT EXISTS transfers_by_giver ON transfers (giver, created_at);

CREATE INDEX IF NOT EXISTS transfers_by_account ON transfers (giver_account, created_at);

CREATE INDEX IF NOT EXISTS transfers_by_event ON transfers (event_id, created_at, transfer_id);
