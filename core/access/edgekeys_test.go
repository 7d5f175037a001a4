package access

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

// notices are what a core tells an edge of its keys.
func (c *core) notices(t testing.TB, e *edge) []KeyNotice {
	t.Helper()
	u, err := c.Wait(t.Context(), e.id, 0, 0, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return u.Keys
}

func TestAKeyIsReplacedWithoutALostBuyerAndEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, e, joins := w.opened(testConfig(), 6, 6)
	other, quiet := w.start(testConfig()), c.enroll(t, slug)
	if n, err := c.ReplaceEdgeKeys(t.Context(), e.id, slug); err != nil || n != 1 {
		t.Fatalf("%d keys of one edge are to be replaced: %v", n, err)
	}
	if n, err := other.ReplaceEdgeKeys(t.Context(), e.id, ""); err != nil || n != 0 {
		t.Fatalf("asked again, %d more are: %v", n, err)
	}
	if got := c.notices(t, e); len(got) != 1 || got[0] != (KeyNotice{Key: e.key.ID}) {
		t.Fatalf("its edge is told %v", got)
	}
	if got := other.notices(t, quiet); len(got) != 0 {
		t.Fatalf("another edge is told %v", got)
	}
	old := *e
	before, later := old.token(c, joins[0], 1), old.token(c, joins[1], 1)
	if got := c.redeemToken(t, e, before, joins[0].Device); got.Err != nil {
		t.Fatalf("before there is a successor: %v", got.Err)
	}
	e.register(t, c, slug)
	if got := c.redeemToken(t, e, later, joins[1].Device); got.Err != nil {
		t.Errorf("a token under way: %v", got.Err)
	}
	if got := other.redeem(t, e, joins[2], 1); got.Err != nil {
		t.Errorf("with the successor: %v", got.Err)
	}
	var left time.Duration
	if err := w.db.Pool.QueryRow(t.Context(), `SELECT revoked_at - now() FROM edge_keys WHERE key_id = $1`, old.key.ID).Scan(&left); err != nil {
		t.Fatal(err)
	}
	if left <= replacedKeyGrace-time.Minute || left > replacedKeyGrace {
		t.Errorf("the old key ends in %s", left)
	}
	w.execOne(`UPDATE edge_keys SET revoked_at = now() WHERE key_id = $1`, old.key.ID) // ten minutes later
	c.edges.forget(e.id)
	if got := c.redeem(t, &old, joins[3], 1); !errors.Is(got.Err, ErrTokenKeyUnknown) {
		t.Errorf("the old key after its end: %v", got.Err)
	}
}

func TestRevokedKeysAreWorthNothingAtEveryCoreWithinSeconds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, e, joins := w.opened(testConfig(), 4, 4)
	other := w.start(testConfig())
	if got := other.redeem(t, e, joins[0], 1); got.Err != nil { // the other core has the key in its memory now
		t.Fatal(got.Err)
	}
	revoked := time.Now()
	if n, err := c.RevokeEdgeKeys(t.Context(), e.id, ""); err != nil || n != 1 {
		t.Fatalf("%d keys revoked: %v", n, err)
	}
	if got := c.redeem(t, e, joins[1], 1); !errors.Is(got.Err, ErrTokenKeyUnknown) {
		t.Errorf("at the core that was told: %v", got.Err)
	}
	for !errors.Is(other.redeem(t, e, joins[0], 1).Err, ErrTokenKeyUnknown) {
		if time.Since(revoked) > 5*time.Second {
			t.Fatal("the other core still believes the key")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if got := c.notices(t, e); len(got) != 1 || !got[0].Revoked {
		t.Errorf("its edge is told %v", got)
	}
	e.register(t, c, slug) // the edge itself is trusted
	if got := c.redeem(t, e, joins[1], 1); got.Err != nil {
		t.Errorf("with another key: %v", got.Err)
	}
	if _, err := c.RevokeEdgeKeys(t.Context(), uuid.New(), ""); !errors.Is(err, ErrNoEdge) {
		t.Errorf("keys of an edge there is not: %v", err)
	}
}

func TestAnEdgeThatWasThrownOutStaysOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	e, good := c.enroll(t, slug), c.enroll(t, slug)
	if err := c.RevokeEdge(t.Context(), e.id); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Enroll(t.Context(), e.id, uuid.New()); !errors.Is(err, ErrEdgeRevoked) {
		t.Errorf("it enrols again: %v", err)
	}
	if err := c.RevokeEdge(t.Context(), uuid.New()); !errors.Is(err, ErrNoEdge) {
		t.Errorf("an edge there is not: %v", err)
	}
	list, err := c.Edges(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("listed: %+v, %v", list, err)
	}
	for _, s := range list {
		if out := s.Edge == e.id; out != (s.RevokedAt != nil) || out != (s.Keys == 0) || s.Edge != e.id && s.Edge != good.id {
			t.Errorf("listed: %+v", s)
		}
	}
}

func TestAClockOffByASecondIsHarmlessAndOneOffByAMinuteIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	for _, off := range []time.Duration{time.Second, -time.Second, time.Minute, -time.Minute} {
		e := c.enroll(t, slug)
		if _, err := c.WaitFrom(t.Context(), e.id, &off, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		list, err := c.Edges(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.Edge == e.id && (s.ClockAhead != off || s.ClockWrong != (off.Abs() == time.Minute) || !s.Live) {
				t.Errorf("off by %s: %+v", off, s)
			}
		}
		// Whatever the edge's clock says, keys are judged and windows given by core's: a key that begins in an edge's future is only refused
		// beyond maxKeyLead, and who says to have joined in a window that has not begun is in the one that is open.
		key := e.key
		key.ID, key.ValidFrom, key.ValidUntil = uuid.New(), c.now().Add(off), c.now().Add(off+time.Hour)
		if _, err := c.RegisterKey(t.Context(), e.id, slug, key); err != nil {
			t.Errorf("off by %s: a key is refused: %v", off, err)
		}
		one := buyer(int(off.Milliseconds()) + 1_000_000)
		one.Window = 5
		if ack := c.join(t, e, 1, []Join{one})[0]; ack.Window != 0 {
			t.Errorf("off by %s: before the sale instant somebody is in window %d", off, ack.Window)
		}
	}
}

func TestAStolenEdgeThatKnowsTheSeedCannotChooseWhoGoesFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, e, joins := w.opened(testConfig(), 40, 5)
	called, waiting := c.split(t, joins)
	if len(called) != 5 || len(waiting) != 35 {
		t.Fatalf("%d called, %d waiting", len(called), len(waiting))
	}
	transcript := c.verify(t)
	seed := transcript.Windows[0].Seed
	best := lottery.Value(seed, called[0].Entrant)
	for _, j := range called {
		best = min(best, lottery.Value(seed, j.Entrant))
	}
	// The thief has the edge's keys and the public seed, and looks for entrants who would go before everybody.
	var chosen []Join
	for n := 1_000_000; len(chosen) < 5; n++ {
		if j := buyer(n); lottery.Value(seed, j.Entrant) < best {
			chosen = append(chosen, j)
		}
	}
	for _, j := range chosen { // without joining
		if got := c.redeem(t, e, j, 1); !errors.Is(got.Err, ErrNotInPool) {
			t.Errorf("chosen, and never joined: %v", got.Err)
		}
	}
	for i, ack := range c.join(t, e, 1, chosen) { // and as having joined in time
		if ack.Window == 0 {
			t.Errorf("chosen entrant %d got into the sealed window", i)
		}
	}
	for _, j := range append(chosen, waiting...) {
		if got := c.redeem(t, e, j, 1); got.Err == nil {
			t.Fatalf("%s was let in before their turn", j.Entrant)
		}
	}
	for _, j := range called {
		got := c.redeem(t, e, j, 1)
		for deadline := time.Now().Add(10 * time.Second); errors.Is(got.Err, ErrRoomFull) && time.Now().Before(deadline); got = c.redeem(t, e, j, 1) {
			time.Sleep(20 * time.Millisecond) // the door counts too many inside while somebody comes in
		}
		if got.Err != nil {
			t.Errorf("whose turn it is: %v", got.Err)
		}
	}
	if after := c.verify(t); len(after.Sessions) != len(called) {
		t.Errorf("%d sessions, %d were called", len(after.Sessions), len(called))
	}
}
