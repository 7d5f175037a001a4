package gate

import (
	"errors"
	"fmt"
	"time"
)

// Update takes a delta or another whole pack up, between two scans: none waits while the states are put together. After an error
// nothing was changed: ErrGap, ErrPackEvent, ErrPackOlder.
func (g *Gate) Update(p *Pack) error {
	g.updating.Lock()
	defer g.updating.Unlock()
	g.mu.Lock()
	have := g.pack
	g.mu.Unlock()
	if p.Event == have.Event && p.AsOf.Before(have.AsOf) {
		return fmt.Errorf("%w: of %s, not %s", ErrPackOlder, p.AsOf.Format(time.RFC3339), have.AsOf.Format(time.RFC3339))
	}
	next, err := have.Apply(p)
	if err != nil {
		return err
	}
	reader := next.Reader()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pack, g.reader = next, reader
	return nil
}

// PackCode is the code by which a gate says why it takes a pack or delta not up; empty for what is no such refusal.
func PackCode(err error) string {
	for _, why := range []struct {
		is   error
		code string
	}{{ErrPackForged, "pack_forged"}, {ErrPackEvent, "pack_other_event"}, {ErrPackOlder, "pack_older"}, {ErrGap, "pack_gap"}, {ErrPack, "pack_malformed"}} {
		if errors.Is(err, why.is) {
			return why.code
		}
	}
	return ""
}
