package access

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

const (
	sqlOldCursor = `SELECT window_no, band, value, called FROM draw_cursors
	WHERE event_id = $1 AND generation = $2 AND at <= now() - $3::INT8 * INTERVAL '1 millisecond' ORDER BY seq DESC LIMIT 1`
	sqlCountSessions = `SELECT count(*),
		count(*) FILTER (WHERE finished_at IS NULL AND expires_at > now()),
		count(*) FILTER (WHERE finished_at IS NULL AND expires_at > now() AND issued_at > now() - $9::INT8 * INTERVAL '1 millisecond'),
		count(*) FILTER (WHERE issued_at > now() - $9::INT8 * INTERVAL '1 millisecond'),
		count(*) FILTER (WHERE (window_no, band, value) > ($3::INT8, $4::INT8, $5::BYTEA)),
		count(*) FILTER (WHERE (window_no, band, value) > ($6::INT8, $7::INT8, $8::BYTEA)),
		count(*) FILTER (WHERE finished_at IS NOT NULL),
		COALESCE(avg(EXTRACT(EPOCH FROM finished_at - issued_at)::FLOAT8) FILTER (WHERE finished_at > now() - INTERVAL '5 minutes'), 0)
	FROM sessions WHERE event_id = $1 AND generation = $2`
)

// countEvery bounds what counting sessions may cost: after a count that took a while, none for this many times as long.
const countEvery = 10

// crowd counts who is inside and on their way. due is false while counting again would cost too much; nobody is called
// on figures that are known to be old.
func (s *onSale) crowd(ctx context.Context, v snapshot) (c crowd, due bool, err error) {
	if time.Now().Before(s.driver.countAfter) {
		return crowd{}, false, nil
	}
	started := time.Now()
	d, sale, cfg := &v.draw, &v.sale, &s.room.cfg
	if c.admitted, err = s.admittedBy(ctx, d); err != nil { // before the sessions are counted, see door.go
		return crowd{}, false, err
	}
	c.knocking = int(s.driver.door.waiting)
	within := min(cfg.ComeWithin, sale.ClaimWithin)
	settled, settledCalled, err := s.cursorBefore(ctx, d, within)
	if err != nil {
		return crowd{}, false, err
	}
	old, oldCalled, err := s.cursorBefore(ctx, d, 2*within)
	if err != nil {
		return crowd{}, false, err
	}
	decide := s.driver.pacer.decideWithin(cfg.DecideWithin)
	var total, inside, fresh, young, recent, unsettled, finished int64
	var takes float64
	err = s.room.db.Reader.QueryRow(ctx, sqlCountSessions, s.event, int64(d.generation), windowOf(old, oldCalled), int64(old.Band), valueOf(old),
		windowOf(settled, settledCalled), int64(settled.Band), valueOf(settled), decide.Milliseconds()).
		Scan(&total, &inside, &fresh, &young, &recent, &unsettled, &finished, &takes)
	if err != nil {
		return crowd{}, false, fmt.Errorf("count the sessions: %w", err)
	}
	s.driver.countAfter = started.Add(countEvery * time.Since(started))
	insideNow.Set(float64(inside))
	_, drawn := v.pool.counts()
	c.at, c.waiting = d.now, max(0, drawn-d.called)
	c.called, c.came = max(0, d.called-settledCalled), int(unsettled)
	c.settledCalled, c.settledCame = max(0, settledCalled-oldCalled), int(recent-unsettled)
	c.sessions, c.inside, c.fresh, c.decided, c.finished = int(total), int(inside), int(fresh), int(total-young), int(finished)
	c.takes = time.Duration(takes * float64(time.Second))
	c.unitsPerBuyer, c.maxInside, c.pace = unitsPerBuyer(sale), sale.MaxInside, sale.PacePerSecond
	c.callsPerBuyer, c.latencyLimit = cfg.CallsPerBuyer, cfg.LatencyLimit
	return c, true, nil
}

// windowOf is the window of a cursor for SQL, below every window where nobody had been called.
func windowOf(p lottery.Place, called int) int64 {
	if called == 0 {
		return -1
	}
	return int64(p.Window)
}

func valueOf(p lottery.Place) []byte { return binary.BigEndian.AppendUint64(nil, p.Value) }

// cursorBefore is where the cursor stood so long ago, and how many it had called.
func (s *onSale) cursorBefore(ctx context.Context, d *draw, ago time.Duration) (lottery.Place, int, error) {
	var window, band, called int64
	var value []byte
	err := s.room.db.Reader.QueryRow(ctx, sqlOldCursor, s.event, int64(d.generation), ago.Milliseconds()).Scan(&window, &band, &value, &called)
	if isNoRows(err) {
		return lottery.Place{}, 0, nil
	}
	if err != nil {
		return lottery.Place{}, 0, fmt.Errorf("look where the cursor was: %w", err)
	}
	return lottery.Place{Window: uint32(window), Band: lottery.Band(band), Value: binary.BigEndian.Uint64(value)}, int(called), nil
}

// typicalUnits is what a buyer takes where the event does not say.
const typicalUnits = 2

func unitsPerBuyer(sale *Sale) float64 {
	if sale.UnitsPerBuyer > 0 {
		return sale.UnitsPerBuyer
	}
	return typicalUnits
}

func isNoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }
