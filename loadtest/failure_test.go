package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"fairgate/edge/lottery"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Small on-sales through real processes, of which some are killed in the middle. Each ends with the whole audit.

func TestCoreKilledInTheMiddleOfAnOnSale(t *testing.T) {
	s := newStage(t, stageConfig{})
	s.start()
	plan := s.plan(150, 10)
	plan.Limits.FaultsExpected = true
	var killed, back time.Time
	s.play(plan, func(ctx context.Context, r *Rehearsal) {
		r.sleepUntil(ctx, r.Opening().Add(time.Second))
		s.until(ctx, "holds and payments are under way", 8*time.Second, func() bool {
			return s.notes.heldCount() >= 8 && s.count(`SELECT count(*) FROM payments WHERE state = 'begun'`) > 0
		})
		s.cores[0].kill()
		killed = time.Now()
		t.Logf("killed %.1f s after the opening: %d holds told, %d active, %d orders, %d of them issued", time.Since(r.Opening()).Seconds(), s.notes.heldCount(),
			s.count(`SELECT count(*) FROM holds WHERE state = 'active'`), s.count(`SELECT count(*) FROM orders`),
			s.count(`SELECT count(*) FROM orders WHERE state = 'ticket_issued'`))
		r.sleep(ctx, time.Second)
		s.cores[0].launch()
		s.cores[0].await()
		back = time.Now()
		t.Logf("ready again %.1f s after it was killed", back.Sub(killed).Seconds())
	})
	s.checkHolds(killed, back)
}

// keptHold is a hold in the database.
type keptHold struct {
	ID               uuid.UUID
	State            string
	Deadline, Closed time.Time
}

// checkHolds asks of every hold that somebody was told they have that nobody took it away: it was sold, or given back by its buyer,
// or it expired, and not before the deadline that they were told.
func (s *stage) checkHolds(killed, back time.Time) {
	s.t.Helper()
	rows, err := s.db.Reader.Query(s.t.Context(), `SELECT hold_id, state, deadline, coalesce(closed_at, deadline) FROM holds`)
	var all []keptHold
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[keptHold])
	}
	if err != nil {
		s.t.Fatal(err)
	}
	kept := make(map[string]keptHold, len(all))
	for _, h := range all {
		kept[h.ID.String()] = h
	}
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	ended, over := map[string]int{}, 0
	for id, told := range s.notes.holds {
		if told.first.IsZero() {
			continue // only asked to be given back
		}
		h, ok := kept[id]
		if !ok {
			s.t.Errorf("hold %s was told %s before the crash and does not exist", id, killed.Sub(told.first))
			continue
		}
		ended[h.State]++
		switch {
		case h.State == "sold":
		case h.State == "released" && told.returned:
		case h.State == "expired" && !h.Closed.Before(told.deadline) && !h.Deadline.Before(told.deadline):
		default:
			s.t.Errorf("hold %s, told until %s, is %s since %s", id, stamp(told.deadline), h.State, stamp(h.Closed))
		}
		if told.first.Before(killed) && h.State == "sold" && h.Closed.After(back) {
			over++
		}
	}
	s.t.Logf("holds that were told ended %v; %d told before the crash were sold after it", ended, over)
	if over == 0 {
		s.t.Error("no hold lived through the crash to be sold: nothing was tested")
	}
	if bad := s.notes.wrong; len(bad) > 0 {
		s.t.Errorf("unreadable answers: %v", bad)
	}
}

func TestAnEdgeKilledBeforeDuringAndAfterSealing(t *testing.T) {
	for _, c := range []struct {
		name string
		at   time.Duration // of the kill, from the opening
	}{{"before", -time.Second}, {"during", 50 * time.Millisecond}, {"after", time.Second}} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, stageConfig{})
			s.start()
			plan := s.plan(150, 10)
			plan.Limits.FaultsExpected = true
			var told []toldJoin
			r := s.play(plan, func(ctx context.Context, r *Rehearsal) {
				r.sleepUntil(ctx, r.Opening().Add(c.at))
				s.edges[0].kill()
				s.taps[0].Listener.Close()
				s.taps[0].CloseClientConnections()
				told = s.finals(0)
				t.Logf("killed %.2f s after the opening, with %d places told", time.Since(r.Opening()).Seconds(), len(told))
				s.joinAgain(ctx, r, told)
			})
			s.checkPlaces(r, told)
		})
	}
}

// finals are the final places that an edge has told so far, one for each entrant.
func (s *stage) finals(edge int) []toldJoin {
	seen := map[string]bool{}
	return slices.DeleteFunc(s.notes.joined(), func(j toldJoin) bool {
		skip := j.edge != edge || !j.final() || seen[j.place.Entrant]
		seen[j.place.Entrant] = seen[j.place.Entrant] || !skip
		return skip
	})
}

// joinAgain joins at the last edge as browsers that had their place from the first: every other one shows its pass, the rest only
// what makes it the same browser, so that core has to know it.
func (s *stage) joinAgain(ctx context.Context, r *Rehearsal, told []toldJoin) {
	s.t.Helper()
	other := r.edges[len(r.edges)-1]
	for i, before := range told {
		v := &jar{cookies: []cookie{{"fg_device", before.device}}}
		if i%2 == 0 {
			v.set("fg_pass_"+stageSlug, before.place.Pass)
		}
		var after joinBody
		for until := time.Now().Add(15 * time.Second); after.Receipt == nil || *after.Receipt == ""; {
			a := other.send(call{op: OpJoin, method: http.MethodPost, path: "/q/" + stageSlug + "/join", body: []byte("{}")}, v, before.forwarded, 10*time.Second)
			if a.ok() && !a.decode(&after) || !honest(a) || time.Now().After(until) {
				s.t.Errorf("entrant %s joins again: %d %s %s", before.place.Entrant, a.status, a.code, a.detail)
				return
			}
			if after.Receipt == nil && !r.sleep(ctx, 100*time.Millisecond) {
				return
			}
		}
		if after.Entrant != before.place.Entrant || after.Window != before.place.Window || after.Band != before.place.Band {
			s.t.Errorf("place %+v became %+v at the other edge", before.place, after)
		}
	}
}

// checkPlaces looks every receipt up in the transcript, and compares what the two edges have told one entrant.
func (s *stage) checkPlaces(r *Rehearsal, told []toldJoin) {
	s.t.Helper()
	var text json.RawMessage
	if err := r.admin.Get(s.t.Context(), "/admin/v1/events/"+stageSlug+"/lottery", &text); err != nil {
		s.t.Fatal(err)
	}
	transcript, err := lottery.ParseTranscript(text)
	if err != nil {
		s.t.Fatal(err)
	}
	type place struct {
		window uint32
		band   lottery.Band
	}
	drawn := map[string]place{}
	for _, w := range transcript.Windows {
		for _, l := range w.Leaves {
			drawn[l.Entrant.String()] = place{w.Window, l.Band}
		}
	}
	for _, j := range told {
		got, ok := drawn[j.place.Entrant]
		if want := (place{j.place.Window, lottery.Band(j.place.Band)}); !ok || got != want {
			s.t.Errorf("entrant %s has a receipt for %+v; drawn: %t, %+v", j.place.Entrant, want, ok, got)
		}
	}
	first, moved := map[string]toldJoin{}, map[string]bool{}
	for _, j := range s.notes.joined() {
		if !j.final() {
			continue
		}
		was, ok := first[j.place.Entrant]
		if !ok {
			first[j.place.Entrant] = j
			continue
		}
		moved[j.place.Entrant] = moved[j.place.Entrant] || was.edge != j.edge
		if was.device != j.device || was.place.Window != j.place.Window || was.place.Band != j.place.Band {
			s.t.Errorf("entrant %s was told %+v by edge %d and %+v by edge %d", j.place.Entrant, was.place, was.edge+1, j.place, j.edge+1)
		}
	}
	var sessions int
	for _, a := range transcript.Sessions {
		if slices.ContainsFunc(told, func(j toldJoin) bool { return j.place.Entrant == a.Entrant.String() }) {
			sessions++
		}
	}
	s.t.Logf("%d receipts of the dead edge are in the transcript; %d entrants have their place from both edges; %d of the dead edge's were let in", len(told), len(moved), sessions)
	if len(told) == 0 || len(moved) < len(told) || sessions == 0 {
		s.t.Errorf("%d places told by the dead edge, %d from both, %d let in: too little was tested", len(told), len(moved), sessions)
	}
	if bad := s.notes.unreadable(); len(bad) > 0 {
		s.t.Errorf("unreadable answers: %v", bad)
	}
}

func TestTwoCoresOnOneEvent(t *testing.T) {
	s := newStage(t, stageConfig{cores: 2, urls: disagree})
	// The core that is going to die is the one that drives the draw.
	s.startCore(0)
	if err := s.operator(0).Schedule(t.Context(), stageSlug, time.Now(), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	s.until(t.Context(), "the first core drives", 10*time.Second, func() bool { return s.metricOf(0, "core_access_leases_taken_total") > 0 })
	s.start()
	plan := s.plan(150, 10)
	plan.Limits.FaultsExpected = true
	s.play(plan, func(ctx context.Context, r *Rehearsal) {
		r.sleepUntil(ctx, r.Opening().Add(2*time.Second))
		s.until(ctx, "both cores let people in and sell", 8*time.Second, func() bool {
			return s.metricOf(0, letIn) > 0 && s.metricOf(1, letIn) > 0 && s.notes.heldCount() >= 8
		})
		t.Logf("%.1f s after the opening the cores had let in %.0f and %.0f, and moved the cursor by %.0f and %.0f", time.Since(r.Opening()).Seconds(),
			s.metricOf(0, letIn), s.metricOf(1, letIn), s.metricOf(0, "core_access_called_total"), s.metricOf(1, "core_access_called_total"))
		s.cores[0].kill()
		t.Logf("%d holds were active, %d orders open", s.count(`SELECT count(*) FROM holds WHERE state = 'active'`), s.count(`SELECT count(*) FROM orders WHERE state = 'payment_pending'`))
	})
	if n := s.metricOf(1, "core_access_leases_taken_total"); n == 0 {
		t.Error("the other core has not taken over")
	}
	s.checkOneDraw()
}

const letIn = `core_access_redeem_total{result="admitted"}`

// disagree has the edges call the cores by such names that the two send the event to different cores first: both cores then
// decide about the same stock at once. It knows how edges choose; if that changes, the test says that one core was idle.
func disagree(edge int, addresses []string) []string {
	for n := range 64 {
		all := plainURLs(addresses)
		for i := range all {
			host := []byte("localhost")
			for bit := range host[:6] {
				if n>>bit&1 == 1 {
					host[bit] -= 'a' - 'A'
				}
			}
			all[i] = strings.Replace(all[i], "127.0.0.1", string(host), 1)
		}
		if rendezvous(stageSlug, all) == edge {
			return all
		}
	}
	return plainURLs(addresses)
}

// rendezvous is which of these cores an edge sends the event to when all of them live.
func rendezvous(slug string, urls []string) int {
	mix := func(h uint64) uint64 {
		h = (h ^ h>>33) * 0xff51afd7ed558ccd
		h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
		return h ^ h>>33
	}
	hash := func(b string) uint64 {
		h := uint64(14695981039346656037)
		for i := range len(b) {
			h = (h ^ uint64(b[i])) * 1099511628211
		}
		return mix(h)
	}
	event := lottery.EventID(slug)
	best, weight := 0, uint64(0)
	for i, u := range urls {
		if w := mix(hash(u) ^ hash(string(event[:]))); w > weight {
			best, weight = i, w
		}
	}
	return best
}

// checkOneDraw asks that every window was drawn once, and that nobody was ever shown anything else.
func (s *stage) checkOneDraw() {
	s.t.Helper()
	rows, err := s.db.Reader.Query(s.t.Context(), `SELECT window_no, encode(root, 'hex'), encode(seed, 'hex') FROM draw_windows ORDER BY window_no`)
	if err != nil {
		s.t.Fatal(err)
	}
	drawn, windows := map[string]bool{}, map[int64]bool{}
	var window int64
	var root, seed string
	_, err = pgx.ForEachRow(rows, []any{&window, &root, &seed}, func() error {
		if windows[window] {
			return fmt.Errorf("window %d was drawn twice", window)
		}
		drawn[fmt.Sprint(window, " ", root, " ", seed)], windows[window] = true, true
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	shown, generations := map[string]int{}, map[uint32]bool{}
	for _, state := range s.notes.states {
		generations[state.Generation] = true
		for _, w := range state.Windows {
			if w.Sealed {
				shown[fmt.Sprint(w.Window, " ", w.Root, " ", w.Seed)]++
			}
		}
	}
	for draw, times := range shown {
		if !drawn[draw] {
			s.t.Errorf("%d state objects showed window, root and seed %s; the database has only %v", times, draw, drawn)
		}
	}
	s.t.Logf("%d windows drawn; %d state objects showed %d different draws", len(drawn), len(s.notes.states), len(shown))
	if len(shown) == 0 || len(generations) != 1 {
		s.t.Errorf("%d draws shown, in generations %v", len(shown), generations)
	}
	if bad := s.notes.wrong; len(bad) > 0 {
		s.t.Errorf("unreadable answers: %v", bad)
	}
}
