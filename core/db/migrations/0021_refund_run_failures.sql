-- Orders that the refund of a cancelled event has tried in vain and passed over. An order that was refunded since keeps its row, which
-- then says nothing any more.
CREATE TABLE IF NOT EXISTS refund_run_failures (
    run_id    UUID        NOT NULL,
    order_id  UUID        NOT NULL,
    error     TEXT        NOT NULL,
    failed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (run_id, order_id)
);
