-- A row is matched with a transfer by that transfer's time first: new matches go to the end of the index, and a day's lie together.
-- Transfers that were made because of a row count as of 1970: nobody looks for them by their time. Rows from before get theirs when
-- their day is read again.

ALTER TABLE settlement_rows ADD COLUMN IF NOT EXISTS transfer_at TIMESTAMPTZ NULL;

CREATE UNIQUE INDEX IF NOT EXISTS settlement_rows_by_transfer_time ON settlement_rows (transfer_at, transfer_id) WHERE transfer_id IS NOT NULL;

DROP INDEX IF EXISTS settlement_rows_by_transfer;
