package edge

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// fakeGeometry is the hash of every event's geometry.
const fakeGeometry = "00000000000000000000000000000001"

// fakeSeats is the truth about the seats of every event of the world, and what changed. Each core tells it under an epoch
// of its own.
type fakeSeats struct {
	total   int
	states  []byte
	log     []string // deltas; number n is the change to seq n+2
	ring    int      // deltas that cores still know; 0: all
	polls   int
	waits   map[string]chan struct{} // by watcher
	refused string                   // problem of every event; empty for none
}

// addSeats makes an event with that many free seats, in section A.
func (w *fakeWorld) addSeats(n int) {
	w.change(func() { w.seats.total, w.seats.states = n, make([]byte, (n+3)/4) })
}

// moveSeats changes seats to a state.
func (w *fakeWorld) moveSeats(state int, ordinals ...int) {
	w.change(func() {
		for _, n := range ordinals {
			w.seats.states[n/4] = w.seats.states[n/4]&^(3<<(2*(n%4))) | byte(state)<<(2*(n%4))
		}
		list, _ := json.Marshal(ordinals)
		name := []string{"free", "held", "sold", "closed"}[state]
		w.seats.log = append(w.seats.log, fmt.Sprintf(`{%q:%s,"sections":[{"id":"A","left":%d}]}`, name, list, w.seats.left()))
	})
}

func (s *fakeSeats) left() int {
	left := 0
	for n := range s.total {
		if s.states[n/4]>>(2*(n%4))&3 == 0 {
			left++
		}
	}
	return left
}

// news answers as core does; the caller holds the world's lock.
func (s *fakeSeats) news(epoch, event, since string) string {
	seq := uint64(len(s.log) + 1)
	if s.refused != "" {
		return fmt.Sprintf(`{"event":%q,"problem":%q}`, event, s.refused)
	}
	seenEpoch, number, _ := strings.Cut(since, "-")
	seen, err := strconv.ParseUint(number, 10, 64)
	deltas := func(from uint64) string {
		var parts []string
		for n := from; n < seq; n++ {
			parts = append(parts, fmt.Sprintf(`{"seq":%d,"data":%s}`, n+1, s.log[n-1]))
		}
		return strings.Join(parts, ",")
	}
	head := fmt.Sprintf(`{"event":%q,"epoch":%q,"seq":%d,"geometry":%q`, event, epoch, seq, fakeGeometry)
	if err == nil && seenEpoch == epoch && seen <= seq && (s.ring == 0 || seq-seen <= uint64(s.ring)) {
		if seen == seq {
			return ""
		}
		return head + `,"deltas":[` + deltas(seen) + `]}`
	}
	from := uint64(1)
	if s.ring > 0 {
		from = max(1, seq-min(seq, uint64(s.ring)))
	}
	return head + fmt.Sprintf(`,"snapshot":{"id":"%s-%d","geometry":%q,"states":%q,"sections":[{"id":"A","left":%d}],"tiers":[{"id":"lower","left":%d}]}`,
		epoch, seq, fakeGeometry, base64.StdEncoding.EncodeToString(s.states), s.left(), s.left()) + `,"deltas":[` + deltas(from) + `]}`
}

func (c *fakeCore) availability(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		Watcher string `json:"watcher"`
		WaitMS  int    `json:"wait_ms"`
		Events  []struct {
			Event string `json:"event"`
			ID    string `json:"id"`
		} `json:"events"`
	}
	if !readJSON(rw, r, &in) {
		return
	}
	w := c.world
	mine := make(chan struct{})
	w.mu.Lock()
	w.seats.polls++
	if w.seats.waits == nil {
		w.seats.waits = map[string]chan struct{}{}
	}
	if before := w.seats.waits[c.addr+in.Watcher]; before != nil {
		close(before)
	}
	w.seats.waits[c.addr+in.Watcher] = mine
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.seats.waits[c.addr+in.Watcher] == mine {
			delete(w.seats.waits, c.addr+in.Watcher)
		}
	}()
	end := time.After(time.Duration(in.WaitMS) * time.Millisecond)
	for done := false; ; {
		w.mu.Lock()
		changed := w.changed
		var parts []string
		for _, e := range in.Events {
			if part := w.seats.news(c.epoch, e.Event, e.ID); part != "" {
				parts = append(parts, part)
			}
		}
		w.mu.Unlock()
		if len(parts) > 0 || done {
			rw.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(rw, `{"events":[%s]}`, strings.Join(parts, ","))
			return
		}
		select {
		case <-changed:
		case <-mine:
			done = true
		case <-end:
			done = true
		case <-r.Context().Done():
			return
		}
	}
}
