-- What operators booked by hand, since only they know it from the bank or decide it. The transfers have the same reference.
CREATE TABLE IF NOT EXISTS bookings (
    reference    UUID        NOT NULL PRIMARY KEY,
    kind         TEXT        NOT NULL CHECK (kind IN ('settlement_arrived', 'tax_paid', 'rounding_cleared')),
    name         TEXT        NOT NULL, -- a provider's payout, or the operator's name of a payment or a closing
    currency     TEXT        NOT NULL,
    amount_minor INT8        NOT NULL, -- of a closed rounding below zero where it cost us
    actor        TEXT        NOT NULL,
    reason       TEXT        NOT NULL,
    booked_at    TIMESTAMPTZ NOT NULL
);
