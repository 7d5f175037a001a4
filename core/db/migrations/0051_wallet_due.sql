-- What is due is looked for wallet by wallet: one that is far behind is not read by the look of another.
CREATE INDEX IF NOT EXISTS wallet_passes_due_by_wallet ON wallet_passes (wallet, due_at) WHERE due_at IS NOT NULL;

DROP INDEX IF EXISTS wallet_passes_due;

-- The passes of somebody, when an account is forgotten.
CREATE INDEX IF NOT EXISTS wallet_passes_by_owner ON wallet_passes (owner);
