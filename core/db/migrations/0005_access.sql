-- The waiting room: on-sales, pool, draw, admission, bans, edges and leases.

-- One row per event: its current on-sale. generation counts the on-sales of the event.
CREATE TABLE IF NOT EXISTS draws (
    event_id       UUID        NOT NULL PRIMARY KEY,
    slug           TEXT        NOT NULL,
    generation     INT8        NOT NULL,
    phase          TEXT        NOT NULL CHECK (phase IN ('announced', 'joining', 'sealing', 'drawn', 'open', 'paused', 'sold_out', 'ended')),
    joining_at     TIMESTAMPTZ NOT NULL,
    opens_at       TIMESTAMPTZ NOT NULL, -- the sale instant: window 0 ends here
    ends_at        TIMESTAMPTZ NOT NULL,
    window_seconds INT8        NOT NULL,
    chain_secret   BYTEA       NOT NULL, -- start of the hash chain; never leaves core
    chain_length   INT8        NOT NULL,
    commitment     BYTEA       NOT NULL, -- end of the chain, published before joining opens
    blocks         INT8        NOT NULL, -- how many pool blocks there are; the next one's number
    next_window    INT8        NOT NULL, -- windows below it are sealed, or closed without entrants
    cursor_set     BOOL        NOT NULL,
    cursor_window  INT8        NOT NULL,
    cursor_band    INT8        NOT NULL,
    cursor_value   BYTEA       NOT NULL, -- 8 bytes, big-endian
    called         INT8        NOT NULL, -- entrants at or before the cursor
    paused         BOOL        NOT NULL,
    message        TEXT        NOT NULL,
    version        INT8        NOT NULL,
    epoch          INT8        NOT NULL, -- lease epoch of the last core that wrote
    updated_at     TIMESTAMPTZ NOT NULL
);

CREATE INDEX IF NOT EXISTS draws_running ON draws (event_id) WHERE phase <> 'ended';

CREATE TABLE IF NOT EXISTS draw_windows (
    event_id   UUID        NOT NULL,
    generation INT8        NOT NULL,
    window_no  INT8        NOT NULL,
    entrants   INT8        NOT NULL,
    root       BYTEA       NOT NULL,
    secret     BYTEA       NOT NULL,
    beacon     BYTEA       NOT NULL,
    seed       BYTEA       NOT NULL,
    blocks     INT8        NOT NULL, -- draws.blocks when it was sealed
    sealed_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (event_id, generation, window_no)
);

-- Append-only blocks of acknowledged entrants, a few dozen bytes each, see access.Entry.
CREATE TABLE IF NOT EXISTS draw_blocks (
    event_id   UUID        NOT NULL,
    generation INT8        NOT NULL,
    block_no   INT8        NOT NULL,
    edge_id    UUID        NOT NULL,
    entries    BYTEA       NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (event_id, generation, block_no)
);

-- An edge's word that it has sent all it will send for a window.
CREATE TABLE IF NOT EXISTS draw_markers (
    event_id   UUID        NOT NULL,
    generation INT8        NOT NULL,
    window_no  INT8        NOT NULL,
    edge_id    UUID        NOT NULL,
    at         TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (event_id, generation, window_no, edge_id)
);

-- How the cursor moved: the record of who was admitted when.
CREATE TABLE IF NOT EXISTS draw_cursors (
    event_id      UUID        NOT NULL,
    generation    INT8        NOT NULL,
    seq           INT8        NOT NULL,
    window_no     INT8        NOT NULL,
    band          INT8        NOT NULL,
    value         BYTEA       NOT NULL,
    called        INT8        NOT NULL,
    at            TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (event_id, generation, seq)
);

CREATE TABLE IF NOT EXISTS sessions (
    event_id   UUID        NOT NULL,
    entrant    BYTEA       NOT NULL,
    generation INT8        NOT NULL,
    session_id UUID        NOT NULL,
    device     BYTEA       NOT NULL,
    edge_id    UUID        NOT NULL,
    window_no  INT8        NOT NULL,
    band       INT8        NOT NULL,
    value      BYTEA       NOT NULL,
    issued_at  TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ NULL, -- the buyer has bought: their place inside is free again
    PRIMARY KEY (event_id, entrant, generation)
) WITH (fillfactor = 70);

CREATE TABLE IF NOT EXISTS edges (
    edge_id     UUID        NOT NULL PRIMARY KEY,
    boot        UUID        NOT NULL,
    token_hash  BYTEA       NOT NULL,
    enrolled_at TIMESTAMPTZ NOT NULL,
    seen_at     TIMESTAMPTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS edge_keys (
    key_id      UUID        NOT NULL PRIMARY KEY,
    edge_id     UUID        NOT NULL,
    event_id    UUID        NOT NULL,
    public      BYTEA       NOT NULL,
    valid_from  TIMESTAMPTZ NOT NULL,
    valid_until TIMESTAMPTZ NOT NULL,
    revoked_at  TIMESTAMPTZ NULL
);

CREATE INDEX IF NOT EXISTS edge_keys_by_event ON edge_keys (event_id, edge_id);

-- kind: 'device' (16-byte device hash), 'network' (8-byte network hash), 'entrant' (16 bytes).
CREATE TABLE IF NOT EXISTS bans (
    kind       TEXT        NOT NULL CHECK (kind IN ('device', 'network', 'entrant')),
    subject    BYTEA       NOT NULL,
    reason     TEXT        NOT NULL,
    actor      TEXT        NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    lifted_at  TIMESTAMPTZ NULL,
    PRIMARY KEY (kind, subject)
);

CREATE TABLE IF NOT EXISTS leases (
    name       TEXT        NOT NULL PRIMARY KEY,
    holder     UUID        NOT NULL,
    epoch      INT8        NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);
