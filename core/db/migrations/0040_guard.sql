-- What the edges' filter decided of whom, why, and what operators lifted.

-- Rows are inserted by edges' word and never changed. An edge puts the same verdict on an entrant down once in ten minutes. There is no
-- address: network is a prefix (/24 or /48) and its hash, as bans have it.
CREATE TABLE IF NOT EXISTS guard_verdicts (
    entrant      BYTEA       NOT NULL,
    at           TIMESTAMPTZ NOT NULL, -- by the edge, which goes by core's clock
    verdict_id   UUID        NOT NULL, -- made by the edge, so that a batch sent again adds nothing
    event_id     UUID        NOT NULL,
    event        TEXT        NOT NULL, -- its slug
    edge_id      UUID        NOT NULL,
    device       BYTEA       NOT NULL,
    network      TEXT        NOT NULL,
    network_hash BYTEA       NOT NULL,
    place        TEXT        NOT NULL CHECK (place IN ('join', 'claim')),
    answer       TEXT        NOT NULL CHECK (answer IN ('noted', 'asked', 'cleared', 'denied')),
    by_what      TEXT        NOT NULL, -- what was asked for, or what cleared: check, work, captcha, wait, account, or ''
    score        INT8        NOT NULL, -- tenths of a point
    level        TEXT        NOT NULL,
    reasons      TEXT        NOT NULL, -- JSON: [{"signal":"honeypot","points":25,"said":"a hidden field was filled in"}]
    PRIMARY KEY (entrant, at, verdict_id)
);

CREATE INDEX IF NOT EXISTS guard_verdicts_by_event ON guard_verdicts (event_id, at, verdict_id);

-- Whom an operator has let pass the filter, whatever it makes of them.
CREATE TABLE IF NOT EXISTS guard_lifts (
    entrant   BYTEA       NOT NULL PRIMARY KEY,
    reason    TEXT        NOT NULL,
    actor     TEXT        NOT NULL,
    lifted_at TIMESTAMPTZ NOT NULL
);

-- Bans of accounts (16-byte id) and cards (16-byte keyed hash) as well. Which kinds there are is checked by package access from now on: no
-- constraint can be added in a way that may run twice. The one there was has a name of each engine's own.
ALTER TABLE bans DROP CONSTRAINT IF EXISTS bans_kind_check;

ALTER TABLE bans DROP CONSTRAINT IF EXISTS check_kind;
