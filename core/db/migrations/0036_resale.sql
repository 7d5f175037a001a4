-- Tickets that their owners offer for resale, and what became of them.

-- A listing is a stock row of capacity 1 with a price of its own; 0 in rows of what an event sells itself.
ALTER TABLE stock ADD COLUMN IF NOT EXISTS price_minor INT8 NOT NULL DEFAULT 0 CHECK (price_minor >= 0);

ALTER TABLE stock ADD COLUMN IF NOT EXISTS price_no INT8 NOT NULL DEFAULT 0 CHECK (price_no >= 0);

-- order_id is the buyer's, from the moment their payment is authorized; bought_no is which price they pay. payout is what becomes of the
-- seller's share: '' before there is one, 'waiting', 'sent', 'arrived', 'recalled' when the resale was undone, 'forfeited' when the seller's
-- own purchase was charged back.
CREATE TABLE IF NOT EXISTS listings (
    listing_id   UUID        NOT NULL PRIMARY KEY, -- UUIDv5(ticket, Idempotency-Key)
    event_id     UUID        NOT NULL,
    ticket_id    UUID        NOT NULL,
    seller       BYTEA       NOT NULL,
    account_id   UUID        NULL, -- of the seller, where they are signed in
    seller_order UUID        NOT NULL, -- that the ticket was issued for
    email        TEXT        NOT NULL, -- where the operator who pays the seller asks
    tier         TEXT        NOT NULL,
    seat         TEXT        NOT NULL, -- '' for general admission
    state        TEXT        NOT NULL CHECK (state IN ('open', 'selling', 'sold', 'withdrawn', 'ended', 'undone')),
    reason       TEXT        NOT NULL, -- why it is over
    price_no     INT8        NOT NULL, -- of listing_prices: the present one
    body_hash    BYTEA       NOT NULL,
    order_id     UUID        NULL,
    bought_no    INT8        NULL,
    new_ticket   UUID        NULL, -- the buyer's
    payout       TEXT        NOT NULL CHECK (payout IN ('', 'waiting', 'sent', 'arrived', 'recalled', 'forfeited')),
    payout_no    INT8        NOT NULL, -- counts the attempts to pay
    pay_at       TIMESTAMPTZ NULL, -- the seller is not paid before
    payout_by    TEXT        NOT NULL,
    payout_ref   TEXT        NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    sold_at      TIMESTAMPTZ NULL
);

-- A ticket is on sale once.
CREATE UNIQUE INDEX IF NOT EXISTS listings_one_open ON listings (ticket_id) WHERE state IN ('open', 'selling');

CREATE INDEX IF NOT EXISTS listings_by_event ON listings (event_id, created_at, listing_id);

CREATE INDEX IF NOT EXISTS listings_by_ticket ON listings (ticket_id);

CREATE INDEX IF NOT EXISTS listings_by_seller ON listings (seller, event_id);

CREATE INDEX IF NOT EXISTS listings_by_account ON listings (account_id, created_at) WHERE account_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS listings_by_seller_order ON listings (seller_order);

CREATE INDEX IF NOT EXISTS listings_by_order ON listings (order_id) WHERE order_id IS NOT NULL;

CREATE INDEX IF NOT EXISTS listings_to_pay ON listings (pay_at, listing_id) WHERE payout IN ('waiting', 'sent');

-- Every price that a listing had, and how it is divided: asked = royalty + commission + what the seller gets. A hold keeps the price it was
-- granted at. Rows are only ever inserted.
CREATE TABLE IF NOT EXISTS listing_prices (
    listing_id       UUID        NOT NULL,
    price_no         INT8        NOT NULL,
    currency         TEXT        NOT NULL,
    asked_minor      INT8        NOT NULL CHECK (asked_minor > 0),
    fee_minor        INT8        NOT NULL CHECK (fee_minor >= 0),
    tax_minor        INT8        NOT NULL CHECK (tax_minor >= 0),
    royalty_minor    INT8        NOT NULL CHECK (royalty_minor >= 0),
    commission_minor INT8        NOT NULL CHECK (commission_minor >= 0),
    cap_minor        INT8        NULL, -- the most that it might have cost in all; NULL for no cap
    at               TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (listing_id, price_no)
);
