package inventory

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Refusals of those who come through a presale.
var (
	ErrWindowUnknown = errors.New("inventory: no such presale")
	ErrWindowEarly   = errors.New("inventory: the presale is not open yet")
	ErrWindowOver    = errors.New("inventory: the presale is over")
)

const sqlNow = `SELECT now()`

// Window is a presale: a time in which those who have a right to it draw on an allocation of their own. A hold that it
// granted keeps its units when the window has ended.
type Window struct {
	Name       string
	Allocation string
	From       time.Time
	Until      time.Time // exclusive
	Limit      int       // most units a buyer may have who comes through it, those from elsewhere included; 0: the event's
}

// refuses tells why the window is closed at a moment of the database's clock.
func (w *Window) refuses(now time.Time) error {
	switch {
	case now.Before(w.From):
		return fmt.Errorf("%w: it opens at %s", ErrWindowEarly, w.From.Format(time.RFC3339))
	case !now.Before(w.Until):
		return fmt.Errorf("%w: it ended at %s", ErrWindowOver, w.Until.Format(time.RFC3339))
	}
	return nil
}

// name is the window's name; that of none is empty.
func (w *Window) name() string {
	if w == nil {
		return ""
	}
	return w.Name
}

// through is the offer as a window shows it.
func (o *Offer) through(w *Window) *Offer {
	seen := *o
	seen.Tiers = make(map[string]TierOffer, len(o.Tiers))
	for name, tier := range o.Tiers {
		tier.Allocation = w.Allocation
		seen.Tiers[name] = tier
	}
	if w.Limit > 0 && (o.Limit <= 0 || w.Limit < o.Limit) {
		seen.Limit = w.Limit
	}
	return &seen
}

// enter finds the window of a request and the offer that is seen through it.
func (r *Request) enter(o *Offer) (*Offer, *Window, error) {
	if r.Window == "" {
		return o, nil, nil
	}
	w, ok := o.Windows[r.Window]
	if !ok {
		return nil, nil, fmt.Errorf("%w: %q", ErrWindowUnknown, r.Window)
	}
	return o.through(&w), &w, nil
}

// windowed tells whether one of the ops comes through a window.
func windowed(ops []op) bool {
	for i := range ops {
		if ops[i].window != nil {
			return true
		}
	}
	return false
}

// queueClock reads the database's clock into a snapshot.
func (snap *snapshot) queueClock(b *pgx.Batch) {
	b.Queue(sqlNow).QueryRow(func(row pgx.Row) error { return row.Scan(&snap.now) })
}

// checkWindows looks at the windows of a plan's grants once more, at the time of the transaction that writes them. What
// it finds closed is refused when the batch is decided again.
func (p *plan) checkWindows(now time.Time) error {
	closed := &refusal{}
	for i := range p.grants {
		if g := &p.grants[i]; g.window != nil {
			if err := g.window.refuses(now); err != nil {
				closed.add(g.hold.ID, err)
			}
		}
	}
	if closed.holds != nil {
		return closed
	}
	return nil
}
