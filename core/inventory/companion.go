package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory/seating"
	"fairgate/edge/lottery"
)

// ErrCompanionAlone means that a companion's seat was asked for without the accessible seat beside it.
var ErrCompanionAlone = errors.New("inventory: a companion's seat without the accessible seat beside it")

// A companion's seat is for who comes along: it is held together with an accessible seat beside it, or by who has the ticket of that, until
// the event releases such seats (Offer.CompanionsFree). The right is the ticket's: it goes with it to whoever is handed it or buys it, and who
// had it before has it no more. Until there is a ticket it is the buyer's. Companions' seats that were sold before stay whose they are. The best seats of a party without need leave them out.

const sqlReadOwners = `
SELECT s.event_id, s.seat, COALESCE(t.owner, h.entrant)
FROM unnest($1::UUID[], $2::TEXT[]) AS k (event_id, seat)
JOIN seats AS s ON s.event_id = k.event_id AND s.seat = k.seat
JOIN holds AS h ON h.hold_id = s.hold_id
LEFT JOIN tickets AS t ON t.event_id = s.event_id AND t.seat = s.seat AND t.seat <> '' AND t.state = 'valid'
WHERE s.state = 'sold'`

// companionsKept tells whether companions' seats of the op's event are for companions alone.
func (o *op) companionsKept() bool {
	return o.offer.Chart != nil && o.offer.Chart.Companions() && !o.offer.CompanionsFree
}

// accompanied are the accessible seats beside a seat, if that is a companion's.
func (o *op) accompanied(seat string) (beside []string, companion bool) {
	place, ok := o.offer.Chart.Find(seat)
	if !ok || o.offer.Chart.Use(place) != seating.Companion {
		return nil, false
	}
	return o.offer.Chart.Accompanies(place), true
}

// accessibleBeside collects the accessible seats beside companions' seats that are named without them: their owners decide.
func accessibleBeside(ops []op) map[seatKey]struct{} {
	var keys map[seatKey]struct{}
	for i := range ops {
		o := &ops[i]
		if o.do != grant || !o.companionsKept() {
			continue
		}
		for _, item := range o.mentioned() {
			for _, seat := range item.Seats {
				beside, _ := o.accompanied(seat)
				for _, name := range beside {
					if keys == nil {
						keys = make(map[seatKey]struct{})
					}
					keys[seatKey{o.event, name}] = struct{}{}
				}
			}
		}
	}
	return keys
}

// queueOwners reads whose the sold ones of some seats are: their tickets', or before these are issued the buyers'.
func (snap *snapshot) queueOwners(b *pgx.Batch, keys map[seatKey]struct{}) {
	if len(keys) == 0 {
		return
	}
	events, seats := make([][16]byte, 0, len(keys)), make([]string, 0, len(keys))
	for k := range keys {
		events, seats = append(events, k.event), append(seats, k.seat)
	}
	snap.owners = make(map[seatKey]lottery.Entrant, len(keys))
	b.Queue(sqlReadOwners, events, seats).Query(func(rows pgx.Rows) error {
		var event uuid.UUID
		var seat string
		var entrant []byte
		_, err := pgx.ForEachRow(rows, []any{(*[16]byte)(&event), &seat, &entrant}, func() error {
			if len(entrant) == len(lottery.Entrant{}) {
				snap.owners[seatKey{event, seat}] = lottery.Entrant(entrant)
			}
			return nil
		})
		return err
	})
}

// accompany refuses lines with a companion's seat beside whose accessible ones the buyer has none.
func (d *decider) accompany(o *op, lines []Item) error {
	if !o.companionsKept() {
		return nil
	}
	has := func(seat string) bool {
		owner, sold := d.was.owners[seatKey{o.event, seat}]
		return sold && owner == o.entrant || slices.ContainsFunc(lines, func(line Item) bool { return slices.Contains(line.Seats, seat) })
	}
	for n := range lines {
		for _, seat := range lines[n].Seats {
			if beside, companion := o.accompanied(seat); companion && !slices.ContainsFunc(beside, has) {
				return fmt.Errorf("%w: %q", ErrCompanionAlone, seat)
			}
		}
	}
	return nil
}

const sqlFreeAmong = `
SELECT s.tier, s.seat
FROM seats AS s
WHERE s.event_id = $1::UUID AND s.seat = ANY($2::TEXT[]) AND s.state = 'free' AND s.allocation = 'general'`

// Unsellable counts, by tier, the free companions' seats on general sale that nobody can have because no accessible seat beside them is
// free any more, in a transaction or with db.Reader. As long as one is they can be had together.
func (s *Service) Unsellable(ctx context.Context, q Querier, event uuid.UUID) (map[string]int64, error) {
	offer, err := s.cfg.Offers(ctx, event)
	if err != nil {
		return nil, fmt.Errorf("find the offer of event %s: %w", event, err)
	}
	o := op{offer: &offer}
	if !o.companionsKept() {
		return nil, nil
	}
	rows, err := q.Query(ctx, sqlFreeAmong, event, offer.Chart.WithNeeds())
	if err != nil {
		return nil, fmt.Errorf("read the free seats for those with need: %w", err)
	}
	tiers := make(map[string]string)
	var tier, seat string
	if _, err := pgx.ForEachRow(rows, []any{&tier, &seat}, func() error { tiers[seat] = tier; return nil }); err != nil {
		return nil, fmt.Errorf("read the free seats for those with need: %w", err)
	}
	counts := make(map[string]int64)
	for seat, tier := range tiers {
		beside, companion := o.accompanied(seat)
		if companion && !slices.ContainsFunc(beside, func(name string) bool { return tiers[name] != "" }) {
			counts[tier]++
		}
	}
	return counts, nil
}
