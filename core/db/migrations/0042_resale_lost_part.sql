-- What lost disputes have taken of a resale that was not undone as a whole: of the seller's share, and of our commission.
ALTER TABLE listings ADD COLUMN IF NOT EXISTS lost_share_minor INT8 NOT NULL DEFAULT 0 CHECK (lost_share_minor >= 0);

ALTER TABLE listings ADD COLUMN IF NOT EXISTS lost_commission_minor INT8 NOT NULL DEFAULT 0 CHECK (lost_commission_minor >= 0);

-- What they would have taken of a share that was sent, should it come back.
ALTER TABLE listings ADD COLUMN IF NOT EXISTS owed_share_minor INT8 NOT NULL DEFAULT 0 CHECK (owed_share_minor >= 0);
