-- The beacon of an on-sale: a public value that was named in advance, and the pool that waits for it.
ALTER TABLE draws ADD COLUMN IF NOT EXISTS beacon TEXT NOT NULL DEFAULT ''; -- where the value is to be read; empty: no beacon

ALTER TABLE draws ADD COLUMN IF NOT EXISTS beacon_value BYTEA NOT NULL DEFAULT ''; -- empty until it is known

ALTER TABLE draws ADD COLUMN IF NOT EXISTS root BYTEA NOT NULL DEFAULT ''; -- of window 0, once it is closed to wait for the value
