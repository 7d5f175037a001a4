package ticket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"fairgate/core/ticket/code"
	"fairgate/edge/lottery"
)

// Whatever was read is what is written over: a ticket that somebody else changed is not touched.
const sqlReissueTickets = `
UPDATE tickets AS t SET owner = k.owner, tier = k.tier, seat = k.seat, epoch = k.epoch, key_no = k.key_no, code = k.code, hold = ''
FROM unnest($1::UUID[], $2::BYTEA[], $3::TEXT[], $4::TEXT[], $5::INT8[], $6::INT8[], $7::TEXT[], $8::BYTEA[], $9::TEXT[])
     AS k (ticket_id, owner, tier, seat, epoch, key_no, code, was_owner, was_hold)
WHERE t.ticket_id = k.ticket_id AND t.state = 'valid' AND t.epoch = k.epoch - 1 AND t.owner = k.was_owner AND t.hold = k.was_hold`

// Reissue is a valid ticket that is to have a new code.
type Reissue struct {
	Ticket Ticket          // as it was read in the same transaction
	Owner  lottery.Entrant // whose it is from now on; zero: it stays whose it is
	Tier   string          // where it is for from now on, with Seat; empty: tier and seat stay
	Seat   string
}

// to is the ticket as it will be, but for its code.
func (r Reissue) to() Ticket {
	t := r.Ticket
	if r.Owner != (lottery.Entrant{}) {
		t.Owner = r.Owner
	}
	if r.Tier != "" {
		t.Tier, t.Seat = r.Tier, r.Seat
	}
	t.Epoch, t.Hold = t.Epoch+1, Free
	return t
}

// Reissue gives valid tickets a new code in their next epoch, as part of tx, and with it a new owner or another place: the code before
// is dead from the commit on. What they were set aside for ends. If one is void, or somebody has changed it since it was read, it is
// ErrMismatch, and if a seat has another valid ticket ErrSeatTaken; then the transaction is given up. It writes no title: whoever calls
// it for another owner or place appends the step (package title) in the same transaction.
func (s *Issuer) Reissue(ctx context.Context, tx pgx.Tx, tickets []Reissue) error {
	tickets = slices.SortedFunc(slices.Values(tickets), func(a, b Reissue) int { return bytes.Compare(a.Ticket.ID[:], b.Ticket.ID[:]) })
	n := len(tickets)
	if n == 0 {
		return nil
	}
	ids, epochs, keys := make([]uuid.UUID, n), make([]int64, n), make([]int64, n)
	owners, were := make([][]byte, n), make([][]byte, n)
	tiers, seats, codes, holds := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, r := range tickets {
		t := r.to()
		key, err := s.keys(ctx, t.Event)
		if err != nil {
			return fmt.Errorf("find the ticket key of event %s: %w", t.Event, err)
		}
		signed, err := code.Code{KeyNo: key.No, TicketID: t.ID, EventID: t.Event, Epoch: t.Epoch, Place: code.Place(t.Tier, t.Seat)}.Sign(key.Private)
		if err != nil {
			return fmt.Errorf("sign ticket %s: %w", t.ID, err)
		}
		ids[i], epochs[i], keys[i], codes[i] = t.ID, int64(t.Epoch), int64(key.No), signed
		owners[i], were[i] = t.Owner[:], r.Ticket.Owner[:]
		tiers[i], seats[i], holds[i] = t.Tier, t.Seat, string(r.Ticket.Hold)
	}
	tag, err := tx.Exec(ctx, sqlReissueTickets, ids, owners, tiers, seats, epochs, keys, codes, were, holds)
	if err != nil {
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) && pgErr.ConstraintName == seatConstraint {
			return fmt.Errorf("%w: %w", ErrSeatTaken, err)
		}
		return fmt.Errorf("reissue %d tickets: %w", n, err)
	}
	if tag.RowsAffected() != int64(n) {
		return fmt.Errorf("%w: %d of %d tickets could be reissued", ErrMismatch, tag.RowsAffected(), n)
	}
	return touch(ctx, tx, ids...)
}
