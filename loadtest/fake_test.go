package loadtest

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fairgate/edge/guard/challenge"
	"fairgate/edge/lottery"
	"fairgate/edge/queue"

	"github.com/google/uuid"
)

// fake is a whole deployment in memory, with holes that a test may open. One mutex guards it; it keeps no promise about speed.
type fake struct {
	mux *http.ServeMux
	key ed25519.PrivateKey

	// Holes.
	letEarly       bool // claims work before the turn
	trustSessions  bool // any session cookie is believed
	ignoreDevice   bool // a session works in another browser
	secondEntry    bool // every join is a new entrant
	loseHoldAnswer int  // so many holds are granted and not answered
	holdFails      int  // so many holds are answered 500
	throttle       int  // so many joins are answered 429 first

	suspicious challenge.Kind    // what everybody is asked for who claims; 0: nothing
	unmoved    bool              // no answer is right
	cleared    map[string]bool   // by device
	ways       map[string]string // how a device was cleared: script or form

	mu       sync.Mutex
	opens    time.Time
	version  uint64
	joined   map[string]lottery.Entrant // by device
	order    []lottery.Leaf
	sealed   bool
	seed     [32]byte
	root     [32]byte
	secret   [32]byte
	chain    lottery.Chain
	drawn    []lottery.Drawn
	called   int
	sessions map[string]lottery.Entrant // by cookie value
	device   map[lottery.Entrant]string
	floor    int
	seats    map[string]bool // free
	holds    map[string]map[string]any
	byKey    map[string]string
	orders   map[string]*fakeOrder
	repeats  int // holds asked for again under the same key
}

type fakeOrder struct {
	id, state string
	attempt   int
	tickets   []string
	amount    int64
}

func newFake(t *testing.T) *fake {
	t.Helper()
	chain, err := lottery.NewChain(lottery.EventID("arena"), [32]byte{3}, 8)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := chain.Secret(0)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{
		mux: http.NewServeMux(), key: testKey(1), opens: time.Now().Add(time.Hour), chain: chain, secret: secret, joined: map[string]lottery.Entrant{},
		sessions: map[string]lottery.Entrant{}, device: map[lottery.Entrant]string{}, floor: 1000, seats: map[string]bool{},
		holds: map[string]map[string]any{}, byKey: map[string]string{}, orders: map[string]*fakeOrder{},
		cleared: map[string]bool{}, ways: map[string]string{},
	}
	for row := range 10 {
		for n := range 20 {
			f.seats[fmt.Sprintf("A/%d/%d", row, n)] = true
		}
	}
	for path, h := range map[string]func(http.ResponseWriter, *http.Request){
		"POST /admin/v1/events/arena/onsale/schedule": f.schedule, "GET /admin/v1/stats": f.stats, "GET /v1/events/arena": f.event,
		"GET /v1/events/arena/seats/geometry/g1": f.geometry,
		"GET /v1/events/arena/seats":             f.seatMap, "POST /q/arena/join": f.join, "GET /q/arena/state": f.state, "POST /q/arena/claim": f.claim,
		"GET /q/arena/challenge": f.door, "POST /q/arena/challenge": f.answered,
		"POST /v1/holds": f.hold, "DELETE /v1/holds/{id}": f.release, "POST /v1/orders": f.open, "POST /v1/orders/{id}/pay": f.pay,
		"GET /v1/orders/{id}": f.read, "GET /v1/tickets/{id}": f.ticket, "POST /pay/{id}": f.form,
	} {
		f.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			h(w, r)
		})
	}
	return f
}

// rehearsal starts the fake with two edges and prepares a plan against it.
func (f *fake) rehearsal(t *testing.T, change func(*Plan)) *Rehearsal {
	t.Helper()
	first, second := httptest.NewServer(f.mux), httptest.NewServer(f.mux)
	t.Cleanup(first.Close)
	t.Cleanup(second.Close)
	secret := filepath.Join(t.TempDir(), "admin.secret")
	if err := os.WriteFile(secret, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := testPlan()
	p.Targets = Targets{Edges: []string{first.URL, second.URL}, Core: first.URL, AdminSecretFile: secret, Paysim: first.URL, DatabaseURL: "none"}
	p.Opening.In = Duration(700 * time.Millisecond)
	p.Arrivals = []ArrivalPlan{
		{From: Duration(-500 * time.Millisecond), To: 0, Share: 0.7, Shape: ShapeRamp},
		{From: 0, To: Duration(300 * time.Millisecond), Share: 0.3, Shape: ShapePoisson},
	}
	p.Buyers.Count = 60
	p.Buyers.Think = ThinkPlan{Choose: Duration(10 * time.Millisecond), Fill: Duration(10 * time.Millisecond), Card: Duration(10 * time.Millisecond)}
	p.Buyers.Abandon, p.Buyers.Decline = AbandonPlan{}, 0
	p.Limits.Duration, p.Limits.MaxConnections = Duration(20*time.Second), 64
	if change != nil {
		change(&p)
	}
	r, err := New(p, discard())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(jsonBody(body))
}

func refuse(w http.ResponseWriter, status int, code, wait string) {
	if wait != "" {
		w.Header().Set("Retry-After", wait)
	}
	reply(w, status, map[string]any{"status": status, "code": code, "detail": "no"})
}

func (f *fake) schedule(w http.ResponseWriter, r *http.Request) {
	var body struct {
		OpensAt time.Time `json:"opens_at"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || r.Header.Get("Authorization") != "Bearer secret" {
		refuse(w, 401, "unauthorized", "")
		return
	}
	f.opens = body.OpensAt
	reply(w, 200, map[string]any{})
}

func (f *fake) stats(w http.ResponseWriter, _ *http.Request) {
	reply(w, 200, map[string]any{"holds_active": len(f.holds)})
}

func (f *fake) event(w http.ResponseWriter, _ *http.Request) {
	reply(w, 200, map[string]any{"tiers": []map[string]any{{"id": "lower", "kind": "seated"}, {"id": "floor", "kind": "general"}}})
}

func (f *fake) seatMap(w http.ResponseWriter, _ *http.Request) {
	states := make([]byte, 50)
	for row := range 10 {
		for n := range 20 {
			if ordinal := 20*row + n; !f.seats[fmt.Sprintf("A/%d/%d", row, n)] {
				states[ordinal/4] |= 1 << (2 * (ordinal % 4))
			}
		}
	}
	reply(w, 200, map[string]any{"id": "0-1", "geometry": "g1", "states": states})
}

func (f *fake) geometry(w http.ResponseWriter, _ *http.Request) {
	var rows []any
	for row := range 10 {
		rows = append(rows, []any{fmt.Sprint(row), 0, 19})
	}
	reply(w, 200, map[string]any{"seats": 200, "sections": []any{map[string]any{"id": "A", "tier": "lower", "rows": rows}}})
}

func (f *fake) join(w http.ResponseWriter, r *http.Request) {
	if f.throttle > 0 {
		f.throttle--
		refuse(w, 429, "rate_limited", "0.05")
		return
	}
	device := ""
	if c, err := r.Cookie("fg_device"); err == nil {
		device = c.Value
	} else {
		device = base64.RawURLEncoding.EncodeToString([]byte(uuid.NewString()[:32]))
		http.SetCookie(w, &http.Cookie{Name: "fg_device", Value: device})
	}
	e, known := f.joined[device]
	if !known || f.secondEntry {
		e = lottery.NewEntrant([]byte("k"), "device", []byte(device+fmt.Sprint(len(f.order))))
		f.joined[device], f.device[e] = e, device
		f.order = append(f.order, lottery.Leaf{Entrant: e})
		f.version++
	}
	var receipt any
	if known {
		receipt = base64.RawURLEncoding.EncodeToString(lottery.Receipt{Event: lottery.EventID("arena"), Entrant: e, Generation: 1, AcknowledgedAt: time.Now(), KeyNo: 1}.Sign(f.key))
	}
	http.SetCookie(w, &http.Cookie{Name: "fg_pass_arena", Value: base64.RawURLEncoding.EncodeToString(append([]byte("pass"), e[:]...))})
	reply(w, 200, map[string]any{"entrant": e.String(), "provisional": !known, "receipt": receipt, "retry_after_ms": 20})
}

// turn seals when everybody has come and calls some more.
func (f *fake) turn() {
	if time.Now().Before(f.opens.Add(1500 * time.Millisecond)) {
		return
	}
	if !f.sealed {
		f.root = lottery.Root(f.order)
		f.seed = lottery.Seed(lottery.EventID("arena"), 0, f.secret, f.root, nil)
		f.drawn, f.sealed = lottery.Order(f.seed, 0, f.order), true
	}
	if f.called < len(f.drawn) {
		f.called = min(f.called+10, len(f.drawn))
		f.version++
	}
}

func (f *fake) state(w http.ResponseWriter, r *http.Request) {
	f.turn()
	etag := fmt.Sprintf(`"%d-%t"`, f.version, f.sealed)
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(304)
		return
	}
	s := queue.State{
		Event: "arena", Generation: 1, Version: f.version + 1, Phase: queue.PhaseJoining, ServerTime: queue.Instant{Time: time.Now()},
		OpensAt: queue.Instant{Time: f.opens}, TimeZone: "UTC", WindowSeconds: 5, Identity: "device", Commitment: f.chain.Commitment(),
		ChainLength: 8, PollAfterMS: 200,
	}
	if f.sealed {
		s.Phase = queue.PhaseOpen
		s.Windows = []queue.Window{{Sealed: true, Entrants: len(f.drawn), Bands: lottery.Summarize(f.drawn, 100), Root: f.root, Seed: f.seed, Secret: f.secret}}
		if f.called > 0 {
			s.Cursor = &queue.Cursor{Value: lottery.Fraction(f.drawn[f.called-1].Value)}
		}
	}
	text, err := s.Encode()
	if err != nil {
		panic(err)
	}
	w.Write(text)
}

// who is the entrant behind a pass cookie.
func (f *fake) who(r *http.Request) (lottery.Entrant, bool) {
	c, err := r.Cookie("fg_pass_arena")
	if err != nil {
		return lottery.Entrant{}, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(raw) != 20 || string(raw[:4]) != "pass" {
		return lottery.Entrant{}, false
	}
	d, err := r.Cookie("fg_device")
	e := lottery.Entrant(raw[4:])
	return e, err == nil && (f.device[e] == d.Value || f.ignoreDevice && f.device[e] != "")
}

func (f *fake) claim(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token string `json:"admission_token"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	e, ok := f.who(r)
	switch place, drawn := f.placeOf(e); {
	case body.Token != "" && !(f.ignoreDevice && strings.HasPrefix(body.Token, "token-")):
		refuse(w, 401, "token_forged", "")
	case !ok:
		refuse(w, 401, "pass_forged", "")
	case !f.letEarly && (!drawn || place >= f.called):
		refuse(w, 425, "not_your_turn", "0.1")
	case f.suspicious != 0 && !f.cleared[f.device[e]]:
		f.ask(w, "challenge_required")
	default:
		f.sessions["session-"+e.String()] = e
		http.SetCookie(w, &http.Cookie{Name: "fg_session_arena", Value: "session-" + e.String()})
		reply(w, 200, map[string]any{"admission_token": "token-" + e.String(), "session_expires_at": time.Now()})
	}
}

// ask answers with a challenge, as an edge does.
func (f *fake) ask(w http.ResponseWriter, code string) {
	_, token := challenge.Challenge{Kind: f.suspicious, Bits: 4}.New(lottery.MACKey{No: 1}, time.Now())
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusForbidden)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"code": code, "detail": "d", "challenge": map[string]any{"kind": f.suspicious.String(), "token": token, "bits": 4, "page": "/q/arena/challenge"},
	})
}

// door is the page with a form whose time is over after some tenths.
func (f *fake) door(w http.ResponseWriter, _ *http.Request) {
	_, token := challenge.Challenge{Kind: challenge.Wait, Wait: 200 * time.Millisecond}.New(lottery.MACKey{No: 1}, time.Now())
	fmt.Fprintf(w, `<form><input type="hidden" name="token" value="%s"></form>`, token)
}

func (f *fake) answered(w http.ResponseWriter, r *http.Request) {
	var got struct{ Token, Answer string }
	way := "script"
	if r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
		way, got.Token = "form", r.PostFormValue("token")
	} else {
		_ = json.NewDecoder(r.Body).Decode(&got)
	}
	asked, err := challenge.Verify([]byte(got.Token), lottery.MACKeys{{No: 1}}, time.Now(), time.Minute)
	if err == nil {
		err = asked.Judge([]byte(got.Token), []byte(got.Answer), time.Now())
	}
	var soon *challenge.TooSoonError
	switch d, noDevice := r.Cookie("fg_device"); {
	case errors.As(err, &soon):
		refuse(w, 425, "wait_longer", "0.1")
	case err != nil || noDevice != nil || f.unmoved:
		f.ask(w, "challenge_failed")
	default:
		f.cleared[d.Value], f.ways[d.Value] = true, way
		reply(w, 200, map[string]any{})
	}
}

func (f *fake) placeOf(e lottery.Entrant) (int, bool) {
	for i, d := range f.drawn {
		if d.Entrant == e {
			return i, true
		}
	}
	return 0, false
}

func (f *fake) admitted(r *http.Request) bool {
	c, err := r.Cookie("fg_session_arena")
	if err != nil {
		return false
	}
	e, ok := f.sessions[c.Value]
	d, err := r.Cookie("fg_device")
	return f.trustSessions || ok && (f.ignoreDevice || err == nil && f.device[e] == d.Value)
}

func (f *fake) hold(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Items []item `json:"items"`
	}
	key := r.Header.Get("Idempotency-Key")
	switch {
	case !f.admitted(r):
		refuse(w, 401, "session_forged", "")
		return
	case json.NewDecoder(r.Body).Decode(&body) != nil || len(body.Items) != 1 || key == "":
		refuse(w, 400, "bad_json", "")
		return
	case f.holdFails > 0:
		f.holdFails--
		refuse(w, 500, "internal", "")
		return
	}
	if id, again := f.byKey[key]; again {
		f.repeats++
		reply(w, 201, f.holds[id])
		return
	}
	want := body.Items[0]
	if want.Best != nil {
		for _, s := range slices.Sorted(maps.Keys(f.seats)) {
			if f.seats[s] && len(want.Seats) < want.Best.Quantity {
				want.Seats = append(want.Seats, s)
			}
		}
		if len(want.Seats) < want.Best.Quantity {
			refuse(w, 409, map[bool]string{true: "sold_out", false: "none_adjacent"}[len(want.Seats) == 0], "")
			return
		}
	}
	for _, s := range want.Seats {
		if !f.seats[s] {
			refuse(w, 409, "seat_taken", "")
			return
		}
	}
	if want.Quantity > f.floor {
		refuse(w, 409, "not_enough_left", "")
		return
	}
	for _, s := range want.Seats {
		f.seats[s] = false
	}
	f.floor -= want.Quantity
	id := uuid.NewString()
	f.holds[id] = map[string]any{"id": id, "state": "active", "amount": map[string]any{"minor": 1000, "currency": "EUR"}}
	f.byKey[key] = id
	if f.loseHoldAnswer > 0 {
		f.loseHoldAnswer--
		panic(http.ErrAbortHandler)
	}
	reply(w, 201, f.holds[id])
}

func (f *fake) release(w http.ResponseWriter, r *http.Request) {
	if !f.admitted(r) {
		refuse(w, 401, "session_forged", "")
		return
	}
	reply(w, 200, map[string]any{"id": r.PathValue("id"), "state": "released"})
}

func (f *fake) open(w http.ResponseWriter, _ *http.Request) {
	o := &fakeOrder{id: uuid.NewString(), state: "payment_pending", amount: 1000}
	f.orders[o.id] = o
	reply(w, 201, o.body())
}

func (o *fakeOrder) body() map[string]any {
	return map[string]any{
		"id": o.id, "state": o.state, "amount": map[string]any{"minor": o.amount, "currency": "EUR"}, "tickets": o.tickets,
		"payment": map[string]any{"attempt": o.attempt, "state": "begun", "pay_url": "http://paysim/pay/" + o.id + "?client_secret=x"},
	}
}

func (f *fake) pay(w http.ResponseWriter, r *http.Request) {
	o := f.orders[r.PathValue("id")]
	if o.state == "payment_failed" || o.attempt == 0 {
		o.state, o.attempt = "payment_pending", o.attempt+1
	}
	reply(w, 200, o.body())
}

func (f *fake) form(w http.ResponseWriter, r *http.Request) {
	o := f.orders[r.PathValue("id")]
	if r.FormValue("client_secret") != "x" {
		refuse(w, 404, "missing", "")
		return
	}
	if r.FormValue("card") == "4000000000000002" {
		o.state = "payment_failed"
		refuse(w, 402, "card_declined", "")
		return
	}
	o.state, o.tickets = "ticket_issued", []string{uuid.NewString()}
	reply(w, 200, map[string]any{})
}

func (f *fake) read(w http.ResponseWriter, r *http.Request) {
	o := f.orders[r.PathValue("id")]
	if o == nil || !f.admitted(r) {
		refuse(w, 404, "order_unknown", "")
		return
	}
	reply(w, 200, o.body())
}

func (f *fake) ticket(w http.ResponseWriter, r *http.Request) {
	reply(w, 200, map[string]any{"id": r.PathValue("id"), "tier": "floor", "code": "CODE"})
}
