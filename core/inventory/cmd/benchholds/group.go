package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"fairgate/core/db"
	"fairgate/core/inventory"
)

// newService is the service as core runs it, with an offer of one tier.
func newService(d *db.DB, o options, tier string, kind inventory.Kind) *inventory.Service {
	offer := inventory.Offer{
		Currency: "EUR", Limit: limit, HoldTTL: ttl,
		Tiers: map[string]inventory.TierOffer{tier: {Kind: kind, PriceMinor: 6500, Allocation: "general"}},
	}
	return inventory.New(d, inventory.Config{
		Lanes: o.events, MaxBatch: o.batch, MaxQueue: 2 * o.callers,
		Offers: func(context.Context, uuid.UUID) (inventory.Offer, error) { return offer, nil },
	}, inventory.Hooks{})
}

// measureGroup asks the service in process.
func measureGroup(ctx context.Context, d *db.DB, o options) (figures, error) {
	events := make([]uuid.UUID, o.events)
	for i := range events {
		var err error
		if events[i], err = newTier(ctx, d, "floor", capacity, i); err != nil {
			return figures{}, err
		}
	}
	s := newService(d, o, "floor", inventory.General)
	defer s.Close()
	items := []inventory.Item{{Tier: "floor", Quantity: 1}}
	got, err := closedLoop(ctx, o.callers, o.seconds, func(ctx context.Context, n int64) error {
		_, err := s.Hold(ctx, inventory.Request{Event: events[n%int64(len(events))], Entrant: newBuyer(n), Key: "key", Items: items})
		return err
	})
	if err != nil {
		return figures{}, err
	}
	return got, check(ctx, d, &got, 1, false, events...)
}

const sqlNewSeats = `
INSERT INTO seats (event_id, seat, section, row_label, number, tier, allocation, state, hold_id)
SELECT $1, k.seat, k.section, k.row_label, k.number, 'lower', 'general', 'free', NULL
FROM unnest($2::TEXT[], $3::TEXT[], $4::TEXT[], $5::INT8[]) AS k (seat, section, row_label, number)`

// seatOf is the n-th seat of a map: sections of 25 rows of 40 seats.
func seatOf(n int64) (section, row string, number int64) {
	return "S" + strconv.FormatInt(n/1000, 10), strconv.FormatInt(n%1000/40, 10), n % 40
}

func seatName(n int64) string {
	section, row, number := seatOf(n)
	return section + "/" + row + "/" + strconv.FormatInt(number, 10)
}

// maps are events with a seat map each, sold one after the other.
type maps struct {
	d     *db.DB
	size  int64
	event []uuid.UUID
}

// more makes the next map.
func (m *maps) more(ctx context.Context) error {
	event, err := newTier(ctx, m.d, "lower", int(m.size), 0)
	if err != nil {
		return err
	}
	names, sections, rows, numbers := make([]string, m.size), make([]string, m.size), make([]string, m.size), make([]int64, m.size)
	for n := range m.size {
		names[n] = seatName(n)
		sections[n], rows[n], numbers[n] = seatOf(n)
	}
	if _, err := m.d.Pool.Exec(ctx, sqlNewSeats, event, names, sections, rows, numbers); err != nil {
		return fmt.Errorf("make a seat map: %w", err)
	}
	m.event = append(m.event, event)
	return nil
}

// mapsFor is how many maps a measurement may sell: the aim is 10,000 pairs a second, and there is room for twice that.
func mapsFor(o options) int {
	return int(20_000*2*(warmUp+o.seconds).Seconds())/o.seats + 1
}

// measureSeats holds pairs of neighbours, each once, spread over the map as shoppers are.
func measureSeats(ctx context.Context, d *db.DB, o options) (figures, error) {
	m := maps{d: d, size: int64(o.seats)}
	for range mapsFor(o) {
		if err := m.more(ctx); err != nil {
			return figures{}, err
		}
	}
	o.events = 1
	s := newService(d, o, "lower", inventory.Seated)
	defer s.Close()
	pairs := m.size / 2
	stride := spread(pairs)
	got, err := closedLoop(ctx, o.callers, o.seconds, func(ctx context.Context, n int64) error {
		at := (n - 1) / pairs
		if at >= int64(len(m.event)) {
			return fmt.Errorf("every seat is sold: %w", errDone)
		}
		first := 2 * ((n * stride) % pairs)
		_, err := s.Hold(ctx, inventory.Request{Event: m.event[at], Entrant: newBuyer(n), Key: "key",
			Items: []inventory.Item{{Seats: []string{seatName(first), seatName(first + 1)}}}})
		return err
	})
	if err != nil {
		return figures{}, err
	}
	return got, check(ctx, d, &got, 2, true, m.event...)
}

// spread is a number prime to n by whose multiples everything below n is visited once, far apart.
func spread(n int64) int64 {
	for s := n*5/8 + 1; ; s++ {
		a, b := s, n
		for b != 0 {
			a, b = b, a%b
		}
		if a == 1 {
			return s
		}
	}
}

// measureSoldOut asks for a tier of which nothing is left.
func measureSoldOut(ctx context.Context, d *db.DB, o options) (figures, error) {
	event, err := newTier(ctx, d, "floor", 1, 0)
	if err != nil {
		return figures{}, err
	}
	o.events = 1
	s := newService(d, o, "floor", inventory.General)
	defer s.Close()
	items := []inventory.Item{{Tier: "floor", Quantity: 1}}
	if _, err := s.Hold(ctx, inventory.Request{Event: event, Entrant: newBuyer(-1), Key: "key", Items: items}); err != nil {
		return figures{}, err
	}
	got, err := closedLoop(ctx, o.callers, o.seconds, func(ctx context.Context, n int64) error {
		_, err := s.Hold(ctx, inventory.Request{Event: event, Entrant: newBuyer(n), Key: "key", Items: items})
		if !errors.Is(err, inventory.ErrSoldOut) && ctx.Err() == nil {
			return fmt.Errorf("asked for a hold after the last ticket: %w", err)
		}
		return ctx.Err()
	})
	if err != nil {
		return figures{}, err
	}
	refused := got.answered
	got.answered = 0 // of holds
	err = check(ctx, d, &got, 1, false, event)
	got.answered, got.commits = refused, 0
	return got, err
}
