-- What buyers search: a slim copy of each event, written in the transaction that applies it. Cores keep it in memory and read
-- what changed; nothing is decided by it.

CREATE TABLE IF NOT EXISTS catalog (
    event_id   UUID        NOT NULL PRIMARY KEY,
    slug       TEXT        NOT NULL,
    state      TEXT        NOT NULL CHECK (state IN ('active', 'cancelled')),
    name       TEXT        NOT NULL,
    category   TEXT        NOT NULL,
    summary    TEXT        NOT NULL,
    performers TEXT        NOT NULL, -- one a line
    tags       TEXT        NOT NULL, -- one a line
    venue      TEXT        NOT NULL,
    city       TEXT        NOT NULL,
    country    TEXT        NOT NULL,
    time_zone  TEXT        NOT NULL,
    starts_at  TIMESTAMPTZ NOT NULL,
    currency   TEXT        NOT NULL,
    price_min  INT8        NOT NULL, -- of the cheapest tier, all-in, in minor units
    price_max  INT8        NOT NULL, -- of the dearest
    revision   INT8        NOT NULL, -- of the event
    changed_at TIMESTAMPTZ NOT NULL  -- clock_timestamp() just before the commit: near to the order of commits, not the same
);

CREATE INDEX IF NOT EXISTS catalog_by_change ON catalog (changed_at, event_id);
