package access

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestOldVerdictsKeysAndRevocationsAreSweptAndYoungOnesStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	verdict := func(age time.Duration) Verdict {
		return Verdict{
			ID: uuid.New(), At: c.now().Add(-age), Event: slug, Entrant: buyer(1).Entrant, Device: buyer(1).Device, Edge: e.id, Network: "203.0.113.0/24",
			Place: "join", Answer: "noted", Score: 12, Level: "low", Reasons: []Reason{{Signal: "headers_order", Points: 12, Said: "odd"}},
		}
	}
	old := c.cfg.KeepVerdicts
	if err := c.KeepVerdicts(t.Context(), e.id, []Verdict{verdict(old + time.Hour), verdict(old + 2*time.Hour), verdict(old - time.Hour), verdict(0)}); err != nil {
		t.Fatal(err)
	}
	e.register(t, c, slug)
	w.execOne(`UPDATE edge_keys SET valid_from = now() - INTERVAL '9 days', valid_until = now() - INTERVAL '8 days' WHERE key_id = $1`, e.key.ID)
	for _, age := range []string{"1 hour", "-1 hour"} {
		w.execOne(`INSERT INTO revoked_sessions (session_id, revoked_at, keep_until) VALUES ($1, now(), now() - $2::TEXT::INTERVAL)`, uuid.New(), age)
	}
	if n, err := c.sweep(t.Context()); err != nil || n != 4 {
		t.Fatalf("%d rows swept: %v", n, err)
	}
	if n, err := c.sweep(t.Context()); err != nil || n != 0 {
		t.Fatalf("swept again, %d rows: %v", n, err)
	}
	left, _, err := c.VerdictsOf(t.Context(), buyer(1).Entrant, 10)
	if err != nil || len(left) != 2 {
		t.Errorf("%d verdicts are left: %v", len(left), err)
	}
}
