-- A refund that was given up, revived, given up once more and revived again: how often that was. The books have it under another name each time.
ALTER TABLE refunds ADD COLUMN IF NOT EXISTS revived_again INT8 NOT NULL DEFAULT 0;

-- A run that refunds a cancelled event: orders that its pass has put off, passes in a row that did so, and until when it waits.
ALTER TABLE refund_runs ADD COLUMN IF NOT EXISTS put_off INT8 NOT NULL DEFAULT 0;

ALTER TABLE refund_runs ADD COLUMN IF NOT EXISTS pauses INT8 NOT NULL DEFAULT 0;

ALTER TABLE refund_runs ADD COLUMN IF NOT EXISTS paused_until TIMESTAMPTZ NULL;
