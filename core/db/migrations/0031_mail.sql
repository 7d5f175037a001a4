-- The mail outbox. What is written with a sale stands in as few indexes as it can, as in 0003.

-- A mail is written by the transaction that wants it told, and sent afterwards. It says what is true when it is sent: here stands only what
-- it is about. data is a JSON object of texts; it may hold a one-time code, and is emptied when the mail is sent or of no use any more.
CREATE TABLE IF NOT EXISTS mails (
    mail_id     UUID        NOT NULL PRIMARY KEY, -- UUIDv5 of key: the same key twice is one mail
    key         TEXT        NOT NULL,
    kind        TEXT        NOT NULL,
    recipient   TEXT        NOT NULL,
    language    TEXT        NOT NULL, -- as it was asked for
    subject_id  UUID        NOT NULL, -- the order, ticket, transfer … that it is about
    data        TEXT        NOT NULL,
    state       TEXT        NOT NULL CHECK (state IN ('ready', 'sent', 'moot', 'bounced', 'dead')),
    attempts    INT8        NOT NULL,
    queued_at   TIMESTAMPTZ NOT NULL, -- its age counts from here: created_at, or when an operator had it tried again
    due_at      TIMESTAMPTZ NOT NULL,
    expires_at  TIMESTAMPTZ NULL, -- of no use from then on; such mails go first
    lease_until TIMESTAMPTZ NULL,
    claim_id    UUID        NULL,
    last_error  TEXT        NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    ended_at    TIMESTAMPTZ NULL
) WITH (fillfactor = 70);

CREATE INDEX IF NOT EXISTS mails_due ON mails (due_at) WHERE ended_at IS NULL;

CREATE INDEX IF NOT EXISTS mails_due_urgent ON mails (due_at) WHERE ended_at IS NULL AND expires_at IS NOT NULL;

CREATE INDEX IF NOT EXISTS mails_failed ON mails (created_at, mail_id) WHERE state IN ('bounced', 'dead');

CREATE INDEX IF NOT EXISTS mails_by_subject ON mails (subject_id);

-- In which language the buyer reads: a language tag, '' where nobody said.
ALTER TABLE orders ADD COLUMN IF NOT EXISTS language TEXT NOT NULL DEFAULT '';
