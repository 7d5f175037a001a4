package checkout

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

// resaleLoss is what an order has lost of its price: to a dispute, or to a refund of what a dispute has left.
type resaleLoss struct {
	id     uuid.UUID // the dispute or the refund
	reason string
	money  ledger.OrderMoney // of the order, before
	face   int64             // what was lost of the price
}

// loseResale is what such a loss does to resales. Whoever resold the order's tickets forfeits as much of what they were not paid yet as
// was lost of the price of those tickets, or all of it where nothing is left of the price. Else, of a resale that the order was, the part
// that was lost is divided among those who had it, and with the last of it the resale is undone. resold tells that there is a resale, so
// no place of the order goes back on sale.
func (s *Service) loseResale(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund, terms Terms, l resaleLoss) (resold bool, err error) {
	if s.cfg.Resale == nil {
		return false, nil
	}
	rest, _ := l.money.Rest()
	loss := resale.Loss{ID: l.id, Organizer: terms.Organizer, Whole: rest.Face <= l.face}
	if loss.Of, err = lostOf(&r.order, refunds, l.face); err != nil {
		return false, err
	}
	sold, err := s.cfg.Resale.Forfeit(ctx, tx, r.order.ID, loss)
	if err != nil || sold > 0 {
		return true, err
	}
	switch {
	case !r.order.Resale():
		return false, nil
	case loss.Whole:
		return true, s.cfg.Resale.UndoOrder(ctx, tx, r.order.ID, terms.Organizer, l.reason, terms.Cancelled)
	}
	return true, s.cfg.Resale.LosePart(ctx, tx, r.order.ID, l.id, terms.Organizer, l.face)
}

// lostOf divides what was lost of an order's price among its tickets that were not refunded, as their prices were, to the last cent.
func lostOf(o *Order, refunds []Refund, face int64) (map[uuid.UUID]int64, error) {
	left := unrefunded(len(o.Lines), refunds)
	all := int64(0)
	for _, i := range left {
		all += o.Lines[i].Face
	}
	of := make(map[uuid.UUID]int64, len(left))
	if all <= 0 {
		return of, nil
	}
	upTo, divided := int64(0), int64(0)
	for _, i := range left {
		upTo += o.Lines[i].Face
		part, err := ledger.Amount{Minor: face, Currency: o.Amount.Currency}.Portion(upTo, all)
		if err != nil {
			return nil, err
		}
		of[ticket.TicketID(o.ID, i)] = part.Minor - divided
		divided = part.Minor
	}
	return of, nil
}

// wholeBack refuses to make the ticket of a resale void while its buyer has not all of the money back. The seller would have the ticket
// again, and the organizer what the buyer is still out of. A refund of the rest makes it void, and leaves nobody short.
func (r *record) wholeBack(ctx context.Context, tx pgx.Tx) error {
	if !r.order.Resale() {
		return nil
	}
	m, err := ledger.ReadOrder(ctx, tx, r.order.ID)
	if err != nil {
		return err
	}
	if left := m.CapturedMinor - m.ReturnedMinor; left > 0 {
		return fmt.Errorf("%w: %s is left", ErrFoundPart, ledger.Amount{Minor: left, Currency: m.Currency})
	}
	return nil
}
