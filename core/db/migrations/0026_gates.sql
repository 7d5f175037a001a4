-- Gates, what was scanned at them, and where each ticket stands.

-- A gate's credential opens its own gate and nothing else. secret_hash is SHA-256; the secret is shown once.
CREATE TABLE IF NOT EXISTS gates (
    event_id    UUID        NOT NULL,
    gate        TEXT        NOT NULL,
    gate_id     UUID        NOT NULL, -- UUIDv5(event, gate)
    zone        TEXT        NOT NULL, -- '' for the venue as a whole
    secret_hash BYTEA       NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    created_by  TEXT        NOT NULL,
    revoked_at  TIMESTAMPTZ NULL,
    PRIMARY KEY (event_id, gate),
    CONSTRAINT gates_id_unique UNIQUE (gate_id)
);

-- Every scan of a genuine code. refused is '' when the gate opened; finding is what a later look found wrong with that: 'duplicate' (of
-- before_id), 'void', 'superseded'.
CREATE TABLE IF NOT EXISTS scans (
    scan_id     UUID        NOT NULL PRIMARY KEY, -- the gate makes it: the same scan twice is one row
    event_id    UUID        NOT NULL,
    ticket_id   UUID        NOT NULL,
    epoch       INT8        NOT NULL,
    gate        TEXT        NOT NULL,
    zone        TEXT        NOT NULL,
    direction   TEXT        NOT NULL CHECK (direction IN ('in', 'out')),
    refused     TEXT        NOT NULL,
    offline     BOOL        NOT NULL,
    at          TIMESTAMPTZ NOT NULL, -- on line by the database's clock, off line by the gate's
    recorded_at TIMESTAMPTZ NOT NULL,
    undone_at   TIMESTAMPTZ NULL,
    undone_by   TEXT        NOT NULL,
    undo_reason TEXT        NOT NULL,
    finding     TEXT        NOT NULL CHECK (finding IN ('', 'duplicate', 'void', 'superseded')),
    before_id   UUID        NULL -- the scan because of which this one was, or should have been, refused
);

CREATE INDEX IF NOT EXISTS scans_by_ticket ON scans (ticket_id, zone);

CREATE INDEX IF NOT EXISTS scans_by_gate ON scans (event_id, gate);

CREATE INDEX IF NOT EXISTS scans_found ON scans (event_id, at, scan_id) WHERE finding <> '';

-- Where a ticket stands in a zone: what its scans there come to. The key is the last line behind "the first scan wins".
CREATE TABLE IF NOT EXISTS entries (
    ticket_id  UUID        NOT NULL,
    zone       TEXT        NOT NULL,
    event_id   UUID        NOT NULL,
    ins        INT8        NOT NULL CHECK (ins >= 0),
    outs       INT8        NOT NULL CHECK (outs >= 0),
    inside     BOOL        NOT NULL,
    first_id   UUID        NOT NULL,
    first_gate TEXT        NOT NULL,
    first_at   TIMESTAMPTZ NOT NULL,
    last_id    UUID        NOT NULL,
    last_gate  TEXT        NOT NULL,
    last_at    TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (ticket_id, zone)
);

CREATE INDEX IF NOT EXISTS entries_by_event ON entries (event_id, zone, inside);

-- What a pack for gates lists. A ticket as it is sold is in no index of these.
CREATE INDEX IF NOT EXISTS tickets_dead ON tickets (event_id) WHERE state = 'void' OR epoch > 1;
