-- An event that takes place at another time or venue than its tickets were sold for: what it was and is, until when its buyers may give
-- tickets back for that, and how far telling them has come: the last order whose mail is in the outbox.
CREATE TABLE IF NOT EXISTS event_changes (
    event_id     UUID        NOT NULL,
    revision     INT8        NOT NULL, -- of the event, that the change made
    name         TEXT        NOT NULL,
    time_zone    TEXT        NOT NULL,
    was_starts   TIMESTAMPTZ NOT NULL,
    starts_at    TIMESTAMPTZ NOT NULL,
    was_venue    TEXT        NOT NULL, -- name and city
    venue        TEXT        NOT NULL,
    changed_at   TIMESTAMPTZ NOT NULL,
    refund_until TIMESTAMPTZ NOT NULL,
    after_at     TIMESTAMPTZ NOT NULL,
    after_order  UUID        NOT NULL,
    told_at      TIMESTAMPTZ NULL, -- when the last mail was queued, or a later change took its place
    PRIMARY KEY (event_id, revision)
);

CREATE INDEX IF NOT EXISTS event_changes_untold ON event_changes (changed_at) WHERE told_at IS NULL;
