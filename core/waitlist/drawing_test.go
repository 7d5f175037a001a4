package waitlist

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
	"fairgate/edge/lottery"
)

// A transaction's now() is when it began, and its snapshot that of its first query: a core that stalls in between reads a list whose draw
// has been held at a time that it takes to be before the draw.
func TestWhoAskedWhileTheDrawWasHeldHasAPlace(t *testing.T) {
	d := dbtest.New(t)
	event := uuid.New()
	rules := Rules{Enabled: true, Returned: true, OfferFor: time.Minute, DrawAfter: time.Hour, ClosesAt: time.Now().Add(1000 * time.Hour), HoldTTL: time.Minute,
		PerBuyer: 4, Tiers: map[string]inventory.Kind{"floor": inventory.General}}
	s := New(Config{DB: d, Rules: func(context.Context, uuid.UUID) (Rules, error) { return rules, nil },
		Over:     func(context.Context, uuid.UUID) bool { return true },
		Send:     func(context.Context, pgx.Tx, Mail) error { return nil },
		Remember: func(context.Context, pgx.Tx, uuid.UUID, uuid.UUID, lottery.Entrant) error { return nil }})
	asking := func(n byte) Asking {
		return Asking{Event: event, Entrant: lottery.Entrant{n}, Account: uuid.New(), Email: "ann@example.org", Tiers: []string{"floor"}, Quantity: 1}
	}
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := d.Pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Transcript(t.Context(), event); !errors.Is(err, ErrNotDrawn) {
		t.Errorf("the draw of a list that nobody is on: %v", err)
	}
	exec(`INSERT INTO stock (event_id, tier, allocation, capacity, taken, version) VALUES ($1, 'floor', 'general', 4, 4, 0)`, event)
	if _, _, err := s.Ask(t.Context(), asking(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	var began time.Time
	if err := d.Pool.QueryRow(t.Context(), sqlNow).Scan(&began); err != nil {
		t.Fatal(err)
	}
	exec(`UPDATE waitlists SET draw_at = now() WHERE event_id = $1`, event) // a moment after it began
	for range 2 {
		if err := s.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if l, err := s.Load(t.Context(), event); err != nil || l.DrawnAt.IsZero() || !began.Before(l.DrawAt) {
		t.Fatalf("the draw was not held: %+v, %v", l, err)
	}
	late := asking(2)
	if err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error { return s.enter(ctx, tx, &late, began) }); err != nil {
		t.Fatal(err)
	}
	e, err := s.Own(t.Context(), event, late.Entrant)
	if err != nil || e.Round != 1 || e.Place == nil || e.Ahead != 1 {
		t.Errorf("round %d, place %x, %d in front: %v", e.Round, e.Place, e.Ahead, err)
	}
}
