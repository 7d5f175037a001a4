package access

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

// by is the redemption of a turn in a browser in which the entrant's account, or nobody, is signed in.
func (c *core) by(e *edge, j Join, device lottery.DeviceHash, account *lottery.Entrant, move bool) Redemption {
	j.Device = device
	return Redemption{Edge: e.id, Event: slug, Token: e.token(c, j, 1), Device: device, Account: account, Move: move}
}

func (c *core) one(t *testing.T, r Redemption) Redeemed {
	t.Helper()
	answers, err := c.Redeem(t.Context(), []Redemption{r})
	if err != nil {
		t.Fatalf("redeem: %v", err)
	}
	return answers[0]
}

func TestAnAccountsTurnIsTakenOnWhateverDeviceItIsSignedInOnAndOnNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sale.Identity = accountIdentity
	c, e, joins := w.opened(testConfig(), 4, 4)
	me, stranger := joins[0], joins[1].Entrant
	phone := lottery.HashDevice([]byte("phone"))
	if got := c.one(t, c.by(e, me, me.Device, nil, false)); !errors.Is(got.Err, ErrAccountNeeded) {
		t.Errorf("the device that joined, with nobody signed in: %v", got.Err)
	}
	if got := c.one(t, c.by(e, me, phone, &stranger, true)); !errors.Is(got.Err, ErrAccountNeeded) {
		t.Errorf("a stranger's account: %v", got.Err)
	}
	got := c.one(t, c.by(e, me, phone, &me.Entrant, false))
	if got.Err != nil {
		t.Fatalf("another device of the account: %v", got.Err)
	}
	if again := c.one(t, c.by(e, me, phone, &me.Entrant, false)); again.Err != nil || string(again.Session) != string(got.Session) {
		t.Errorf("the same device again: %v", again.Err)
	}
	if _, err := c.CheckSession(got.Session, phone); err != nil {
		t.Errorf("the session: %v", err)
	}
}

func TestTakingATurnToAnotherBrowserEndsTheFormerSessionEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sale.Identity = accountIdentity
	c, e, joins := w.opened(testConfig(), 2, 2)
	other := w.start(testConfig())
	me, phone := joins[0], lottery.HashDevice([]byte("phone"))
	first := c.one(t, c.by(e, me, me.Device, &me.Entrant, false))
	if first.Err != nil {
		t.Fatal(first.Err)
	}
	if got := c.one(t, c.by(e, me, phone, &me.Entrant, false)); !errors.Is(got.Err, ErrBoundElsewhere) {
		t.Errorf("without saying so: %v", got.Err)
	}
	second := c.one(t, c.by(e, me, phone, &me.Entrant, true))
	if second.Err != nil {
		t.Fatalf("saying so: %v", second.Err)
	}
	before, _ := c.CheckSession(second.Session, phone)
	if !second.ExpiresAt.Equal(first.ExpiresAt) || before.Entrant != me.Entrant {
		t.Errorf("it ends at %s, the former one at %s", second.ExpiresAt, first.ExpiresAt)
	}
	if _, err := c.CheckSession(first.Session, me.Device); !errors.Is(err, ErrSessionMoved) {
		t.Errorf("the former session here: %v", err)
	}
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := other.CheckSession(first.Session, me.Device); errors.Is(err, ErrSessionMoved) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the other core never heard of it")
		}
	}
	back := c.one(t, c.by(e, me, me.Device, &me.Entrant, true))
	if _, err := c.CheckSession(second.Session, phone); back.Err != nil || !errors.Is(err, ErrSessionMoved) {
		t.Errorf("taken back: %v; the phone's session: %v", back.Err, err)
	}
	var sessions, revoked int
	if err := w.db.Reader.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM revoked_sessions)`).Scan(&sessions, &revoked); err != nil {
		t.Fatal(err)
	}
	if sessions != 1 || revoked != 2 {
		t.Errorf("%d sessions, %d revoked", sessions, revoked)
	}
	late := w.start(testConfig()) // a core that starts afterwards
	if _, err := late.CheckSession(first.Session, me.Device); !errors.Is(err, ErrSessionMoved) {
		t.Errorf("a core that starts later: %v", err)
	}
}

func TestOfManyBrowsersThatTakeOneTurnAtOnceOneHasIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sale.Identity = accountIdentity
	c, e, joins := w.opened(testConfig(), 2, 2)
	me := joins[0]
	const browsers = 8
	answers := make([]Redeemed, browsers)
	devices := make([]lottery.DeviceHash, browsers)
	var all sync.WaitGroup
	for i := range answers {
		devices[i] = lottery.HashDevice([]byte{byte(i)})
		r := c.by(e, me, devices[i], &me.Entrant, true)
		all.Go(func() {
			got, err := c.Redeem(t.Context(), []Redemption{r})
			if err != nil {
				t.Error(err)
				return
			}
			answers[i] = got[0]
		})
	}
	all.Wait()
	alive := 0
	for i, a := range answers {
		if a.Err == nil {
			if _, err := c.CheckSession(a.Session, devices[i]); err == nil {
				alive++
			}
		} else if !errors.Is(a.Err, ErrBoundElsewhere) {
			t.Errorf("browser %d: %v", i, a.Err)
		}
	}
	if alive != 1 {
		t.Errorf("%d browsers have the turn", alive)
	}
}

func TestABannedAccountGetsNoTurnOnAnyDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sale.Identity = accountIdentity
	c, e, joins := w.opened(testConfig(), 2, 2)
	me, account := joins[0], uuid.New()
	if err := c.AddBan(t.Context(), Ban{Kind: BanAccount, Subject: account[:], Reason: "resale", Actor: "operator"}); err != nil {
		t.Fatal(err)
	}
	r := c.by(e, me, me.Device, &me.Entrant, false)
	r.AccountID = account
	if got := c.one(t, r); !errors.Is(got.Err, ErrBanned) {
		t.Errorf("got %v", got.Err)
	}
}

func TestADevicesTurnDoesNotMoveWhateverItAsksFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, e, joins := w.opened(testConfig(), 2, 2)
	me, phone := joins[0], lottery.HashDevice([]byte("phone"))
	if got := c.redeem(t, e, me, 1); got.Err != nil {
		t.Fatal(got.Err)
	}
	if got := c.one(t, c.by(e, me, phone, &me.Entrant, true)); !errors.Is(got.Err, ErrBoundElsewhere) {
		t.Errorf("got %v", got.Err)
	}
}
