package inventory

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory/seating"
)

const sqlReadMarks = `
SELECT q.kind, q.buyer
FROM unnest($1::UUID[]) AS k (quota_id)
JOIN quota AS q ON q.quota_id = k.quota_id`

// HoldAgain asks for the same kind of units as an earlier hold had, for the same buyer: first for the very same seats, then
// for the best ones of the same tiers; quantities where there are no seats. Every limit applies, counted by all that the
// earlier hold was counted by. The same key gives the same hold, in its present state. Refusals are those of Hold.
func (s *Service) HoldAgain(ctx context.Context, earlier uuid.UUID, key string) (Hold, error) {
	h, err := s.Load(ctx, earlier)
	if err != nil {
		return Hold{}, err
	}
	marks, err := s.marks(ctx, &h)
	if err != nil {
		return Hold{}, err
	}
	again, err := s.again(ctx, &h, marks, key, true)
	if err == nil || !Refusal(err) {
		return again, err
	}
	seated := false
	for _, item := range h.Items {
		seated = seated || len(item.Seats) > 0
	}
	if !seated {
		return Hold{}, err
	}
	return s.again(ctx, &h, marks, key, false)
}

// again makes one of the two requests. A window that has ended has given its units to general sale.
func (s *Service) again(ctx context.Context, h *Hold, marks Marks, key string, same bool) (Hold, error) {
	if same {
		key += "/same"
	}
	r := Request{Event: h.Event, Entrant: h.Entrant, Key: key, Marks: marks}
	for _, item := range h.Items {
		next := Item{Tier: item.Tier, Quantity: item.Quantity}
		switch {
		case len(item.Seats) > 0 && same:
			next = Item{Seats: item.Seats}
		case len(item.Seats) > 0:
			next = Item{Tier: item.Tier, Best: &Best{Quantity: len(item.Seats), Allow: seating.Allow{Orphans: true, Split: true, Neighbours: true}}}
		}
		r.Items, r.Window = append(r.Items, next), item.Window
	}
	got, err := s.Hold(ctx, r)
	if r.Window != "" && (errors.Is(err, ErrWindowOver) || errors.Is(err, ErrWindowUnknown)) {
		r.Window = ""
		return s.Hold(ctx, r)
	}
	return got, err
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
