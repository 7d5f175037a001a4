package access

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// Phase is how far an on-sale is, see the package comment.
type Phase string

// The phases, in the order in which an on-sale goes through them; it may go back and forth between the three before Ended.
const (
	Announced Phase = "announced"
	Joining   Phase = "joining"
	Sealing   Phase = "sealing"
	Drawn     Phase = "drawn"
	Open      Phase = "open"
	Paused    Phase = "paused"
	SoldOut   Phase = "sold_out"
	Ended     Phase = "ended"
)

// draw is the committed row of an on-sale.
type draw struct {
	event       uuid.UUID
	slug        string
	generation  uint32
	phase       Phase
	joiningAt   time.Time
	opensAt     time.Time
	endsAt      time.Time
	window      time.Duration
	chainSecret [32]byte
	chainLength int
	commitment  [32]byte
	blocks      uint64
	nextWindow  uint32
	cursor      *lottery.Place
	called      int
	paused      bool
	message     string
	version     uint64
	epoch       int64
	beacon      string    // name of the public value that goes into the seeds; empty: none
	beaconValue []byte    // empty until it is known
	presale     string    // whose on-sale it is; empty: general sale
	root        *[32]byte // of window 0, from when it is closed to wait for the beacon's value
	now         time.Time // the database's clock when it was read
}

const (
	drawColumns = `event_id, slug, generation, phase, joining_at, opens_at, ends_at, window_seconds, chain_secret, chain_length, commitment,
	blocks, next_window, cursor_set, cursor_window, cursor_band, cursor_value, called, paused, message, version, epoch, beacon, beacon_value, root, presale, now()`
	sqlLoadDraw  = `SELECT ` + drawColumns + ` FROM draws WHERE event_id = $1`
	sqlLoadDraws = `SELECT ` + drawColumns + ` FROM draws WHERE event_id = ANY($1::UUID[]) ORDER BY event_id`
)

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// loadDraw reads the row of an event; ErrNoSale when there is none.
func loadDraw(ctx context.Context, q querier, event uuid.UUID) (draw, error) {
	d, err := scanDraw(q.QueryRow(ctx, sqlLoadDraw, event))
	if errors.Is(err, pgx.ErrNoRows) {
		return draw{}, ErrNoSale
	}
	if err != nil {
		return draw{}, fmt.Errorf("load the on-sale: %w", err)
	}
	return d, nil
}

// loadDraws reads the rows of several events.
func loadDraws(ctx context.Context, q querier, events []uuid.UUID) (map[uuid.UUID]draw, error) {
	rows, err := q.Query(ctx, sqlLoadDraws, events)
	if err != nil {
		return nil, fmt.Errorf("load the on-sales: %w", err)
	}
	defer rows.Close()
	draws := make(map[uuid.UUID]draw, len(events))
	for rows.Next() {
		d, err := scanDraw(rows)
		if err != nil {
			return nil, fmt.Errorf("scan an on-sale: %w", err)
		}
		draws[d.event] = d
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("load the on-sales: %w", err)
	}
	return draws, nil
}

// scanDraw reads drawColumns.
func scanDraw(row pgx.Row) (draw, error) {
	var d draw
	var phase string
	var generation, windowSeconds, chainLength, blocks, nextWindow, cursorWindow, cursorBand, called, version int64
	var cursorSet bool
	var secret, commitment, value, root []byte
	err := row.Scan(&d.event, &d.slug, &generation, &phase, &d.joiningAt, &d.opensAt, &d.endsAt, &windowSeconds, &secret, &chainLength,
		&commitment, &blocks, &nextWindow, &cursorSet, &cursorWindow, &cursorBand, &value, &called, &d.paused, &d.message, &version,
		&d.epoch, &d.beacon, &d.beaconValue, &root, &d.presale, &d.now)
	if err != nil {
		return draw{}, err
	}
	if len(secret) != 32 || len(commitment) != 32 || len(value) != 8 || len(root) != 32 && len(root) != 0 {
		return draw{}, fmt.Errorf("the on-sale of %s has a chain, cursor or root of the wrong length", d.slug)
	}
	if len(root) == 32 {
		d.root = (*[32]byte)(root)
	}
	d.generation, d.phase, d.window = uint32(generation), Phase(phase), time.Duration(windowSeconds)*time.Second
	d.chainSecret, d.chainLength, d.commitment = [32]byte(secret), int(chainLength), [32]byte(commitment)
	d.blocks, d.nextWindow, d.called, d.version = uint64(blocks), uint32(nextWindow), int(called), uint64(version)
	d.joiningAt, d.opensAt, d.endsAt, d.now = d.joiningAt.UTC(), d.opensAt.UTC(), d.endsAt.UTC(), d.now.UTC()
	if cursorSet {
		d.cursor = &lottery.Place{
			Window: uint32(cursorWindow), Band: lottery.Band(cursorBand), Value: binary.BigEndian.Uint64(value),
		}
	}
	return d, nil
}

// windowAt is the window that is open at an instant: 0 before the sale instant, then one after the other.
func (d *draw) windowAt(at time.Time) uint32 {
	if at.Before(d.opensAt) {
		return 0
	}
	n := 1 + at.Sub(d.opensAt)/d.window
	return uint32(min(n, time.Duration(d.chainLength-1)))
}

// windowEnd is when a window ends: window 0 at the sale instant.
func (d *draw) windowEnd(window uint32) time.Time {
	return d.opensAt.Add(time.Duration(window) * d.window)
}

// entry is the window an entrant goes to who arrived in window arrived by the edge's clock: that one unless it is sealed
// already or has not begun. The lag of an edge costs nobody their window as long as that is open.
func (d *draw) entry(arrived uint32, now time.Time) uint32 {
	w := coarse(max(min(arrived, d.windowAt(now)), d.open()))
	return min(w, uint32(d.chainLength-1))
}

// fineWindows is how many windows are as short as configured.
const fineWindows = 64

// coarse rounds a window's number up so that later windows grow with the time since the sale instant: each is at most a
// thirty-second of it long. The state object names every window that had entrants, and without this a sale of a day
// would fill it with thousands; with it there are never more than some four hundred.
func coarse(window uint32) uint32 {
	step := uint32(1)
	for window > fineWindows*step {
		step *= 2
	}
	return (window + step - 1) / step * step
}

// nextPhase is the phase an on-sale should be in. gone tells that nothing is left to sell and nothing is held.
func (d *draw) nextPhase(now time.Time, gone bool) Phase {
	switch {
	case d.phase == Ended || !now.Before(d.endsAt):
		return Ended
	case d.nextWindow > 0: // the draw has been held
		switch {
		case d.paused:
			return Paused
		case gone:
			return SoldOut
		}
		return Open
	case now.Before(d.joiningAt):
		return Announced
	case now.Before(d.opensAt):
		return Joining
	}
	return Sealing
}

// covers tells whether a place has been called.
func (d *draw) covers(p lottery.Place) bool {
	return d.cursor != nil && p.Compare(*d.cursor) <= 0
}
