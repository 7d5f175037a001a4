-- Buyers who prove an e-mail address: accounts, the codes that prove it, and whom an account is in which event.

-- secret makes the account's entrants; epoch counts how often it has signed out everywhere. A forgotten account has no address.
CREATE TABLE IF NOT EXISTS accounts (
    account_id    UUID        NOT NULL PRIMARY KEY,
    email         TEXT        NULL, -- normalized, see account.Normalize
    email_written TEXT        NOT NULL, -- as its owner writes it: where mail goes
    secret        BYTEA       NOT NULL, -- 16 random bytes
    language      TEXT        NOT NULL,
    epoch         INT8        NOT NULL CHECK (epoch BETWEEN 0 AND 4294967295),
    created_at    TIMESTAMPTZ NOT NULL,
    forgotten_at  TIMESTAMPTZ NULL,
    CONSTRAINT accounts_email_unique UNIQUE (email)
);

-- A code works once, in the browser that asked for it. Addresses and the code itself are here only as keyed hashes, and no row says
-- whether there is an account of that address. Swept after a day.
CREATE TABLE IF NOT EXISTS account_codes (
    code_id      UUID        NOT NULL PRIMARY KEY,
    email_mark   BYTEA       NOT NULL,
    device       BYTEA       NOT NULL,
    network_mark BYTEA       NOT NULL,
    code_hash    BYTEA       NOT NULL,
    attempts     INT8        NOT NULL, -- wrong codes that were tried instead
    created_at   TIMESTAMPTZ NOT NULL,
    expires_at   TIMESTAMPTZ NOT NULL,
    used_at      TIMESTAMPTZ NULL
);

CREATE INDEX IF NOT EXISTS account_codes_by_email ON account_codes (email_mark, created_at);

CREATE INDEX IF NOT EXISTS account_codes_by_network ON account_codes (network_mark, created_at);

CREATE INDEX IF NOT EXISTS account_codes_old ON account_codes (created_at);

-- Written when an account comes in, or is given a ticket: an entrant leads to nobody, this row leads back.
CREATE TABLE IF NOT EXISTS account_entrants (
    account_id UUID        NOT NULL,
    event_id   UUID        NOT NULL,
    entrant    BYTEA       NOT NULL,
    since      TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (account_id, event_id),
    CONSTRAINT account_entrants_one UNIQUE (event_id, entrant)
);

-- What an account lists: orders of its entrants and of its address, and tickets that changed hands. A ticket as it is sold is in no
-- index of these; it is found by its order.
CREATE INDEX IF NOT EXISTS orders_by_entrant ON orders (event_id, entrant);

CREATE INDEX IF NOT EXISTS orders_by_email ON orders (lower(email)) WHERE email <> '';

CREATE INDEX IF NOT EXISTS tickets_by_owner ON tickets (event_id, owner) WHERE epoch > 1;
