package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fairgate/edge/lottery"
)

// busyEvent sells enough for a stream of holds that lasts as long as the test.
const busyEvent = `id: busy
name: A Busy Evening
organizer: somebody
venue: {name: Hall, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: 200000}
limits: {per_buyer: 2}
hold: {ttl: 10m}
`

// buyers who hold one after the other, each anew, and remember what they were told.
type holdStream struct {
	s    *stage
	mint *Mint
	next atomic.Uint64

	mu       sync.Mutex
	ids      map[string]bool
	tries    [4]int // how many buyers needed one try, two, …; the last counts those who gave up
	failures []string
	slowest  time.Duration
}

// run is one buyer after the other until the context ends.
func (h *holdStream) run(ctx context.Context, client *http.Client) {
	for ctx.Err() == nil {
		n := h.next.Add(1)
		began := time.Now()
		id, tries, failures := h.buyer(client, n)
		h.mu.Lock()
		h.tries[tries-1]++
		h.failures = append(h.failures, failures...)
		h.slowest = max(h.slowest, time.Since(began))
		if id != "" && h.ids[id] {
			h.s.t.Errorf("hold %s was given twice", id)
		}
		if id != "" {
			h.ids[id] = true
		}
		h.mu.Unlock()
	}
}

// buyer asks for a hold until there is one, at most three times, always with the same key.
func (h *holdStream) buyer(client *http.Client, n uint64) (id string, tries int, failures []string) {
	shopper := h.mint.Shopper("busy", n, time.Now())
	for tries = 1; tries <= 3; tries++ {
		req, err := http.NewRequest("POST", h.s.outer[n%stageEdges]+"/v1/holds", strings.NewReader(`{"event":"busy","items":[{"tier":"floor","quantity":1}]}`))
		if err != nil {
			return "", 4, append(failures, err.Error())
		}
		req.Header.Set("Cookie", shopper.Cookie)
		req.Header.Set("Idempotency-Key", fmt.Sprint("key-", n))
		req.Header.Set("X-Forwarded-For", fmt.Sprintf("127.%d.%d.%d", n>>16&127, n>>8&255, n&255))
		resp, err := client.Do(req)
		if err != nil {
			failures = append(failures, err.Error())
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		var hold struct{ ID, Code string }
		if err == nil && resp.StatusCode == http.StatusCreated && json.Unmarshal(body, &hold) == nil && hold.ID != "" {
			return hold.ID, tries, failures
		}
		failures = append(failures, fmt.Sprintf("%s: %d %s", time.Now().Format("05.000"), resp.StatusCode, body))
		time.Sleep(200 * time.Millisecond)
	}
	return "", 4, failures
}

func (h *holdStream) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ids)
}

const granted = `core_holds_total{result="granted"}`

// Cores that come, leave and die in the middle of a stream of holds: the edges hide nearly all of it, and nothing is lost.
func TestCoresComeLeaveAndDieInTheMiddleOfAStreamOfHolds(t *testing.T) {
	s := newStage(t, stageConfig{cores: 3})
	// The core that the event belongs to comes last, the one that is next in line is killed, and then the first one leaves.
	first := rendezvous("busy", s.inner)
	rest := slices.Delete(slices.Clone(s.inner), first, first+1)
	second := slices.Index(s.inner, rest[rendezvous("busy", rest)])
	third := 3 - first - second
	s.startCore(second)
	s.cores[third].launch()
	s.cores[third].await()
	for _, e := range s.edges {
		e.launch()
		e.await()
	}
	if err := s.operator(second).Apply(t.Context(), []byte(busyEvent)); err != nil {
		t.Fatal(err)
	}
	if err := s.operator(second).Schedule(t.Context(), "busy", time.Now(), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	mint, err := NewMint(t.Context(), s.db.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h := &holdStream{s: s, mint: mint, ids: make(map[string]bool)}
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	s.until(t.Context(), "both cores know the event", 10*time.Second, func() bool {
		_, tries, failures := h.buyer(client, h.next.Add(1))
		return tries == 1 && len(failures) == 0
	})
	before := int(s.count(`SELECT count(*) FROM holds`))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var buyers sync.WaitGroup
	for range 24 {
		buyers.Go(func() { h.run(ctx, client) })
	}
	selling := func(core int, what string) {
		t.Helper()
		from := s.metricOf(core, granted)
		s.until(t.Context(), what, 15*time.Second, func() bool { return s.metricOf(core, granted) > from+200 })
	}
	selling(second, "the core next in line sells while the first is not there")
	s.cores[first].launch()
	s.cores[first].await()
	selling(first, "the core that came later has got its event")
	told := h.count()
	s.cores[second].kill()
	s.until(t.Context(), "holds go on after a core was killed that the event is not of", 5*time.Second, func() bool { return h.count() > told+200 })
	s.cores[second].launch()
	s.cores[second].await()
	selling(first, "the first core sells")
	told = h.count()
	s.cores[first].leave()
	s.until(t.Context(), "holds go on after the core has left", 5*time.Second, func() bool { return h.count() > told+200 })
	selling(second, "the next in line sells again")
	told = h.count()
	s.cores[second].kill()
	s.until(t.Context(), "holds go on after that one was killed as well", 5*time.Second, func() bool { return h.count() > told+200 })
	selling(third, "the last core sells")
	s.cores[first].launch()
	s.cores[first].await()
	selling(first, "the event is back at its own core")
	// An edge that has not heard of the core yet goes on with the other, for two seconds at most.
	s.until(t.Context(), "the other core sells no more", 15*time.Second, func() bool {
		from, told := s.metricOf(third, granted), h.count()
		for h.count() < told+100 && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		return s.metricOf(third, granted) == from
	})
	stop()
	buyers.Wait()

	t.Logf("%d buyers: %d needed one try, %d two, %d three, %d gave up; the slowest took %s; failed tries: %v",
		len(h.ids), h.tries[0], h.tries[1], h.tries[2], h.tries[3], h.slowest.Round(time.Millisecond), h.failures)
	if h.tries[2]+h.tries[3] > 0 {
		t.Errorf("%d buyers needed more than one retry, %d of them in vain", h.tries[2]+h.tries[3], h.tries[3])
	}
	event := lottery.EventID("busy")
	missing := len(h.ids) - int(s.count(`SELECT count(*) FROM holds WHERE event_id = $1 AND state = 'active' AND hold_id = ANY ($2)`, event, idsOf(h.ids)))
	holds := int(s.count(`SELECT count(*) FROM holds WHERE event_id = $1`, event))
	taken := int(s.count(`SELECT sum(taken)::INT8 FROM stock WHERE event_id = $1`, event))
	if missing != 0 || holds != taken || holds != len(h.ids)+before {
		t.Errorf("%d holds told are missing; %d told and %d from before, %d holds, %d taken", missing, len(h.ids), before, holds, taken)
	}
}

func idsOf(set map[string]bool) []string {
	all := make([]string, 0, len(set))
	for id := range set {
		all = append(all, id)
	}
	return all
}
