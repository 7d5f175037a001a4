package resale

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket"
	"fairgate/core/ticket/title"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// Wanted names a listing at one of its prices.
type Wanted struct {
	Listing uuid.UUID
	PriceNo int64
}

// Quote is a listing at the price that a hold has.
type Quote struct {
	Listing
	Price Price // the one that was asked for
	// Ready tells whether the ticket can still be handed over: it is valid, listed and the seller's.
	Ready bool
	Open  error // why the event's resale is over; nil while it is not
}

const sqlQuotes = `
SELECT l.listing_id, p.price_no, p.currency, p.asked_minor, p.fee_minor, p.tax_minor, p.royalty_minor, p.commission_minor,
    t.state = 'valid' AND t.hold = 'listed' AND t.owner = l.seller, now()
FROM unnest($1::UUID[], $2::INT8[]) AS k (listing_id, price_no)
JOIN listings AS l ON l.listing_id = k.listing_id
JOIN listing_prices AS p ON p.listing_id = k.listing_id AND p.price_no = k.price_no
JOIN tickets AS t ON t.ticket_id = l.ticket_id`

// Quotes reads listings at the prices that holds have; what does not exist is missing from the map.
func (s *Service) Quotes(ctx context.Context, q Querier, wanted []Wanted) (map[Wanted]Quote, error) {
	quotes := make(map[Wanted]Quote, len(wanted))
	ids, numbers := make([]uuid.UUID, len(wanted)), make([]int64, len(wanted))
	for i, w := range wanted {
		ids[i], numbers[i] = w.Listing, w.PriceNo
	}
	rows, err := q.Query(ctx, sqlQuotes, ids, numbers)
	if err != nil {
		return nil, fmt.Errorf("quote %d listings: %w", len(wanted), err)
	}
	var id uuid.UUID
	var p Price
	var ready bool
	var now time.Time
	if _, err := pgx.ForEachRow(rows, []any{&id, &p.No, &p.Currency, &p.Asked, &p.Fee, &p.Tax, &p.Royalty, &p.Commission, &ready, &now}, func() error {
		quotes[Wanted{id, p.No}] = Quote{Price: p, Ready: ready}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("quote %d listings: %w", len(wanted), err)
	}
	found, err := Read(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	for w, quote := range quotes {
		quote.Listing = found[w.Listing]
		rules, err := s.rules(ctx, quote.Event)
		if err != nil {
			return nil, fmt.Errorf("rules of event %s: %w", quote.Event, err)
		}
		quote.Open = rules.open(now)
		quotes[w] = quote
	}
	return quotes, nil
}

// Sellable tells why a buyer cannot open an order for the listing, or have it sold to them; nil when they can.
func (q *Quote) Sellable(buyer lottery.Entrant) error {
	switch {
	case q.State != Open || !q.Ready:
		return ErrOver
	case q.Seller == buyer:
		return ErrOwn
	}
	return q.Open
}

// Sale is a listing whose buyer's payment is authorized.
type Sale struct {
	Wanted
	Order uuid.UUID
}

const sqlBegin = `
UPDATE listings AS l SET state = 'selling', order_id = k.order_id, bought_no = k.price_no, updated_at = now()
FROM unnest($1::UUID[], $2::UUID[], $3::INT8[]) AS k (listing_id, order_id, price_no)
WHERE l.listing_id = k.listing_id AND l.state = 'open'`

// A listing that ended meanwhile stays so.
const sqlRelease = `
UPDATE listings AS l SET state = 'open', order_id = NULL, bought_no = NULL, updated_at = now()
FROM unnest($1::UUID[]) AS k (listing_id)
WHERE l.listing_id = k.listing_id AND l.state = 'selling'`

const sqlTake = `
UPDATE listings AS l SET state = 'sold', new_ticket = k.new_ticket, payout = 'waiting', pay_at = k.pay_at, sold_at = now(), updated_at = now()
FROM unnest($1::UUID[], $2::UUID[], $3::UUID[], $4::TIMESTAMPTZ[]) AS k (listing_id, order_id, new_ticket, pay_at)
WHERE l.listing_id = k.listing_id AND l.state = 'selling' AND l.order_id = k.order_id`

// Begin notes that listings are being paid for. ErrOutdated: one is not open any more.
func (s *Service) Begin(ctx context.Context, tx pgx.Tx, sales []Sale) error {
	ids, orders, numbers := make([]uuid.UUID, len(sales)), make([]uuid.UUID, len(sales)), make([]int64, len(sales))
	for i, sale := range sales {
		ids[i], orders[i], numbers[i] = sale.Listing, sale.Order, sale.PriceNo
	}
	tag, err := tx.Exec(ctx, sqlBegin, ids, orders, numbers)
	if err != nil {
		return fmt.Errorf("begin to sell %d listings: %w", len(sales), err)
	}
	if tag.RowsAffected() != int64(len(sales)) {
		return fmt.Errorf("begin to sell listings: %d of %d: %w", tag.RowsAffected(), len(sales), ErrOutdated)
	}
	return nil
}

// Release puts listings whose capture was refused back on sale, as far as they are not over.
func (s *Service) Release(ctx context.Context, tx pgx.Tx, listings []uuid.UUID) error {
	if _, err := tx.Exec(ctx, sqlRelease, listings); err != nil {
		return fmt.Errorf("put %d listings back on sale: %w", len(listings), err)
	}
	return nil
}

// Handover is a listing whose buyer's money is captured.
type Handover struct {
	Quote
	Buyer lottery.Entrant
}

// Split divides the price of a sale in the ledger.
func (h *Handover) Split(t ledger.Terms) ([]ledger.Transfer, error) {
	return ledger.ResaleSplitTransfers(t, h.SellerAccount(), h.Price.Amount(h.Price.Asked), h.Price.Royalty, h.Price.Commission)
}

// VoidReason is why the ticket of a seller who sold it is void.
const VoidReason = "resold"

// Take makes sellers' tickets void and the listings sold, before the buyers' tickets are written. ErrOutdated: one of them cannot be handed
// over any more.
func (s *Service) Take(ctx context.Context, tx pgx.Tx, handed []Handover) error {
	n := len(handed)
	tickets, ids, orders, issued, pay := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n), make([]time.Time, n)
	var now time.Time
	if err := tx.QueryRow(ctx, sqlNow).Scan(&now); err != nil {
		return fmt.Errorf("ask for the time: %w", err)
	}
	for i := range handed {
		h := &handed[i]
		rules, err := s.rules(ctx, h.Event)
		if err != nil {
			return fmt.Errorf("rules of event %s: %w", h.Event, err)
		}
		tickets[i], ids[i], orders[i], issued[i], pay[i] = h.Ticket, h.ID, h.Order, ticket.TicketID(h.Order, 0), rules.payAt(now)
	}
	voided, err := ticket.Void(ctx, tx, tickets, VoidReason)
	if err != nil {
		return err
	}
	if len(voided) != n {
		return fmt.Errorf("take %d tickets, of which %d are valid: %w", n, len(voided), ErrOutdated)
	}
	tag, err := tx.Exec(ctx, sqlTake, ids, orders, issued, pay)
	if err != nil {
		return fmt.Errorf("sell %d listings: %w", n, err)
	}
	if tag.RowsAffected() != int64(n) {
		return fmt.Errorf("sell listings: %d of %d: %w", tag.RowsAffected(), n, ErrOutdated)
	}
	return nil
}

// Entitle appends the sale to the title of the buyers' tickets, after they were written.
func (s *Service) Entitle(ctx context.Context, tx pgx.Tx, handed []Handover) error {
	for i := range handed {
		h := &handed[i]
		if _, err := title.Append(ctx, tx, title.Step{Ticket: ticket.TicketID(h.Order, 0), Epoch: 1, From: h.Seller, To: h.Buyer, How: title.Resale,
			Price: h.Price.Amount(h.Price.AllIn()), Previous: h.Ticket}); err != nil {
			return err
		}
	}
	return nil
}
