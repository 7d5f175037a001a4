package access

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestACancelledEventIsNotPutOnSaleAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	if _, err := c.Pause(t.Context(), slug, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Exec(t.Context(), `INSERT INTO events (event_id, slug, name, state, organizer, currency, time_zone, starts_at, spec, spec_hash, revision, pseudonym_key)
		VALUES ($1, $2, 'Arena', 'cancelled', 'lumen-live', 'EUR', 'UTC', now(), '{}', '', 1, '')`, w.sale.Event, slug); err != nil {
		t.Fatal(err)
	}
	refused := func(when string) {
		t.Helper()
		_, open := c.Open(t.Context(), slug)
		_, schedule := c.Schedule(t.Context(), slug, c.now().Add(time.Hour), time.Time{}, time.Time{})
		_, resume := c.Resume(t.Context(), slug, "")
		for verb, err := range map[string]error{"open": open, "schedule": schedule, "resume": resume} {
			if !errors.Is(err, ErrCancelled) {
				t.Errorf("%s %s: %v", verb, when, err)
			}
		}
	}
	refused("before the on-sale ends")
	if _, err := c.End(t.Context(), slug, "thank you"); err != nil {
		t.Fatal(err)
	}
	refused("after it")
	for range 2 {
		status, err := c.Cancel(t.Context(), slug, "The event is cancelled.")
		if err != nil || status.Phase != Ended {
			t.Fatalf("cancelling what is over: %+v, %v", status, err)
		}
		if state, err := c.onSaleOf(t.Context(), slug); err != nil || !strings.Contains(state.snapshot().draw.message, "cancelled") {
			t.Fatalf("the waiting room does not say it: %v", err)
		}
	}
}
