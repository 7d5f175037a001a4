package resale

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/ledger"
)

// A buyer's dispute may be lost in part, and what it has left may be refunded later. The organizer is charged with that part of the price;
// the seller and the platform give back as much of what they had of it, and the organizer so bears the royalty's part, as when the
// resale is undone. The ticket stays void: the buyer keeps what they were given, and the seller is paid for the rest of it.

// ErrLoss means that a part of a price was to be lost that is no part of it.
var ErrLoss = errors.New("resale: that is no part of the price")

const sqlLosePart = `
UPDATE listings SET lost_share_minor = lost_share_minor + $2, lost_commission_minor = lost_commission_minor + $3, owed_share_minor = owed_share_minor + $4, updated_at = now()
WHERE listing_id = $1::UUID AND state = 'sold' AND lost_share_minor = $5 AND lost_commission_minor = $6 AND owed_share_minor = $7`

// LosePart divides a part of the price of the resale that an order was, which its organizer has just been charged with: loss is the dispute
// or the refund that did so, minor what it took of the price. Of a seller who was sent the share nothing is taken before it comes back.
// Of an order that was no resale, or whose resale was undone, it does nothing.
func (s *Service) LosePart(ctx context.Context, tx pgx.Tx, order, loss uuid.UUID, organizer string, minor int64) error {
	if minor <= 0 {
		return nil
	}
	listings, err := s.among(ctx, tx, sqlSoldInOrder, order)
	if err != nil {
		return err
	}
	for i := range listings {
		if err := s.losePart(ctx, tx, &listings[i], loss, organizer, minor); err != nil {
			return fmt.Errorf("divide a loss of listing %s: %w", listings[i].ID, err)
		}
	}
	return nil
}

func (s *Service) losePart(ctx context.Context, tx pgx.Tx, l *Listing, loss uuid.UUID, organizer string, minor int64) error {
	p := l.Price
	if minor > p.Asked {
		return fmt.Errorf("%w: %d of %d", ErrLoss, minor, p.Asked)
	}
	share, err := p.Amount(p.Share()).Portion(minor, p.Asked)
	if err != nil {
		return err
	}
	commission, err := p.Amount(p.Commission).Portion(minor, p.Asked)
	if err != nil {
		return err
	}
	due, owed := int64(0), int64(0)
	switch {
	case l.Payout == Waiting:
		due = min(share.Minor, l.Due())
	case l.Paid():
		owed = min(share.Minor, l.Due()-l.OwedShare)
	}
	back := min(commission.Minor, p.Commission-l.LostCommission)
	transfers, err := ledger.ResaleLostTransfers(ledger.Terms{Order: l.Order, Organizer: organizer, Currency: p.Currency}, loss, l.SellerAccount(), due, back)
	if err != nil {
		return err
	}
	if err := s.ledger.Record(ctx, tx, transfers); err != nil {
		return err
	}
	return l.lose(ctx, tx, due, back, owed)
}

// lose writes what a loss has taken, and what it takes of a share that was sent if that comes back.
func (l *Listing) lose(ctx context.Context, tx pgx.Tx, share, commission, owed int64) error {
	tag, err := tx.Exec(ctx, sqlLosePart, l.ID, share, commission, owed, l.LostShare, l.LostCommission, l.OwedShare)
	if err != nil {
		return err
	}
	if tag.RowsAffected() != 1 {
		return ErrOutdated
	}
	l.LostShare, l.LostCommission, l.OwedShare = l.LostShare+share, l.LostCommission+commission, l.OwedShare+owed
	return nil
}

// collect takes from a share that came back what disputes were lost meanwhile.
func (s *Service) collect(ctx context.Context, tx pgx.Tx, l *Listing) error {
	rules, err := s.rules(ctx, l.Event)
	if err != nil {
		return fmt.Errorf("rules of event %s: %w", l.Event, err)
	}
	owed := l.OwedShare
	transfers, err := ledger.ResaleLostTransfers(ledger.Terms{Order: l.Order, Organizer: rules.Organizer, Currency: l.Price.Currency}, PayoutID(l.ID, l.PayoutNo), l.SellerAccount(), owed, 0)
	if err != nil {
		return err
	}
	if err := s.ledger.Record(ctx, tx, transfers); err != nil {
		return err
	}
	return l.lose(ctx, tx, owed, 0, -owed)
}
