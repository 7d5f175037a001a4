package crowd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

// fakeRoom is an edge and core in one, as far as a crowd can see: joins are provisional at first, the pool is sealed at the opening and
// everybody called, and a claim gives a session.
type fakeRoom struct {
	t       *testing.T
	key     ed25519.PrivateKey
	chain   lottery.Chain
	opens   time.Time
	want    int              // receipts to be given before the sale opens, however slow the machine is
	stale   func(n int) bool // joins that get no receipt, by number of the entrant
	refuse  func(path string, n int) int
	started time.Time

	mu       sync.Mutex
	order    []lottery.Entrant
	pool     map[string]lottery.Entrant // by device cookie
	calls    map[string]int             // of a device
	sessions []lottery.Admission
	sealed   *lottery.SealedWindow
	drawn    []lottery.Drawn
	requests int
	receipts int
	version  uint64
}

func newFakeRoom(t *testing.T, opensIn time.Duration) (*fakeRoom, *httptest.Server) {
	t.Helper()
	chain, err := lottery.NewChain(lottery.EventID(Slug), [32]byte{1}, 8)
	if err != nil {
		t.Fatal(err)
	}
	r := &fakeRoom{
		t: t, key: ed25519.NewKeyFromSeed(make([]byte, 32)), chain: chain, started: time.Now(), opens: time.Now().Add(opensIn),
		pool: map[string]lottery.Entrant{}, calls: map[string]int{},
	}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	return r, srv
}

func (r *fakeRoom) keys() lottery.PublicKeys {
	return lottery.PublicKeys{{No: 1, Public: lottery.Hex32(r.key.Public().(ed25519.PublicKey))}}
}

// ServeHTTP implements http.Handler.
func (r *fakeRoom) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if r.refuse != nil {
		if status := r.refuse(req.URL.Path, r.requests); status != 0 {
			if status == 503 {
				w.Header().Set("Retry-After", "1")
			}
			w.WriteHeader(status)
			fmt.Fprint(w, `{"code":"refused"}`)
			return
		}
	}
	device := ""
	if c, err := req.Cookie("fg_device"); err == nil {
		device = c.Value
	}
	switch {
	case strings.HasSuffix(req.URL.Path, "/join"):
		r.join(w, device)
	case strings.HasSuffix(req.URL.Path, "/claim"):
		for _, d := range r.drawn {
			if d.Entrant == r.pool[device] {
				r.sessions = append(r.sessions, lottery.Admission{Entrant: d.Entrant, Value: lottery.Fraction(d.Value), IssuedAt: time.Now()})
			}
		}
		http.SetCookie(w, &http.Cookie{Name: "fg_session_" + Slug, Value: "session"})
		fmt.Fprint(w, `{}`)
	default:
		body := r.state()
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, r.version))
		if req.Header.Get("If-None-Match") == w.Header().Get("ETag") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body)
	}
}

func (r *fakeRoom) join(w http.ResponseWriter, device string) {
	if device == "" {
		device = fmt.Sprintf("device-%d", len(r.pool))
		http.SetCookie(w, &http.Cookie{Name: "fg_device", Value: device})
		entrant := lottery.NewEntrant(make([]byte, 32), "device", []byte(device))
		r.pool[device] = entrant
		r.order = append(r.order, entrant)
	}
	entrant := r.pool[device]
	r.calls[device]++
	http.SetCookie(w, &http.Cookie{Name: "fg_pass_" + Slug, Value: "pass-of-" + device})
	answer := map[string]any{"entrant": entrant.String(), "window": 0, "band": 0, "receipt": nil, "retry_after_ms": 60}
	if r.calls[device] > 1 && (r.stale == nil || !r.stale(len(r.pool))) {
		raw := lottery.Receipt{Event: lottery.EventID(Slug), Entrant: entrant, Generation: 1, AcknowledgedAt: r.started, KeyNo: 1}.Sign(r.key)
		if r.calls[device] == 2 {
			r.receipts++
		}
		answer["receipt"] = base64.RawURLEncoding.EncodeToString(raw)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// state is the state object, and the draw at the first call after the opening.
func (r *fakeRoom) state() []byte {
	at := func(t time.Time) queue.Instant { return queue.Instant{Time: t} }
	s := queue.State{
		Event: Slug, Generation: 1, Version: 1, Phase: queue.PhaseJoining, ServerTime: at(time.Now()), JoiningAt: at(r.started), OpensAt: at(r.opens),
		EndsAt: at(r.opens.Add(time.Hour)), TimeZone: "Europe/Madrid", WindowSeconds: 30, Identity: "device", Commitment: r.chain.Commitment(),
		ChainLength: 8, Windows: []queue.Window{}, Stock: []queue.Stock{}, PollAfterMS: 200, ReceiptKeys: r.keys(),
	}
	if time.Now().After(r.opens) && r.receipts >= r.want {
		if r.sealed == nil {
			r.seal()
		}
		last := r.drawn[len(r.drawn)-1]
		s.Version, s.Phase, s.CalledCount = 2, queue.PhaseOpen, len(r.drawn)
		s.Cursor = &queue.Cursor{Value: lottery.Fraction(last.Value)}
		s.Windows = []queue.Window{{
			Sealed: true, Entrants: len(r.drawn), Bands: lottery.Summarize(r.drawn, 100), Root: r.sealed.Root, Seed: r.sealed.Seed, Secret: r.sealed.Secret,
		}}
	}
	r.version = s.Version
	body, err := s.Encode()
	if err != nil {
		r.t.Error(err)
	}
	return body
}

func (r *fakeRoom) seal() {
	leaves := make(lottery.Leaves, len(r.order))
	for i, e := range r.order {
		leaves[i] = lottery.Leaf{Entrant: e}
	}
	secret, err := r.chain.Secret(0)
	if err != nil {
		r.t.Error(err)
	}
	w := lottery.SealedWindow{Entrants: len(leaves), Leaves: leaves, Root: lottery.Root(leaves), Secret: secret}
	w.Seed = lottery.Seed(lottery.EventID(Slug), 0, secret, w.Root, nil)
	r.sealed, r.drawn = &w, lottery.Order(w.Seed, 0, leaves)
}

func (r *fakeRoom) transcript() lottery.Transcript {
	last := r.drawn[len(r.drawn)-1]
	return lottery.Transcript{
		Event: Slug, Generation: 1, Commitment: r.chain.Commitment(), Length: 8, Keys: r.keys(), Windows: []lottery.SealedWindow{*r.sealed},
		Cursors:  []lottery.CursorMove{{Value: lottery.Fraction(last.Value), Called: len(r.drawn), At: r.opens}},
		Sessions: r.sessions,
	}
}

const smallPlanSize = 80

func smallPlan(edge string) Plan {
	return Plan{
		Event: Slug, Edges: []string{edge}, Connections: 8, Buyers: 60, JoinOver: 300 * time.Millisecond, Normal: 1, NormalFor: 0,
		Storm: 100, StormFor: 200 * time.Millisecond, Settle: time.Second, Open: 8 * time.Second, Timeout: 5 * time.Second, Seed: 1, P99: time.Minute,
	}
}

func play(t *testing.T, change func(*fakeRoom)) (*fakeRoom, Result) {
	t.Helper()
	room, srv := newFakeRoom(t, 1500*time.Millisecond)
	room.want = smallPlanSize
	if change != nil {
		change(room)
	}
	c, err := New(smallPlan(srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(context.Background(), time.Now()); err != nil {
		t.Fatal(err)
	}
	room.mu.Lock()
	defer room.mu.Unlock()
	return room, c.Judge(room.transcript())
}

func failures(r Result) (names []string) {
	for _, v := range r.Verdicts {
		if !v.Passed {
			names = append(names, v.Name)
		}
	}
	return names
}

func TestACrowdJoinsWaitsAndIsLetInWithNobodyLost(t *testing.T) {
	t.Parallel()
	room, r := play(t, func(room *fakeRoom) {
		room.refuse = func(path string, n int) int { // now and then an honest wait
			if n%17 == 0 {
				return 503
			}
			return 0
		}
	})
	if !r.Passed || r.Receipted != 80 || r.Drawn != 80 || r.Admitted != 80 || r.Waits == 0 || len(room.sessions) != 80 {
		t.Errorf("%+v, with %d sessions", r, len(room.sessions))
	}
	if r.StormJoin.Count == 0 || r.Poll.Count == 0 || r.Receipt.Count != 80 {
		t.Errorf("measured: %+v", r)
	}
}

func TestEveryVerdictOfTheCrowdFailsWhenItShould(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*fakeRoom)
		want   string
	}{
		"somebody never gets a receipt": {func(r *fakeRoom) { r.want, r.stale = 0, func(n int) bool { return n == smallPlanSize } }, "all receipted"},
		"an error": {func(r *fakeRoom) {
			r.want, r.refuse = 0, func(_ string, n int) int { return map[bool]int{true: 500}[n == 40] }
		}, "no error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, r := play(t, c.change); r.Passed || !strings.Contains(strings.Join(failures(r), ", "), c.want) {
				t.Errorf("failed: %v", failures(r))
			}
		})
	}
	room, r := play(t, nil)
	if !r.Passed {
		t.Fatalf("failed: %v", failures(r))
	}
	_, srv := newFakeRoom(t, time.Hour)
	crowd, err := New(smallPlan(srv.URL))
	if err != nil {
		t.Fatal(err)
	}
	// A crowd that was told the truth, but whom the transcript does not have.
	room.sealed.Leaves, room.sealed.Entrants = room.sealed.Leaves[1:], room.sealed.Entrants-1
	for i := range crowd.members {
		crowd.members[i].entrant, crowd.members[i].receipt, crowd.members[i].drawn = room.order[i], []byte{1}, true
	}
	judged := crowd.Judge(room.transcript())
	if got := strings.Join(failures(judged), ", "); !strings.Contains(got, "all drawn") || !strings.Contains(got, "draw verified") || !strings.Contains(got, "polls are quick") {
		t.Errorf("failed: %s", got)
	}
}

func TestAPlanThatCouldNotBePlayedIsRefused(t *testing.T) {
	good := smallPlan("http://127.0.0.1:1")
	for name, change := range map[string]func(*Plan){
		"no edges":        func(p *Plan) { p.Edges = nil },
		"nobody":          func(p *Plan) { p.Buyers = 0 },
		"no connections":  func(p *Plan) { p.Connections = 0 },
		"a negative time": func(p *Plan) { p.Settle = -1 },
	} {
		p := good
		change(&p)
		if _, err := New(p); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if p := DefaultPlan(500_000); p.All() != 500_000 || p.storm() != 50_000 || p.Storm != 100*p.Normal {
		t.Errorf("the whole crowd is %d, the storm %d, at %.0f a second after %.0f", p.All(), p.storm(), p.Storm, p.Normal)
	}
}

func TestAnAnswerIsReadWhateverItsForm(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"with a body":    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: \"1\"\r\n\r\n{}", true},
		"without":        {"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n", true},
		"no HTTP":        {"nonsense\r\n\r\n", false},
		"a bad length":   {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", false},
		"a short body":   {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}", false},
		"a status alone": {"HTTP/1.1 xyz\r\n\r\n", false},
	} {
		w := wire{r: newReader(c.text)}
		var r reply
		if err := w.read(&r, nil); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		} else if c.ok && (string(r.etag) != `"1"` || bytes.Contains(r.body, []byte("HTTP"))) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func newReader(text string) *bufio.Reader {
	return bufio.NewReaderSize(strings.NewReader(text), readBuffer)
}
