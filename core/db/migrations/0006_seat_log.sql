-- What became of numbered seats, for those who show them. changes is "A/1/2=held,A/1/3=free" in the order in which it
-- happened; version is the stock row's version after that commit, so the rows of one tier and allocation count without a gap.
-- Rows are deleted after some minutes.

CREATE TABLE IF NOT EXISTS seat_log (
    event_id   UUID        NOT NULL,
    tier       TEXT        NOT NULL,
    allocation TEXT        NOT NULL,
    version    INT8        NOT NULL,
    changes    TEXT        NOT NULL,
    at         TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (event_id, tier, allocation, version)
);

CREATE INDEX IF NOT EXISTS seat_log_age ON seat_log (at);
