-- How many pages of the reading under way were read, over all cores that took part in it: a reading that never ends is given up.
ALTER TABLE dispute_listings ADD COLUMN IF NOT EXISTS pages INT8 NOT NULL DEFAULT 0;

-- Disputes that a provider lists and that cannot be booked, as the list had them when they were looked at: they are looked at again
-- when the list has them otherwise. They are kept until the list is no longer read so far back.
CREATE TABLE IF NOT EXISTS disputes_unbooked (
    provider  TEXT        NOT NULL,
    ref       TEXT        NOT NULL,
    state     TEXT        NOT NULL, -- '' where the list does not say it
    listed_at TIMESTAMPTZ NOT NULL, -- by the provider's own clock
    looked_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (provider, ref)
);

-- When the code of a ticket was first shown to its owner.
ALTER TABLE tickets ADD COLUMN IF NOT EXISTS shown_at TIMESTAMPTZ NULL;
