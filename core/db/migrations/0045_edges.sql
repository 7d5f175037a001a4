-- Keys of edges that are to be replaced, edges that were thrown out, and their clocks.

-- An edge whose keys are marked registers others and goes on; what it signed before stays good for as long as a token may live. From
-- revoked_at on, which may lie ahead, a key is worth nothing.
ALTER TABLE edge_keys ADD COLUMN IF NOT EXISTS replace_at TIMESTAMPTZ NULL;

CREATE INDEX IF NOT EXISTS edge_keys_by_edge ON edge_keys (edge_id, valid_until);

-- An edge that was thrown out stays out: its id is not enrolled again.
ALTER TABLE edges ADD COLUMN IF NOT EXISTS revoked_at TIMESTAMPTZ NULL;

ALTER TABLE edges ADD COLUMN IF NOT EXISTS clock_ahead_ms INT8 NOT NULL DEFAULT 0; -- by how much core's clock is ahead of its own, as it says

-- Verdicts are swept by age.
CREATE INDEX IF NOT EXISTS guard_verdicts_by_time ON guard_verdicts (at);
