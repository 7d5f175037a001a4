-- Events, their tiers, and the key ring. One idempotent statement per implicit transaction; statements end with ";" at a line's end.

CREATE TABLE IF NOT EXISTS events (
    event_id      UUID        NOT NULL PRIMARY KEY, -- UUIDv5 of the slug, see edge/lottery.EventID
    slug          TEXT        NOT NULL,
    name          TEXT        NOT NULL,
    state         TEXT        NOT NULL CHECK (state IN ('active', 'cancelled')),
    organizer     TEXT        NOT NULL,
    currency      TEXT        NOT NULL,
    time_zone     TEXT        NOT NULL,
    starts_at     TIMESTAMPTZ NOT NULL,
    spec          TEXT        NOT NULL, -- canonical JSON of the applied file
    spec_hash     BYTEA       NOT NULL,
    revision      INT8        NOT NULL,
    pseudonym_key BYTEA       NOT NULL, -- entrant = HMAC(pseudonym_key, identity)
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT events_slug_unique UNIQUE (slug)
);

CREATE INDEX IF NOT EXISTS events_by_start ON events (starts_at, slug);

CREATE TABLE IF NOT EXISTS tiers (
    event_id   UUID NOT NULL,
    tier       TEXT NOT NULL,
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('general', 'seated')),
    face_minor INT8 NOT NULL CHECK (face_minor >= 0),
    fee_minor  INT8 NOT NULL CHECK (fee_minor >= 0),
    tax_minor  INT8 NOT NULL CHECK (tax_minor >= 0),
    sort       INT8 NOT NULL,
    PRIMARY KEY (event_id, tier)
);

-- Signing and MAC keys by purpose ('session', 'session_filter', 'pass', 'receipt', 'ticket', 'invitation') and scope
-- ('global' or the event id). Number counts from 1; the newest unretired one signs, all unretired ones verify.
CREATE TABLE IF NOT EXISTS keys (
    purpose    TEXT        NOT NULL,
    scope      TEXT        NOT NULL,
    number     INT8        NOT NULL,
    secret     BYTEA       NOT NULL,
    public     BYTEA       NOT NULL, -- empty for MAC keys
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    retired_at TIMESTAMPTZ NULL,
    PRIMARY KEY (purpose, scope, number)
);
