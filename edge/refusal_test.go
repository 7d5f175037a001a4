package edge

import (
	"bufio"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/admission"
	"fairgate/edge/guard"
	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// flipped changes one bit of a base64 value.
func flipped(t *testing.T, value string, at int) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		t.Fatal(err)
	}
	raw[at] ^= 1
	return encoded(raw)
}

func TestEveryBadPassIsRefusedWithItsOwnCode(t *testing.T) {
	world := newWorld(t)
	event := world.addEvent("arena", time.Hour)
	world.addEvent("other", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena").ready("other")
	b := newBuyer(t)
	b.joinFully(n, "arena")
	b.joinFully(n, "other")
	world.open("arena", everybody)
	eventually(t, "the sale is open", func() bool { return n.board.Entry([]byte("arena")).State.Phase == queue.PhaseOpen })
	good := b.cookies["fg_pass_arena"]
	device := b.cookies["fg_device"]

	claim := func(pass, device string) reply {
		who := newBuyer(t)
		if pass != "" {
			who.cookies["fg_pass_arena"] = pass
		}
		if device != "" {
			who.cookies["fg_device"] = device
		}
		return who.do(n, "POST", "/q/arena/claim", "{}")
	}
	stranger := newBuyer(t)
	stranger.joinFully(n, "other")

	claim("", device).expect(t, "no pass", 401, "pass_missing")
	claim("no base64!", device).expect(t, "no base64", 400, "pass_malformed")
	claim(good[:40], device).expect(t, "cut", 400, "pass_malformed")
	claim(good+good, device).expect(t, "doubled", 400, "pass_malformed")
	claim(flipped(t, good, 62), device).expect(t, "another window", 401, "pass_forged")
	claim(flipped(t, good, 30), device).expect(t, "another entrant", 401, "pass_forged")
	claim(flipped(t, good, 80), device).expect(t, "another MAC", 401, "pass_forged")
	claim(b.cookies["fg_pass_other"], device).expect(t, "a pass of another event", 400, "pass_other_event")
	claim(good, "").expect(t, "no device", 401, "device_mismatch")
	claim(good, stranger.cookies["fg_device"]).expect(t, "somebody else's pass", 401, "device_mismatch")
	claim(good, "garbage").expect(t, "an unreadable device", 401, "device_mismatch")

	raw, _ := base64.RawURLEncoding.DecodeString(good)
	pass, err := queue.ParsePass(raw)
	if err != nil {
		t.Fatal(err)
	}
	provisional := pass
	provisional.Provisional = true
	claim(encoded(provisional.Sign(nil, event.passKey[:])), device).expect(t, "a provisional pass", 425, "pass_provisional")
	older := pass
	older.Generation = 0
	claim(encoded(older.Sign(nil, event.passKey[:])), device).expect(t, "a pass of an earlier on-sale", 400, "pass_other_event")
	late := pass
	late.Window = 5
	claim(encoded(late.Sign(nil, event.passKey[:])), device).expect(t, "a pass of a window not drawn", 425, "not_your_turn")
	newer := pass
	newer.KeyNo = 2
	claim(encoded(newer.Sign(nil, make([]byte, 32))), device).expect(t, "a pass with a key not known yet", 503, "core_unreachable")
	zero := pass
	zero.KeyNo = 0
	claim(encoded(zero.Sign(nil, make([]byte, 32))), device).expect(t, "a pass with a key that never was", 401, "pass_forged")

	if r := claim(good, device); r.status != 200 {
		t.Fatalf("the good pass: %d %s", r.status, r.body)
	}
}

func TestEveryBadTokenIsRefusedWithItsOwnCode(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	b := newBuyer(t)
	b.joinFully(n, "arena")
	world.open("arena", everybody)
	b.claim(n, "arena")
	var answer struct {
		Token string `json:"admission_token"`
	}
	b.do(n, "POST", "/q/arena/claim", "{}").into(t, &answer)
	claim := func(token string) reply {
		return b.do(n, "POST", "/q/arena/claim", fmt.Sprintf(`{"admission_token":%q}`, token))
	}
	claim("!").expect(t, "no base64", 400, "token_malformed")
	claim(answer.Token[:50]).expect(t, "cut", 400, "token_malformed")
	claim(strings.Repeat("A", 10_000)).expect(t, "long", 400, "token_malformed")
	claim(flipped(t, answer.Token, 40)).expectCode(t, "another entrant", 401, "token_forged")
	claim(flipped(t, answer.Token, 120)).expectCode(t, "another signature", 401, "token_forged")
	_, stolen, _ := ed25519.GenerateKey(nil)
	parsed := admission.Token{KeyID: uuid.New(), Event: lottery.EventID("arena"), IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Minute)}
	claim(encoded(parsed.Sign(nil, stolen))).expectCode(t, "a key nobody registered", 401, "token_key_unknown")
	nobodys := newBuyer(t)
	nobodys.do(n, "POST", "/q/arena/claim", fmt.Sprintf(`{"admission_token":%q}`, answer.Token)).expect(t, "no device", 401, "device_mismatch")
	if r := claim(answer.Token); r.status != 200 {
		t.Fatalf("the good token: %d %s", r.status, r.body)
	}
}

func TestEveryBadSessionIsRefusedWithItsOwnCode(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	world.addEvent("other", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena").ready("other")
	b := newBuyer(t)
	b.joinFully(n, "arena")
	world.open("arena", everybody)
	b.claim(n, "arena")
	good, device := b.cookies["fg_session_arena"], b.cookies["fg_device"]
	stranger := newBuyer(t)
	stranger.joinFully(n, "other")

	with := func(event, session, device string) *buyer {
		who := newBuyer(t)
		if session != "" {
			who.cookies["fg_session_"+event] = session
		}
		if device != "" {
			who.cookies["fg_device"] = device
		}
		return who
	}
	raw, _ := base64.RawURLEncoding.DecodeString(good)
	session, err := admission.ParseSession(raw)
	if err != nil {
		t.Fatal(err)
	}
	sealed := func(change func(*admission.Session)) string {
		other := session
		change(&other)
		return encoded(other.Seal(nil, world.coreKey, world.filterKey))
	}
	expired := sealed(func(s *admission.Session) {
		s.IssuedAt, s.ExpiresAt = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
	})
	const fields = admission.SessionSize - 32 // what the MACs cover
	session.ExpiresAt = session.ExpiresAt.Add(time.Hour)
	prolonged := session.Seal(nil, world.coreKey, world.filterKey)
	for _, c := range []struct {
		what, session, device string
		status                int
		code                  string
	}{
		{"no session", "", device, 401, "session_missing"},
		{"no base64", "!!!", device, 400, "session_malformed"},
		{"cut", good[:30], device, 400, "session_malformed"},
		{"prolonged by the buyer", encoded(append(append([]byte(nil), prolonged[:fields]...), raw[fields:]...)), device, 401, "session_forged"},
		{"another entrant", flipped(t, good, 25), device, 401, "session_forged"},
		{"another filter MAC", flipped(t, good, 95), device, 401, "session_forged"},
		{"no device", good, "", 401, "device_mismatch"},
		{"somebody else's", good, stranger.cookies["fg_device"], 401, "device_mismatch"},
		{"expired", expired, device, 401, "session_expired"},
		{"an old key", sealed(func(s *admission.Session) { s.KeyNo = 0 }), device, 401, "session_forged"},
		{"a key not known yet", sealed(func(s *admission.Session) { s.KeyNo = 2 }), device, 503, "core_unreachable"},
	} {
		with("arena", c.session, c.device).do(n, "POST", "/v1/holds", `{"event":"arena","items":[]}`, "Idempotency-Key: k").
			expect(t, "hold, "+c.what, c.status, c.code)
		with("arena", c.session, c.device).do(n, "POST", "/v1/orders", `{}`, "Idempotency-Key: k").
			expect(t, "order, "+c.what, c.status, c.code)
	}
	with("other", good, device).do(n, "POST", "/v1/holds", `{"event":"other","items":[]}`, "Idempotency-Key: k").
		expect(t, "a session under another event's name", 401, "session_forged")
	// Only core can tell a session with the right filter MAC from its own, and the edge passes core's word on.
	with("arena", flipped(t, good, 110), device).do(n, "POST", "/v1/holds", `{"event":"arena","items":[]}`, "Idempotency-Key: k").
		expectCode(t, "core's MAC forged", 401, "session_forged")
	// Looking at what one bought goes on after the session's end, if core allows.
	if r := with("arena", expired, device).do(n, "GET", "/v1/orders/"+uuid.NewString(), ""); r.status != 200 {
		t.Errorf("reading with an expired session: %d %s", r.status, r.body)
	}
}

func TestBadRequestsAreRefusedWithTheirOwnCode(t *testing.T) {
	world := newWorld(t)
	event := world.addEvent("arena", time.Hour)
	world.addEvent("later", 2*time.Hour)
	world.change(func() {
		world.events["later"].state.Phase = queue.PhaseAnnounced
		world.events["later"].state.JoiningAt = queue.Instant{Time: world.now().Add(time.Hour)}
	})
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	b := newBuyer(t)
	b.joinFully(n, "arena")
	world.open("arena", everybody)
	b.claim(n, "arena")
	id := uuid.NewString()
	for _, c := range []struct {
		what, method, path, body string
		headers                  []string
		status                   int
		code                     string
	}{
		{"unknown event", "POST", "/q/nowhere/join", "{}", nil, 404, "event_unknown"},
		{"unknown event", "POST", "/q/nowhere/claim", "{}", nil, 404, "event_unknown"},
		{"unknown event", "GET", "/q/nowhere/state", "", nil, 404, "event_unknown"},
		{"no slug", "GET", "/v1/events/Ar%20ena", "", nil, 404, "event_unknown"},
		{"unknown event", "POST", "/v1/holds", `{"event":"No Slug"}`, []string{"Idempotency-Key: k"}, 404, "event_unknown"},
		{"before joining", "POST", "/q/later/join", "{}", nil, 425, "room_not_open"},
		{"no JSON", "POST", "/q/arena/join", "{", nil, 400, "bad_json"},
		{"no object", "POST", "/q/arena/claim", "[]", nil, 400, "bad_json"},
		{"no body", "POST", "/v1/holds", "", []string{"Idempotency-Key: k"}, 400, "bad_json"},
		{"two values", "POST", "/v1/holds", `{"event":"arena"},{"event":"arena"}`, []string{"Idempotency-Key: k"}, 400, "bad_json"},
		{"no key", "POST", "/v1/holds", `{"event":"arena"}`, nil, 400, "idempotency_key_missing"},
		{"no key", "POST", "/v1/orders", `{}`, nil, 400, "idempotency_key_missing"},
		{"no key", "POST", "/v1/orders/" + id + "/pay", `{}`, nil, 400, "idempotency_key_missing"},
		{"no key", "POST", "/v1/orders/" + id + "/refund", `{}`, nil, 400, "idempotency_key_missing"},
		{"no key", "POST", "/v1/tickets/" + id + "/transfers", `{}`, nil, 400, "idempotency_key_missing"},
		{"key with a space", "POST", "/v1/holds", `{"event":"arena"}`, []string{"Idempotency-Key: a b"}, 400, "idempotency_key_malformed"},
		{"long key", "POST", "/v1/holds", `{"event":"arena"}`, []string{"Idempotency-Key: " + strings.Repeat("k", 129)}, 400, "idempotency_key_malformed"},
		{"big body", "POST", "/v1/holds", `{"event":"arena","x":"` + strings.Repeat("x", 17<<10) + `"}`, []string{"Idempotency-Key: k"}, 413, "body_too_large"},
		{"big webhook", "POST", "/webhooks/stripe", strings.Repeat("x", 257<<10), nil, 413, "body_too_large"},
		{"big headers", "GET", "/q/arena/state", "", []string{"X: " + strings.Repeat("x", 17<<10)}, 431, "headers_too_large"},
		{"wrong method", "GET", "/q/arena/join", "", nil, 405, "method_not_allowed"},
		{"wrong method", "POST", "/q/arena/state", "", nil, 405, "method_not_allowed"},
		{"wrong method", "PUT", "/v1/holds", "{}", nil, 405, "method_not_allowed"},
		{"wrong method", "POST", "/v1/holds/" + id, "{}", nil, 405, "method_not_allowed"},
		{"wrong method", "DELETE", "/v1/orders/" + id, "", nil, 405, "method_not_allowed"},
		{"wrong method", "GET", "/v1/orders/" + id + "/pay", "", nil, 405, "method_not_allowed"},
		{"wrong method", "POST", "/v1/events", "", nil, 405, "method_not_allowed"},
		{"wrong method", "GET", "/webhooks/stripe", "", nil, 405, "method_not_allowed"},
		{"foreign page", "POST", "/q/arena/join", "{}", []string{"Origin: https://evil.example"}, 403, "origin_forbidden"},
		{"foreign page", "POST", "/v1/holds", "{}", []string{"Origin: null"}, 403, "origin_forbidden"},
		{"foreign page", "DELETE", "/v1/holds/" + id, "", []string{"Origin: http://127.0.0.1"}, 403, "origin_forbidden"},
		{"no route", "GET", "/q/arena", "", nil, 404, "not_found"},
		{"no route", "GET", "/q/arena/state/", "", nil, 404, "not_found"},
		{"core's own route", "POST", "/edge/v1/redeem", "{}", nil, 404, "not_found"},
		{"admin route", "GET", "/admin/v1/events", "", nil, 404, "not_found"},
		{"private route", "GET", "/metrics", "", nil, 404, "not_found"},
		{"no id", "GET", "/v1/holds/1", "", nil, 404, "not_found"},
		{"capital id", "GET", "/v1/holds/" + strings.ToUpper("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"), "", nil, 404, "not_found"},
		{"no such action", "POST", "/v1/orders/" + id + "/return", "{}", nil, 404, "not_found"},
		{"no such action", "POST", "/v1/transfers/" + id + "/refuse", "{}", nil, 404, "not_found"},
		{"no such action", "POST", "/v1/tickets/" + id + "/transfer", "{}", nil, 404, "not_found"},
		{"wrong method", "POST", "/v1/transfers", "{}", nil, 405, "method_not_allowed"},
		{"wrong method", "GET", "/v1/transfers/" + id + "/accept", "", nil, 405, "method_not_allowed"},
		{"provider in capitals", "POST", "/webhooks/STRIPE", "{}", nil, 404, "not_found"},
	} {
		r := b.do(n, c.method, c.path, c.body, c.headers...)
		r.expect(t, c.what+" "+c.method+" "+c.path, c.status, c.code)
		if c.status == 405 && r.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow header", c.method, c.path)
		}
	}
	if r := b.do(n, "POST", "/q/arena/join", "{}", "Origin: http://"+n.Addr().String()); r.status != 200 {
		t.Errorf("our own page: %d %s", r.status, r.body)
	}
	world.change(func() { event.state.Phase = queue.PhaseEnded })
	eventually(t, "the end is known", func() bool { return n.board.Entry([]byte("arena")).State.Phase == queue.PhaseEnded })
	newBuyer(t).do(n, "POST", "/q/arena/join", "{}").expect(t, "join after the end", 425, "room_not_open")
	b.do(n, "POST", "/q/arena/claim", "{}").expect(t, "claim after the end", 425, "room_not_open")
}

func TestProblemsOnTheWireAreValidJSONWhateverTheDetail(t *testing.T) {
	for _, detail := range []string{"plain", `quote " back \ slash`, "new\nline \x01", "<script>&", "Zoë — ünïcode"} {
		var got struct {
			Detail     string
			RetryAfter int `json:"retry_after"`
		}
		raw := appendProblem(nil, problemNotFound, detail, 7)
		if err := json.Unmarshal(raw, &got); err != nil || got.Detail != detail || got.RetryAfter != 7 {
			t.Errorf("%q became %s: %v", detail, raw, err)
		}
	}
}

func TestRequestsThatCannotBeReadGetAProblem(t *testing.T) {
	world := newWorld(t)
	c := testConfig(t, world.start())
	c.Limits.ReadTimeout = 300 * time.Millisecond
	n := startNode(t, c)
	for what, c := range map[string]struct {
		send string
		code string
	}{
		"no HTTP":      {"HELLO\r\n\r\n", "bad_request"},
		"slow headers": {"GET / HTTP/1.1\r\nHost:", "request_timeout"},
		"slow body":    {"POST /q/a/join HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{", "request_timeout"},
	} {
		conn, err := net.Dial("tcp", n.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, c.send)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		var p struct{ Code string }
		if json.NewDecoder(resp.Body).Decode(&p) != nil || p.Code != c.code {
			t.Errorf("%s: %d %s", what, resp.StatusCode, p.Code)
		}
		conn.Close()
	}
}

func TestOneConnectionTooManyIsToldToComeBack(t *testing.T) {
	world := newWorld(t)
	c := testConfig(t, world.start())
	c.Limits.Connections = 2
	n := startNode(t, c)
	var open []net.Conn
	for range 2 {
		conn, err := net.Dial("tcp", n.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		open = append(open, conn)
	}
	newBuyer(t).do(n, "GET", "/", "").expect(t, "the third connection", 503, "overloaded")
	open[0].Close()
	eventually(t, "a place is free again", func() bool {
		r, err := newBuyer(t).try(n, "GET", "/", "", "Connection: close") // an answer other than 200 must not keep the place
		return err == nil && r.status == 200
	})
}

func TestWhoFloodsTheWebhooksIsRefusedAndTheProviderIsNot(t *testing.T) {
	world := newWorld(t)
	c := testConfig(t, world.start())
	c.TrustedProxies = []string{"127.0.0.1"}
	c.Guard.Webhook = guard.Rate{PerSecond: 0.1, Burst: 5}
	n, b := startNode(t, c), newBuyer(t)
	post := func(addr string) reply {
		return b.do(n, "POST", "/webhooks/paypal", "{}", "X-Forwarded-For: "+addr)
	}
	for range 5 {
		post("192.0.2.1").expectCode(t, "a burst", 200, "")
	}
	r := post("192.0.2.1")
	r.expect(t, "an address that floods", 429, "rate_limited")
	var p struct {
		RetryAfter int `json:"retry_after"`
	}
	if r.into(t, &p); p.RetryAfter < 1 || p.RetryAfter > 10 {
		t.Errorf("told to wait %d s", p.RetryAfter)
	}
	post("192.0.2.2").expectCode(t, "another address", 200, "")
	world.mu.Lock()
	defer world.mu.Unlock()
	if len(world.webhooks) != 6 {
		t.Errorf("core got %d webhooks", len(world.webhooks))
	}
}

func TestTheGuardsLimitsAreToldWithTheTimeToWait(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	c := testConfig(t, world.start())
	c.TrustedProxies = []string{"127.0.0.1"}
	c.Guard = guard.Config{
		Device: guard.Rate{PerSecond: 0.1, Burst: 3}, Address: guard.Rate{PerSecond: 0.1, Burst: 100},
		NewDevice: guard.Rate{PerSecond: 0.1, Burst: 2}, Session: guard.Rate{PerSecond: 0.1, Burst: 2}, Subjects: 1000,
	}
	n := startNode(t, c).ready("arena")
	from := func(addr string) string { return "X-Forwarded-For: " + addr }

	b := newBuyer(t)
	b.do(n, "POST", "/q/arena/join", "{}", from("192.0.2.1"))
	for range 3 {
		b.do(n, "POST", "/q/arena/join", "{}", from("192.0.2.1"))
	}
	r := b.do(n, "POST", "/q/arena/join", "{}", from("192.0.2.1"))
	r.expect(t, "a device that hammers", 429, "rate_limited")
	var p struct {
		RetryAfter int `json:"retry_after"`
	}
	if r.into(t, &p); p.RetryAfter < 1 || p.RetryAfter > 10 {
		t.Errorf("told to wait %d s", p.RetryAfter)
	}
	newBuyer(t).do(n, "POST", "/q/arena/join", "{}", from("192.0.2.1"))
	newBuyer(t).do(n, "POST", "/q/arena/join", "{}", from("192.0.2.1")).expect(t, "a third device of one address", 429, "rate_limited")
	if r := newBuyer(t).do(n, "POST", "/q/arena/join", "{}", from("192.0.2.2")); r.status != 200 {
		t.Errorf("another address: %d %s", r.status, r.body)
	}
	for range 100 {
		newBuyer(t).do(n, "POST", "/q/arena/claim", "{}", from("192.0.2.3"))
	}
	newBuyer(t).do(n, "POST", "/q/arena/claim", "{}", from("192.0.2.3")).expect(t, "an address that hammers", 429, "rate_limited")
	// Looking at the state object is not limited: it costs nothing.
	if r := newBuyer(t).do(n, "GET", "/q/arena/state", "", from("192.0.2.3")); r.status != 200 {
		t.Errorf("polling: %d", r.status)
	}

	shopper := newBuyer(t)
	eventually(t, "a receipt", func() bool {
		var got joinAnswer
		shopper.do(n, "POST", "/q/arena/join", "{}", from("192.0.2.9")).into(t, &got)
		time.Sleep(30 * time.Millisecond)
		return got.Receipt != nil
	})
	world.open("arena", everybody)
	eventually(t, "the sale is open", func() bool { return n.board.Entry([]byte("arena")).State.Phase == queue.PhaseOpen })
	shopper.do(n, "POST", "/q/arena/claim", "{}", from("192.0.2.9"))
	for range 2 {
		shopper.do(n, "GET", "/v1/orders/"+uuid.NewString(), "", from("192.0.2.9"))
	}
	shopper.do(n, "GET", "/v1/orders/"+uuid.NewString(), "", from("192.0.2.9")).expect(t, "a session that hammers", 429, "rate_limited")
}
