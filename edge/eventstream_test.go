package edge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// listener is a shopper's page: it keeps what a stream tells, and what it was told last when it comes back.
type listener struct {
	t       *testing.T
	body    io.ReadCloser
	lines   *bufio.Scanner
	cancel  context.CancelFunc
	id      string
	states  []byte
	left    map[string]int64
	phase   string
	events  []string // kinds, in order
	repeats int      // changes to a state that a seat had already
}

// listen opens a stream where the listener was.
func (l *listener) listen(b *buyer, n *testNode, path string) reply {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+n.Addr().String()+path, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	for name, value := range b.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	if l.id != "" {
		req.Header.Set("Last-Event-ID", l.id)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		l.t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		defer resp.Body.Close()
		defer cancel()
		body, _ := io.ReadAll(resp.Body)
		return reply{resp.StatusCode, resp.Header, body}
	}
	l.body, l.cancel, l.lines = resp.Body, cancel, bufio.NewScanner(resp.Body)
	l.lines.Buffer(nil, 1<<20)
	return reply{resp.StatusCode, resp.Header, nil}
}

func (l *listener) hangUp() { l.cancel(); l.body.Close() }

// next reads one event; false at the stream's end.
func (l *listener) next() bool {
	l.t.Helper()
	var kind, data, id string
	for l.lines.Scan() {
		line := l.lines.Text()
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && (kind != "" || data != ""):
			l.take(kind, id, data)
			return true
		case field == "event":
			kind = value
		case field == "data":
			data += value
		case field == "id":
			id = value
		}
	}
	return false
}

func (l *listener) take(kind, id, data string) {
	l.t.Helper()
	l.events = append(l.events, kind)
	var got struct {
		seatDelta
		ID     string `json:"id"`
		States []byte `json:"states"`
		Phase  string `json:"phase"`
	}
	if err := json.Unmarshal([]byte(data), &got); err != nil {
		l.t.Fatalf("%s %s: %v", kind, data, err)
	}
	switch kind {
	case "state":
		l.phase = got.Phase
		return
	case "snapshot":
		l.states, l.left = got.States, map[string]int64{}
		if got.ID != id {
			l.t.Errorf("snapshot %s has the id %s", got.ID, id)
		}
	case "delta":
		for state, ordinals := range [][]uint32{got.Free, got.Held, got.Sold, got.Closed} {
			for _, n := range ordinals {
				if l.states[n/4]>>(2*(n%4))&3 == byte(state) {
					l.repeats++
				}
				l.states[n/4] = l.states[n/4]&^(3<<(2*(n%4))) | byte(state)<<(2*(n%4))
			}
		}
	default:
		l.t.Fatalf("what is a %q?", kind)
	}
	for _, c := range append(got.Sections, got.Tiers...) {
		l.left[c.ID] = c.Left
	}
	l.id = id
}

// until reads until the seats are as they should be.
func (l *listener) until(what string, ok func() bool) {
	l.t.Helper()
	limit := time.AfterFunc(10*time.Second, l.hangUp)
	defer limit.Stop()
	for !ok() {
		if !l.next() {
			l.t.Fatalf("the stream ended before %s; it told %v, states %x, left %v", what, l.events, l.states, l.left)
		}
	}
}

func (l *listener) has(state byte, ordinals ...int) func() bool {
	return func() bool {
		for _, n := range ordinals {
			if l.states == nil || l.states[n/4]>>(2*(n%4))&3 != state {
				return false
			}
		}
		return true
	}
}

// liveTown is a world with an open sale of 40 seats, some cores and edges, and a shopper with a session.
func liveTown(t *testing.T, cores, nodes int, change func(*Config)) (*fakeWorld, []*fakeCore, []*testNode, *buyer) {
	t.Helper()
	w := newWorld(t)
	w.addEvent("arena", time.Hour)
	w.addSeats(40)
	all := make([]*fakeCore, cores)
	for i := range all {
		all[i] = w.start()
	}
	var edges []*testNode
	for range nodes {
		c := testConfig(t, all...)
		c.Live.Heartbeat, c.Live.Grace = 50*time.Millisecond, 100*time.Millisecond
		if change != nil {
			change(&c)
		}
		edges = append(edges, startNode(t, c).ready("arena"))
	}
	b := newBuyer(t)
	b.joinFully(edges[0], "arena")
	w.open("arena", everybody)
	b.claim(edges[0], "arena")
	return w, all, edges, b
}

const streamPath = "/v1/events/arena/stream"

func TestShoppersOfEveryEdgeSeeAChange(t *testing.T) {
	w, _, edges, b := liveTown(t, 1, 2, nil)
	var all []*listener
	for i := range 4 {
		l := &listener{t: t}
		got := l.listen(b, edges[i%2], streamPath)
		if got.status != 200 || got.header.Get("Content-Type") != "text/event-stream" || got.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %v", got.status, got.header)
		}
		all = append(all, l)
	}
	for _, l := range all {
		l.until("a snapshot", l.has(0, 0, 39))
	}
	w.moveSeats(1, 3, 4)
	w.moveSeats(2, 3)
	w.moveSeats(0, 4)
	for _, l := range all {
		l.until("the last change", func() bool { return l.has(2, 3)() && l.has(0, 4)() })
		if l.left["A"] != 39 || !strings.HasPrefix(strings.Join(l.events, " "), "state snapshot delta") || l.phase != "open" {
			t.Errorf("left %v, phase %s, told %v", l.left, l.phase, l.events)
		}
		l.hangUp()
	}
	w.change(func() { w.events["arena"].state.Phase = "paused" })
	l := &listener{t: t}
	l.listen(b, edges[0], streamPath)
	l.until("the pause", func() bool { return l.phase == "paused" })
}

func TestAStreamGoesOnWhereItBrokeAtAnyEdge(t *testing.T) {
	w, _, edges, b := liveTown(t, 1, 2, nil)
	l := &listener{t: t}
	l.listen(b, edges[0], streamPath)
	l.until("a snapshot", l.has(0, 0))
	for n := range 30 {
		if n%3 == 0 {
			l.hangUp()
			w.moveSeats(1, n) // while nobody listens
			if got := l.listen(b, edges[(n/3)%2], streamPath); got.status != 200 {
				t.Fatal(got.status)
			}
		} else {
			w.moveSeats(1, n)
		}
		l.until(fmt.Sprintf("seat %d", n), l.has(1, n))
	}
	snapshots := 0
	for _, kind := range l.events {
		if kind == "snapshot" {
			snapshots++
		}
	}
	if snapshots != 1 || l.repeats != 0 || l.left["A"] != 10 || !l.has(1, 0, 15, 29)() {
		t.Errorf("%d snapshots, %d repetitions, left %v", snapshots, l.repeats, l.left)
	}
	// By the id that the seats came with, too.
	other := &listener{t: t, states: slices.Clone(l.states), left: map[string]int64{}}
	other.listen(b, edges[1], streamPath+"?since="+l.id)
	w.moveSeats(1, 35)
	other.until("seat 35", other.has(1, 35))
	if slices.Contains(other.events, "snapshot") {
		t.Errorf("told %v", other.events)
	}
}

func TestWhoeverMissedTooMuchGetsASnapshot(t *testing.T) {
	w, cores, edges, b := liveTown(t, 2, 1, nil)
	l := &listener{t: t}
	l.listen(b, edges[0], streamPath)
	l.until("a snapshot", l.has(0, 0))
	l.hangUp()
	eventually(t, "the event is let go", func() bool { _, events := edges[0].showings.open(); return events == 0 })
	w.change(func() { w.seats.ring = 2 })
	for n := range 10 {
		w.moveSeats(1, n)
	}
	l.events = nil
	l.listen(b, edges[0], streamPath)
	l.until("seat 9", l.has(1, 9))
	if !slices.Contains(l.events, "snapshot") {
		t.Errorf("told %v", l.events)
	}
	// Another core numbers anew; ids of the first mean nothing to it. Streams stay open.
	for _, c := range cores {
		l.events = nil
		c.stop()
		w.moveSeats(2, 9)
		l.until("news of the other core, or of this one again", l.has(2, 9))
		c.restart()
		l.events = nil
		w.moveSeats(1, 9)
		l.until("the seat to change back", l.has(1, 9))
	}
	for _, text := range []string{"nonsense", "-", "0123456789abcdef-18446744073709551615", "x-1", strings.Repeat("9", 100)} {
		fresh := &listener{t: t, id: text}
		fresh.listen(b, edges[0], streamPath)
		fresh.until("a snapshot", fresh.has(1, 9))
		fresh.hangUp()
	}
}

func TestOnlyShoppersHaveStreamsAndOnlySoMany(t *testing.T) {
	_, _, edges, b := liveTown(t, 1, 1, func(c *Config) { c.Live.PerSession = 2 })
	n := edges[0]
	nobody := newBuyer(t)
	(&listener{t: t}).listen(nobody, n, streamPath).expect(t, "without a session", 401, "session_missing")
	nobody.joinFully(n, "arena")
	(&listener{t: t}).listen(nobody, n, streamPath).expect(t, "while waiting", 401, "session_missing")
	for name := range b.cookies {
		if strings.Contains(name, "session") || strings.HasPrefix(name, n.cookies.sess) {
			nobody.cookies[name] = b.cookies[name]
		}
	}
	(&listener{t: t}).listen(nobody, n, streamPath).expect(t, "with another browser's session", 401, "device_mismatch")
	(&listener{t: t}).listen(b, n, "/v1/events/hall/stream").expect(t, "another event", 404, "event_unknown")
	b.do(n, "POST", streamPath, "").expect(t, "a POST", 405, "method_not_allowed")
	var open []*listener
	for range 2 {
		l := &listener{t: t}
		l.listen(b, n, streamPath)
		l.until("a snapshot", l.has(0, 0))
		open = append(open, l)
	}
	(&listener{t: t}).listen(b, n, streamPath).expect(t, "a third one", 429, "too_many_streams")
	open[0].hangUp()
	eventually(t, "the place is free again", func() bool { streams, _ := n.showings.open(); return streams == 1 })
	again := &listener{t: t}
	if got := again.listen(b, n, streamPath); got.status != 200 {
		t.Errorf("after one was closed: %d", got.status)
	}
	for name, change := range map[string]func(*LiveConfig){
		"too_many_streams": func(c *LiveConfig) { c.PerAddress = 1 },
		"overloaded":       func(c *LiveConfig) { c.Streams = 1 },
	} {
		_, _, edges, b := liveTown(t, 1, 1, func(c *Config) { change(&c.Live) })
		first := &listener{t: t}
		first.listen(b, edges[0], streamPath)
		first.until("a snapshot", first.has(0, 0))
		status := map[string]int{"too_many_streams": 429, "overloaded": 503}[name]
		(&listener{t: t}).listen(b, edges[0], streamPath).expect(t, "one too many", status, name)
	}
}

func TestStreamsEndWithTheNodeAndAreKeptAliveUntilThen(t *testing.T) {
	_, _, edges, b := liveTown(t, 1, 1, nil)
	l := &listener{t: t}
	l.listen(b, edges[0], streamPath)
	l.until("a snapshot", l.has(0, 0))
	var beats atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for l.lines.Scan() {
			if l.lines.Text() == ":" {
				beats.Add(1)
			}
		}
	}()
	eventually(t, "heartbeats", func() bool { return beats.Load() >= 3 })
	edges[0].stop()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the stream is open after the stop")
	}
	if streams, _ := edges[0].showings.open(); streams != 0 {
		t.Errorf("%d streams are left", streams)
	}
}

func TestAShopperWhoDoesNotReadIsCutOff(t *testing.T) {
	w, _, edges, b := liveTown(t, 1, 1, func(c *Config) { c.Live.WriteTimeout = 200 * time.Millisecond })
	w.addSeats(80_000)
	n := edges[0]
	conn, err := net.Dial("tcp", n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	var request bytes.Buffer
	fmt.Fprintf(&request, "GET %s HTTP/1.1\r\nHost: x\r\n", streamPath)
	for name, value := range b.cookies {
		fmt.Fprintf(&request, "Cookie: %s=%s\r\n", name, value)
	}
	request.WriteString("\r\n")
	text := strings.ReplaceAll(request.String(), "\r\nCookie: ", "; ")
	text = strings.Replace(text, "Host: x; ", "Host: x\r\nCookie: ", 1)
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream is open", func() bool { streams, _ := n.showings.open(); return streams == 1 })
	ordinals := make([]int, 5_000)
	for i := range ordinals {
		ordinals[i] = i
	}
	state := 0
	eventually(t, "the slow one is cut off", func() bool {
		state = 1 - state
		w.moveSeats(state, ordinals...)
		return n.counts.streamsSlow.Get() > 0
	})
	eventually(t, "its place is free", func() bool { streams, _ := n.showings.open(); return streams == 0 })
	again := &listener{t: t}
	again.listen(b, n, streamPath)
	again.until("the present state", again.has(byte(state), 0, 4_999))
}

func TestTheGeometryIsFetchedOnceAndKeptCompressed(t *testing.T) {
	w, _, edges, b := liveTown(t, 1, 1, nil)
	hash := fakeGeometry
	asked := 0
	w.shop = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked++
		if strings.HasSuffix(r.URL.Path, hash) {
			fakeJSON(rw, 200, map[string]any{"seats": 40, "sections": strings.Repeat("A", 1000)})
			return
		}
		fakeProblem(rw, 404, "geometry_unknown")
	})
	path := "/v1/events/arena/seats/geometry/"
	for range 3 {
		got := b.do(edges[0], "GET", path+hash, "", "Accept-Encoding: gzip")
		if got.status != 200 || got.header.Get("Content-Encoding") != "gzip" || got.header.Get("Cache-Control") != geometryForever || len(got.body) > 200 {
			t.Fatalf("%d %v, %d bytes", got.status, got.header, len(got.body))
		}
	}
	if got := b.do(edges[0], "GET", path+hash, "", "Accept-Encoding: identity"); got.header.Get("Content-Encoding") != "" || len(got.body) < 1000 {
		t.Errorf("%v, %d bytes", got.header, len(got.body))
	}
	if got := b.do(edges[0], "GET", path+hash, "", `If-None-Match: "`+hash+`"`); got.status != 304 {
		t.Errorf("revalidated: %d", got.status)
	}
	if asked != 1 {
		t.Errorf("core was asked %d times", asked)
	}
	b.do(edges[0], "GET", path+strings.Repeat("0", 32), "").expectCode(t, "one that core does not know", 404, "geometry_unknown")
	b.do(edges[0], "GET", path+"nonsense", "").expect(t, "no hash", 404, "not_found")
}
