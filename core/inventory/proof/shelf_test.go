package proof

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/inventory/history"
)

// bug is what is wrong with a shelf.
type bug string

const (
	sound             bug = "nothing"
	oversells         bug = "oversells by one at the boundary"
	oversellsInSecret bug = "oversells by one and says that it is full"
	forgetsReleases   bug = "acknowledges a release and keeps the units"
	losesReleases     bug = "acknowledges a release that it never makes"
	seatTwice         bug = "gives a seat again when its request is repeated"
	answersEarly      bug = "answers before the commit, and loses it when it crashes"
	newHoldOnRetry    bug = "takes units again for a repeated request"
	closesTwice       bug = "gives the units of a hold back twice"
	strangersRelease  bug = "lets anybody release a hold"
	expiresEarly      bug = "lets holds expire before their deadline"
	remembersTooLong  bug = "says sold out long after units came back"
	numbersLate       bug = "numbers commits in another order than it answers"
	swallowsACommit   bug = "says undone of what it committed"
)

// shelf is a small inventory in memory: one tier by quantity, one by seat. It decides under a lock, one commit for each
// request, and keeps a history as core does. It crashes now and then: whatever is in flight gets no answer.
type shelf struct {
	bug    bug
	event  uuid.UUID
	core   *history.Recorder
	client *history.Recorder

	mu        sync.Mutex
	rng       *rand.Rand
	capacity  map[string]int64
	taken     map[string]int64
	version   map[string]int64
	seats     map[string]uuid.UUID
	holds     map[uuid.UUID]*shelfHold
	fullAt    time.Time // when the tier was last seen full
	committed int
}

type shelfHold struct {
	op       history.Op
	state    string
	deadline time.Time
}

const (
	floor = "floor"
	lower = "lower"
)

var shelfSeats = []string{"A/1/1", "A/1/2", "A/1/3", "A/1/4", "A/1/5", "A/1/6"}

func newShelf(t testing.TB, b bug, seed uint64) (*shelf, []string) {
	t.Helper()
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "core.jsonl"), filepath.Join(dir, "client.jsonl")}
	s := &shelf{
		bug: b, event: uuid.New(), rng: rand.New(rand.NewPCG(seed, 1)),
		capacity: map[string]int64{floor: 20, lower: int64(len(shelfSeats))}, taken: map[string]int64{}, version: map[string]int64{},
		seats: map[string]uuid.UUID{}, holds: map[uuid.UUID]*shelfHold{},
	}
	for i, side := range []history.Side{history.Core, history.Client} {
		r, err := history.Open(history.Config{Path: files[i], Side: side, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if side == history.Core {
			s.core = r
		} else {
			s.client = r
		}
	}
	return s, files
}

func (s *shelf) close(t testing.TB) {
	t.Helper()
	for _, r := range []*history.Recorder{s.core, s.client} {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// request is a client's: it notes that it asks, asks, and notes what it was told.
func (s *shelf) request(o history.Op) history.Op {
	n := s.client.Invoke(history.Call{Ops: []history.Op{o}})
	told := s.decide(o)
	if s.bug == answersEarly && told.Do == history.Hold && told.Outcome == history.OK {
		s.client.Return(n, "", told)
		s.mu.Lock()
		lost := s.rng.IntN(50) == 0 // the crash
		s.mu.Unlock()
		if !lost {
			s.late(told)
		}
		return told
	}
	s.client.Return(n, "", told)
	return told
}

// decide is core. From is when it began.
func (s *shelf) decide(o history.Op) history.Op {
	from := history.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	refuse := func(code string) history.Op {
		o.Outcome, o.Code = history.Refused, code
		s.core.Answered(history.Call{From: from, Ops: []history.Op{o}})
		return o
	}
	h := s.holds[o.Hold]
	switch o.Do {
	case history.Hold:
		if h != nil {
			return s.again(o, h, from)
		}
		if code := s.refusal(o); code != "" {
			return refuse(code)
		}
		if s.bug == answersEarly {
			o.Outcome, o.State = history.OK, "active"
			return o
		}
		return s.commit(o, from)
	case history.Release:
		switch {
		case h == nil || h.op.Buyer != o.Buyer && s.bug != strangersRelease:
			return refuse("hold_unknown")
		case h.state == "released":
			o.Outcome, o.State = history.OK, "released"
			s.core.Answered(history.Call{From: from, Ops: []history.Op{o}})
			return o
		case h.state != "active" && s.bug != closesTwice:
			return refuse("hold_closed")
		case s.bug == losesReleases && s.rng.IntN(20) == 0:
			h.state = "released"
			o.Outcome, o.State = history.OK, "released"
			return o
		}
		o.Items = h.op.Items
		return s.commit(o, from)
	case history.Expire:
		early := s.bug == expiresEarly && s.rng.IntN(10) == 0
		if h == nil || h.state != "active" || time.Now().Before(h.deadline) && !early {
			return o
		}
		o.Items = h.op.Items
		return s.commit(o, from)
	}
	panic("a shelf cannot " + string(o.Do))
}

// again answers a repeated request.
func (s *shelf) again(o history.Op, h *shelfHold, from int64) history.Op {
	item := o.Items[0]
	if s.bug == seatTwice && len(item.Seats) > 0 && h.state == "active" {
		delete(s.seats, item.Seats[0])
		s.taken[lower]--
	}
	if s.bug == newHoldOnRetry && h.state == "active" && s.refusal(o) == "" {
		return s.commit(o, from)
	}
	told := h.op
	told.Outcome, told.State = history.OK, h.state
	s.core.Answered(history.Call{From: from, Ops: []history.Op{told}})
	return told
}

// refusal says why not; "" for nothing.
func (s *shelf) refusal(o history.Op) string {
	item := o.Items[0]
	left := s.capacity[item.Tier] - s.taken[item.Tier]
	for _, seat := range item.Seats {
		if s.seats[seat] != uuid.Nil {
			return "seat_taken"
		}
	}
	if len(item.Seats) > 0 {
		return ""
	}
	if s.bug == oversells || s.bug == oversellsInSecret {
		left++
	}
	switch {
	case left <= 0:
		s.fullAt = time.Now()
		return "sold_out"
	case s.bug == remembersTooLong && time.Since(s.fullAt) < 200*time.Millisecond:
		return "sold_out"
	case left < int64(item.Quantity):
		return "not_enough_left"
	}
	return ""
}

// late is a commit after its answer.
func (s *shelf) late(o history.Op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal(o) == "" {
		s.commit(o, history.Now())
	}
}

// commit changes stock and seats and answers, unless a crash comes between, before or after.
func (s *shelf) commit(o history.Op, from int64) history.Op {
	o.Items = slices.Clone(o.Items)
	item := &o.Items[0]
	change := int64(item.Quantity)
	if o.Do != history.Hold {
		change = -change
	}
	if s.bug == forgetsReleases && o.Do == history.Release && s.rng.IntN(20) == 0 {
		change = 0
	}
	crash := s.rng.IntN(60) == 0
	happens := !crash || s.rng.IntN(2) == 0
	version := s.version[item.Tier] + 1
	if s.bug == numbersLate { // 2, 1, 4, 3, …
		version += version%2*2 - 1
	}
	item.Commit = version
	row := history.Row{Event: s.event, Tier: item.Tier, Allocation: item.Allocation, Version: version,
		Taken: s.taken[item.Tier] + change, Capacity: s.capacity[item.Tier]}
	if s.bug == oversellsInSecret {
		row.Taken = min(row.Taken, row.Capacity)
	}
	now := time.Now()
	if o.Do == history.Hold {
		o.Deadline = now.Add(10 * time.Millisecond).UnixMicro()
	}
	n := s.core.Invoke(history.Call{From: from, At: now.UnixMicro(), Rows: []history.Row{row}, Ops: []history.Op{o}})
	if happens {
		s.version[item.Tier], s.taken[item.Tier] = s.version[item.Tier]+1, s.taken[item.Tier]+change
		s.apply(o, now)
	}
	s.committed++
	switch {
	case crash:
		o.Outcome = history.Unknown
		o.Items[0].Commit = 0
		return o
	case s.bug == swallowsACommit && s.committed%50 == 0:
		s.core.Return(n, history.Undone)
	default:
		s.core.Return(n, history.OK)
	}
	o.Outcome, o.State = history.OK, s.holds[o.Hold].state
	o.Items = s.holds[o.Hold].op.Items // with the number of the commit that granted it
	return o
}

func (s *shelf) apply(o history.Op, now time.Time) {
	item := o.Items[0]
	if o.Do == history.Hold {
		s.holds[o.Hold] = &shelfHold{op: o, state: "active", deadline: now.Add(10 * time.Millisecond)}
		for _, seat := range item.Seats {
			s.seats[seat] = o.Hold
		}
		return
	}
	s.holds[o.Hold].state = map[history.Do]string{history.Release: "released", history.Expire: "expired"}[o.Do]
	for _, seat := range item.Seats {
		if s.seats[seat] == o.Hold {
			delete(s.seats, seat)
		}
	}
}

// play has clients hold, repeat, release and let expire, and reads the history.
func play(t testing.TB, b bug, seed uint64, clients, each int) *history.History {
	t.Helper()
	s, files := newShelf(t, b, seed)
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(c)+2))
			buyer := hex.EncodeToString(fmt.Appendf(nil, "buyer-%010d", c))
			var mine []history.Op
			for range each {
				s.step(rng, buyer, &mine)
			}
		})
	}
	all.Wait()
	s.close(t)
	h, err := history.Read(files...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// step is one thing that a client does.
func (s *shelf) step(rng *rand.Rand, buyer string, mine *[]history.Op) {
	dice := rng.IntN(100)
	switch {
	case dice < 45 || len(*mine) == 0:
		o := history.Op{Do: history.Hold, Event: s.event, Hold: uuid.New(), Buyer: buyer, Body: "b",
			Items: []history.Item{{Tier: floor, Allocation: "general", Quantity: 1 + rng.IntN(3)}}}
		if rng.IntN(3) == 0 {
			o.Items = []history.Item{{Tier: lower, Allocation: "general", Quantity: 1, Seats: []string{shelfSeats[rng.IntN(len(shelfSeats))]}}}
		}
		told := s.request(o)
		if told.Outcome == history.Unknown {
			told = s.request(o)
		}
		if told.Outcome == history.OK {
			*mine = append(*mine, o)
		}
	case dice < 55: // again
		s.request((*mine)[rng.IntN(len(*mine))])
	case dice < 92:
		n := rng.IntN(len(*mine))
		o := (*mine)[n]
		if s.bug == strangersRelease && rng.IntN(20) == 0 {
			buyer = "somebody else"
		}
		s.request(history.Op{Do: history.Release, Event: s.event, Hold: o.Hold, Buyer: buyer})
		if s.bug == closesTwice {
			return // it tries again another time
		}
		*mine = slices.Delete(*mine, n, n+1)
	default:
		s.sweep()
	}
}

// sweep lets expire what is due, whoever has it.
func (s *shelf) sweep() {
	s.mu.Lock()
	var due []history.Op
	for id, h := range s.holds {
		if h.state == "active" {
			due = append(due, history.Op{Do: history.Expire, Event: s.event, Hold: id, Buyer: h.op.Buyer})
		}
	}
	s.mu.Unlock()
	for _, o := range due {
		s.decide(o)
	}
}
