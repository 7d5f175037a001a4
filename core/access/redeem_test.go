package access

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

// opened is an on-sale of n buyers of whom some have been called.
func (w *world) opened(cfg Config, n, inside int) (*core, *edge, []Join) {
	w.t.Helper()
	w.sale.MaxInside = inside
	c := w.start(cfg)
	c.schedule(w.t, time.Hour)
	e := c.enroll(w.t, slug)
	joins := buyers(0, n)
	c.join(w.t, e, 1, joins)
	c.open(w.t)
	c.until(w.t, "those who fit called", calledAtLeast(min(n, inside)))
	return c, e, joins
}

// split are those who have been called and those who have not, by what the room itself would let in.
func (c *core) split(t testing.TB, joins []Join) (called, waiting []Join) {
	t.Helper()
	s, err := c.onSaleOf(t.Context(), slug)
	if err != nil {
		t.Fatal(err)
	}
	v := s.snapshot()
	for _, j := range joins {
		rec, _ := v.pool.find(j.Entrant)
		if v.draw.covers(rec.place()) {
			called = append(called, j)
		} else {
			waiting = append(waiting, j)
		}
	}
	return called, waiting
}

func TestAStolenEdgeAdmitsNobodyWhoseTurnItIsNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, e, joins := w.opened(testConfig(), 30, 10)
	called, waiting := c.split(t, joins)
	if len(called) != 10 || len(waiting) != 20 {
		t.Fatalf("%d called, %d waiting", len(called), len(waiting))
	}
	thief := lottery.HashDevice([]byte("thief"))
	stolen := called[0]
	stolen.Device = thief
	stranger := buyer(999)
	otherEvent := c.enroll(t, "elsewhere")
	strange := &edge{id: e.id, key: EdgeKey{ID: uuid.New()}, private: e.private}
	forging := *e
	_, forging.private, _ = ed25519.GenerateKey(nil)
	now := c.now()
	mint := func(e *edge, j Join, alter func(*admission.Token)) []byte {
		token := admission.Token{
			KeyID: e.key.ID, Event: lottery.EventID(slug), Entrant: j.Entrant, Device: j.Device, Generation: 1,
			IssuedAt: now, ExpiresAt: now.Add(time.Minute),
		}
		if alter != nil {
			alter(&token)
		}
		return token.Sign(nil, e.private)
	}
	for name, try := range map[string]struct {
		token  []byte
		device lottery.DeviceHash
		want   error
	}{
		"for somebody who was not called":        {mint(e, waiting[0], nil), waiting[0].Device, ErrNotCalled},
		"for somebody called, on another device": {mint(e, stolen, nil), thief, ErrBoundElsewhere},
		"for somebody called, device only faked": {mint(e, called[0], nil), thief, ErrDeviceMismatch},
		"for somebody who never joined":          {mint(e, stranger, nil), stranger.Device, ErrNotInPool},
		"with the key of another event":          {mint(otherEvent, called[0], nil), called[0].Device, ErrTokenOtherEvent},
		"with a key nobody registered":           {mint(strange, called[0], nil), called[0].Device, ErrTokenKeyUnknown},
		"with another's key id":                  {mint(&forging, called[0], nil), called[0].Device, ErrTokenForged},
		"of another event":                       {mint(e, called[0], func(t *admission.Token) { t.Event = lottery.EventID("elsewhere") }), called[0].Device, ErrTokenOtherEvent},
		"of another on-sale":                     {mint(e, called[0], func(t *admission.Token) { t.Generation = 2 }), called[0].Device, ErrTokenOtherEvent},
		"that has expired":                       {mint(e, called[0], func(t *admission.Token) { t.IssuedAt, t.ExpiresAt = now.Add(-time.Minute), now.Add(-time.Second) }), called[0].Device, ErrTokenExpired},
		"from before its key was valid":          {mint(e, called[0], func(t *admission.Token) { t.IssuedAt = now.Add(-2 * time.Hour) }), called[0].Device, ErrTokenKeyUnknown},
		"that lives longer than its key":         {mint(e, called[0], func(t *admission.Token) { t.ExpiresAt = now.Add(3 * time.Hour) }), called[0].Device, ErrTokenKeyUnknown},
		"made to be kept":                        {mint(e, called[0], func(t *admission.Token) { t.IssuedAt, t.ExpiresAt = now.Add(30*time.Minute), now.Add(40*time.Minute) }), called[0].Device, ErrTokenForged},
		"that is no token":                       {[]byte("token"), called[0].Device, ErrTokenMalformed},
		"that is nothing":                        {nil, called[0].Device, ErrTokenMalformed},
	} {
		if got := c.redeemToken(t, e, try.token, try.device); !errors.Is(got.Err, try.want) || got.Session != nil {
			t.Errorf("a token %s: %v, want %v", name, got.Err, try.want)
		}
	}
	if transcript := c.verify(t); len(transcript.Sessions) != 0 {
		t.Fatalf("%d sessions were given", len(transcript.Sessions))
	}
	if got := c.redeem(t, e, called[0], 1); got.Err != nil {
		t.Fatalf("the rightful buyer after all that: %v", got.Err)
	}
}

func TestATokenReplayedGivesTheSameSessionAndNeverASecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, e, joins := w.opened(testConfig(), 3, 3)
	token := e.token(c, joins[0], 1)
	items := make([]Redemption, 20)
	for i := range items {
		items[i] = Redemption{Edge: e.id, Event: slug, Token: token, Device: joins[0].Device}
	}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			answers, err := c.Redeem(t.Context(), items)
			if err != nil {
				t.Error(err)
				return
			}
			for _, a := range answers {
				if a.Err != nil || !bytes.Equal(a.Session, answers[0].Session) {
					t.Errorf("a replay: %v", a.Err)
				}
			}
		})
	}
	wait.Wait()
	if transcript := c.verify(t); len(transcript.Sessions) != 1 {
		t.Fatalf("%d sessions were given", len(transcript.Sessions))
	}
}

func TestTwoDevicesOfOneEntrantInOneBatchGetOneSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, e, joins := w.opened(testConfig(), 2, 2)
	other := joins[0]
	other.Device = lottery.DeviceHash{7}
	// The second device joined too: the entrant stays with the first.
	if ack := c.join(t, e, 1, []Join{other})[0]; !ack.OtherDevice {
		t.Fatal("the second device was not told")
	}
	answers, err := c.Redeem(t.Context(), []Redemption{
		{Edge: e.id, Event: slug, Token: e.token(c, other, 1), Device: other.Device},
		{Edge: e.id, Event: slug, Token: e.token(c, joins[0], 1), Device: joins[0].Device},
		{Edge: e.id, Event: slug, Token: e.token(c, joins[1], 1), Device: joins[1].Device},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(answers[0].Err, ErrBoundElsewhere) || answers[1].Err != nil || answers[2].Err != nil {
		t.Fatalf("answers: %v, %v, %v", answers[0].Err, answers[1].Err, answers[2].Err)
	}
}

func TestACoreThatLagsBehindReadsAgainBeforeItRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	slow := testConfig()
	slow.Tick = time.Hour // reads only when it must
	lagging, err := New(t.Context(), w.db, slow, w.deps())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lagging.Close)
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	joins := buyers(0, 10)
	c.join(t, e, 1, joins[:5])
	behind := &core{Room: lagging}
	behind.join(t, e, 1, joins[:1]) // knows the on-sale as it is before the draw
	c.join(t, e, 1, joins[5:])
	c.open(t)
	c.until(t, "everybody called", calledAtLeast(10))
	for _, j := range joins {
		if got := behind.redeem(t, e, j, 1); got.Err != nil {
			t.Fatalf("at the core that lags: %v", got.Err)
		}
	}
}

func TestARevokedEdgeIsOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, e, joins := w.opened(testConfig(), 3, 3)
	if got := c.redeem(t, e, joins[0], 1); got.Err != nil {
		t.Fatal(got.Err)
	}
	token, err := c.Enroll(t.Context(), e.id, uuid.New())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.RevokeEdge(t.Context(), e.id); err != nil {
		t.Fatal(err)
	}
	if got := c.redeem(t, e, joins[1], 1); !errors.Is(got.Err, ErrTokenKeyUnknown) {
		t.Errorf("a token of a revoked edge: %v", got.Err)
	}
	if _, err := c.Authenticate(t.Context(), token.Token); !errors.Is(err, ErrEdgeUnknown) {
		t.Errorf("a revoked edge: %v", err)
	}
	if _, err := c.RegisterKey(t.Context(), e.id, slug, e.key); !errors.Is(err, ErrKeyRefused) {
		t.Errorf("a revoked key registered again: %v", err)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	if _, err := c.JoinBatch(t.Context(), JoinRequest{Edge: e.id, Event: slug, Generation: 1, Entries: buyers(0, 1001)}); !errors.Is(err, ErrTooMany) {
		t.Errorf("1001 entrants: %v", err)
	}
	if _, err := c.Redeem(t.Context(), make([]Redemption, 501)); !errors.Is(err, ErrTooMany) {
		t.Errorf("501 tokens: %v", err)
	}
	if acks := c.join(t, e, 1, buyers(0, 1000)); len(acks) != 1000 {
		t.Errorf("%d of 1000 acknowledged", len(acks))
	}
}
