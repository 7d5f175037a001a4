package edge

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/google/uuid"

	"fairgate/edge/admission"
	"fairgate/edge/guard"
	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

const testSecret = "a-secret-between-edge-and-core"

// fakeWorld is the truth that all fake cores of a test share, as real ones share a database: enrolments, keys, pools,
// sessions, holds. It speaks core's protocol and refuses what core would refuse.
type fakeWorld struct {
	t *testing.T

	mu       sync.Mutex
	version  uint64
	changed  chan struct{} // closed and replaced at each change
	edges    map[string]uuid.UUID
	keys     map[uuid.UUID]fakeKey
	events   map[string]*fakeEvent
	sessions map[lottery.Entrant]admission.Session
	holds    map[string]json.RawMessage // entrant/key → hold
	bans     [][]byte
	bansNo   uint64
	catalog  uint64        // changes of the list of events
	ahead    time.Duration // of the world's clock

	coreKey, filterKey []byte
	accountKeyNo       uint32 // the newest of the keys of accounts; 0 is 1
	poolCalls          []poolCall
	holdBatches        []int
	holdEvents         [][]string // of the same batches
	holdCores          []string   // which core had them
	enrolled           int
	refusePool         int    // that many pool calls are answered with 503
	refuseClaims       string // the code with which whoever claims is refused
	seen               []http.Header
	webhooks           []string
	slow               time.Duration // pause in holds:batch
	shop               http.Handler  // answers buyers' calls; nil: they are echoed
	seats              fakeSeats
	verdicts           []verdictJSON // on record
	lifts              []lottery.Entrant
	keyNotices         []map[string]any // to every edge
	clockAhead         time.Duration    // as the last edge said
}

type fakeKey struct {
	event       uuid.UUID
	public      ed25519.PublicKey
	from, until time.Time
}

type poolCall struct {
	Event      string `json:"event"`
	Generation uint32 `json:"generation"`
	Entries    []struct {
		E lottery.Entrant    `json:"e"`
		D lottery.DeviceHash `json:"d"`
		N string             `json:"n"`
		W uint32             `json:"w"`
	} `json:"entries"`
	Marker *struct {
		Window uint32 `json:"window"`
	} `json:"marker"`
	core string
}

type fakeEvent struct {
	state      queue.State
	pseudonym  [32]byte
	passKey    [32]byte
	receipt    ed25519.PrivateKey
	invitation ed25519.PrivateKey
	pool       map[lottery.Entrant]*fakeEntrant
	chain      lottery.Chain
}

type fakeEntrant struct {
	lottery.Leaf
	device lottery.DeviceHash
	window uint32
	at     time.Time
}

func newWorld(t *testing.T) *fakeWorld {
	return &fakeWorld{
		t: t, version: 1, changed: make(chan struct{}), edges: map[string]uuid.UUID{}, keys: map[uuid.UUID]fakeKey{},
		events: map[string]*fakeEvent{}, sessions: map[lottery.Entrant]admission.Session{}, holds: map[string]json.RawMessage{},
		coreKey: bytes.Repeat([]byte{7}, 32), filterKey: bytes.Repeat([]byte{9}, 32),
	}
}

// now is the world's clock.
func (w *fakeWorld) now() time.Time { return time.Now().Add(w.ahead) }

// change changes the world under its lock and wakes the feeds.
func (w *fakeWorld) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	w.version++
	close(w.changed)
	w.changed = make(chan struct{})
}

// addEvent adds an on-sale that is joining and opens after that time.
func (w *fakeWorld) addEvent(slug string, opensIn time.Duration) *fakeEvent {
	seedOf := func(what string) []byte { sum := sha256.Sum256([]byte(slug + what)); return sum[:] }
	chain, err := lottery.NewChain(lottery.EventID(slug), [32]byte(seedOf("chain")), 64)
	if err != nil {
		w.t.Fatal(err)
	}
	e := &fakeEvent{
		pseudonym: [32]byte(seedOf("pseudonym")), passKey: [32]byte(seedOf("pass")),
		receipt: ed25519.NewKeyFromSeed(seedOf("receipt")), invitation: ed25519.NewKeyFromSeed(seedOf("invitation")),
		pool: map[lottery.Entrant]*fakeEntrant{}, chain: chain,
	}
	now := w.now()
	e.state = queue.State{
		Event: slug, Generation: 1, Phase: queue.PhaseJoining, TimeZone: "Europe/Madrid", WindowSeconds: 1, Identity: "device",
		JoiningAt: queue.Instant{Time: now.Add(-time.Minute)}, OpensAt: queue.Instant{Time: now.Add(opensIn)},
		EndsAt: queue.Instant{Time: now.Add(time.Hour)}, Commitment: chain.Commitment(), ChainLength: 64,
		Windows: []queue.Window{}, Stock: []queue.Stock{}, PollAfterMS: 1000,
		ReceiptKeys: lottery.PublicKeys{{No: 1, Public: lottery.Hex32(e.receipt.Public().(ed25519.PublicKey))}},
	}
	w.change(func() { w.events[slug] = e })
	return e
}

// open seals window 0 and calls everybody whose turn the filter finds.
func (w *fakeWorld) open(slug string, called func(lottery.Entrant) bool) {
	w.change(func() {
		e := w.events[slug]
		var leaves []lottery.Leaf
		for _, one := range e.pool {
			if one.window == 0 {
				leaves = append(leaves, one.Leaf)
			}
		}
		root := lottery.Root(leaves)
		secret, err := e.chain.Secret(0)
		if err != nil {
			w.t.Error(err)
		}
		seed := lottery.Seed(lottery.EventID(slug), 0, secret, root, nil)
		order := lottery.Order(seed, 0, leaves)
		e.state.Windows = []queue.Window{{
			Window: 0, Sealed: true, Entrants: len(leaves), Bands: lottery.Summarize(order, 100), Root: root, Seed: seed, Secret: secret,
		}}
		e.state.Phase = queue.PhaseOpen
		e.state.Cursor = nil
		for i, drawn := range order {
			if called(drawn.Entrant) {
				e.state.Cursor = &queue.Cursor{Window: 0, Band: drawn.Band, Value: lottery.Fraction(drawn.Value)}
				e.state.CalledCount = i + 1
			}
		}
		e.state.Joined = len(e.pool)
	})
}

func everybody(lottery.Entrant) bool { return true }
func nobody(lottery.Entrant) bool    { return false }

// ban puts a subject on the list.
func (w *fakeWorld) ban(kind guard.Kind, subject []byte) {
	w.change(func() {
		w.bans = append(w.bans, guard.AppendBanKey(nil, kind, subject))
		w.bansNo += 1000 // names the content; does not count
	})
}

func (w *fakeWorld) banned(kind guard.Kind, subject []byte) bool {
	return slices.ContainsFunc(w.bans, func(key []byte) bool { return bytes.Equal(key, guard.AppendBanKey(nil, kind, subject)) })
}

// fakeCore is one core process of the world, which can be stopped and started again on the same address.
type fakeCore struct {
	world *fakeWorld
	addr  string
	epoch string // of what it tells of seats, new at every start
	srv   *http.Server
	hooks *http.Server

	leaving atomic.Bool  // it says that it is about to stop
	cut     atomic.Int64 // that many answers to hold batches are cut off after they were decided
	hook    string
}

func (w *fakeWorld) start() *fakeCore {
	c := &fakeCore{world: w}
	c.listen("127.0.0.1:0")
	hooks, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	c.hook = "http://" + hooks.Addr().String()
	c.hooks = &http.Server{Handler: http.HandlerFunc(c.webhook)}
	go c.hooks.Serve(hooks)
	w.t.Cleanup(func() { c.stop(); c.hooks.Close() })
	return c
}

func (c *fakeCore) url() string { return "http://" + c.addr }

func (c *fakeCore) listen(addr string) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		c.world.t.Fatal(err)
	}
	c.world.mu.Lock()
	c.addr = ln.Addr().String()
	c.epoch = strings.ReplaceAll(uuid.NewString(), "-", "")[:16]
	c.world.mu.Unlock()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /edge/v1/enroll", c.enroll)
	for pattern, handler := range map[string]http.HandlerFunc{
		"POST /edge/v1/keys": c.keysOf, "POST /edge/v1/pool": c.pool, "GET /edge/v1/state": c.feed, "POST /edge/v1/redeem": c.redeem,
		"POST /edge/v1/holds:batch": c.holdBatch, "POST /edge/v1/availability": c.availability, "POST /edge/v1/guard": c.guard, "/v1/": c.buyer, "/wallet/": c.buyer,
	} {
		mux.HandleFunc(pattern, func(rw http.ResponseWriter, r *http.Request) {
			c.world.mu.Lock()
			_, known := c.world.edges[r.Header.Get("Fairgate-Edge")]
			c.world.mu.Unlock()
			if c.leaving.Load() {
				fakeProblem(rw, 503, "core_leaving")
				return
			}
			if r.Header.Get("Authorization") != "Bearer "+testSecret || !known {
				fakeProblem(rw, 401, "unauthorized")
				return
			}
			handler(rw, r)
		})
	}
	c.srv = &http.Server{Handler: mux}
	go c.srv.Serve(ln)
}

func (c *fakeCore) guard(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		Since    uint64        `json:"lifts_since"`
		Verdicts []verdictJSON `json:"verdicts"`
	}
	if !readJSON(rw, r, &in) {
		return
	}
	w := c.world
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verdicts = append(w.verdicts, in.Verdicts...)
	answer := map[string]any{"lifts_version": len(w.lifts) + 1}
	if in.Since != uint64(len(w.lifts)+1) {
		answer["lifted"] = append([]lottery.Entrant{}, w.lifts...)
	}
	fakeJSON(rw, 200, answer)
}

// recorded are the verdicts on record that the filter finds.
func (w *fakeWorld) recorded(find func(verdictJSON) bool) (found []verdictJSON) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.verdicts {
		if find(v) {
			found = append(found, v)
		}
	}
	return found
}

// stop kills the core; start again with restart.
func (c *fakeCore) stop() { c.srv.Close() }

func (c *fakeCore) restart() { c.listen(c.addr) }

func fakeProblem(rw http.ResponseWriter, status int, code string) {
	rw.Header().Set("Content-Type", "application/problem+json")
	rw.WriteHeader(status)
	fmt.Fprintf(rw, `{"type":"about:blank","title":"t","status":%d,"detail":"d","code":%q}`, status, code)
}

func fakeJSON(rw http.ResponseWriter, status int, v any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(v)
}

func readJSON(rw http.ResponseWriter, r *http.Request, v any) bool {
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		fakeProblem(rw, 400, "bad_json")
		return false
	}
	return true
}

func (c *fakeCore) enroll(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		Edge uuid.UUID `json:"edge_id"`
		Boot uuid.UUID `json:"boot"`
	}
	if r.Header.Get("Authorization") != "Bearer "+testSecret {
		fakeProblem(rw, 401, "unauthorized")
		return
	}
	if !readJSON(rw, r, &in) {
		return
	}
	w := c.world
	w.mu.Lock()
	defer w.mu.Unlock()
	token := in.Edge.String() + in.Boot.String()
	w.edges[token] = in.Edge
	w.enrolled++
	fakeJSON(rw, 200, map[string]any{"edge_token": token, "session_filter_keys": w.filterKeys(), "account_keys": w.accountKeys(), "server_time": w.now()})
}

func (w *fakeWorld) filterKeys() lottery.MACKeys {
	return lottery.MACKeys{{No: 1, Key: lottery.Hex32(w.filterKey)}}
}

func (c *fakeCore) keysOf(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		Event  string        `json:"event"`
		ID     uuid.UUID     `json:"key_id"`
		Public lottery.Hex32 `json:"public_key"`
		From   time.Time     `json:"valid_from"`
		Until  time.Time     `json:"valid_until"`
	}
	if !readJSON(rw, r, &in) {
		return
	}
	w := c.world
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.events[in.Event]
	if e == nil {
		fakeProblem(rw, 404, "event_unknown")
		return
	}
	w.keys[in.ID] = fakeKey{lottery.EventID(in.Event), in.Public[:], in.From, in.Until}
	fakeJSON(rw, 200, map[string]any{
		"event": in.Event, "generation": e.state.Generation, "identity": e.state.Identity, "pseudonym_key": lottery.Hex32(e.pseudonym),
		"pass_keys": lottery.MACKeys{{No: 1, Key: e.passKey}}, "receipt_keys": e.state.ReceiptKeys,
		"invitation_keys":     lottery.PublicKeys{{No: 1, Public: lottery.Hex32(e.invitation.Public().(ed25519.PublicKey))}},
		"session_filter_keys": w.filterKeys(), "account_keys": w.accountKeys(),
	})
}

func (c *fakeCore) pool(rw http.ResponseWriter, r *http.Request) {
	var in poolCall
	if !readJSON(rw, r, &in) {
		return
	}
	w := c.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refusePool > 0 {
		w.refusePool--
		fakeProblem(rw, 503, "database_unavailable")
		return
	}
	e := w.events[in.Event]
	if e == nil || in.Generation != e.state.Generation || len(in.Entries) > 1000 {
		fakeProblem(rw, 409, "generation")
		return
	}
	in.core = c.addr
	w.poolCalls = append(w.poolCalls, in)
	acks := []map[string]any{}
	for _, j := range in.Entries {
		if w.banned(guard.BannedEntrant, j.E[:]) || w.banned(guard.BannedDevice, j.D[:]) {
			acks = append(acks, map[string]any{"refused": "banned"})
			continue
		}
		one := e.pool[j.E]
		if one == nil {
			one = &fakeEntrant{Leaf: lottery.Leaf{Entrant: j.E}, device: j.D, window: max(j.W, uint32(len(e.state.Windows))), at: time.Now()}
			e.pool[j.E] = one
		}
		receipt := lottery.Receipt{
			Event: lottery.EventID(in.Event), Entrant: j.E, Generation: in.Generation, Window: one.window, Band: one.Band,
			Reason: one.Reason, AcknowledgedAt: one.at, KeyNo: 1,
		}.Sign(e.receipt)
		acks = append(acks, map[string]any{
			"window": one.window, "band": one.Band, "reason": one.Reason, "receipt": base64.RawURLEncoding.EncodeToString(receipt),
		})
	}
	fakeJSON(rw, 200, map[string]any{"acks": acks})
}

func (c *fakeCore) feed(rw http.ResponseWriter, r *http.Request) {
	var since, bans uint64
	var wait int
	fmt.Sscan(r.URL.Query().Get("since"), &since)
	fmt.Sscan(r.URL.Query().Get("bans_since"), &bans)
	fmt.Sscan(r.URL.Query().Get("wait_ms"), &wait)
	var ahead int64
	fmt.Sscan(r.URL.Query().Get("clock_ahead_ms"), &ahead)
	w := c.world
	serverTime := w.now() // taken early on purpose: edges must not be misled by it
	w.mu.Lock()
	version, changed := w.version, w.changed
	w.clockAhead = time.Duration(ahead) * time.Millisecond
	w.mu.Unlock()
	if version == since {
		select {
		case <-changed:
		case <-time.After(time.Duration(wait) * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	events, live := []map[string]string{}, []string{}
	for slug, e := range w.events {
		live = append(live, slug)
		state := e.state
		state.Version, state.ServerTime = w.version, queue.Instant{Time: w.now()}
		body, err := state.Encode()
		if err != nil {
			w.t.Error(err)
		}
		sum := sha256.Sum256(body)
		events = append(events, map[string]string{"slug": slug, "etag": `"` + hex.EncodeToString(sum[:8]) + `"`, "state": string(body)})
	}
	out := map[string]any{"version": w.version, "server_time": serverTime, "events": events, "live": live, "bans": nil, "catalog_version": 1 + w.catalog, "keys": w.keyNotices}
	if bans != w.bansNo {
		filter := bloom.NewWithEstimates(1000, 1e-4)
		for _, key := range w.bans {
			filter.Add(key)
		}
		var raw bytes.Buffer
		_, _ = filter.WriteTo(&raw)
		out["bans"] = map[string]any{"version": w.bansNo, "filter": base64.StdEncoding.EncodeToString(raw.Bytes())}
	}
	fakeJSON(rw, 200, out)
}

func (c *fakeCore) redeem(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		Items []struct {
			Event  string             `json:"event"`
			Token  string             `json:"token"`
			Device lottery.DeviceHash `json:"device"`

			Account string `json:"account"`
			Move    bool   `json:"move"`
		} `json:"items"`
	}
	if !readJSON(rw, r, &in) {
		return
	}
	results := []map[string]any{}
	for _, item := range in.Items {
		raw, _ := base64.RawURLEncoding.DecodeString(item.Token)
		signed, _ := base64.RawURLEncoding.DecodeString(item.Account)
		account, _ := admission.VerifyAccount(signed, c.world.accountKeys(), c.world.now())
		session, status, code := c.world.admit(item.Event, raw, item.Device, account, item.Move)
		if code != "" {
			results = append(results, map[string]any{"status": status, "problem": map[string]any{"status": status, "code": code, "detail": "d"}})
			continue
		}
		sealed := session.Seal(nil, c.world.coreKey, c.world.filterKey)
		results = append(results, map[string]any{"status": 200, "body": map[string]any{
			"session": base64.RawURLEncoding.EncodeToString(sealed), "expires_at": session.ExpiresAt,
		}})
	}
	fakeJSON(rw, 200, map[string]any{"results": results})
}

// admit decides on a token as core does.
func (w *fakeWorld) admit(slug string, raw []byte, device lottery.DeviceHash, account admission.Account, move bool) (admission.Session, int, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuseClaims != "" {
		return admission.Session{}, 409, w.refuseClaims
	}
	parsed, err := admission.Parse(raw)
	if err != nil {
		return admission.Session{}, 400, "token_malformed"
	}
	key, known := w.keys[parsed.KeyID]
	if !known {
		return admission.Session{}, 401, "token_key_unknown"
	}
	token, err := admission.Verify(raw, key.public, w.now())
	if err != nil {
		return admission.Session{}, 401, "token_forged"
	}
	e := w.events[slug]
	if token.Event != lottery.EventID(slug) || key.event != token.Event {
		return admission.Session{}, 401, "token_other_event"
	}
	if token.Device != device {
		return admission.Session{}, 401, "device_mismatch"
	}
	one := e.pool[token.Entrant]
	if one == nil {
		return admission.Session{}, 403, "not_in_pool"
	}
	if e.state.Identity == "account" {
		if account.Subject.Entrant(e.pseudonym[:]) != token.Entrant {
			return admission.Session{}, 401, "account_required"
		}
	} else if one.device != device {
		return admission.Session{}, 409, "session_bound_elsewhere"
	}
	place, drawn := e.state.Place(queue.Pass{Generation: token.Generation, Window: one.window, Band: one.Band, Entrant: token.Entrant})
	if !drawn || !e.state.Called(place) {
		return admission.Session{}, 425, "not_called"
	}
	session, again := w.sessions[token.Entrant]
	if again && session.Device != device && !move {
		return admission.Session{}, 409, "session_bound_elsewhere"
	}
	if !again || session.Device != device {
		session = admission.Session{
			KeyNo: 1, Event: token.Event, Entrant: token.Entrant, Session: uuid.New(), Device: device, Generation: token.Generation,
			IssuedAt: w.now(), ExpiresAt: w.now().Add(time.Minute),
		}
		w.sessions[token.Entrant] = session
	}
	return session, 200, ""
}

func (c *fakeCore) holdBatch(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		Items []struct {
			Event   string             `json:"event"`
			Session string             `json:"session"`
			Device  lottery.DeviceHash `json:"device"`
			Key     string             `json:"key"`
			Client  string             `json:"client"`
			Body    json.RawMessage    `json:"body"`
		} `json:"items"`
	}
	if !readJSON(rw, r, &in) {
		return
	}
	w := c.world
	w.mu.Lock()
	w.holdBatches = append(w.holdBatches, len(in.Items))
	w.holdCores = append(w.holdCores, c.addr)
	var events []string
	for _, item := range in.Items {
		events = append(events, item.Event)
	}
	w.holdEvents = append(w.holdEvents, events)
	slow := w.slow
	w.mu.Unlock()
	time.Sleep(slow)
	w.mu.Lock()
	defer w.mu.Unlock()
	results := []map[string]any{}
	for _, item := range in.Items {
		raw, _ := base64.RawURLEncoding.DecodeString(item.Session)
		session, err := admission.ParseSession(raw)
		if err != nil || admission.CheckCore(raw, w.coreKey) != nil || session.Device != item.Device {
			results = append(results, map[string]any{"status": 401, "problem": map[string]any{"status": 401, "code": "session_forged"}})
			continue
		}
		if strings.Contains(string(item.Body), "gone") {
			results = append(results, map[string]any{"status": 409, "problem": map[string]any{"status": 409, "code": "sold_out", "retry_after": 3}})
			continue
		}
		name := session.Entrant.String() + "/" + item.Key
		if w.holds[name] == nil {
			w.holds[name], _ = json.Marshal(map[string]any{
				"id": uuid.New(), "event": item.Event, "for": session.Entrant, "key": item.Key, "client": item.Client, "asked": item.Body,
				"state": "active", "server_time": w.now(), "deadline": w.now().Add(10 * time.Minute),
				"items": []map[string]any{{"tier": "floor", "quantity": 2}}, "amount": queue.Money{Minor: 13950, Currency: "EUR"},
			})
		}
		results = append(results, map[string]any{"status": 201, "body": w.holds[name]})
	}
	if c.cut.Add(-1) >= 0 {
		panic(http.ErrAbortHandler)
	}
	fakeJSON(rw, 200, map[string]any{"results": results})
}

// buyer echoes what a forwarded call looks like when it arrives.
func (c *fakeCore) buyer(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.world.mu.Lock()
	c.world.seen = append(c.world.seen, r.Header.Clone())
	shop := c.world.shop
	c.world.mu.Unlock()
	if shop != nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
		shop.ServeHTTP(rw, r)
		return
	}
	rw.Header().Set("ETag", `"seen"`)
	rw.Header().Set("Set-Cookie", "core=must-not-reach-buyers")
	fakeJSON(rw, 200, map[string]any{
		"method": r.Method, "path": r.URL.Path, "query": r.URL.RawQuery, "body": string(body), "core": c.addr,
		"sessions": strings.Split(r.Header.Get("Fairgate-Session"), ","),
	})
}

func (c *fakeCore) webhook(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	c.world.webhooks = append(c.world.webhooks, r.URL.Path+" "+r.Header.Get("Stripe-Signature")+r.Header.Get("Paypal-Transmission-Id")+r.Header.Get("Paypal-Transmission-Time")+
		r.Header.Get("Paypal-Transmission-Sig")+r.Header.Get("Paypal-Cert-Url")+r.Header.Get("Paypal-Auth-Algo")+" "+string(body))
	fakeJSON(rw, 200, map[string]bool{"received": true})
}
