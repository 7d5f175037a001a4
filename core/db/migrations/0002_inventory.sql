-- Stock, seats, holds and quotas.
--
-- A fill factor leaves room for the next version of a row on its own page, so that PostgreSQL need not touch an index to
-- update it. Under SERIALIZABLE that is more than speed: who writes to an index page conflicts with everybody who looked
-- something up on it. CockroachDB accepts and ignores it.

-- taken counts held and sold units. version is the commit number: it grows by one for every transaction that changes the row.
CREATE TABLE IF NOT EXISTS stock (
    event_id   UUID NOT NULL,
    tier       TEXT NOT NULL,
    allocation TEXT NOT NULL,
    capacity   INT8 NOT NULL CHECK (capacity >= 0),
    taken      INT8 NOT NULL,
    version    INT8 NOT NULL,
    PRIMARY KEY (event_id, tier, allocation),
    CONSTRAINT stock_taken_within_capacity CHECK (taken BETWEEN 0 AND capacity)
) WITH (fillfactor = 50);

-- seat is "section/row/number", unique in its event.
CREATE TABLE IF NOT EXISTS seats (
    event_id   UUID NOT NULL,
    seat       TEXT NOT NULL,
    section    TEXT NOT NULL,
    row_label  TEXT NOT NULL,
    number     INT8 NOT NULL,
    tier       TEXT NOT NULL,
    allocation TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('free', 'held', 'sold', 'blocked')),
    hold_id    UUID NULL,
    PRIMARY KEY (event_id, seat),
    CONSTRAINT seats_hold_iff_taken CHECK ((hold_id IS NOT NULL) = (state IN ('held', 'sold')))
) WITH (fillfactor = 50);

-- items is JSON: [{"tier":"floor","allocation":"general","quantity":2},{"tier":"lower","allocation":"general","quantity":1,"seats":["A/1/2"]}]
CREATE TABLE IF NOT EXISTS holds (
    hold_id       UUID        NOT NULL PRIMARY KEY, -- UUIDv5(event, entrant, Idempotency-Key)
    event_id      UUID        NOT NULL,
    entrant       BYTEA       NOT NULL,
    state         TEXT        NOT NULL CHECK (state IN ('active', 'sold', 'released', 'expired')),
    units         INT8        NOT NULL CHECK (units > 0),
    items         TEXT        NOT NULL,
    amount_minor  INT8        NOT NULL CHECK (amount_minor >= 0),
    currency      TEXT        NOT NULL,
    body_hash     BYTEA       NOT NULL,
    commit_no     INT8        NOT NULL, -- stock.version of the first item's row in the commit that granted it
    created_at    TIMESTAMPTZ NOT NULL,
    deadline      TIMESTAMPTZ NOT NULL,
    extended      BOOL        NOT NULL,
    closed_at     TIMESTAMPTZ NULL,
    quotas        BYTEA       NOT NULL -- ids of the rows of quota that the units count in besides the entrant's, 16 bytes each
) WITH (fillfactor = 70);

-- When to look at which holds again: one row per event and commit that granted or extended some, and no index on holds
-- itself. So a hold costs one index entry when it is granted and none when it is sold, released or expired, and by-id
-- statements on holds meet nobody else's locks. The sweep deletes a row when none of its holds is due any more.
CREATE TABLE IF NOT EXISTS expiries (
    event_id  UUID        NOT NULL,
    due_at    TIMESTAMPTZ NOT NULL,
    expiry_id UUID        NOT NULL,
    holds     BYTEA       NOT NULL, -- hold ids, 16 bytes each
    PRIMARY KEY (event_id, due_at, expiry_id)
);

CREATE INDEX IF NOT EXISTS expiries_due ON expiries (due_at);

-- Units held or bought by one buyer within one scope. quota_id is derived from the three columns behind it, so that the
-- row costs one short index entry.
CREATE TABLE IF NOT EXISTS quota (
    quota_id  UUID  NOT NULL PRIMARY KEY, -- UUIDv5(scope_id, kind, buyer)
    scope_id  UUID  NOT NULL, -- the event, or a tour: inventory.TourID
    kind      TEXT  NOT NULL CHECK (kind IN ('entrant', 'account', 'device', 'address', 'card')), -- what buyer is
    buyer     BYTEA NOT NULL, -- hashed with a key
    taken     INT8  NOT NULL,
    max_units INT8  NOT NULL,
    CONSTRAINT quota_within_limit CHECK (taken BETWEEN 0 AND max_units)
) WITH (fillfactor = 70);
