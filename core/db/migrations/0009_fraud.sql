-- What is known of those who pay, and what was judged of it. Accounts, addresses and cards are keyed hashes of 16 bytes.

-- Rows are only inserted, and swept by the day: the day stands in front so that a day goes as one range, and behind it the hash, so
-- that no two buyers meet on a page. The same thing within the same minute is one row, which bounds the rows of each subject.
CREATE TABLE IF NOT EXISTS fraud_observations (
    day      DATE        NOT NULL, -- of minute, in UTC
    subject  BYTEA       NOT NULL, -- whom it was seen of
    relation TEXT        NOT NULL CHECK (relation IN ('payment', 'card', 'account', 'country', 'decline', 'denied')),
    minute   TIMESTAMPTZ NOT NULL,
    other    BYTEA       NOT NULL, -- what was seen: a payment, a card, an account, a country, a declined try
    PRIMARY KEY (day, subject, relation, minute, other)
);

-- reasons is JSON: [{"rule":"cards_per_account","verdict":"review","said":"4 cards within 1h0m0s, more than 3"}]. The first verdict of a
-- payment's stage stands: a payment that is begun again is begun the same way.
CREATE TABLE IF NOT EXISTS fraud_verdicts (
    order_id   UUID        NOT NULL,
    payment_id UUID        NOT NULL,
    stage      TEXT        NOT NULL CHECK (stage IN ('begin', 'authorized')),
    verdict    TEXT        NOT NULL CHECK (verdict IN ('allow', 'challenge', 'review', 'deny')),
    score      INT8        NOT NULL,
    reasons    TEXT        NOT NULL,
    at         TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (order_id, payment_id, stage)
);

-- The hash of the network address that an order was opened from, '' where it is not known.
ALTER TABLE orders ADD COLUMN IF NOT EXISTS address BYTEA NOT NULL DEFAULT '';

-- How a payment was judged before its provider was called, where that was not 'allow' or could not be stored beside the reasons.
ALTER TABLE payments ADD COLUMN IF NOT EXISTS screened TEXT NOT NULL DEFAULT '';

-- Payments that are authorized and wait for an operator, and who decided what. A table of its own, since an index on the state of
-- orders would be written by every step of every purchase.
CREATE TABLE IF NOT EXISTS reviews (
    order_id   UUID        NOT NULL,
    payment_id UUID        NOT NULL,
    event_id   UUID        NOT NULL,
    why        TEXT        NOT NULL, -- the reasons of the verdict, in a sentence
    opened_at  TIMESTAMPTZ NOT NULL,
    closed_at  TIMESTAMPTZ NULL,
    decision   TEXT        NOT NULL CHECK (decision IN ('', 'approved', 'denied', 'expired', 'released', 'voided', 'card_over_limit')),
    actor      TEXT        NOT NULL,
    reason     TEXT        NOT NULL, -- what the operator said
    PRIMARY KEY (order_id, payment_id)
);

CREATE INDEX IF NOT EXISTS reviews_open ON reviews (opened_at, order_id) WHERE closed_at IS NULL;
