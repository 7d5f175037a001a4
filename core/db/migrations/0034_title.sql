-- What valid tickets are set aside for, and the chain of title.

-- 'offered': offered to somebody, and opens gates until that is accepted. 'listed': for sale, and opens none; whatever ends the listing
-- begins the ticket's next epoch. A void ticket is set aside for nothing.
ALTER TABLE tickets ADD COLUMN IF NOT EXISTS hold TEXT NOT NULL DEFAULT '' CHECK (hold IN ('', 'offered', 'listed'));

ALTER TABLE tickets ADD COLUMN IF NOT EXISTS held_at TIMESTAMPTZ NULL; -- since when it is set aside, or was the last time

-- What a pack for gates lists, in place of tickets_dead, which did not know of listed ones.
CREATE INDEX IF NOT EXISTS tickets_unlike_issued ON tickets (event_id) WHERE state = 'void' OR epoch > 1 OR hold = 'listed';

DROP INDEX IF EXISTS tickets_dead;

-- Steps of a ticket after its issue, which is its own row. Rows are only ever inserted. hash is of the row and of the hash before it; see
-- core/ticket/title.
CREATE TABLE IF NOT EXISTS title_steps (
    ticket_id   UUID        NOT NULL,
    seq         INT8        NOT NULL, -- counts the ticket's steps from 0
    epoch       INT8        NOT NULL, -- that the step began
    from_owner  BYTEA       NOT NULL,
    to_owner    BYTEA       NOT NULL,
    how         TEXT        NOT NULL CHECK (how IN ('transfer', 'resale', 'reseat')),
    price_minor INT8        NOT NULL CHECK (price_minor >= 0),
    currency    TEXT        NOT NULL, -- '' where nothing was paid
    previous_id UUID        NULL, -- of a resale: the ticket that this one follows
    note        TEXT        NOT NULL,
    at          TIMESTAMPTZ NOT NULL,
    hash        BYTEA       NOT NULL,
    PRIMARY KEY (ticket_id, seq)
);
