-- Who asked for a mail when an event's waiting room or sale opens, or tickets are back on sale. Each is one mail, once.
CREATE TABLE IF NOT EXISTS reminders (
    reminder_id UUID        NOT NULL PRIMARY KEY,
    event_id    UUID        NOT NULL,
    account_id  UUID        NOT NULL,
    email       TEXT        NOT NULL, -- emptied when it is over
    language    TEXT        NOT NULL,
    occasion    TEXT        NOT NULL CHECK (occasion IN ('room_opens', 'sale_opens', 'returned')),
    made_at     TIMESTAMPTZ NOT NULL,
    ended_at    TIMESTAMPTZ NULL, -- when the mail was queued, or it was not wanted any more
    sent        BOOL        NOT NULL
);

CREATE UNIQUE INDEX IF NOT EXISTS reminders_one ON reminders (event_id, account_id, occasion) WHERE ended_at IS NULL;

CREATE INDEX IF NOT EXISTS reminders_of_account ON reminders (account_id) WHERE ended_at IS NULL;

CREATE INDEX IF NOT EXISTS reminders_standing ON reminders (event_id, occasion, reminder_id) WHERE ended_at IS NULL;
