package checkout

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/notify"
	"fairgate/core/ticket"
	"fairgate/core/ticket/title"
)

// ErrNoSeat means that a ticket is for a place without a number, which cannot be changed.
var ErrNoSeat = errors.New("checkout: the ticket is for no numbered seat")

// CauseSeatMoved is an operator giving a ticket another seat. The order stays where it is.
const CauseSeatMoved Cause = "seat_moved"

// maxMoveReason bounds why, in bytes: it is kept in the order's history.
const maxMoveReason = 500

const sqlOrderLanguage = `SELECT language FROM orders WHERE order_id = $1`

// SeatMove is another seat for a ticket.
type SeatMove struct {
	Ticket uuid.UUID
	Seat   string
	Any    bool // of another tier, too; the buyer pays nothing more and gets nothing back
	Reason string
	Actor  string
}

// SeatMoved is what became of a SeatMove.
type SeatMoved struct {
	Order  uuid.UUID
	Ticket ticket.Ticket // as it is now
	From   string        // the seat that it had; that it has, when it was moved before
}

// MoveSeat gives a ticket another seat, which must be free. In one transaction the old seat is back on sale, the new one sold, the ticket
// in its next epoch with a new code, and title, order, history and seat log say so, and a mail to who has it is queued;
// the orders of those who sold it on before follow (seat_resold.go). A scan, a refund, a transfer or somebody's hold
// of the new seat at the same instant comes before or after and finds things as they are then. Asked again for the seat that the ticket
// has, it answers the same.
//
// Errors: ticket.ErrUnknown, ticket.ErrVoid, ticket.ErrListed, ticket.ErrOffered, ticket.ErrEntered, ErrNoSeat, ErrReason, ErrTransition, ErrEventCancelled,
// inventory.ErrSeatUnknown, inventory.ErrSeatHeld, inventory.ErrSeatTaken, inventory.ErrTierOther.
func (s *Service) MoveSeat(ctx context.Context, q SeatMove) (SeatMoved, error) {
	q.Reason = strings.TrimSpace(q.Reason)
	if q.Reason == "" || len(q.Reason) > maxMoveReason {
		return SeatMoved{}, ErrReason
	}
	t, err := ticket.Load(ctx, s.db.Reader, q.Ticket)
	if err != nil {
		return SeatMoved{}, err
	}
	from := t.Seat
	err = s.change(ctx, t.Order, func(ctx context.Context, tx pgx.Tx, r *record, _ []Refund) (err error) {
		from, err = s.moveSeat(ctx, tx, r, &q)
		return err
	})
	if err != nil {
		return SeatMoved{}, fmt.Errorf("move ticket %s to seat %q: %w", q.Ticket, q.Seat, err)
	}
	if t, err = ticket.Load(ctx, s.db.Reader, q.Ticket); err != nil {
		return SeatMoved{}, err
	}
	return SeatMoved{t.Order, t, from}, nil
}

// moveSeat is MoveSeat inside its transaction, and answers the seat that the ticket had.
func (s *Service) moveSeat(ctx context.Context, tx pgx.Tx, r *record, q *SeatMove) (string, error) {
	t, err := ticket.Load(ctx, tx, q.Ticket)
	if err != nil {
		return "", err
	}
	if err := movable(ctx, tx, t, q.Seat); err != nil || t.Seat == q.Seat {
		return t.Seat, err
	}
	over, err := s.cancelled(ctx, tx, []uuid.UUID{t.Event})
	if err == nil && over {
		err = ErrEventCancelled
	}
	if err != nil {
		return "", err
	}
	if r.order.State != TicketIssued {
		return "", fmt.Errorf("%w: a seat is changed while %s", ErrTransition, r.order.State)
	}
	if t.Item < 0 || t.Item >= len(r.order.Lines) || r.order.Lines[t.Item].Seat != t.Seat {
		return "", fmt.Errorf("%w: item %d of order %s", ticket.ErrMismatch, t.Item, r.order.ID)
	}
	sellers, err := s.sellersOf(ctx, tx, r)
	if err != nil {
		return "", err
	}
	hold := r.order.Hold
	if len(sellers) > 0 { // the seat of a resold ticket stays with the hold that it was sold first with
		hold = sellers[len(sellers)-1].record.order.Hold
	}
	moved, err := inventory.MoveSeat(ctx, tx, inventory.Move{Hold: hold, From: t.Seat, To: q.Seat, Any: q.Any})
	if err != nil {
		return "", err
	}
	if err := s.issuer.Reissue(ctx, tx, []ticket.Reissue{{Ticket: t, Tier: moved.Tier, Seat: q.Seat}}); err != nil {
		return "", err
	}
	step := title.Step{Ticket: t.ID, Epoch: t.Epoch + 1, From: t.Owner, To: t.Owner, How: title.Reseat, Note: t.Seat + " → " + q.Seat}
	if _, err := title.Append(ctx, tx, step); err != nil {
		return "", err
	}
	r.order.Lines[t.Item].Tier, r.order.Lines[t.Item].Seat = moved.Tier, q.Seat
	r.lines, r.reseated = encodeLines(r.order.Lines), true
	if err := tellSeat(ctx, tx, r, t, q.Seat); err != nil {
		return "", err
	}
	why := fmt.Sprintf("ticket %s from seat %s to %s: %s", t.ID, t.Seat, q.Seat, q.Reason)
	if err := s.moveSold(ctx, tx, sellers, moved.Tier, q.Seat, q.Actor, why); err != nil {
		return "", err
	}
	return t.Seat, r.apply(CauseSeatMoved, q.Actor, why)
}

// movable tells why a ticket cannot have another seat.
func movable(ctx context.Context, tx pgx.Tx, t ticket.Ticket, seat string) error {
	if t.Seat == "" {
		return ErrNoSeat
	}
	if err := t.Usable(); err != nil || t.Seat == seat {
		return err
	}
	in, err := ticket.Entered(ctx, tx, t.ID)
	if err == nil && in {
		err = ticket.ErrEntered
	}
	return err
}

// tellSeat queues the mail about a ticket's other seat, to whoever has the ticket.
func tellSeat(ctx context.Context, tx pgx.Tx, r *record, t ticket.Ticket, seat string) error {
	if t.Owner != r.order.Entrant || !notify.Addressable(r.order.Email) {
		holders, err := holdersOf(ctx, tx, &r.order, []uuid.UUID{t.ID})
		if err != nil {
			return err
		}
		return notify.QueueAll(ctx, tx, tellHolders(holders, newsMoved, fmt.Sprint(t.Epoch+1), map[string]string{"from": t.Seat, "to": seat}))
	}
	var language string
	if err := tx.QueryRow(ctx, sqlOrderLanguage, r.order.ID).Scan(&language); err != nil {
		return fmt.Errorf("read the language of order %s: %w", r.order.ID, err)
	}
	return notify.Queue(ctx, tx, notify.Message{Key: fmt.Sprintf("ticket_moved/%s/%d", t.ID, t.Epoch+1), Kind: notify.KindTicketMoved,
		To: r.order.Email, Language: language, Subject: t.ID, Data: map[string]string{"from": t.Seat, "to": seat}})
}
