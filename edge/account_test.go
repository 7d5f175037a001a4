package edge

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

// accountSigner is the world's key of that number.
func accountSigner(no uint32) ed25519.PrivateKey {
	var seed [32]byte
	seed[0] = byte(no)
	return ed25519.NewKeyFromSeed(seed[:])
}

// accountKeys are the world's, those of all numbers up to the newest.
func (w *fakeWorld) accountKeys() lottery.PublicKeys {
	var keys lottery.PublicKeys
	for no := uint32(1); no <= max(w.accountKeyNo, 1); no++ {
		keys = append(keys, lottery.PublicKey{No: no, Public: lottery.Hex32(accountSigner(no).Public().(ed25519.PublicKey))})
	}
	return keys
}

// accountSession is what core answers to the right code of that person in that browser.
func (w *fakeWorld) accountSession(no uint32, person string, device lottery.DeviceHash, expiresIn time.Duration) string {
	a := admission.Account{KeyNo: no, Account: uuid.NewSHA1(uuid.Nil, []byte(person)), Subject: admission.NewSubject([]byte(person)), Device: device,
		IssuedAt: w.now().Add(-time.Hour), ExpiresAt: w.now().Add(expiresIn)}
	return base64.RawURLEncoding.EncodeToString(a.Sign(nil, accountSigner(no)))
}

// signsIn answers the account's interface as core does: the code of everybody is 123456.
func (w *fakeWorld) signsIn() {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/account/code", func(rw http.ResponseWriter, r *http.Request) {
		var in struct{ Email, Language string }
		if !readJSON(rw, r, &in) {
			return
		}
		if !strings.Contains(in.Email, "@") {
			fakeProblem(rw, 422, "email_invalid")
			return
		}
		fakeJSON(rw, 202, map[string]bool{"sent": true})
	})
	mux.HandleFunc("POST /v1/account/session", func(rw http.ResponseWriter, r *http.Request) {
		var in struct{ Email, Code string }
		if !readJSON(rw, r, &in) {
			return
		}
		if in.Code != "123456" {
			fakeProblem(rw, 401, "code_wrong")
			return
		}
		device, _ := lottery.ParseDeviceHash(r.Header.Get("Fairgate-Device"))
		fakeJSON(rw, 200, map[string]any{"session": w.accountSession(1, in.Email, device, time.Hour), "email": in.Email, "expires_at": w.now().Add(time.Hour)})
	})
	mux.HandleFunc("DELETE /v1/account/session", func(rw http.ResponseWriter, r *http.Request) { fakeJSON(rw, 200, map[string]bool{"signed_out": true}) })
	mux.HandleFunc("GET /v1/account", func(rw http.ResponseWriter, r *http.Request) {
		raw, _ := base64.RawURLEncoding.DecodeString(r.Header.Get("Fairgate-Account"))
		a, err := admission.VerifyAccount(raw, w.accountKeys(), w.now())
		if err != nil || a.Device.String() != r.Header.Get("Fairgate-Device") {
			fakeProblem(rw, 401, "signed_out")
			return
		}
		if strings.Contains(r.URL.RawQuery, "renew") {
			rw.Header().Set("Fairgate-Account", w.accountSession(1, "renewed", a.Device, time.Hour))
		}
		fakeJSON(rw, 200, map[string]any{"id": a.Account, "email": "ann@example.org"})
	})
	mux.HandleFunc("GET /v1/account/orders", func(rw http.ResponseWriter, r *http.Request) {
		fakeJSON(rw, 200, map[string]any{"orders": []map[string]any{{"id": uuid.NewString(), "event": "arena", "name": "<b>Night</b>", "state": "ticket_issued",
			"amount": map[string]any{"minor": 6650, "currency": "EUR"}, "created_at": "2027-01-02T10:00:00Z"}}, "next": ""})
	})
	mux.HandleFunc("GET /v1/account/tickets", func(rw http.ResponseWriter, r *http.Request) {
		fakeJSON(rw, 200, map[string]any{"tickets": []map[string]any{{"id": "0f9f4e9a-6f6c-4c1e-9f3b-0b9d7d2f7a11", "event": "arena", "name": "Night", "tier": "floor", "seat": "",
			"state": "valid", "starts_at": "2027-06-12T19:00:00Z", "time_zone": "Europe/Madrid"}}, "more": false})
	})
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		fakeJSON(rw, 200, map[string]string{"session": r.Header.Get("Fairgate-Session"), "account": r.Header.Get("Fairgate-Account"), "device": r.Header.Get("Fairgate-Device")})
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shop = mux
}

// signIn signs a browser in and answers the session.
func (b *buyer) signIn(n *testNode, email string) string {
	b.t.Helper()
	b.do(n, "POST", "/v1/account/code", fmt.Sprintf(`{"email":%q}`, email)).expectCode(b.t, "asking for a code", 202, "")
	r := b.do(n, "POST", "/v1/account/session", fmt.Sprintf(`{"email":%q,"code":"123456"}`, email))
	r.expectCode(b.t, "signing in", 200, "")
	session := b.cookies["fg_account"]
	if session == "" || strings.Contains(string(r.body), session) {
		b.t.Fatalf("the session is %q in the cookie; the answer is %s", session, r.body)
	}
	return session
}

func accountWorld(t *testing.T, events ...string) (*fakeWorld, *testNode) {
	t.Helper()
	world := newWorld(t)
	core := world.start()
	world.signsIn()
	for _, slug := range events {
		e := world.addEvent(slug, time.Hour)
		world.change(func() { e.state.Identity = "account" })
	}
	n := startNode(t, testConfig(t, core))
	for _, slug := range events {
		n.ready(slug)
	}
	eventually(t, "the node is enrolled", func() bool { return n.signers.keys.Load() != nil })
	return world, n
}

func TestACodeMakesASessionThatTheEdgeRecognizesAndPassesOn(t *testing.T) {
	_, n := accountWorld(t)
	b := newBuyer(t)
	b.do(n, "GET", "/v1/account", "").expectCode(t, "before", 401, "signed_out")
	b.do(n, "POST", "/v1/account/session", `{"email":"ann@example.org","code":"000000"}`).expectCode(t, "a wrong code", 401, "code_wrong")
	if b.cookies["fg_account"] != "" {
		t.Error("a wrong code made a session")
	}
	session := b.signIn(n, "ann@example.org")
	r := b.do(n, "GET", "/v1/account", "")
	r.expectCode(t, "after", 200, "")
	if r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("it may be cached: %v", r.header)
	}
	// Without a session to shop with, an account may look, give back, and pay for what is held for it.
	order := "/v1/orders/0f9f4e9a-6f6c-4c1e-9f3b-0b9d7d2f7a11"
	var seen struct{ Session, Account, Device string }
	for _, call := range []struct{ method, path string }{{"GET", order}, {"GET", "/v1/tickets/0f9f4e9a-6f6c-4c1e-9f3b-0b9d7d2f7a11"}, {"POST", order + "/refund"}, {"POST", order + "/pay"}} {
		r := b.do(n, call.method, call.path, "", "Idempotency-Key: k")
		r.expectCode(t, call.method+" "+call.path, 200, "")
		if r.into(t, &seen); seen.Account != session || seen.Session != "" || len(seen.Device) != 32 {
			t.Errorf("%s %s came to core as %+v", call.method, call.path, seen)
		}
	}
	// Nobody sets the header but an edge.
	newBuyer(t).do(n, "GET", "/v1/account", "", "Fairgate-Account: "+session).expectCode(t, "with a header of one's own", 401, "signed_out")
	b.do(n, "GET", "/v1/account?renew=1", "").expectCode(t, "renewed", 200, "")
	if b.cookies["fg_account"] == session || b.cookies["fg_account"] == "" {
		t.Error("the renewed session did not become the cookie")
	}
	b.do(n, "DELETE", "/v1/account/session", "").expectCode(t, "signing out", 200, "")
	if b.cookies["fg_account"] != "" {
		t.Error("the cookie is still there")
	}
}

func TestWhoIsSignedOutIsToldToSignInWhereOnlyAnAccountWillDo(t *testing.T) {
	world, n := accountWorld(t, "arena")
	world.open("arena", everybody)
	b := newBuyer(t)
	const id = "0f9f4e9a-6f6c-4c1e-9f3b-0b9d7d2f7a11"
	for _, call := range []struct{ method, path string }{
		{"POST", "/v1/transfers/" + id + "/accept"}, {"POST", "/v1/transfers/" + id + "/decline"}, {"POST", "/v1/offers/" + id + "/accept"},
		{"POST", "/v1/offers/" + id + "/decline"}, {"PUT", "/v1/events/arena/waitlist/entry"}, {"DELETE", "/v1/events/arena/waitlist/entry"},
		{"PUT", "/v1/events/arena/reminders"}, {"POST", "/v1/events/arena/presales/fans/registration"},
	} {
		r := b.do(n, call.method, call.path, "{}", "Idempotency-Key: k")
		r.expectCode(t, call.method+" "+call.path, 401, "signed_out")
		if !strings.Contains(string(r.body), "sign in") {
			t.Errorf("%s %s does not say what to do: %s", call.method, call.path, r.body)
		}
	}
	// What the giver does with a session alone needs the session.
	b.do(n, "DELETE", "/v1/transfers/"+id, "").expectCode(t, "taking an offer back", 401, "session_missing")
}

func TestForgedExpiredTruncatedAndForeignAccountSessionsAreNobody(t *testing.T) {
	world, n := accountWorld(t, "arena")
	b := newBuyer(t)
	good := b.signIn(n, "ann@example.org")
	who, _ := lottery.ParseDeviceHash(strings.Repeat("0", 32))
	raw, _ := base64.RawURLEncoding.DecodeString(good)
	token, err := admission.ParseAccount(raw)
	if err != nil {
		t.Fatal(err)
	}
	forged := token
	forged.Account = uuid.New()
	for name, session := range map[string]string{
		"truncated": good[:len(good)-1], "empty": "", "longer": good + "A", "not base64": strings.Repeat("!", len(good)),
		"forged": base64.RawURLEncoding.EncodeToString(forged.Sign(nil, accountSigner(9))), "expired": world.accountSession(1, "ann", token.Device, -time.Minute),
		"another browser's": world.accountSession(1, "ann", who, time.Hour), "a changed byte": good[:40] + map[bool]string{true: "B", false: "A"}[good[40] == 'A'] + good[41:],
	} {
		b.cookies["fg_account"] = session
		b.do(n, "GET", "/v1/account", "").expectCode(t, name, 401, "signed_out")
		b.do(n, "GET", "/v1/orders/0f9f4e9a-6f6c-4c1e-9f3b-0b9d7d2f7a11", "").expectCode(t, name+", looking at an order", 401, "session_missing")
		b.do(n, "POST", "/q/arena/join", "{}").expectCode(t, name+", joining", 401, "account_required")
	}
	b.cookies["fg_account"] = good
	b.do(n, "GET", "/v1/account", "").expectCode(t, "the good one", 200, "")
}

func TestANodeLearnsOfANewAccountKeyWithoutAnyOnSale(t *testing.T) {
	world, n := accountWorld(t)
	b := newBuyer(t)
	b.signIn(n, "ann@example.org")
	raw, _ := base64.RawURLEncoding.DecodeString(b.cookies["fg_account"])
	token, _ := admission.ParseAccount(raw)
	world.change(func() { world.accountKeyNo = 2 })
	b.cookies["fg_account"] = world.accountSession(2, "ann@example.org", token.Device, time.Hour)
	n.signers.askedAt.Store(0) // long ago
	b.do(n, "GET", "/v1/account", "").expectCode(t, "at first", 503, "core_unreachable")
	eventually(t, "the key is known", func() bool { return b.do(n, "GET", "/v1/account", "").status == 200 })
	b.cookies["fg_account"] = world.accountSession(1, "ann@example.org", token.Device, time.Hour)
	b.do(n, "GET", "/v1/account", "").expectCode(t, "under the older key", 200, "")
}

func TestAnAccountIsOneEntrantInEveryBrowserAndTakesItsTurnInTheOneItChooses(t *testing.T) {
	world, n := accountWorld(t, "arena")
	laptop, phone, other := newBuyer(t), newBuyer(t), newBuyer(t)
	laptop.do(n, "POST", "/q/arena/join", "{}").expectCode(t, "nobody signed in", 401, "account_required")
	laptop.signIn(n, "ann@example.org")
	phone.signIn(n, "ann@example.org")
	other.signIn(n, "bob@example.org")
	first, second, third := laptop.joinFully(n, "arena"), phone.joinFully(n, "arena"), other.joinFully(n, "arena")
	if first.Entrant != second.Entrant || first.Entrant == third.Entrant {
		t.Fatalf("entrants: %s, %s; of another account %s", first.Entrant, second.Entrant, third.Entrant)
	}
	for range 10 { // more tabs
		if again := laptop.joinFully(n, "arena"); again.Entrant != first.Entrant {
			t.Fatal("a tab is another entrant")
		}
	}
	world.mu.Lock()
	pool := len(world.events["arena"].pool)
	world.mu.Unlock()
	if pool != 2 {
		t.Errorf("%d entries of two accounts", pool)
	}
	world.open("arena", everybody)
	eventually(t, "everybody is called", func() bool {
		return n.board.Entry([]byte("arena")).State.CalledCount == 2
	})
	phone.do(n, "POST", "/q/arena/claim", "{}").expectCode(t, "the browser that joined second", 200, "")
	laptop.do(n, "POST", "/q/arena/claim", "{}").expectCode(t, "the other one", 409, "session_bound_elsewhere")
	laptop.do(n, "POST", "/q/arena/claim", `{"move":true}`).expectCode(t, "taking the turn over", 200, "")
	// Whoever signs out, or signs in as somebody else, has no turn in that browser.
	session := phone.cookies["fg_account"]
	delete(phone.cookies, "fg_account")
	phone.do(n, "POST", "/q/arena/claim", `{"move":true}`).expectCode(t, "signed out", 401, "account_required")
	phone.cookies["fg_account"] = session
	phone.signIn(n, "bob@example.org")
	phone.do(n, "POST", "/q/arena/claim", `{"move":true}`).expectCode(t, "another account with the pass", 401, "account_other")
}

func TestSigningOutWorksWithoutCoreAndSigningOutEverywhereSaysThatItDidNot(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	world.signsIn()
	n := startNode(t, testConfig(t, core))
	eventually(t, "the node is enrolled", func() bool { return n.signers.keys.Load() != nil })
	b := newBuyer(t)
	session := b.signIn(n, "ann@example.org")
	core.stop()
	b.do(n, "DELETE", "/v1/account/session?everywhere=true", "").expectCode(t, "everywhere", 503, "core_unreachable")
	if b.cookies["fg_account"] != session {
		t.Error("the session is gone although others are not")
	}
	b.do(n, "DELETE", "/v1/account/session", "").expectCode(t, "here", 200, "")
	if b.cookies["fg_account"] != "" {
		t.Error("the session is still there")
	}
}

func TestForeignPagesSignNobodyInOrOut(t *testing.T) {
	_, n := accountWorld(t)
	b := newBuyer(t)
	b.signIn(n, "ann@example.org")
	for _, call := range []struct{ method, path string }{{"POST", "/v1/account/code"}, {"POST", "/v1/account/session"}, {"DELETE", "/v1/account/session"}, {"POST", "/account"}} {
		b.do(n, call.method, call.path, `{"email":"ann@example.org"}`, "Origin: https://evil.example").expectCode(t, call.method+" "+call.path, 403, "origin_forbidden")
	}
	if b.cookies["fg_account"] == "" {
		t.Error("signed out by a foreign page")
	}
}

func TestTheAccountsPageWorksWithFormsAlone(t *testing.T) {
	_, n := accountWorld(t)
	b := newBuyer(t)
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	form := func(fields ...string) reply {
		values := url.Values{}
		for i := 0; i < len(fields); i += 2 {
			values.Set(fields[i], fields[i+1])
		}
		return b.do(n, "POST", "/account", values.Encode(), "Content-Type: application/x-www-form-urlencoded")
	}
	has := func(what string, r reply, status int, texts ...string) {
		t.Helper()
		if r.status != status || !strings.Contains(r.header.Get("Content-Security-Policy"), "script-src 'self'") || r.header.Get("Cache-Control") != "no-store" ||
			!strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %v", what, r.status, r.header)
		}
		for _, text := range texts {
			if !strings.Contains(string(r.body), text) {
				t.Errorf("%s lacks %q:\n%s", what, text, r.body)
			}
		}
	}
	has("the page", b.do(n, "GET", "/account?event=arena", ""), 200, `name="email"`, `value="arena"`)
	has("no address", form("step", "code", "email", "nothing"), 422, `role="alert"`, `name="email"`)
	has("an address", form("step", "code", "email", `"><b>@example.org`, "event", "arena"), 200, `name="code"`, "&gt;&lt;b&gt;@example.org")
	has("a wrong code", form("step", "session", "email", "ann@example.org", "code", "1", "event", "arena"), 401, `role="alert"`, `name="code"`, "ann@example.org")
	if r := form("step", "session", "email", "ann@example.org", "code", "123 456", "event", "arena"); r.status != 303 || r.header.Get("Location") != "/e/arena" {
		t.Errorf("the right code: %d %v", r.status, r.header)
	}
	has("signed in", b.do(n, "GET", "/account", ""), 200, "ann@example.org", "&lt;b&gt;Night&lt;/b&gt;", "66.50", "/v1/tickets/0f9f4e9a", "/e/arena?ticket=0f9f4e9a", "12 June 2027, 21:00")
	has("a form of nobody's", form("step", "pay"), 400, `role="alert"`)
	if r := form("step", "out"); r.status != 303 || b.cookies["fg_account"] != "" {
		t.Errorf("signing out: %d, the cookie is %q", r.status, b.cookies["fg_account"])
	}
	if r := form("step", "session", "email", "ann@example.org", "code", "123456", "event", "//evil.example"); r.header.Get("Location") != "/account" {
		t.Errorf("sent on to %q", r.header.Get("Location"))
	}
	if b.cookies["fg_account"] == "" {
		t.Error("the right code made no session")
	}
}

// What is held for an account is held, ordered and paid by it without a session; core says whether it may.
func TestAnAccountHoldsOrdersAndPaysWithoutASession(t *testing.T) {
	_, n := accountWorld(t)
	b := newBuyer(t)
	id := "11111111-1111-4111-8111-111111111111"
	calls := [][3]string{
		{"POST", "/v1/holds", `{"event":"arena","items":[{"listing":"` + id + `"}]}`}, {"DELETE", "/v1/holds/" + id, ""}, {"POST", "/v1/orders", "{}"},
		{"POST", "/v1/orders/" + id + "/pay", "{}"}, {"PUT", "/v1/events/arena/waitlist/entry", "{}"}, {"GET", "/v1/events/arena/waitlist/entry", ""},
		{"DELETE", "/v1/events/arena/waitlist/entry", ""}, {"GET", "/v1/waitlist", ""}, {"GET", "/v1/offers/" + id, ""}, {"POST", "/v1/offers/" + id + "/accept", "{}"},
		{"POST", "/v1/offers/" + id + "/decline", "{}"}, {"PUT", "/v1/events/arena/reminders", "{}"},
	}
	for _, c := range calls {
		if r := b.do(n, c[0], c[1], c[2], "Idempotency-Key: k"); r.status != 401 {
			t.Errorf("%s %s of nobody: %d %s", c[0], c[1], r.status, r.body)
		}
	}
	session := b.signIn(n, "ann@example.org")
	for _, c := range calls {
		if r := b.do(n, c[0], c[1], c[2], "Idempotency-Key: k"); r.status != 200 || !strings.Contains(string(r.body), session) {
			t.Errorf("%s %s: %d %s", c[0], c[1], r.status, r.body)
		}
		if c[0] == "GET" {
			continue
		}
		b.do(n, c[0], c[1], c[2], "Idempotency-Key: k", "Origin: https://evil.example").expect(t, c[0]+" "+c[1]+" from elsewhere", 403, "origin_forbidden")
	}
}
