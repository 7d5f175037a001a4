package access

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// The door keeps max_inside exactly, whoever comes when. A called buyer keeps the turn until the sale ends, so more may come at
// once than the controller reckoned with: people who come late, or all at the same time. They wait at the door.
//
// draw_doors has one row an event: how many sessions were ever given, and up to how many may be. Giving sessions counts
// admitted up, in the transaction that writes them. The driver raises allowed to
//
//	admitted as read before counting + (max_inside - inside as counted)
//
// Sessions given between the two reads are in inside and not in admitted, so the sum can only be too low; and whoever leaves
// later makes room that the next tick finds. So at no time are more than max_inside inside, on however many cores.
const (
	sqlReadDoor = `SELECT admitted, allowed,
		CASE WHEN waiting_at > now() - $3::INT8 * INTERVAL '1 millisecond' THEN waiting ELSE 0 END
	FROM draw_doors WHERE event_id = $1 AND generation = $2`
	sqlSetDoor = `INSERT INTO draw_doors (event_id, generation, admitted, allowed) VALUES ($1, $2, $3, $4)
	ON CONFLICT (event_id) DO UPDATE SET generation = excluded.generation, allowed = excluded.allowed,
		admitted = CASE WHEN draw_doors.generation = excluded.generation THEN draw_doors.admitted ELSE excluded.admitted END`
	sqlLoadDoors = `SELECT event_id, generation, allowed - admitted FROM draw_doors WHERE event_id = ANY($1::UUID[])`
	sqlTellDoors = `UPDATE draw_doors AS d SET waiting = q.n, waiting_at = now()
	FROM unnest($1::UUID[], $2::INT8[]) AS q (event_id, n) WHERE d.event_id = q.event_id`
	sqlPassDoors = `UPDATE draw_doors AS d SET admitted = d.admitted + q.n
	FROM unnest($1::UUID[], $2::INT8[]) AS q (event_id, n) WHERE d.event_id = q.event_id`
)

// noDoor is what allowed is where nothing is limited.
const noDoor = 1 << 62

// admittedBy is how many sessions the door has counted. Those given before there was a door do not matter.
func (s *onSale) admittedBy(ctx context.Context, d *draw) (int64, error) {
	err := s.room.db.Reader.QueryRow(ctx, sqlReadDoor, s.event, int64(d.generation), knockedFor.Milliseconds()).
		Scan(&s.driver.door.admitted, &s.driver.door.allowed, &s.driver.door.waiting)
	if isNoRows(err) {
		s.driver.door = door{absent: true}
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look at the door: %w", err)
	}
	s.driver.door.absent = false
	return s.driver.door.admitted, nil
}

// door is the row of draw_doors as the driver last read it.
type door struct {
	admitted, allowed, waiting int64
	absent                     bool
}

// openDoor lets in as many more as there is room for. It comes before the call of those it is for.
func (s *onSale) openDoor(ctx context.Context, d *draw, c crowd) error {
	allowed := int64(noDoor)
	if c.maxInside > 0 {
		allowed = c.admitted + int64(max(0, c.maxInside-c.inside))
	}
	if have := s.driver.door; !have.absent && have.allowed == allowed {
		return nil
	}
	return s.write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlSetDoor, s.event, int64(d.generation), c.admitted, allowed); err != nil {
			return fmt.Errorf("set the door: %w", err)
		}
		return nil
	})
}

// doorKey names the door of an on-sale.
type doorKey struct {
	event      uuid.UUID
	generation uint32
}

// loadDoors is how many more may come in, by on-sale. One without a door is not limited.
func loadDoors(ctx context.Context, tx pgx.Tx, events []uuid.UUID) (map[doorKey]int64, error) {
	rows, err := tx.Query(ctx, sqlLoadDoors, events)
	if err != nil {
		return nil, fmt.Errorf("load the doors: %w", err)
	}
	defer rows.Close()
	doors := make(map[doorKey]int64, len(events))
	for rows.Next() {
		var event uuid.UUID
		var generation, left int64
		if err := rows.Scan(&event, &generation, &left); err != nil {
			return nil, fmt.Errorf("scan a door: %w", err)
		}
		doors[doorKey{event, uint32(generation)}] = left
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("load the doors: %w", err)
	}
	return doors, nil
}

// passDoors counts those who come in.
func passDoors(ctx context.Context, tx pgx.Tx, fresh []*redemption) error {
	if len(fresh) == 0 {
		return nil
	}
	counts := make(map[uuid.UUID]int64)
	for _, call := range fresh {
		counts[call.token.Event]++
	}
	var events []uuid.UUID
	var passed []int64
	for event, n := range counts {
		events, passed = append(events, event), append(passed, n)
	}
	if _, err := tx.Exec(ctx, sqlPassDoors, events, passed); err != nil {
		return fmt.Errorf("count who comes in: %w", err)
	}
	return nil
}
