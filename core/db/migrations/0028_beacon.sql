-- The beacon of an on-sale: a public value that was named in advance, and the pool that waits for it.
ALTER TABLE draws ADD COLUMN IF NOT EXISTS beacon TEXT NOT NULL DEFAULT ''; -- where the value is to be read; empty: no beacon

ALTER TABLE draws ADD COLUMN IF NOT EXISTS beacon_value BYTEA NOT NULL DEFAULT ''; -- empty until it is known

ALTER TABLE draws ADD COLUMN IF NOT EXISTS root BYTEA NOT NULL DEFAULT ''; -- of window 0, once it is closed to wait for the value

-- How many sessions of an on-sale were given, and up to how many may be: keeps max_inside, see access/door.go.
CREATE TABLE IF NOT EXISTS draw_doors (
    event_id   UUID NOT NULL PRIMARY KEY,
    generation INT8 NOT NULL,
    admitted   INT8 NOT NULL,
    allowed    INT8 NOT NULL,
    waiting    INT8 NOT NULL DEFAULT 0, -- called, and told to wait for room, when it was last told
    waiting_at TIMESTAMPTZ NULL
) WITH (fillfactor = 50);
