-- Allocations that event files set aside, and what of them was released to general sale.

-- released counts the units that left the allocation by a release; an event file that is applied later leaves them where
-- they are. closed_at is set when everything was released: what comes back to the allocation after that follows.
CREATE TABLE IF NOT EXISTS allocations (
    event_id   UUID        NOT NULL,
    tier       TEXT        NOT NULL,
    allocation TEXT        NOT NULL,
    release_at TIMESTAMPTZ NULL, -- as the event file says
    released   INT8        NOT NULL CHECK (released >= 0),
    closed_at  TIMESTAMPTZ NULL,
    PRIMARY KEY (event_id, tier, allocation)
);

-- Those whose time comes, and those to which something may come back.
CREATE INDEX IF NOT EXISTS allocations_due ON allocations (release_at) WHERE closed_at IS NULL AND release_at IS NOT NULL;

CREATE INDEX IF NOT EXISTS allocations_closed ON allocations (closed_at) WHERE closed_at IS NOT NULL;

-- Which seats were released. The seat's own row says general; its event file still says the allocation.
CREATE TABLE IF NOT EXISTS released_seats (
    event_id   UUID NOT NULL,
    seat       TEXT NOT NULL,
    tier       TEXT NOT NULL,
    allocation TEXT NOT NULL,
    PRIMARY KEY (event_id, seat)
);

-- Every release: who, when, how many. cause: 'command', 'time', or 'return' of what was held when the allocation closed.
CREATE TABLE IF NOT EXISTS releases (
    release_id UUID        NOT NULL PRIMARY KEY,
    event_id   UUID        NOT NULL,
    tier       TEXT        NOT NULL,
    allocation TEXT        NOT NULL,
    units      INT8        NOT NULL CHECK (units >= 0),
    cause      TEXT        NOT NULL CHECK (cause IN ('command', 'time', 'return')),
    actor      TEXT        NOT NULL,
    at         TIMESTAMPTZ NOT NULL
);

CREATE INDEX IF NOT EXISTS releases_by_event ON releases (event_id, at, release_id);
