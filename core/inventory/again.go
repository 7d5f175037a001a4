package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory/seating"
)

const sqlReadMarks = `
SELECT q.kind, q.buyer
FROM unnest($1::UUID[]) AS k (quota_id)
JOIN quota AS q ON q.quota_id = k.quota_id`

// ErrHoldLives means that another hold was asked for instead of one that is still active. It is no refusal: ask again when that has ended.
var ErrHoldLives = errors.New("inventory: the earlier hold is still active")

// HoldAgain asks for the same kind of units as an earlier hold had, for the same buyer: first for the very same seats, then
// for the best ones of the same tiers; quantities where there are no seats. Every limit applies, counted by all that the
// earlier hold was counted by. The same key gives the same hold, in its present state. Refusals are those of Hold; an earlier
// hold that is still active is ErrHoldLives.
//
// An earlier hold that is past its deadline and waits for the sweep is closed as expired in the transaction that grants the new
// one, so its units go from the one to the other and nobody is in between: not the sweep, not another buyer, not the same
// question at another core.
func (s *Service) HoldAgain(ctx context.Context, earlier uuid.UUID, key string) (Hold, error) {
	for try := 1; ; try++ {
		h, err := s.Load(ctx, earlier)
		if err != nil {
			return Hold{}, err
		}
		if h.State == Active {
			return Hold{}, fmt.Errorf("hold again what hold %s has until %s: %w", h.ID, h.Deadline.Format(time.RFC3339), ErrHoldLives)
		}
		if h.Listing() {
			return Hold{}, fmt.Errorf("%w: there is one ticket of it", ErrListingGone)
		}
		marks, err := s.marks(ctx, &h)
		if err != nil {
			return Hold{}, err
		}
		again, err := s.again(ctx, &h, marks, key, h.window())
		if h.window() != "" && (errors.Is(err, ErrWindowOver) || errors.Is(err, ErrWindowUnknown)) {
			again, err = s.again(ctx, &h, marks, key, "") // a window that has ended has given its units to general sale
		}
		// If the sweep came by while the question was read, the stock may have been read before and the hold after: what came free
		// was in neither. A hold is closed once, so the second answer stands.
		if !Refusal(err) || !h.due() || try == 2 {
			return again, err
		}
	}
}

// window is the one that a hold came through; empty for general sale.
func (h *Hold) window() string {
	window := ""
	for i := range h.Items {
		window = h.Items[i].Window
	}
	return window
}

// again asks for a hold instead of one that has died, through a window or on general sale.
func (s *Service) again(ctx context.Context, h *Hold, marks Marks, key, window string) (Hold, error) {
	o, err := s.prepareAgain(ctx, h, Request{Event: h.Event, Entrant: h.Entrant, Key: key, Marks: marks, Window: window})
	if err != nil {
		s.figure.refused(err)
		return Hold{}, err
	}
	a, err := s.route(&o).Do(ctx, o)
	return a.hold, cmp.Or(err, a.err)
}

// prepareAgain is prepare for the request of another hold. What no longer makes sense, because the event's file has changed, is not
// asked for.
func (s *Service) prepareAgain(ctx context.Context, h *Hold, r Request) (op, error) {
	same, best, seated := make([]Item, len(h.Items)), make([]Item, len(h.Items)), false
	for i, item := range h.Items {
		same[i] = Item{Tier: item.Tier, Quantity: item.Quantity}
		best[i] = same[i]
		if len(item.Seats) > 0 {
			seated = true
			same[i] = Item{Seats: item.Seats}
			best[i] = Item{Tier: item.Tier, Best: &Best{Quantity: len(item.Seats), Allow: seating.Allow{Orphans: true, Split: true, Neighbours: true}}}
		}
	}
	r.Items = same
	o, err := s.prepare(ctx, &r, nil)
	if seated {
		r.Items = best
		switch other, otherErr := s.prepare(ctx, &r, nil); {
		case otherErr != nil: // then the same seats or none
		case err != nil:
			o, err = other, nil
		default:
			o.otherwise = other.items
		}
	}
	o.instead = h.ID
	return o, err
}

// marks are what the earlier hold was counted by, as far as rows of quota tell.
func (s *Service) marks(ctx context.Context, h *Hold) (m Marks, err error) {
	if len(h.others) == 0 {
		return m, nil
	}
	err = s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlReadMarks, h.others)
		if err != nil {
			return err
		}
		var kind string
		var buyer []byte
		_, err = pgx.ForEachRow(rows, []any{&kind, &buyer}, func() error {
			switch kind {
			case kindAccount:
				copy(m.Account[:], buyer)
			case kindDevice:
				copy(m.Device[:], buyer)
			case kindAddress:
				copy(m.Address[:], buyer)
			}
			return nil
		})
		return err
	})
	if err != nil {
		return m, fmt.Errorf("read what hold %s counts in: %w", h.ID, err)
	}
	return m, nil
}

// Refusal tells whether an error of Hold says no, for good or for now, and left nothing behind.
func Refusal(err error) bool {
	return err != nil && codeOf(err) != "other"
}

const sqlActiveAmong = `
SELECT h.hold_id
FROM unnest($1::UUID[]) AS k (hold_id)
JOIN holds AS h ON h.hold_id = k.hold_id
WHERE h.state = 'active'`

// ActiveHolds lists the holds of an event that are neither sold nor closed, those past their deadline included.
func (s *Service) ActiveHolds(ctx context.Context, event uuid.UUID) (active []uuid.UUID, err error) {
	err = s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlExpiriesOf, event)
		if err != nil {
			return err
		}
		var ids [][16]byte
		var joined []byte
		if _, err := pgx.ForEachRow(rows, []any{&joined}, func() error { ids = append(ids, splitIDs(joined)...); return nil }); err != nil {
			return err
		}
		if rows, err = s.db.Reader.Query(ctx, sqlActiveAmong, ids); err != nil {
			return err
		}
		active, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the active holds of event %s: %w", event, err)
	}
	return active, nil
}
