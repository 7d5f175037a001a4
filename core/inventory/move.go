package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

var (
	// ErrSeatHeld means that a buyer holds the seat and may still pay for it.
	ErrSeatHeld = errors.New("inventory: a buyer holds the seat")
	// ErrTierOther means that the seat is of another tier.
	ErrTierOther = errors.New("inventory: the seat is of another tier")
)

const sqlSeatsForMove = `
SELECT seat, tier, allocation, state
FROM seats
WHERE event_id = $1 AND seat = ANY($2::TEXT[])
ORDER BY seat
FOR UPDATE`

// Move is another seat for one of a sold hold's.
type Move struct {
	Hold uuid.UUID
	From string
	To   string
	Any  bool // a seat of another tier will do
}

// Moved is what became of a Move: where the hold's seat is now.
type Moved struct {
	Tier, Allocation string
}

// MoveSeat gives a sold hold another seat, which must be free, as part of tx: the old one goes back on sale where it was, whatever
// allocation the new one is set aside for. Both stock rows, the hold and the seat log follow; how many units the buyer has stays the
// same, and with it every quota. Errors: ErrHoldUnknown, ErrHoldClosed (not sold), ErrItemsInvalid (it has not got the seat),
// ErrSeatUnknown, ErrSeatHeld, ErrSeatTaken, ErrTierOther; then nothing was written.
func MoveSeat(ctx context.Context, tx pgx.Tx, m Move) (Moved, error) {
	holds, err := Read(ctx, tx, []uuid.UUID{m.Hold})
	if err != nil {
		return Moved{}, err
	}
	h, known := holds[m.Hold]
	switch {
	case !known:
		return Moved{}, ErrHoldUnknown
	case h.State != Sold:
		return Moved{}, ErrHoldClosed
	}
	at := slices.IndexFunc(h.Items, func(item Item) bool { return slices.Contains(item.Seats, m.From) })
	if at < 0 || m.From == m.To {
		return Moved{}, fmt.Errorf("%w: seat %q of hold %s becomes %q", ErrItemsInvalid, m.From, m.Hold, m.To)
	}
	to, err := freeSeat(ctx, tx, h.Event, m)
	if err != nil {
		return Moved{}, err
	}
	from := h.Items[at]
	if to.Tier != from.Tier && !m.Any {
		return Moved{}, fmt.Errorf("%w: %s is in %s, %s in %s", ErrTierOther, m.To, to.Tier, m.From, from.Tier)
	}
	if err := h.move(at, m, to).write(ctx, tx); err != nil {
		return Moved{}, fmt.Errorf("move seat %s of hold %s to %s: %w", m.From, m.Hold, m.To, err)
	}
	b := &pgx.Batch{}
	queueSeats(b, sqlSellSeats, "sell the seat", []seatMove{{seatKey: seatKey{h.Event, m.To}, hold: m.Hold}})
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return Moved{}, fmt.Errorf("move seat %s of hold %s to %s: %w", m.From, m.Hold, m.To, err)
	}
	return Moved{to.Tier, to.Allocation}, nil
}

// freeSeat locks both seats and finds the new one free.
func freeSeat(ctx context.Context, tx pgx.Tx, event uuid.UUID, m Move) (Item, error) {
	rows, err := tx.Query(ctx, sqlSeatsForMove, event, []string{m.From, m.To})
	if err != nil {
		return Item{}, fmt.Errorf("read seats: %w", err)
	}
	var to Item
	var seat, tier, allocation, state, now string
	_, err = pgx.ForEachRow(rows, []any{&seat, &tier, &allocation, &state}, func() error {
		if seat == m.To {
			to, now = Item{Tier: tier, Allocation: allocation, Quantity: 1, Seats: []string{seat}}, state
		}
		return nil
	})
	switch {
	case err != nil:
		return Item{}, fmt.Errorf("read seats: %w", err)
	case now == "":
		return Item{}, fmt.Errorf("%w: %q", ErrSeatUnknown, m.To)
	case now == "held":
		return Item{}, fmt.Errorf("%w: %s", ErrSeatHeld, m.To)
	case now != "free":
		return Item{}, fmt.Errorf("%w: %s is %s", ErrSeatTaken, m.To, now)
	}
	return to, nil
}

// move plans that the hold gives one seat of the item at an index back and takes another one.
func (h Hold) move(at int, m Move, to Item) *plan {
	gives := h.Items[at]
	same := gives.Tier == to.Tier && gives.Allocation == to.Allocation
	items := make([]Item, 0, len(h.Items)+1)
	for i, item := range h.Items {
		item.Seats = slices.Clone(item.Seats)
		if n := slices.Index(item.Seats, m.From); i == at && same {
			item.Seats[n] = m.To
		} else if i == at {
			item.Seats = slices.Delete(item.Seats, n, n+1)
			item.Quantity--
		}
		if item.Quantity > 0 {
			items = append(items, item)
		}
	}
	if !same {
		items = append(items, to)
	}
	gives.Quantity, gives.Seats = 1, []string{m.From}
	given, taken := h, h
	given.Items, given.Units = []Item{gives}, 0
	taken.Items, taken.Units = []Item{to}, 0
	p := &plan{stock: map[stockKey]int64{}, quota: map[uuid.UUID]quotaChange{}}
	p.stock[stockKey{h.Event, gives.Tier, gives.Allocation}]--
	p.stock[stockKey{h.Event, to.Tier, to.Allocation}]++
	p.freed = []seatMove{{seatKey: seatKey{h.Event, m.From}, hold: h.ID}}
	p.taken = []seatMove{{seatKey: seatKey{h.Event, m.To}, hold: h.ID, tier: to.Tier, allocation: to.Allocation}}
	p.closes = []closing{{hold: given, previous: Sold, returned: true, rest: items, was: h.Units}}
	p.moves = []Hold{taken}
	return p
}
