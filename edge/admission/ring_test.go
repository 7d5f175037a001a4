package admission

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"fairgate/edge/lottery"
)

func newRing(t testing.TB) *Ring {
	t.Helper()
	r, err := NewRing(time.Hour, 10*time.Minute, rand.NewChaCha8([32]byte{1}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// renew does what an edge does every so often: asks for the key that is due, and adds it.
func renew(t testing.TB, r *Ring, slug string, at time.Time) (Key, bool) {
	t.Helper()
	k, due, err := r.Due(lottery.EventID(slug), at)
	if err != nil {
		t.Fatal(err)
	}
	if due {
		r.Add(k, at)
	}
	return k, due
}

func exampleRing(t testing.TB) *Ring {
	r := newRing(t)
	renew(t, r, "arena", now)
	return r
}

func TestARingHasAValidKeyAtEveryInstantOfADay(t *testing.T) {
	r, made := newRing(t), 0
	publics := map[string]Key{}
	for at := now; at.Before(now.Add(24 * time.Hour)); at = at.Add(time.Minute) {
		if k, due := renew(t, r, "arena", at); due {
			made++
			publics[k.ID.String()] = k
			if k.Until.Sub(k.From) > MaxKeyPeriod || !k.ValidAt(at) {
				t.Fatalf("key from %s until %s made at %s", k.From, k.Until, at)
			}
		}
		minted, err := r.Mint(nil, exampleToken(), at, 2*time.Minute)
		if err != nil {
			t.Fatalf("at %s: %v", at, err)
		}
		tok, err := Parse(minted)
		if err != nil {
			t.Fatal(err)
		}
		key := publics[tok.KeyID.String()]
		if _, err := Verify(minted, key.Public(), at); err != nil {
			t.Fatalf("at %s: %v", at, err)
		}
		if !tok.ExpiresAt.Equal(at.Add(2*time.Minute)) || tok.ExpiresAt.After(key.Until) {
			t.Fatalf("at %s: token until %s under a key until %s", at, tok.ExpiresAt, key.Until)
		}
	}
	// A key is made every 49 minutes: an hour less the overlap and the minute it is dated back.
	if made != 30 {
		t.Errorf("%d keys were made", made)
	}
	if n := len((*r.keys.Load())[lottery.EventID("arena")]); n > keysPerEvent {
		t.Errorf("the ring holds %d keys", n)
	}
}

func TestAKeySignsNothingBeforeItIsAddedAndForItsOwnEventOnly(t *testing.T) {
	r := newRing(t)
	k, due, err := r.Due(lottery.EventID("arena"), now)
	if err != nil || !due {
		t.Fatal(due, err)
	}
	if _, err := r.Mint(nil, exampleToken(), now, time.Minute); !errors.Is(err, ErrNoKey) {
		t.Errorf("a key that core does not know signs: %v", err)
	}
	if again, due, _ := r.Due(lottery.EventID("arena"), now); !due || again.ID == k.ID {
		t.Error("a key that could not be registered is not made anew")
	}
	r.Add(k, now)
	if _, err := r.Mint(nil, exampleToken(), now, time.Minute); err != nil {
		t.Error(err)
	}
	other := exampleToken()
	other.Event = lottery.EventID("club")
	if _, err := r.Mint(nil, other, now, time.Minute); !errors.Is(err, ErrNoKey) {
		t.Errorf("a key signs for another event: %v", err)
	}
}

func TestWithoutRenewalARingGoesSilentAtTheEndOfItsKey(t *testing.T) {
	r := newRing(t)
	k, _ := renew(t, r, "arena", now)
	last := k.Until.Add(-time.Millisecond)
	minted, err := r.Mint(nil, exampleToken(), last, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if tok, _ := Parse(minted); !tok.ExpiresAt.Equal(k.Until) {
		t.Errorf("the last token outlives its key: %s, key until %s", tok.ExpiresAt, k.Until)
	}
	if _, err := r.Mint(nil, exampleToken(), k.Until, time.Minute); !errors.Is(err, ErrNoKey) {
		t.Errorf("a key signs after its end: %v", err)
	}
}

func TestARingForgetsEventsThatAreOver(t *testing.T) {
	r := newRing(t)
	renew(t, r, "arena", now)
	renew(t, r, "club", now.Add(2*time.Hour))
	if n := len(*r.keys.Load()); n != 1 {
		t.Errorf("the ring holds keys of %d events", n)
	}
}

func TestRingsThatCouldNotWorkAreRefused(t *testing.T) {
	for _, c := range []struct{ period, overlap time.Duration }{
		{0, 0}, {2 * time.Hour, time.Minute}, {time.Minute, time.Second}, {time.Hour, 0}, {time.Hour, 31 * time.Minute},
	} {
		if _, err := NewRing(c.period, c.overlap, rand.NewChaCha8([32]byte{})); err == nil {
			t.Errorf("a ring with period %s and overlap %s", c.period, c.overlap)
		}
	}
	r, err := NewRing(time.Hour, time.Minute, bytes.NewReader(make([]byte, 40)))
	if err != nil {
		t.Fatal(err)
	}
	if _, due, err := r.Due(lottery.EventID("arena"), now); due || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a key without randomness: %v, %v", due, err)
	}
}

func TestMintingGoesOnWhileKeysChange(t *testing.T) {
	r := exampleRing(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if _, err := r.Mint(nil, exampleToken(), now, time.Minute); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 50 {
		renew(t, r, "arena", now.Add(time.Duration(i)*time.Second))
		k, _, err := r.Due(lottery.EventID("club"), now)
		if err != nil {
			t.Fatal(err)
		}
		r.Add(k, now)
	}
	wg.Wait()
}
