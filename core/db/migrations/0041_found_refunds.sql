-- What became of the tickets of a refund that somebody made at the provider: '' nobody has said yet, 'kept', or 'void'.
ALTER TABLE refunds ADD COLUMN IF NOT EXISTS reviewed TEXT NOT NULL DEFAULT '';
