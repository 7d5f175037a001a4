package loadtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// stadiumEvent is the stage's event with 80,000 seats in 80 sections. Everybody may come in at once.
const stadiumEvent = `id: evening
name: An Evening
organizer: somebody
venue: {name: Stadium, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: 5000}
  - {id: lower, name: Lower ring, kind: seated, price: "45.50"}
seating:
  sections:
%s
fees: {per_ticket: "1.50", percent: 5}
taxes: {percent: 10, included: true}
limits: {per_buyer: 100}
hold: {ttl: 300s, payment_extension: 10s}
on_sale: {joining_before: 30s, window: 2s, session_ttl: 600s, claim_within: 60s, max_inside: 60, pace_per_second: 100}
`

const (
	stadiumSections, stadiumRows, stadiumRow = 80, 40, 25
	stadiumSeats                             = stadiumSections * stadiumRows * stadiumRow
)

func stadium() string {
	var sections strings.Builder
	for n := range stadiumSections {
		fmt.Fprintf(&sections, "    - {id: %q, tier: lower, rows: [{row: 1-%d, seats: %d}]}\n", strconv.Itoa(101+n), stadiumRows, stadiumRow)
	}
	return fmt.Sprintf(stadiumEvent, sections.String())
}

// guest is a browser that has been let in.
type guest struct {
	t      *testing.T
	client *http.Client
	edges  []string
}

// admitted lets a browser in through the edges.
func (s *stage) admitted(edges []string) *guest {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	g := &guest{t: s.t, edges: edges, client: &http.Client{Jar: jar, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
	s.until(s.t.Context(), "the guest has joined", 20*time.Second, func() bool {
		var joined struct{ Receipt *string }
		return g.post(0, "/q/"+stageSlug+"/join", `{}`, &joined) == 200 && joined.Receipt != nil
	})
	return g
}

// claim waits for the guest's turn.
func (s *stage) claim(g *guest) {
	s.t.Helper()
	s.until(s.t.Context(), "the guest is let in", 30*time.Second, func() bool {
		time.Sleep(100 * time.Millisecond)
		return g.post(0, "/q/"+stageSlug+"/claim", `{}`, nil) == 200
	})
}

// post makes a request at an edge and returns the status, 0 for none.
func (g *guest) post(edge int, path, body string, into any) int {
	g.t.Helper()
	req, err := http.NewRequest("POST", g.edges[edge]+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for _, name := range []string{"Accept", "Accept-Language"} { // a browser's, so that knocking early is all that is odd
		req.Header.Set(name, "*/*")
	}
	req.Header.Set("User-Agent", "Mozilla/5.0 (rehearsal)")
	req.Header.Set("Idempotency-Key", fmt.Sprint(time.Now().UnixNano()))
	resp, err := g.client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0
	}
	if into != nil && json.Unmarshal(text, into) != nil {
		return 0
	}
	return resp.StatusCode
}

// hold takes seats at an edge, asking again while it says that it cannot know.
func (g *guest) hold(edge int, seats ...string) {
	g.t.Helper()
	names, _ := json.Marshal(seats)
	body := fmt.Sprintf(`{"event":%q,"items":[{"seats":%s}]}`, stageSlug, names)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		var problem struct{ Code, Detail string }
		status := g.post(edge, "/v1/holds", body, &problem)
		if status == 201 || problem.Code == "seat_taken" { // taken: by the answer that was lost
			return
		}
		if time.Now().After(end) {
			g.t.Fatalf("hold %v: %d %s %s", seats, status, problem.Code, problem.Detail)
		}
	}
}

// viewer is one open stream and what it was told.
type viewer struct {
	body io.Closer
	done chan struct{}

	mu     sync.Mutex
	id     string
	states []byte
	left   map[string]int64
	kinds  []string
	held   map[uint32]time.Time // when each seat was first seen as held
	bytes  map[string]int       // largest event of a kind
	broken string
}

// view opens a stream at an edge, where somebody was before if there is an id; states is what they saw then.
func (g *guest) view(ctx context.Context, edge int, after string, states []byte) (*viewer, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", g.edges[edge]+"/v1/events/"+stageSlug+"/stream", nil)
	if err != nil {
		return nil, err
	}
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != 200 {
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		return nil, fmt.Errorf("%d %s", resp.StatusCode, text)
	}
	v := &viewer{body: resp.Body, done: make(chan struct{}), held: map[uint32]time.Time{}, bytes: map[string]int{}, left: map[string]int64{},
		states: slices.Clone(states)}
	go v.read(resp.Body)
	return v, nil
}

func (v *viewer) read(from io.Reader) {
	defer close(v.done)
	lines := bufio.NewScanner(bufio.NewReaderSize(from, 1<<10))
	lines.Buffer(nil, 1<<20)
	var kind, id, data string
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			kind = value
		case "id":
			id = value
		case "data":
			data = value
		case "":
			if kind != "" {
				v.take(kind, id, data)
			}
			kind, id, data = "", "", ""
		}
	}
}

func (v *viewer) take(kind, id, data string) {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.bytes[kind] = max(v.bytes[kind], len(data))
	if v.kinds = append(v.kinds, kind); kind == "state" {
		return
	}
	var got struct {
		States                   []byte
		Free, Held, Sold, Closed []uint32
		Tiers                    []struct {
			ID   string
			Left int64
		}
	}
	if err := json.Unmarshal([]byte(data), &got); err != nil {
		v.broken = err.Error()
		return
	}
	if kind == "snapshot" {
		v.states = got.States
	}
	for state, ordinals := range [][]uint32{got.Free, got.Held, got.Sold, got.Closed} {
		for _, n := range ordinals {
			if _, seen := v.held[n]; state == 1 && !seen {
				v.held[n] = now
			}
			v.states[n/4] = v.states[n/4]&^(3<<(2*(n%4))) | byte(state)<<(2*(n%4))
		}
	}
	for _, t := range got.Tiers {
		v.left[t.ID] = t.Left
	}
	v.id = id
}

func (v *viewer) shows(states []byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return bytes.Equal(v.states, states)
}

func (v *viewer) told() (id string, kinds []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.id, slices.Clone(v.kinds)
}

// ordinal is a seat's place in the stadium's geometry, and seatName its inverse.
func ordinal(name string) uint32 {
	part := strings.Split(name, "/")
	section, _ := strconv.Atoi(part[0])
	row, _ := strconv.Atoi(part[1])
	number, _ := strconv.Atoi(part[2])
	return uint32((section-101)*stadiumRows*stadiumRow + (row-1)*stadiumRow + number - 1)
}

func seatName(n int) string {
	return fmt.Sprintf("%d/%d/%d", 101+n/(stadiumRows*stadiumRow), 1+n/stadiumRow%stadiumRows, 1+n%stadiumRow)
}

// table is what the database has of the stadium, as a viewer should see it.
func (s *stage) table() []byte {
	s.t.Helper()
	states := make([]byte, stadiumSeats/4)
	rows, err := s.db.Reader.Query(s.t.Context(), `SELECT seat, state FROM seats WHERE state <> 'free'`)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var seat, state string
		if err := rows.Scan(&seat, &state); err != nil {
			s.t.Fatal(err)
		}
		n := ordinal(seat)
		states[n/4] |= map[string]byte{"held": 1, "sold": 2, "blocked": 3}[state] << (2 * (n % 4))
	}
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	return states
}

// memory is what a process takes: resident, and of that the heap and the stacks of Go.
func memory(t *testing.T, private string) (resident, heap, stacks float64) {
	t.Helper()
	resp, err := http.Get(private + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) float64 {
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, name+" "); ok {
				n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		t.Fatalf("there is no %s", name)
		return 0
	}
	return read("process_resident_memory_bytes"), read("go_memstats_heap_inuse_bytes"), read("go_memstats_stack_inuse_bytes")
}

// liveStage is a stadium on sale at two edges, with guests who have been let in.
func liveStage(t *testing.T, c stageConfig, guests int) (*stage, []*guest) {
	t.Helper()
	type m = map[string]any
	plenty := m{"per_second": 100_000, "burst": 100_000}
	c.edge = m{"live": m{"per_session": 1000, "per_address": 5000}, "guard": m{"session": plenty, "address": plenty, "network": plenty}}
	s := newStage(t, c)
	s.start()
	if err := s.operator(0).Apply(t.Context(), []byte(stadium())); err != nil {
		t.Fatal(err)
	}
	if err := s.operator(0).Schedule(t.Context(), stageSlug, time.Now(), time.Now().Add(3*time.Second)); err != nil {
		t.Fatal(err)
	}
	var all []*guest
	for range guests {
		all = append(all, s.admitted(s.public))
	}
	for _, g := range all {
		s.claim(g)
	}
	return s, all
}

func TestShoppersOfTwoEdgesSeeWhatTwoCoresCommit(t *testing.T) {
	s, guests := liveStage(t, stageConfig{cores: 2, urls: disagree}, 4)
	const streams, holds = 1000, 24
	var before, heapBefore, stacksBefore float64
	for _, e := range s.edges {
		resident, heap, stacks := memory(t, strings.TrimSuffix(e.ready, "/readyz"))
		before, heapBefore, stacksBefore = before+resident, heapBefore+heap, stacksBefore+stacks
	}
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	viewers := make([]*viewer, streams)
	began := time.Now()
	for i := range viewers {
		v, err := guests[i%len(guests)].view(ctx, i%2, "", nil)
		if err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
		viewers[i] = v
	}
	agree := func(what string) {
		t.Helper()
		want := s.table()
		s.until(t.Context(), what, 30*time.Second, func() bool {
			for _, v := range viewers {
				if !v.shows(want) {
					return false
				}
			}
			return true
		})
	}
	agree("every stream has a snapshot")
	opened := time.Since(began)
	var after, heapAfter, stacksAfter float64
	for _, e := range s.edges {
		resident, heap, stacks := memory(t, strings.TrimSuffix(e.ready, "/readyz"))
		after, heapAfter, stacksAfter = after+resident, heapAfter+heap, stacksAfter+stacks
	}

	for n := range holds {
		guests[n%len(guests)].hold(n%2, seatName(n*1234), seatName(n*1234+1))
		time.Sleep(50 * time.Millisecond)
	}
	agree("every stream shows every hold")

	var delays []time.Duration
	rows, err := s.db.Reader.Query(t.Context(), `SELECT changes, at FROM seat_log`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var changes string
		var at time.Time
		if err := rows.Scan(&changes, &at); err != nil {
			t.Fatal(err)
		}
		for change := range strings.SplitSeq(changes, ",") {
			seat, _, _ := strings.Cut(change, "=")
			for _, v := range viewers {
				v.mu.Lock()
				delays = append(delays, v.held[ordinal(seat)].Sub(at))
				v.mu.Unlock()
			}
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(delays)
	if len(delays) != 2*holds*streams || delays[0] < 0 {
		t.Fatalf("%d sightings, the first after %v", len(delays), delays[0])
	}
	at := func(share float64) float64 {
		return float64(delays[int(share*float64(len(delays)-1))].Microseconds()) / 1000
	}
	viewers[0].mu.Lock()
	t.Logf("80,000 seats: snapshot %d bytes, largest change of two seats %d", viewers[0].bytes["snapshot"], viewers[0].bytes["delta"])
	viewers[0].mu.Unlock()
	t.Logf("%d streams, opened in %.1f s; from the beginning of a commit to the shopper: p50 %.0f ms, p99 %.0f ms, most %.0f ms", streams, opened.Seconds(), at(0.5), at(0.99), at(1))
	t.Logf("stream_bytes_per_buyer %.0f (resident; heap and stacks in use %.0f, of which stacks %.0f)", (after-before)/streams,
		(heapAfter-heapBefore+stacksAfter-stacksBefore)/streams, (stacksAfter-stacksBefore)/streams)
	if delays[len(delays)-1] > 10*time.Second {
		t.Errorf("a shopper saw a hold only after %v", delays[len(delays)-1])
	}

	// A core dies: those who followed it go on at the other one, on the same streams.
	s.cores[0].kill()
	guests[0].hold(0, seatName(70_001))
	guests[1].hold(1, seatName(70_002))
	agree("every stream shows what was held since")
	for i, v := range viewers {
		select {
		case <-v.done:
			t.Fatalf("stream %d has ended", i)
		default:
		}
	}

	// Now both edges follow one core, so whoever loses one edge goes on at the other.
	for i, v := range viewers[:10] {
		v.body.Close()
		<-v.done
		id, _ := v.told()
		guests[2].hold(i%2, seatName(60_000+i))
		again, err := guests[i%len(guests)].view(ctx, (i+1)%2, id, v.states) // its reader has ended
		if err != nil {
			t.Fatal(err)
		}
		viewers[i] = again
	}
	agree("whoever came back shows what was held meanwhile")
	for i, v := range viewers[:10] {
		if _, kinds := v.told(); slices.Contains(kinds, "snapshot") {
			t.Errorf("stream %d began with a snapshot: %v", i, kinds)
		}
	}

	// A core that starts anew numbers anew.
	s.cores[1].kill()
	s.cores[0].launch()
	s.cores[0].await()
	guests[3].hold(0, seatName(50_000))
	agree("every stream shows what the new core committed")
	for i, v := range viewers {
		v.mu.Lock()
		if v.broken != "" {
			t.Errorf("stream %d: %s", i, v.broken)
		}
		v.mu.Unlock()
	}
}
