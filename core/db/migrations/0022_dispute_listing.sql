-- How far the providers' lists of disputes have been read. mark: by the provider's own clock; what the list had until then is taken
-- into account. page, reached and whole are of a reading under way: where it goes on ('' when none is under way), the latest time on
-- its first page, and whether all that was read so far is taken into account.
CREATE TABLE IF NOT EXISTS dispute_listings (
    provider    TEXT        NOT NULL PRIMARY KEY,
    mark        TIMESTAMPTZ NOT NULL,
    page        TEXT        NOT NULL,
    reached     TIMESTAMPTZ NULL,
    whole       BOOL        NOT NULL,
    ended_at    TIMESTAMPTZ NULL, -- the last reading, by our clock
    lease_owner UUID        NULL,
    lease_until TIMESTAMPTZ NULL
);
