package loadtest

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fairgate/edge/guard/challenge"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// play runs a rehearsal against a fake to its end.
func play(t *testing.T, f *fake, change func(*Plan)) *Rehearsal {
	t.Helper()
	r := f.rehearsal(t, change)
	if err := r.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHonestBuyersWaitTheirTurnAndBuy(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.throttle = 5
	r := play(t, f, nil)
	if n := r.rec.Outcomes()[outcomeBought]; n != 60 {
		t.Errorf("outcomes %v, want 60 bought", r.rec.Outcomes())
	}
	if n, samples := r.rec.Problems(); n > 0 {
		t.Errorf("%d buyers had an error: %+v", n, samples)
	}
	if len(r.witness.Receipts()) != 60 || len(r.witness.Tickets()) != 60 || len(r.witness.Orders()) != 60 {
		t.Errorf("%d receipts, %d tickets, %d orders; want 60 each", len(r.witness.Receipts()), len(r.witness.Tickets()), len(r.witness.Orders()))
	}
	if n := r.rec.Answers()[OpJoin]["rate_limited"]; n != 5 {
		t.Errorf("%d joins were throttled, want 5", n)
	}
	for _, op := range []Op{OpJoin, OpReceipt, OpState, OpClaim, OpHold, OpOrder, OpPay, OpProvider, OpCheckout, OpTicket} {
		if l := r.rec.meters[op].summary(op); l.Count == 0 || l.P50 <= 0 || l.Max < l.P99 {
			t.Errorf("%s: %+v", op, l)
		}
	}
	if seen := r.states.published(); seen.Commitment == nil || len(seen.Windows) != 1 {
		t.Errorf("published: %+v", seen)
	}
	if s := r.Snapshot(); s.Phase != "open" || s.Waiting != 0 || s.Admitted != 0 || s.Arrived != 60 || s.Orders != 60 {
		t.Errorf("at the end: %+v", s)
	}
}

func TestPeopleWhoAreTakenForProgramsAnswerAsThePageDoesAndGoOn(t *testing.T) {
	t.Parallel()
	for _, kind := range []challenge.Kind{challenge.Check, challenge.Work, challenge.Captcha} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.suspicious = kind
			r := play(t, f, func(p *Plan) { p.Buyers.Mixed = true })
			if n := r.rec.Outcomes()[outcomeBought]; n != 60 {
				t.Errorf("outcomes %v, want 60 bought", r.rec.Outcomes())
			}
			if n, samples := r.rec.Problems(); n > 0 || challengedHonest(r.rec.ProblemKinds()) > 0 {
				t.Errorf("%d buyers had an error: %+v", n, samples)
			}
			ways := map[string]int{}
			for _, way := range f.ways {
				ways[way]++
			}
			// A CAPTCHA is for people: who cannot answer it takes the form, as do those without a script.
			if asked := r.rec.gauges.challenged.Load(); asked != 60 || ways["form"] == 0 || (ways["script"] == 0) != (kind == challenge.Captcha) {
				t.Errorf("asked %d times, cleared by %v", asked, ways)
			}
		})
	}
}

func TestAPersonWhoCannotGetOnIsAProblem(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.suspicious, f.unmoved = challenge.Check, true
	r := play(t, f, nil)
	if n, _ := r.rec.Problems(); n != 60 || challengedHonest(r.rec.ProblemKinds()) == 0 {
		t.Errorf("%d of 60 buyers who were stuck had an error", n)
	}
}

func TestBuyersLeaveAndTryOtherCardsAsThePlanSays(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	r := play(t, f, func(p *Plan) {
		p.Buyers.Decline = 1
		p.Buyers.Abandon = AbandonPlan{Admitted: 0.2, Held: 0.2, Ordered: 0.2}
	})
	o := r.rec.Outcomes()
	for _, want := range []string{outcomeBought, outcomeDeclined, outcomeLeftAdmitted, outcomeLeftHolding, outcomeLeftOrdered} {
		if o[want] == 0 {
			t.Errorf("nobody ended %s: %v", want, o)
		}
	}
	if n, samples := r.rec.Problems(); n > 0 {
		t.Errorf("%d buyers had an error: %+v", n, samples)
	}
}

func TestALostAnswerIsAskedForAgainWithTheSameKey(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.loseHoldAnswer = 10
	r := play(t, f, nil)
	if f.repeats != 10 {
		t.Errorf("%d holds were asked for again under their key, want 10", f.repeats)
	}
	if n := r.rec.Outcomes()[outcomeBought]; n != 60 {
		t.Errorf("outcomes %v, want 60 bought", r.rec.Outcomes())
	}
}

func TestAnErrorOfAnHonestBuyerIsListed(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.holdFails = 3
	r := play(t, f, nil)
	n, samples := r.rec.Problems()
	if n != 3 || len(samples) != 3 || samples[0].Code != "internal" || samples[0].Op != OpHold {
		t.Errorf("%d buyers with an error, %+v; want 3 of hold", n, samples)
	}
	if got := r.rec.Outcomes()[outcomeError]; got != 3 {
		t.Errorf("outcomes %v", r.rec.Outcomes())
	}
}

func TestBuyersGoToTheOtherEdgeWhenTheirsIsGone(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	dead := httptest.NewServer(f.mux)
	r := f.rehearsal(t, func(p *Plan) {
		p.Targets.Edges = append([]string{dead.URL}, p.Targets.Edges...)
		p.Limits.FaultsExpected = true
	})
	dead.Close()
	if err := r.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if n := r.rec.Outcomes()[outcomeBought]; n != 60 {
		t.Errorf("outcomes %v, want 60 bought", r.rec.Outcomes())
	}
	if n, samples := r.rec.Problems(); n > 0 {
		t.Errorf("%d buyers had an error though a fault was expected: %+v", n, samples)
	}
	if r.rec.Answers()[OpJoin]["unreachable"] == 0 {
		t.Error("nobody met the dead edge")
	}
}

func TestAStallCountsForEverybodyItKeepsWaiting(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	r := f.rehearsal(t, func(p *Plan) { p.Limits.MaxConnections = 8 })
	// The whole deployment stands still for most of a second while people arrive.
	time.AfterFunc(time.Until(r.opening.Add(-400*time.Millisecond)), func() {
		f.mu.Lock()
		time.Sleep(800 * time.Millisecond)
		f.mu.Unlock()
	})
	if err := r.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	// Everybody who came in the first half second of it waited for at least 300 ms: about two thirds of all.
	if l := r.rec.meters[OpReceipt].summary(OpReceipt); l.P50 < 300 {
		t.Errorf("receipts: %+v; the stall is not seen", l)
	}
}

// manyBots is a plan with a few bots of each kind.
func manyBots(p *Plan) {
	p.Buyers.Count = 40
	p.Bots.Tabs, p.Bots.Fresh, p.Bots.Hammer, p.Bots.Skipper, p.Bots.Thief = 3, 2, 3, 12, 12
	p.Bots.TabJoins, p.Bots.FreshEach, p.Bots.Tries, p.Bots.TryEvery = 5, 4, 8, Duration(300*time.Millisecond)
}

func TestBotsGetNothingFromASoundDeployment(t *testing.T) {
	t.Parallel()
	r := play(t, newFake(t), manyBots)
	if crimes := r.witness.Crimes(); len(crimes) > 0 {
		t.Errorf("crimes: %+v", crimes)
	}
	tries := r.witness.Attempts()
	for _, want := range []string{
		"second entry for one identity", "claim before the turn", "claim with an edited pass", "claim with a forged pass", "claim with a forged token",
		"hold without a session", "hold with a forged session", "claim with another buyer's pass", "claim with another buyer's token",
		"hold with another buyer's session", "hold with another buyer's session and no device", "read another buyer's order", "release another buyer's hold",
	} {
		if tries[want] == 0 {
			t.Errorf("nobody tried: %s (%v)", want, tries)
		}
	}
	kinds := make(map[string]BotFigures)
	for _, b := range r.rec.Bots() {
		kinds[b.Kind] = b
	}
	if b := kinds["fresh"]; b.Bots != 2 || b.Entries != 8 || b.Sessions != 8 {
		t.Errorf("fresh: %+v; want 2 bots with 4 entries and sessions each", b)
	}
	if b := kinds["tabs"]; b.Bots != 3 || b.Entries != 3 || b.Requests < 15 {
		t.Errorf("tabs: %+v; want one entry for each of 3 bots", b)
	}
	if n, samples := r.rec.Problems(); n > 0 {
		t.Errorf("%d honest buyers had an error: %+v", n, samples)
	}
}

func TestEveryHoleIsFoundByTheBots(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		open func(*fake)
		try  string
	}{
		{"claims work early", func(f *fake) { f.letEarly = true }, "claim before the turn"},
		{"any session is believed", func(f *fake) { f.trustSessions = true }, "hold with a forged session"},
		{"a session works in another browser", func(f *fake) { f.ignoreDevice = true }, "hold with another buyer's session"},
		{"a pass works in another browser", func(f *fake) { f.ignoreDevice = true }, "claim with another buyer's pass"},
		{"a token works in another browser", func(f *fake) { f.ignoreDevice = true }, "claim with another buyer's token"},
		{"every tab is an entry", func(f *fake) { f.secondEntry = true }, "second entry for one identity"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			c.open(f)
			r := play(t, f, manyBots)
			found := false
			for _, crime := range r.witness.Crimes() {
				found = found || strings.HasPrefix(crime.Try, c.try)
			}
			if !found {
				t.Errorf("not found: %s; crimes %+v", c.try, r.witness.Crimes())
			}
		})
	}
}

func TestHonestAnswersAndOthers(t *testing.T) {
	cases := []struct {
		status int
		code   string
		after  time.Duration
		want   bool
	}{
		{200, "ok", 0, true}, {304, "not_modified", 0, true}, {425, "not_your_turn", 0, true}, {429, "rate_limited", 0, true},
		{503, "core_unreachable", time.Second, true}, {503, "overloaded", 0, false}, {409, "sold_out", 0, true}, {409, "seat_taken", 0, true},
		{409, "not_enough_left", 0, true}, {409, "hold_closed", 0, false}, {410, "hold_expired", 0, false}, {401, "pass_forged", 0, false},
		{500, "internal", 0, false}, {422, "quantity_over_limit", 0, false}, {0, "bad_answer", 0, false},
	}
	for _, c := range cases {
		a := answer{status: c.status, code: c.code, retryAfter: c.after}
		if c.status == 0 {
			a.status = 500
		}
		if got := honest(a); got != c.want {
			t.Errorf("%d %s with Retry-After %s: honest %t", c.status, c.code, c.after, got)
		}
	}
}
