package resale

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/ledger"
)

const sqlSoldFromOrder = `SELECT listing_id FROM listings WHERE seller_order = $1::UUID AND state = 'sold' ORDER BY listing_id`

// Loss is what a seller's own purchase has lost: to a dispute, or to a refund of what a dispute has left.
type Loss struct {
	ID        uuid.UUID           // the dispute's, or the refund's
	Organizer string              // who was charged with the price that was lost
	Whole     bool                // nothing is left of the purchase's price
	Of        map[uuid.UUID]int64 // what was lost of the price of each ticket, in minor units
}

// Forfeit takes from a seller whose purchase has lost money what they were not paid yet of reselling its tickets, for the organizer, who was
// charged with it: of each ticket no more than was lost of its price, so that whoever has a part of their money back is neither richer nor
// poorer for it. Where nothing is left of the price, all is taken: who has paid nothing earns nothing. Of a share that was sent nothing is
// taken before it comes back. It answers how many tickets were resold: their places are not the order's any more.
func (s *Service) Forfeit(ctx context.Context, tx pgx.Tx, sellerOrder uuid.UUID, loss Loss) (resold int, err error) {
	listings, err := s.among(ctx, tx, sqlSoldFromOrder, sellerOrder)
	if err != nil {
		return 0, err
	}
	for i := range listings {
		if err := s.forfeit(ctx, tx, &listings[i], &loss); err != nil {
			return 0, fmt.Errorf("forfeit the share of listing %s: %w", listings[i].ID, err)
		}
	}
	return len(listings), nil
}

func (s *Service) forfeit(ctx context.Context, tx pgx.Tx, l *Listing, loss *Loss) error {
	left := l.Due() - l.OwedShare
	part := left
	if !loss.Whole {
		part = min(left, loss.Of[l.Ticket])
	}
	switch {
	case l.Payout == Waiting && (loss.Whole || part > 0 && part == left):
		return s.recall(ctx, tx, l, loss.Organizer, Forfeited)
	case part <= 0:
		return nil
	case l.Paid():
		return l.lose(ctx, tx, 0, 0, part)
	case l.Payout != Waiting:
		return nil
	}
	transfers, err := ledger.ResaleLostTransfers(ledger.Terms{Order: l.Order, Organizer: loss.Organizer, Currency: l.Price.Currency}, loss.ID, l.SellerAccount(), part, 0)
	if err != nil {
		return err
	}
	if err := s.ledger.Record(ctx, tx, transfers); err != nil {
		return err
	}
	return l.lose(ctx, tx, part, 0, 0)
}

// forfeited tells of a share that came back whether losses of the seller's own purchase, which is in state own, have taken all of it.
func (l *Listing) forfeited(own string) bool { return own == orderLost && l.OwedShare >= l.Due() }
