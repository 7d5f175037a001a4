-- Waiting lists: who wants to be told when a sold-out event has tickets again, in which order, and what they are offered.

-- What is free of such a row is offered to the event's waiting list and to nobody else.
ALTER TABLE stock ADD COLUMN IF NOT EXISTS waitlisted BOOL NOT NULL DEFAULT false;

-- One row for each event that has a waiting list, from the first who asks on. commitment is public from then on and binds the secret. Who
-- asks before draw_at is drawn: root is that of the Merkle tree of all of them, seed follows from secret and root, and seed and entrant
-- give the place. draw_at is set once the event is sold out. Whoever asks later is behind them in order of asking.
CREATE TABLE IF NOT EXISTS waitlists (
    event_id   UUID        NOT NULL PRIMARY KEY,
    secret     BYTEA       NOT NULL,
    commitment BYTEA       NOT NULL,
    made_at    TIMESTAMPTZ NOT NULL,
    draw_at    TIMESTAMPTZ NULL,
    drawn_at   TIMESTAMPTZ NULL,
    entrants   INT8        NULL, -- how many were drawn
    root       BYTEA       NULL,
    seed       BYTEA       NULL,
    closed_at  TIMESTAMPTZ NULL -- nothing is offered any more
);

CREATE INDEX IF NOT EXISTS waitlists_open ON waitlists (event_id) WHERE closed_at IS NULL;

-- A buyer of an event has one entry that stands. place: 8 bytes, big-endian; of who was drawn the value, of who asked later the
-- microseconds since 1970; round 0 comes before round 1.
CREATE TABLE IF NOT EXISTS waitlist_entries (
    entry_id   UUID        NOT NULL PRIMARY KEY,
    event_id   UUID        NOT NULL,
    entrant    BYTEA       NOT NULL,
    account_id UUID        NOT NULL,
    email      TEXT        NOT NULL,
    language   TEXT        NOT NULL,
    tiers      TEXT[]      NOT NULL, -- the one wanted most first
    quantity   INT8        NOT NULL CHECK (quantity > 0),
    together   BOOL        NOT NULL, -- all of them or none
    resold     BOOL        NOT NULL, -- from other buyers too
    marks      BYTEA       NOT NULL, -- what the event's limits count an offer by: account, device and network, 16 bytes each
    state      TEXT        NOT NULL CHECK (state IN ('waiting', 'offered', 'bought', 'left', 'lapsed', 'closed')),
    reason     TEXT        NOT NULL, -- why it is over
    round      INT8        NOT NULL,
    place      BYTEA       NULL, -- none before the draw
    asked_at   TIMESTAMPTZ NOT NULL,
    ended_at   TIMESTAMPTZ NULL
);

CREATE UNIQUE INDEX IF NOT EXISTS waitlist_entries_one ON waitlist_entries (event_id, entrant) WHERE ended_at IS NULL;

CREATE INDEX IF NOT EXISTS waitlist_entries_in_order ON waitlist_entries (event_id, round, place, entry_id) WHERE state = 'waiting';

CREATE INDEX IF NOT EXISTS waitlist_entries_of_account ON waitlist_entries (account_id, asked_at);

-- What somebody is offered: a hold of theirs that nobody else can have. 'making' until that is granted; 'void' when it was not.
CREATE TABLE IF NOT EXISTS waitlist_offers (
    offer_id   UUID        NOT NULL PRIMARY KEY, -- the hold's Idempotency-Key follows from it
    entry_id   UUID        NOT NULL,
    event_id   UUID        NOT NULL,
    tier       TEXT        NOT NULL,
    allocation TEXT        NOT NULL, -- general, or a listing's
    units      INT8        NOT NULL CHECK (units > 0),
    state      TEXT        NOT NULL CHECK (state IN ('making', 'open', 'accepted', 'bought', 'declined', 'expired', 'void')),
    reason     TEXT        NOT NULL,
    hold_id    UUID        NULL,
    expires_at TIMESTAMPTZ NULL, -- of an open one: until when it can be accepted
    made_at    TIMESTAMPTZ NOT NULL,
    closed_at  TIMESTAMPTZ NULL
);

-- An entry has one offer that stands.
CREATE UNIQUE INDEX IF NOT EXISTS waitlist_offers_one ON waitlist_offers (entry_id) WHERE closed_at IS NULL;

CREATE INDEX IF NOT EXISTS waitlist_offers_by_hold ON waitlist_offers (hold_id) WHERE hold_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS waitlist_offers_standing ON waitlist_offers (event_id, offer_id) WHERE closed_at IS NULL;
