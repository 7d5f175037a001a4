-- What of an organizer's available money a run took for what they owed.
ALTER TABLE payout_lines ADD COLUMN IF NOT EXISTS used_minor INT8 NOT NULL DEFAULT 0;
