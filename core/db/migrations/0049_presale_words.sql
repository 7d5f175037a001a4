-- The word with which accounts register for a presale, as a salted and stretched hash: it is told nobody, and cannot be read back.
CREATE TABLE IF NOT EXISTS presale_words (
    event_id UUID        NOT NULL,
    presale  TEXT        NOT NULL,
    salt     BYTEA       NOT NULL,
    rounds   INT8        NOT NULL,
    hash     BYTEA       NOT NULL,
    set_at   TIMESTAMPTZ NOT NULL,
    set_by   TEXT        NOT NULL,
    PRIMARY KEY (event_id, presale)
);
