-- Payouts to organizers.

-- What was released of an event's earnings so far, and what of it is still held in reserve.
CREATE TABLE IF NOT EXISTS payout_events (
    event_id       UUID        NOT NULL PRIMARY KEY,
    organizer      TEXT        NOT NULL,
    currency       TEXT        NOT NULL,
    released_minor INT8        NOT NULL, -- in all, reserve included; falls when refunds come afterwards
    reserved_minor INT8        NOT NULL CHECK (reserved_minor >= 0),
    reserve_until  TIMESTAMPTZ NOT NULL
);

CREATE INDEX IF NOT EXISTS payout_events_by_organizer ON payout_events (organizer, currency);

-- What a run did for one organizer in one currency. The key makes it happen once.
CREATE TABLE IF NOT EXISTS payout_lines (
    line_id          UUID        NOT NULL PRIMARY KEY, -- UUIDv5(run, organizer, currency): the reference of its transfers
    run_id           UUID        NOT NULL,
    organizer        TEXT        NOT NULL,
    currency         TEXT        NOT NULL,
    released_minor   INT8        NOT NULL, -- became available
    reserved_minor   INT8        NOT NULL, -- went into the reserve
    unreserved_minor INT8        NOT NULL, -- came out of the reserve and became available
    covered_minor    INT8        NOT NULL, -- came out of the reserve for what the organizer owed
    payout_id        UUID        NULL,
    note             TEXT        NOT NULL,
    created_at       TIMESTAMPTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS payouts (
    payout_id    UUID        NOT NULL PRIMARY KEY, -- UUIDv5 of the line that made it
    organizer    TEXT        NOT NULL,
    currency     TEXT        NOT NULL,
    amount_minor INT8        NOT NULL CHECK (amount_minor > 0),
    state        TEXT        NOT NULL CHECK (state IN ('proposed', 'approved', 'rejected', 'sent', 'arrived', 'returned')),
    events       INT8        NOT NULL, -- how many rows payout_history has: the next one's seq
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL
);

CREATE INDEX IF NOT EXISTS payouts_by_state ON payouts (state, payout_id);

-- One at a time: what is proposed next is what this one leaves.
CREATE UNIQUE INDEX IF NOT EXISTS payouts_one_open ON payouts (organizer, currency) WHERE state IN ('proposed', 'approved');

CREATE TABLE IF NOT EXISTS payout_history (
    payout_id  UUID        NOT NULL,
    seq        INT8        NOT NULL,
    from_state TEXT        NOT NULL,
    to_state   TEXT        NOT NULL,
    actor      TEXT        NOT NULL,
    reason     TEXT        NOT NULL,
    at         TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (payout_id, seq)
);
