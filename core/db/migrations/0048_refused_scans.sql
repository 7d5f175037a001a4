-- What was scanned at gates and is no code of the event: malformed, of another event, or forged. Nothing of what was shown is kept.
CREATE TABLE IF NOT EXISTS refused_scans (
    scan_id     UUID        NOT NULL PRIMARY KEY, -- the gate makes it: the same scan twice is one row
    event_id    UUID        NOT NULL,
    gate        TEXT        NOT NULL,
    zone        TEXT        NOT NULL,
    refused     TEXT        NOT NULL,
    offline     BOOL        NOT NULL,
    at          TIMESTAMPTZ NOT NULL, -- on line by the database's clock, off line by the gate's
    recorded_at TIMESTAMPTZ NOT NULL
);

CREATE INDEX IF NOT EXISTS refused_scans_by_gate ON refused_scans (event_id, gate, zone);

-- As what a ticket was sold on.
CREATE INDEX IF NOT EXISTS title_steps_by_previous ON title_steps (previous_id) WHERE previous_id IS NOT NULL;
