package access

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// crowd is what the admission controller decides by.
type crowd struct {
	at      time.Time
	waiting int // drawn and not called
	pending int // called lately, not yet inside: each may come any moment
	inside  int // sessions that are neither over nor finished
	fresh   int // of them, those young enough that a shopper without a hold is still choosing
	holds   int // active holds
	free    int // units neither held nor sold

	showRate      float64 // share of those called some time ago who came, 0 to 1
	unitsPerBuyer float64
	maxInside     int // 0: no limit
	pace          int // calls a second; 0: no limit
	spareRate     *float64
	callsPerBuyer float64
}

// pacer turns rates into whole calls: it saves up fractions from tick to tick, at most a second's worth.
type pacer struct {
	last   time.Time
	tokens float64
}

// minShowRate bounds how many more than needed are called because some do not come.
const minShowRate = 0.25

// decide is how many more entrants to call now. It calls nobody for whom there would be no room, no stock as far as can
// be told, or no payment provider with time:
//
//   - stock: those already on their way to it (called lately, or inside and still choosing) are served first; for what
//     they leave, one buyer per typical purchase is called, more if experience says that some will not come;
//   - room: everybody inside and everybody called lately counts, as if all of them came;
//   - pace: the lower of what the operator set and what the provider has to spare.
func (p *pacer) decide(c crowd) int {
	rate := math.Inf(1)
	if c.pace > 0 {
		rate = float64(c.pace)
	}
	if c.spareRate != nil {
		rate = min(rate, max(0, *c.spareRate)/c.callsPerBuyer)
	}
	p.save(c.at, rate)

	shopping := min(c.fresh, max(0, c.inside-c.holds))
	buyers := math.Ceil(float64(c.free) / max(c.unitsPerBuyer, 1))
	show := min(max(c.showRate, minShowRate), 1)
	wanted := (buyers-float64(shopping))/show - float64(c.pending)
	if c.maxInside > 0 {
		wanted = min(wanted, float64(c.maxInside-c.inside-c.pending))
	}
	wanted = min(wanted, float64(c.waiting), p.tokens)
	return max(0, int(wanted))
}

// save adds what the rate has earned since the last tick. A first tick, after a pause or take-over, earns nothing for the
// time before it.
func (p *pacer) save(at time.Time, rate float64) {
	if math.IsInf(rate, 1) {
		p.tokens = math.MaxInt32
	} else {
		if !p.last.IsZero() && at.After(p.last) {
			p.tokens += rate * at.Sub(p.last).Seconds()
		}
		p.tokens = min(p.tokens, max(rate, 1))
	}
	p.last = at
}

// called takes what was used.
func (p *pacer) called(n int) { p.tokens -= float64(n) }

// stop forgets what was saved.
func (p *pacer) stop() { *p = pacer{} }

const (
	sqlOldCursor = `SELECT window_no, band, value, called FROM draw_cursors
	WHERE event_id = $1 AND generation = $2 AND at <= now() - $3::INT8 * INTERVAL '1 millisecond' ORDER BY seq DESC LIMIT 1`
	sqlCountSessions = `SELECT count(*),
		count(*) FILTER (WHERE finished_at IS NULL AND expires_at > now()),
		count(*) FILTER (WHERE finished_at IS NULL AND expires_at > now() AND issued_at > now() - $6::INT8 * INTERVAL '1 millisecond'),
		count(*) FILTER (WHERE (window_no, band, value) > ($3::INT8, $4::INT8, $5::BYTEA))
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
	old, oldCalled, err := s.cursorBefore(ctx, d, sale.ClaimWithin)
	if err != nil {
		return crowd{}, false, err
	}
	value := binary.BigEndian.AppendUint64(nil, old.Value)
	oldWindow := int64(old.Window)
	if oldCalled == 0 {
		oldWindow = -1
	}
	var total, inside, fresh, recent int64
	err = s.room.db.Reader.QueryRow(ctx, sqlCountSessions, s.event, int64(d.generation), oldWindow, int64(old.Band), value,
		cfg.DecideWithin.Milliseconds()).Scan(&total, &inside, &fresh, &recent)
	if err != nil {
		return crowd{}, false, fmt.Errorf("count the sessions: %w", err)
	}
	s.driver.countAfter = started.Add(countEvery * time.Since(started))
	insideNow.Set(float64(inside))
	_, drawn := v.pool.counts()
	return crowd{
		at: d.now, waiting: max(0, drawn-d.called),
		pending: max(0, d.called-oldCalled-int(recent)), inside: int(inside), fresh: int(fresh),
		showRate: showRate(oldCalled, int(total-recent)), unitsPerBuyer: unitsPerBuyer(sale),
		maxInside: sale.MaxInside, pace: sale.PacePerSecond, callsPerBuyer: cfg.CallsPerBuyer,
	}, true, nil
}

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

// showRateFrom is from how many called on experience counts.
const showRateFrom = 50

func showRate(called, came int) float64 {
	if called < showRateFrom {
		return 1
	}
	return float64(came) / float64(called)
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
