package paysim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTheSameSeedThrowsTheSameDice(t *testing.T) {
	throws := func(seed uint64) (hits []int) {
		d := newDice(seed)
		for n := range 10_000 {
			if d.hits("twice", fmt.Sprint("payment ", n), 0.1) {
				hits = append(hits, n)
			}
		}
		return hits
	}
	first := throws(7)
	if len(first) < 900 || len(first) > 1100 {
		t.Errorf("%d of 10,000 throws hit with probability 0.1", len(first))
	}
	if !slices.Equal(first, throws(7)) {
		t.Error("the same seed threw differently")
	}
	if slices.Equal(first, throws(8)) {
		t.Error("another seed threw alike")
	}
	d := newDice(7)
	both := 0
	for n := range 10_000 {
		name := fmt.Sprint("payment ", n)
		if got := d.between("delay", name, time.Second, 2*time.Second); got < time.Second || got > 2*time.Second {
			t.Fatalf("%s is not between one and two seconds", got)
		}
		if d.hits("twice", name, 0.1) && d.hits("lost", name, 0.1) {
			both++
		}
	}
	if both < 50 || both > 150 {
		t.Errorf("two dice hit together %d times in 10,000, want about 100: they are not independent", both)
	}
}

// Calls of many payments at once, in another order each time, meet the same mishaps.
func TestMishapsDoNotDependOnTheOrderOfArrival(t *testing.T) {
	play := func(seed uint64, shuffle *rand.Rand) map[string]mishap {
		s, err := New(Config{Seed: seed, Faults: Faults{ConnectionCut: 0.2, AnswerSlow: 0.2, CallSlow: 0.2, AnswerLost: 0.2, AnswerError: 0.2, RateBurst: 0.2}})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		met := make(map[string]mishap)
		var all sync.WaitGroup
		for _, n := range shuffle.Perm(200) {
			all.Go(func() {
				for try := range 5 {
					for _, step := range []string{"create", "capture"} {
						name := fmt.Sprint("payment ", n)
						m := s.mishapOf(step, name)
						mu.Lock()
						met[fmt.Sprint(step, name, try)] = m
						mu.Unlock()
					}
				}
			})
		}
		all.Wait()
		return met
	}
	first, again := play(5, rand.New(rand.NewPCG(1, 1))), play(5, rand.New(rand.NewPCG(2, 2)))
	count := map[string]int{}
	for name, m := range first {
		if again[name] != m {
			t.Fatalf("%s met %+v and then %+v", name, m, again[name])
		}
		for kind, hit := range map[string]bool{"limited": m.limited, "cut": m.cut, "before": m.before, "after": m.after, "slow": m.slow, "lost": m.lost, "on its way": m.onWay} {
			if hit {
				count[kind]++
			}
		}
		if m.before && m.after {
			t.Fatalf("%s failed before and after", name)
		}
	}
	for _, kind := range []string{"limited", "cut", "before", "after", "slow", "lost", "on its way"} {
		if n := count[kind]; n < 100 || n > 1200 {
			t.Errorf("%s: %d of 2,000 calls", kind, n)
		}
	}
}

func TestABurstOf429Ends(t *testing.T) {
	a := newAPI(t, Config{Faults: Faults{RateBurst: 0.3}, Seed: 2})
	longest, refused := 0, 0
	for n := range 100 {
		for run := 0; ; run++ {
			g := a.call("POST", "/v1/payment_intents", "amount", "5", "currency", "eur", "metadata[payment_id]", fmt.Sprint(n))
			if g.status == 200 {
				break
			}
			a.expect("limited", g, 429, "error", "code", "rate_limit")
			refused++
			longest = max(longest, run+1)
		}
	}
	if refused < 20 || longest < 2 || longest > 60 {
		t.Errorf("%d refused, %d in a row", refused, longest)
	}
	if n := len(a.sim.Books().Intents); n != 100 {
		t.Errorf("%d intents of 100 calls that were let through", n)
	}
}

func TestACallThatIsLongOnItsWayIsCarriedOutThoughItsCallerIsGone(t *testing.T) {
	a := newAPI(t, Config{Faults: Faults{CallSlow: 1, SlowFor: 150 * time.Millisecond}})
	ctx, gone := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer gone()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/v1/payment_intents", strings.NewReader("amount=5&currency=eur"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sk_test_paysim")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Fatal("it was answered in time")
	}
	for until := time.Now().Add(10 * time.Second); len(a.sim.Books().Intents) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it was never carried out")
		}
	}
}

func TestACutConnectionDoesNothing(t *testing.T) {
	a := newAPI(t, Config{Faults: Faults{ConnectionCut: 1}})
	if _, err := a.try("POST", "/v1/payment_intents", "amount", "5", "currency", "eur"); err == nil {
		t.Error("it was answered")
	}
	if b := a.sim.Books(); len(b.Intents) != 0 || b.Calls.Cut != 1 {
		t.Errorf("%d intents, counted %+v", len(b.Intents), b.Calls)
	}
}
