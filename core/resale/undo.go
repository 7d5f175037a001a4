package resale

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/ticket"
	"fairgate/core/ticket/title"
	"fairgate/ledger"
)

const sqlOfTickets = `SELECT listing_id FROM listings WHERE ticket_id = ANY($1::UUID[]) AND state = ANY($2::TEXT[]) ORDER BY listing_id`

const sqlSoldInOrder = `SELECT listing_id FROM listings WHERE order_id = $1::UUID AND state = 'sold'`

const sqlSettleShare = `
UPDATE listings SET payout = $3, updated_at = now()
WHERE listing_id = $1::UUID AND payout = $2`

const sqlOrderState = `SELECT state FROM orders WHERE order_id = $1::UUID`

// ofTickets finds the listings of tickets that are in one of the states.
func (s *Service) ofTickets(ctx context.Context, tx pgx.Tx, tickets []uuid.UUID, states ...string) ([]Listing, error) {
	return s.among(ctx, tx, sqlOfTickets, tickets, states)
}

// among reads the listings whose ids a statement finds.
func (s *Service) among(ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]Listing, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("look for listings: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return collect(ctx, tx, sqlListings, ids)
}

// Gone ends the listings of tickets that have just become void for another reason than a resale. One that is being paid for cannot be
// handed over any more, and its buyer gets the money back.
func (s *Service) Gone(ctx context.Context, tx pgx.Tx, tickets []uuid.UUID, reason string) error {
	listings, err := s.ofTickets(ctx, tx, tickets, string(Open), string(Selling))
	if err != nil {
		return err
	}
	for i := range listings {
		l := &listings[i]
		if err := l.move(ctx, tx, Ended, reason); err != nil {
			return err
		}
		if err := inventory.Unlist(ctx, tx, l.unit()); err != nil && !errors.Is(err, inventory.ErrHeld) {
			return err // a hold that lives ends by itself, and Run closes the row
		}
	}
	return nil
}

// Resold tells what became of tickets that their order's payer wants money back for: which were resold, and whether one of them is being
// sold at the moment.
func (s *Service) Resold(ctx context.Context, tx pgx.Tx, tickets []uuid.UUID) (sold map[uuid.UUID]Listing, selling bool, err error) {
	listings, err := s.ofTickets(ctx, tx, tickets, string(Selling), string(Sold), string(Undone))
	if err != nil {
		return nil, false, err
	}
	sold = make(map[uuid.UUID]Listing)
	for _, l := range listings {
		switch {
		case l.State == Selling:
			selling = true
		case l.State == Sold, l.Paid(): // of one undone, whoever was paid for the ticket has no claim to what they paid themselves
			sold[l.Ticket] = l
		}
	}
	return sold, selling, nil
}

// Paid tells whether the seller was sent their share, which is then theirs.
func (l *Listing) Paid() bool { return l.Payout == Sent || l.Payout == Arrived }

// SellerPaid tells whether the seller of the ticket that an order bought was sent their share.
func (s *Service) SellerPaid(ctx context.Context, tx pgx.Tx, order uuid.UUID) (bool, error) {
	listings, err := s.among(ctx, tx, sqlSoldInOrder, order)
	for i := range listings {
		if listings[i].Paid() {
			return true, nil
		}
	}
	return false, err
}

// UndoOrder undoes the resale of a buyer's order that is refunded as a whole or charged back, whose ticket is void by now; see Undo. Of
// an order that was no resale, or was undone before, it does nothing.
func (s *Service) UndoOrder(ctx context.Context, tx pgx.Tx, order uuid.UUID, organizer, reason string, cancelled bool) error {
	listings, err := s.among(ctx, tx, sqlSoldInOrder, order)
	if err != nil {
		return err
	}
	for i := range listings {
		if err := s.Undo(ctx, tx, &listings[i], organizer, reason, cancelled); err != nil {
			return err
		}
	}
	return nil
}

// Undo takes a resale back: the seller's share and our commission go to the organizer, who is charged with the buyer's refund, and the
// seller has the ticket again, unless the event is cancelled, the seller's own purchase is not in order, or they were paid before.
func (s *Service) Undo(ctx context.Context, tx pgx.Tx, l *Listing, organizer, reason string, cancelled bool) error {
	due := int64(0)
	returns := !cancelled && l.Payout == Waiting
	if l.Payout == Waiting {
		due = l.Due()
		if err := l.share(ctx, tx, Recalled); err != nil {
			return err
		}
	}
	transfers, err := ledger.ResaleUndoneTransfers(ledger.Terms{Order: l.Order, Organizer: organizer, Currency: l.Price.Currency}, l.SellerAccount(), due, l.Price.Commission-l.LostCommission)
	if err != nil {
		return err
	}
	if err := s.ledger.Record(ctx, tx, transfers); err != nil {
		return err
	}
	if err := l.move(ctx, tx, Undone, reason); err != nil {
		return err
	}
	if err := inventory.Unlist(ctx, tx, l.unit()); err != nil && !errors.Is(err, inventory.ErrHeld) {
		return err // what is kept off sale stays taken
	}
	metrics.undone.Inc()
	if !returns {
		return nil
	}
	own, err := stateOf(ctx, tx, l.SellerOrder)
	if err != nil || own != orderIssued {
		return err
	}
	return s.GiveBack(ctx, tx, l)
}

const (
	orderIssued = "ticket_issued" // of an order whose tickets are good: checkout.TicketIssued
	orderLost   = "dispute_lost"  // of one that a bank has taken the money of: checkout.DisputeLost
)

// stateOf is the state of an order.
func stateOf(ctx context.Context, tx pgx.Tx, order uuid.UUID) (state string, err error) {
	if err := tx.QueryRow(ctx, sqlOrderState, order).Scan(&state); err != nil {
		return "", fmt.Errorf("read the seller's order: %w", err)
	}
	return state, nil
}

// recall takes a share that waits from its seller, for the organizer.
func (s *Service) recall(ctx context.Context, tx pgx.Tx, l *Listing, organizer string, to Payout) error {
	if err := l.share(ctx, tx, to); err != nil {
		return err
	}
	transfers, err := ledger.ResaleUndoneTransfers(ledger.Terms{Order: l.Order, Organizer: organizer, Currency: l.Price.Currency}, l.SellerAccount(), l.Due(), 0)
	if err != nil {
		return err
	}
	return s.ledger.Record(ctx, tx, transfers)
}

// Of a ticket that was resold more than once the last time counts.
const sqlUndoneOf = `
SELECT l.listing_id FROM listings AS l
JOIN tickets AS t ON t.ticket_id = l.ticket_id
WHERE l.seller_order = $1::UUID AND l.state = 'undone' AND l.payout = 'recalled' AND t.state = 'void' AND t.void_reason = $2::TEXT
    AND NOT EXISTS (SELECT 1 FROM listings AS m WHERE m.ticket_id = l.ticket_id AND m.sold_at > l.sold_at)
ORDER BY l.listing_id`

// UndoneOf are the resales of an order's tickets that were undone without giving the ticket back, as the order was disputed then, and whose
// sellers have no money of them; by ticket.
func (s *Service) UndoneOf(ctx context.Context, tx pgx.Tx, sellerOrder uuid.UUID) (map[uuid.UUID]Listing, error) {
	listings, err := s.among(ctx, tx, sqlUndoneOf, sellerOrder, VoidReason)
	if err != nil {
		return nil, err
	}
	undone := make(map[uuid.UUID]Listing, len(listings))
	for _, l := range listings {
		undone[l.Ticket] = l
	}
	return undone, nil
}

// GiveBack gives the seller of a resale that was undone the ticket again, once their own purchase is in order: see UndoneOf. The buyer's,
// which is void, goes back in the chain of title first, so that it says who had it last.
func (s *Service) GiveBack(ctx context.Context, tx pgx.Tx, l *Listing) error {
	bought, err := ticket.Load(ctx, tx, l.NewTicket)
	if err != nil {
		return err
	}
	buyer := bought.Owner
	if err := s.issuer.Reinstate(ctx, tx, []ticket.Ticket{bought}); err != nil {
		return err
	}
	if bought, err = ticket.Load(ctx, tx, l.NewTicket); err != nil {
		return err
	}
	if err := s.issuer.Reissue(ctx, tx, []ticket.Reissue{{Ticket: bought, Owner: l.Seller}}); err != nil {
		return err
	}
	if _, err := title.Append(ctx, tx, title.Step{Ticket: bought.ID, Epoch: bought.Epoch + 1, From: buyer, To: l.Seller, How: title.Transfer, Note: "the resale was undone"}); err != nil {
		return err
	}
	if _, err := ticket.Void(ctx, tx, []uuid.UUID{bought.ID}, "the resale was undone"); err != nil {
		return err
	}
	was, err := ticket.Load(ctx, tx, l.Ticket)
	if err != nil {
		return err
	}
	if was.State == ticket.Valid || was.VoidReason != VoidReason {
		return nil
	}
	return s.issuer.Reinstate(ctx, tx, []ticket.Ticket{was})
}

// share moves what becomes of the seller's share.
func (l *Listing) share(ctx context.Context, tx pgx.Tx, to Payout) error {
	tag, err := tx.Exec(ctx, sqlSettleShare, l.ID, string(l.Payout), string(to))
	if err != nil {
		return fmt.Errorf("settle the share of listing %s: %w", l.ID, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("settle the share of listing %s: %w", l.ID, ErrOutdated)
	}
	l.Payout = to
	return nil
}
