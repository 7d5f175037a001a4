-- A refund that was given up, and that its provider turned out to have made. The books gave its first promise up for good, so they have
-- it under a second name, which follows from its id.
ALTER TABLE refunds ADD COLUMN IF NOT EXISTS revived BOOL NOT NULL DEFAULT false;
