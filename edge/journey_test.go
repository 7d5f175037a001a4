package edge

import (
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/guard"
	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

func TestABuyerJoinsGetsAReceiptIsCalledClaimsAndHolds(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	event := world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, core)).ready("arena")
	b := newBuyer(t)

	first := b.join(n, "arena")
	if !first.DeviceNew || first.Event != "arena" || first.Generation != 1 || len(first.Entrant) != 32 {
		t.Fatalf("first join: %+v", first)
	}
	if first.Provisional != (first.Receipt == nil) || first.Receipt == nil && first.RetryAfter == 0 {
		t.Fatalf("first join contradicts itself: %+v", first)
	}
	got := b.joinFully(n, "arena")
	if got.Provisional || got.DeviceNew || got.Entrant != first.Entrant || got.Window != 0 || got.RetryAfter != 0 {
		t.Fatalf("final join: %+v", got)
	}
	raw, err := base64.RawURLEncoding.DecodeString(*got.Receipt)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := lottery.VerifyReceipt(raw, event.state.ReceiptKeys.Find(1))
	if err != nil || receipt.Entrant.String() != got.Entrant {
		t.Fatalf("receipt %+v: %v", receipt, err)
	}
	passRaw, err := base64.RawURLEncoding.DecodeString(b.cookies["fg_pass_arena"])
	if err != nil || b.cookies["fg_pass_arena"] != got.Pass {
		t.Fatalf("the pass in the cookie is not the one in the JSON: %v", err)
	}
	pass, err := queue.VerifyPass(passRaw, lottery.MACKeys{{No: 1, Key: event.passKey}})
	if err != nil || pass.Provisional || pass.Entrant != receipt.Entrant {
		t.Fatalf("pass %+v: %v", pass, err)
	}

	r := b.do(n, "POST", "/q/arena/claim", "{}")
	r.expect(t, "a claim before the draw", 425, "room_not_open")
	if seconds := r.header.Get("Retry-After"); len(seconds) != 4 {
		t.Errorf("a claim an hour before the sale may be repeated after %q seconds", seconds)
	}
	world.open("arena", nobody)
	eventually(t, "the draw is known", func() bool { return n.board.Entry([]byte("arena")).State.Phase == queue.PhaseOpen })
	b.do(n, "POST", "/q/arena/claim", "{}").expect(t, "a claim before the turn", 425, "not_your_turn")
	world.open("arena", everybody)
	b.claim(n, "arena")

	r = b.do(n, "POST", "/v1/holds", `{"event":"arena","items":[{"tier":"floor","quantity":2}]}`, "Idempotency-Key: k1")
	var hold struct{ ID, For, Client string }
	r.into(t, &hold)
	if r.status != 201 || hold.For != got.Entrant || hold.Client != "127.0.0.1" {
		t.Fatalf("hold: %d %s", r.status, r.body)
	}
	again := b.do(n, "POST", "/v1/holds", `{"event":"arena","items":[{"tier":"floor","quantity":2}]}`, "Idempotency-Key: k1")
	if string(again.body) != string(r.body) {
		t.Fatalf("the same key gave another hold: %s, then %s", r.body, again.body)
	}
	r = b.do(n, "POST", "/v1/holds", `{"event":"arena","items":[{"tier":"gone","quantity":2}]}`, "Idempotency-Key: k2")
	if r.status != 409 || r.code() != "sold_out" || r.header.Get("Content-Type") != "application/problem+json" || r.header.Get("Retry-After") != "3" {
		t.Fatalf("a refusal of core came as %d %v %s", r.status, r.header, r.body)
	}
}

func TestAClaimRepeatedByTheSameBrowserGivesTheSameSession(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	b := newBuyer(t)
	b.joinFully(n, "arena")
	world.open("arena", everybody)
	b.claim(n, "arena")
	first := b.cookies["fg_session_arena"]
	var answer struct {
		Token string `json:"admission_token"`
	}
	b.do(n, "POST", "/q/arena/claim", "{}").into(t, &answer)
	if b.cookies["fg_session_arena"] != first {
		t.Fatal("another session")
	}
	// The token itself may be shown again by the browser it was minted for, and by no other.
	if r := b.do(n, "POST", "/q/arena/claim", fmt.Sprintf(`{"admission_token":%q}`, answer.Token)); r.status != 200 || b.cookies["fg_session_arena"] != first {
		t.Fatalf("the token again: %d %s", r.status, r.body)
	}
	thief := newBuyer(t)
	thief.joinFully(n, "arena")
	thief.do(n, "POST", "/q/arena/claim", fmt.Sprintf(`{"admission_token":%q}`, answer.Token)).expectCode(t, "somebody else's token", 401, "device_mismatch")
}

func TestFiftyTabsAreOneEntry(t *testing.T) {
	world := newWorld(t)
	event := world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	b := newBuyer(t)
	entrant := b.join(n, "arena").Entrant
	var wg sync.WaitGroup
	for range 50 {
		tab := newBuyer(t)
		tab.cookies["fg_device"] = b.cookies["fg_device"]
		wg.Go(func() {
			if got := tab.joinFully(n, "arena"); got.Entrant != entrant {
				t.Errorf("another entrant: %s", got.Entrant)
			}
		})
	}
	wg.Wait()
	world.mu.Lock()
	defer world.mu.Unlock()
	if len(event.pool) != 1 {
		t.Fatalf("%d entries in the pool", len(event.pool))
	}
}

func TestAnyEdgeAcceptsAnyEdgesPass(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	world.addEvent("arena", time.Hour)
	one, two := startNode(t, testConfig(t, core)).ready("arena"), startNode(t, testConfig(t, core)).ready("arena")
	b := newBuyer(t)
	first := b.joinFully(one, "arena")
	one.stop()
	if second := b.joinFully(two, "arena"); second.Entrant != first.Entrant || *second.Receipt != *first.Receipt || second.Window != first.Window {
		t.Fatalf("the other edge gives %+v; want %+v", second, first)
	}
	world.open("arena", everybody)
	b.claim(two, "arena")
}

func TestAFinalPassIsNeverTradedForAProvisionalOne(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	world.addEvent("arena", time.Hour)
	one, two := startNode(t, testConfig(t, core)).ready("arena"), startNode(t, testConfig(t, core)).ready("arena")
	b := newBuyer(t)
	first := b.joinFully(one, "arena")
	core.stop() // so that the other edge cannot ask core about the entrant
	got := b.join(two, "arena")
	if got.Provisional || got.Window != first.Window {
		t.Fatalf("the final pass became %+v", got)
	}
	// With the receipt the page has kept, the other edge has nothing to ask.
	r := b.do(two, "POST", "/q/arena/join", fmt.Sprintf(`{"receipt":%q}`, *first.Receipt))
	r.into(t, &got)
	if got.Receipt == nil || *got.Receipt != *first.Receipt || got.RetryAfter != 0 {
		t.Fatalf("the kept receipt was not enough: %s", r.body)
	}
}

func TestInvitationsAreChecked(t *testing.T) {
	world := newWorld(t)
	event := world.addEvent("club", time.Hour)
	world.change(func() { event.state.Identity = "invitation" })
	n := startNode(t, testConfig(t, world.start())).ready("club")
	code := lottery.Invitation{Event: lottery.EventID("club"), ID: [16]byte{1}, KeyNo: 1}.Sign(event.invitation)
	other := lottery.Invitation{Event: lottery.EventID("other"), ID: [16]byte{1}, KeyNo: 1}.Sign(event.invitation)
	presale := lottery.Invitation{Event: lottery.EventID("club"), Presale: "fans", ID: [16]byte{1}, KeyNo: 1}.Sign(event.invitation)
	b := newBuyer(t)
	b.do(n, "POST", "/q/club/join", `{}`).expect(t, "no invitation", 401, "invitation_required")
	for what, bad := range map[string]string{"of another event": other, "of a presale": presale, "no code": "abc", "forged": "B" + code[1:], "cut": code[:len(code)-1]} {
		b.do(n, "POST", "/q/club/join", fmt.Sprintf(`{"invitation":%q}`, bad)).expect(t, what, 401, "invitation_forged")
	}
	entrants := map[string]bool{}
	for range 2 { // two browsers, one invitation, one entry
		r := newBuyer(t).do(n, "POST", "/q/club/join", fmt.Sprintf(`{"invitation":%q}`, code))
		var got joinAnswer
		r.into(t, &got)
		entrants[got.Entrant] = true
	}
	if len(entrants) != 1 {
		t.Fatalf("one invitation made %d entrants", len(entrants))
	}
}

func TestTheBannedAreToldAndTheFalselySuspectedAreNotBothered(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	b := newBuyer(t)
	entrant, err := lottery.ParseEntrant(b.joinFully(n, "arena").Entrant)
	if err != nil {
		t.Fatal(err)
	}
	world.ban(guard.BannedEntrant, entrant[:])
	eventually(t, "the banned entrant is told", func() bool {
		return b.do(n, "POST", "/q/arena/join", "{}").code() == "banned"
	})
	// A hit of the filter that core does not confirm costs one more question, nothing else.
	world.change(func() { world.bans = nil })
	eventually(t, "core's word counts", func() bool {
		r := b.do(n, "POST", "/q/arena/join", "{}")
		return r.status == 200 && strings.Contains(string(r.body), `"provisional":false`)
	})
}

func TestTheStateObjectIsPassedOnByteForByteWithETagAndGzip(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	b := newBuyer(t)
	r := b.do(n, "GET", "/q/arena/state", "", "Accept-Encoding: identity")
	entry := n.board.Entry([]byte("arena"))
	if r.status != 200 || string(r.body) != string(entry.Body) || r.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r.header.Get("Cache-Control") != "public, max-age=1" || len(r.header.Values("Set-Cookie")) != 0 || r.header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("headers %v", r.header)
	}
	tag := r.header.Get("ETag")
	for _, header := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if r := b.do(n, "GET", "/q/arena/state", "", "If-None-Match: "+header); r.status != 304 || len(r.body) != 0 || r.header.Get("ETag") != tag {
			t.Errorf("If-None-Match %s: %d %s", header, r.status, r.body)
		}
	}
	if r := b.do(n, "GET", "/q/arena/state", "", `If-None-Match: "x"`); r.status != 200 {
		t.Errorf("another tag: %d", r.status)
	}
	r = b.do(n, "GET", "/q/arena/state", "", "Accept-Encoding: br, gzip;q=0.5")
	if r.header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("not compressed: %v", r.header)
	}
	z, err := gzip.NewReader(strings.NewReader(string(r.body)))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil || string(plain) != string(entry.Body) {
		t.Fatalf("compressed to something else: %v", err)
	}
	if r := b.do(n, "HEAD", "/q/arena/state", ""); r.status != 200 || len(r.body) != 0 {
		t.Errorf("HEAD: %d with %d bytes", r.status, len(r.body))
	}
	if len(b.cookies) != 0 {
		t.Errorf("polling made cookies: %v", b.cookies)
	}
	world.change(func() { world.events["arena"].state.Message = "Hello" })
	eventually(t, "news arrive", func() bool {
		return strings.Contains(string(b.do(n, "GET", "/q/arena/state", "", "If-None-Match: "+tag).body), "Hello")
	})
}

func TestOnlyAdmittedBuyersCallsArePassedOnWithoutTheirCookies(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, core)).ready("arena")
	b := newBuyer(t)
	id := uuid.NewString()
	calls := []struct{ method, path, body string }{
		{"GET", "/v1/holds/" + id, ""}, {"DELETE", "/v1/holds/" + id, ""}, {"POST", "/v1/orders", `{"hold_id":"x"}`},
		{"POST", "/v1/orders/" + id + "/pay", "{}"}, {"POST", "/v1/orders/" + id + "/refund", "{}"}, {"GET", "/v1/orders/" + id, ""}, {"GET", "/v1/tickets/" + id, ""},
		{"GET", "/v1/tickets/" + id + "/wallet/apple", ""}, {"GET", "/v1/tickets/" + id + "/wallet/google", ""}, {"GET", "/v1/listings", ""}, {"GET", "/v1/tickets/" + id + "/listing", ""},
		{"POST", "/v1/tickets/" + id + "/transfers", `{"email":"x"}`}, {"GET", "/v1/transfers", ""}, {"GET", "/v1/transfers/" + id, ""}, {"DELETE", "/v1/transfers/" + id, ""},
		{"POST", "/v1/transfers/" + id + "/accept", "{}"}, {"POST", "/v1/transfers/" + id + "/decline", "{}"},
	}
	for _, call := range calls {
		code := "session_missing"
		if strings.HasSuffix(call.path, "/accept") || strings.HasSuffix(call.path, "/decline") {
			code = "signed_out" // it is an account that a ticket is offered to
		}
		b.do(n, call.method, call.path, call.body, "Idempotency-Key: k").expect(t, call.method+" "+call.path+" without session", 401, code)
	}
	b.joinFully(n, "arena")
	world.open("arena", everybody)
	b.claim(n, "arena")
	for _, call := range calls {
		r := b.do(n, call.method, call.path, call.body, "Idempotency-Key: the-key", "Content-Type: application/json", "X-Other: x", "Accept: image/png")
		var got struct{ Method, Path, Body string }
		r.into(t, &got)
		if r.status != 200 || got.Method != call.method || got.Path != call.path || got.Body != call.body {
			t.Errorf("%s %s arrived as %s", call.method, call.path, r.body)
		}
		if r.header.Get("Set-Cookie") != "" || r.header.Get("ETag") != `"seen"` || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: headers of the answer: %v", call.method, call.path, r.header)
		}
	}
	world.mu.Lock()
	defer world.mu.Unlock()
	for _, header := range world.seen {
		if header.Get("Cookie") != "" || header.Get("X-Other") != "" {
			t.Errorf("headers that are not core's business were passed on: %v", header)
		}
		if header.Get("Fairgate-Session") != b.cookies["fg_session_arena"] || len(header.Get("Fairgate-Device")) != 32 ||
			header.Get("Fairgate-Client") != "127.0.0.1" || header.Get("Idempotency-Key") != "the-key" || header.Get("Accept") != "image/png" {
			t.Errorf("headers of a forwarded call: %v", header)
		}
	}
}

func TestTheCatalogIsPassedOnToAnybody(t *testing.T) {
	world := newWorld(t)
	n := startNode(t, testConfig(t, world.start()))
	eventually(t, "core is known", func() bool { return n.heard.Load() })
	b := newBuyer(t)
	for _, path := range []string{"/v1/events?after=a&limit=5", "/v1/events/arena", "/v1/events/arena/seats"} {
		r := b.do(n, "GET", path, "")
		var got struct{ Path, Query string }
		r.into(t, &got)
		wantPath, wantQuery, _ := strings.Cut(path, "?")
		if r.status != 200 || got.Path != wantPath || got.Query != wantQuery {
			t.Errorf("%s arrived as %s", path, r.body)
		}
	}
	for _, path := range []string{"/v1/events/", "/v1/events/arena/", "/v1/events/arena/secrets", "/v1/events/arena/seats/1", "/v1/events/../../edge/v1/state", "/v1/everything"} {
		if r := b.do(n, "GET", path, ""); r.status != 404 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

func TestSessionsOfSeveralEventsAreShownToCoreTogether(t *testing.T) {
	world := newWorld(t)
	core := world.start()
	b := newBuyer(t)
	var n *testNode
	for i := range 6 {
		world.addEvent(fmt.Sprintf("event-%d", i), time.Hour)
	}
	n = startNode(t, testConfig(t, core))
	for i := range 6 {
		slug := fmt.Sprintf("event-%d", i)
		n.ready(slug)
		b.joinFully(n, slug)
		world.open(slug, everybody)
		b.claim(n, slug)
	}
	r := b.do(n, "GET", "/v1/orders/"+uuid.NewString(), "")
	var got struct{ Sessions []string }
	r.into(t, &got)
	if len(got.Sessions) != maxSessions || got.Sessions[0] != b.cookies["fg_session_event-5"] {
		t.Fatalf("core saw %d sessions", len(got.Sessions))
	}
}

func TestWebhooksArePassedOnByteForByte(t *testing.T) {
	world := newWorld(t)
	n := startNode(t, testConfig(t, world.start()))
	body := "{\"spaces\" :  1}\n\x00\xff" + strings.Repeat("x", 100<<10) // more than buyers may send
	r := newBuyer(t).do(n, "POST", "/webhooks/stripe", body, "Stripe-Signature: t=1,v1=ab", "Content-Type: application/json")
	if r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	r = newBuyer(t).do(n, "POST", "/webhooks/paypal", body, "PAYPAL-TRANSMISSION-ID: 1", "PAYPAL-TRANSMISSION-TIME: 2",
		"PAYPAL-TRANSMISSION-SIG: 3", "PAYPAL-CERT-URL: 4", "PAYPAL-AUTH-ALGO: 5")
	if r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	world.mu.Lock()
	defer world.mu.Unlock()
	if len(world.webhooks) != 2 || world.webhooks[0] != "/webhooks/stripe t=1,v1=ab "+body || world.webhooks[1] != "/webhooks/paypal 12345 "+body {
		t.Fatal("the webhook arrived changed")
	}
}

func TestPagesComeWithAPolicyAndCompressed(t *testing.T) {
	world := newWorld(t)
	world.shop = &catalogShop{body: `{"events":[],"total":0}`, maxAge: 60}
	n := startNode(t, testConfig(t, world.start()))
	eventually(t, "core is known", func() bool { return n.heard.Load() })
	b := newBuyer(t)
	for _, path := range []string{"/", "/e/arena", "/static/app.js", "/static/app.css"} {
		r := b.do(n, "GET", path, "", "Accept-Encoding: gzip")
		if r.status != 200 || r.header.Get("Content-Encoding") != "gzip" || r.header.Get("ETag") == "" {
			t.Errorf("%s: %d %v", path, r.status, r.header)
		}
		policy := r.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || r.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: policy %q", path, policy)
		}
		if again := b.do(n, "GET", path, "", "If-None-Match: "+r.header.Get("ETag")); again.status != 304 {
			t.Errorf("%s again: %d", path, again.status)
		}
	}
	for _, path := range []string{"/e/", "/e/UPPER", "/e/a/b", "/static/", "/static/index.html", "/none", "/static/../web.go"} {
		b.do(n, "GET", path, "").expect(t, path, 404, "not_found")
	}
	b.do(n, "POST", "/", "").expect(t, "POST /", 405, "method_not_allowed")
}

func TestCookiesAreLockedDownOutsideLoopback(t *testing.T) {
	world := newWorld(t)
	world.addEvent("arena", time.Hour)
	c := testConfig(t, world.start())
	c.Cookies.Secure = true
	n := startNode(t, c).ready("arena")
	r := newBuyer(t).do(n, "POST", "/q/arena/join", "{}")
	if len(r.header.Values("Set-Cookie")) != 2 {
		t.Fatalf("cookies: %v", r.header.Values("Set-Cookie"))
	}
	for _, line := range r.header.Values("Set-Cookie") {
		cookie, err := http.ParseSetCookie(line)
		if err != nil || !strings.HasPrefix(cookie.Name, "__Host-fg_") || !cookie.Secure || !cookie.HttpOnly || cookie.Path != "/" ||
			cookie.SameSite != http.SameSiteLaxMode || cookie.Domain != "" || cookie.MaxAge < 86400 {
			t.Errorf("cookie %q: %v", line, err)
		}
	}
}
