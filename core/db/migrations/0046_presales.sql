-- Presales with a waiting room, a draw and an allocation of their own, one after the other.

-- The presale whose on-sale this is; empty: general sale.
ALTER TABLE draws ADD COLUMN IF NOT EXISTS presale TEXT NOT NULL DEFAULT '';

-- What was committed to for each on-sale of an event, so that the draw of one that is over can still be checked. Rows are written when an
-- on-sale is scheduled; the times follow when they are moved.
CREATE TABLE IF NOT EXISTS draw_generations (
    event_id     UUID        NOT NULL,
    generation   INT8        NOT NULL,
    presale      TEXT        NOT NULL,
    commitment   BYTEA       NOT NULL,
    chain_length INT8        NOT NULL,
    beacon       TEXT        NOT NULL,
    joining_at   TIMESTAMPTZ NOT NULL,
    opens_at     TIMESTAMPTZ NOT NULL,
    ends_at      TIMESTAMPTZ NOT NULL,
    scheduled_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (event_id, generation)
);

-- On-sales that come after the one there is. Each becomes it once that is over, and is deleted here in the same transaction.
CREATE TABLE IF NOT EXISTS draw_plans (
    event_id   UUID        NOT NULL,
    opens_at   TIMESTAMPTZ NOT NULL,
    joining_at TIMESTAMPTZ NOT NULL,
    ends_at    TIMESTAMPTZ NOT NULL,
    presale    TEXT        NOT NULL,
    beacon     TEXT        NOT NULL,
    PRIMARY KEY (event_id, opens_at)
);

-- Who has a right to a presale that is for those who registered: accounts, as the entrants they are in the event.
CREATE TABLE IF NOT EXISTS presale_registrations (
    event_id      UUID        NOT NULL,
    presale       TEXT        NOT NULL,
    entrant       BYTEA       NOT NULL,
    registered_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (event_id, presale, entrant)
);
