-- Sessions that ended before their time, because the account's turn was taken to another browser. Every core keeps them in memory.
CREATE TABLE IF NOT EXISTS revoked_sessions (
    session_id UUID        NOT NULL PRIMARY KEY,
    revoked_at TIMESTAMPTZ NOT NULL,
    keep_until TIMESTAMPTZ NOT NULL
);

CREATE INDEX IF NOT EXISTS revoked_sessions_by_time ON revoked_sessions (revoked_at);
