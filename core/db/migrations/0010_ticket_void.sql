-- Why a ticket is void and since when.

ALTER TABLE tickets ADD COLUMN IF NOT EXISTS void_reason TEXT NOT NULL DEFAULT '';

ALTER TABLE tickets ADD COLUMN IF NOT EXISTS voided_at TIMESTAMPTZ NULL;
