package main

import (
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

type order struct {
	ID      uuid.UUID `json:"id"`
	State   string    `json:"state"`
	Payment struct {
		State        string `json:"state"`
		ProviderRef  string `json:"provider_ref"`
		ClientSecret string `json:"client_secret"`
		Failure      string `json:"failure"`
		PayURL       string `json:"pay_url"`
	} `json:"payment"`
	Tickets []uuid.UUID `json:"tickets"`
}

const club = "../../../configs/events/club.yaml"

// open schedules the on-sale of the event and lets the shoppers in.
func (r *rig) open(slug string, shoppers int) []*shopper {
	r.t.Helper()
	at := time.Now().Add(700 * time.Millisecond)
	r.admin(http.MethodPost, "/admin/v1/events/"+slug+"/onsale/schedule",
		map[string]any{"joining_at": time.Now().Add(-time.Second), "opens_at": at}, http.StatusOK, nil)
	r.enroll(slug)
	var all []*shopper
	for range shoppers {
		all = append(all, r.shopper(uuid.NewString()))
	}
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) { // joining opens with the driver's next tick
		var status struct {
			Phase string `json:"phase"`
		}
		r.admin(http.MethodGet, "/admin/v1/events/"+slug+"/onsale", nil, http.StatusOK, &status)
		if status.Phase != "announced" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.join(slug, all...)
	return all
}

func TestABuyerGoesFromTheWaitingRoomToATicket(t *testing.T) {
	r := newRig(t, club)
	slug, tier := r.firstEvent()
	all := r.open(slug, 3)
	r.admit(slug, all...)
	s := all[0]

	got := r.hold(slug, s, "key-1", `[{"tier":"`+tier+`","quantity":2}]`)
	if got.Status != http.StatusCreated {
		t.Fatalf("hold: %d %s", got.Status, got.Problem.Code)
	}
	var hold struct {
		ID       uuid.UUID `json:"id"`
		Deadline time.Time `json:"deadline"`
	}
	if err := json.Unmarshal(got.Body, &hold); err != nil {
		t.Fatal(err)
	}
	if again := r.hold(slug, s, "key-1", `[{"tier":"`+tier+`","quantity":2}]`); again.Status != http.StatusCreated || !strings.Contains(string(again.Body), hold.ID.String()) {
		t.Errorf("the same key again: %d %s", again.Status, again.Body)
	}
	var o order
	r.call(r.as(s, http.MethodPost, "/v1/orders", map[string]any{"hold_id": hold.ID, "email": "a@example.org"}), http.StatusCreated, &o)
	r.call(r.as(s, http.MethodPost, "/v1/orders", map[string]any{"hold_id": hold.ID, "email": "a@example.org"}), http.StatusOK, &o)
	r.call(r.as(s, http.MethodPost, "/v1/orders/"+o.ID.String()+"/pay", map[string]any{}), http.StatusOK, &o)
	if o.Payment.State != "begun" || o.Payment.PayURL == "" {
		t.Fatalf("payment %+v", o.Payment)
	}

	// The declined card first, then the good one, both in the provider's own form.
	r.payForm(o, "4000000000000002")
	o = r.awaitOrder(s, o.ID, "payment_failed")
	r.call(r.as(s, http.MethodPost, "/v1/orders/"+o.ID.String()+"/pay", map[string]any{}), http.StatusOK, &o)
	r.payForm(o, "4242424242424242")
	r.call(r.as(s, http.MethodGet, "/v1/orders/"+o.ID.String()+"?wait=3s", nil), http.StatusOK, &order{})
	o = r.awaitOrder(s, o.ID, "ticket_issued")
	if len(o.Tickets) != 2 || o.Payment.ClientSecret != "" {
		t.Errorf("%d tickets; client secret still shown: %v", len(o.Tickets), o.Payment.ClientSecret != "")
	}
	var ticket struct {
		Code  string `json:"code"`
		State string `json:"state"`
	}
	r.call(r.as(s, http.MethodGet, "/v1/tickets/"+o.Tickets[0].String(), nil), http.StatusOK, &ticket)
	if ticket.Code == "" || ticket.State != "valid" {
		t.Errorf("ticket %+v", ticket)
	}
	png := r.as(s, http.MethodGet, "/v1/tickets/"+o.Tickets[0].String(), nil)
	png.Header.Set("Accept", "image/png")
	if resp, err := http.DefaultClient.Do(png); err != nil || resp.Header.Get("Content-Type") != "image/png" {
		t.Errorf("QR: %v, %v", resp.Header, err)
	} else {
		resp.Body.Close()
	}
	var told struct {
		Story []struct {
			Kind string `json:"kind"`
		} `json:"story"`
	}
	r.admin(http.MethodGet, "/admin/v1/orders/"+o.ID.String(), nil, http.StatusOK, &told)
	delivered := 0
	for _, e := range told.Story {
		if e.Kind == "delivery" {
			delivered++
		}
	}
	if delivered != 1 {
		t.Errorf("of two tickets one was shown, twice; %d deliveries are told", delivered)
	}

	// Another buyer sees none of it, and cannot touch it.
	other := all[1]
	for _, path := range []string{"/v1/holds/" + hold.ID.String(), "/v1/orders/" + o.ID.String(), "/v1/tickets/" + o.Tickets[0].String()} {
		r.call(r.as(other, http.MethodGet, path, nil), http.StatusNotFound, nil)
	}
	r.call(r.as(other, http.MethodDelete, "/v1/holds/"+hold.ID.String(), nil), http.StatusNotFound, nil)
	r.call(r.as(s, http.MethodDelete, "/v1/holds/"+hold.ID.String(), nil), http.StatusConflict, nil)

	var books struct {
		OK        bool `json:"ok"`
		Transfers int  `json:"transfers"`
	}
	r.admin(http.MethodGet, "/admin/v1/ledger/verify", nil, http.StatusOK, &books)
	if !books.OK || books.Transfers == 0 {
		t.Errorf("ledger %+v", books)
	}
	var transcript lottery.Transcript
	r.admin(http.MethodGet, "/admin/v1/events/"+slug+"/lottery", nil, http.StatusOK, &transcript)
	if v := transcript.Verify(); !v.OK() {
		t.Errorf("the draw does not verify: %+v", v)
	}
	var story struct {
		History []struct {
			Cause string `json:"cause"`
		} `json:"history"`
	}
	r.admin(http.MethodGet, "/admin/v1/orders/"+o.ID.String(), nil, http.StatusOK, &story)
	if len(story.History) < 6 {
		t.Errorf("history of %d happenings", len(story.History))
	}
	if n := len(r.provider.Books().Intents); n != 1 {
		t.Errorf("%d intents at the provider for one order", n)
	}
}

// firstEvent names the applied event and its first general tier.
func (r *rig) firstEvent() (slug, tier string) {
	r.t.Helper()
	var list struct {
		Events []struct {
			ID string `json:"id"`
		} `json:"events"`
	}
	r.admin(http.MethodGet, "/admin/v1/events", nil, http.StatusOK, &list)
	slug = list.Events[0].ID
	var event struct {
		Tiers []struct {
			ID   string `json:"id"`
			Kind string `json:"kind"`
		} `json:"tiers"`
	}
	r.edge(http.MethodGet, "/v1/events/"+slug, nil, http.StatusOK, &event)
	for _, t := range event.Tiers {
		if t.Kind == "general" {
			return slug, t.ID
		}
	}
	r.t.Fatalf("event %s has no general tier", slug)
	return "", ""
}

// payForm posts the provider's own card form, as a person in a browser would.
func (r *rig) payForm(o order, card string) {
	r.t.Helper()
	u, err := url.Parse(o.Payment.PayURL)
	if err != nil {
		r.t.Fatal(err)
	}
	form := url.Values{"client_secret": {u.Query().Get("client_secret")}, "card": {card}, "action": {"approve"}}
	resp, err := http.PostForm(u.String(), form)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode >= 500 {
		r.t.Fatalf("the form answered %d", resp.StatusCode)
	}
}

func (r *rig) awaitOrder(s *shopper, id uuid.UUID, state string) order {
	r.t.Helper()
	var o order
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		o = order{}
		r.call(r.as(s, http.MethodGet, "/v1/orders/"+id.String(), nil), http.StatusOK, &o)
		if o.State == state {
			return o
		}
	}
	r.t.Fatalf("the order is %s, not %s", o.State, state)
	return o
}

func TestBadInputIsRefusedWithItsOwnCode(t *testing.T) {
	r := newRig(t, club)
	slug, tier := r.firstEvent()
	all := r.open(slug, 3)
	r.admit(slug, all[:2]...)
	s, other := all[0], all[1]
	one := `[{"tier":"` + tier + `","quantity":1}]`

	_, foreign, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	mine := r.key
	r.key = foreign
	forged := r.token(slug, s)
	r.key = mine
	stranger := r.shopper("never joined")
	redeems := []struct {
		name, event, token string
		device             lottery.DeviceHash
		code               string
	}{
		{"malformed token", slug, "AAAA", s.device, "token_malformed"},
		{"token that is no base64", slug, "***", s.device, "token_malformed"},
		{"forged token", slug, forged, s.device, "token_forged"},
		{"token of another browser", slug, r.token(slug, s), other.device, "device_mismatch"},
		{"token for another event", "elsewhere", r.token(slug, s), s.device, "event_unknown"},
		{"somebody who never joined", slug, r.token(slug, stranger), stranger.device, "not_in_pool"},
	}
	for _, c := range redeems {
		if got := r.redeem(c.event, c.token, c.device); got.Problem.Code != c.code {
			t.Errorf("%s: %d %q, want %s", c.name, got.Status, got.Problem.Code, c.code)
		}
	}
	if a, b := r.redeem(slug, r.token(slug, s), s.device), r.redeem(slug, r.token(slug, s), s.device); a.Status != 200 || b.Status != 200 {
		t.Errorf("the same browser again: %d and %d", a.Status, b.Status)
	}

	bent := []byte(s.session)
	bent[20] ^= 1
	holds := []struct {
		name    string
		session string
		device  lottery.DeviceHash
		key     string
		items   string
		code    string
	}{
		{"no session", "", s.device, "k", one, "session_missing"},
		{"malformed session", "abc", s.device, "k", one, "session_malformed"},
		{"forged session", string(bent), s.device, "k", one, "session_forged"},
		{"session of another browser", s.session, other.device, "k", one, "device_mismatch"},
		{"no idempotency key", s.session, s.device, "", one, "idempotency_key_missing"},
		{"quantity over the limit", s.session, s.device, "k1", `[{"tier":"` + tier + `","quantity":99}]`, "quantity_over_limit"},
		{"quantity of nothing", s.session, s.device, "k2", `[{"tier":"` + tier + `","quantity":0}]`, "quantity_invalid"},
		{"negative quantity", s.session, s.device, "k3", `[{"tier":"` + tier + `","quantity":-1}]`, "quantity_invalid"},
		{"unknown tier", s.session, s.device, "k4", `[{"tier":"sky","quantity":1}]`, "tier_unknown"},
		{"unknown seat", s.session, s.device, "k5", `[{"seats":["Z/1/1"]}]`, "seat_unknown"},
		{"no items", s.session, s.device, "k6", `[]`, "items_invalid"},
		{"unknown field", s.session, s.device, "k7", `[{"tier":"` + tier + `","amount":1}]`, "bad_json"},
	}
	for _, c := range holds {
		got := r.hold(slug, &shopper{session: c.session, device: c.device}, c.key, c.items)
		if got.Problem.Code != c.code {
			t.Errorf("%s: %d %q, want %s", c.name, got.Status, got.Problem.Code, c.code)
		}
	}
	if got := r.hold(slug, s, "same", one); got.Status != http.StatusCreated {
		t.Fatalf("hold: %+v", got)
	}
	if got := r.hold(slug, s, "same", `[{"tier":"`+tier+`","quantity":2}]`); got.Problem.Code != "idempotency_key_reused" {
		t.Errorf("same key, other body: %d %s", got.Status, got.Problem.Code)
	}

	nobody := uuid.NewString()
	requests := []struct {
		req    *http.Request
		status int
		code   string
	}{
		{r.as(s, http.MethodGet, "/v1/holds/"+nobody, nil), 404, "hold_unknown"},
		{r.as(s, http.MethodGet, "/v1/holds/xyz", nil), 404, "hold_unknown"},
		{r.as(s, http.MethodGet, "/v1/orders/"+nobody, nil), 404, "order_unknown"},
		{r.as(s, http.MethodGet, "/v1/orders/"+nobody+"?wait=2s", nil), 404, "order_unknown"},
		{r.as(s, http.MethodGet, "/v1/orders/"+nobody+"?wait=long", nil), 400, "bad_request"},
		{r.as(s, http.MethodGet, "/v1/orders/"+nobody+"?wait=-1s", nil), 400, "bad_request"},
		{r.as(s, http.MethodGet, "/v1/tickets/"+nobody, nil), 404, "ticket_unknown"},
		{r.as(s, http.MethodPost, "/v1/orders", map[string]any{"hold_id": nobody}), 404, "hold_unknown"},
		{r.as(s, http.MethodPost, "/v1/orders", `{"hold_id":`), 400, "bad_json"},
		{r.as(s, http.MethodPost, "/v1/orders", map[string]any{"hold_id": nobody, "email": "no address"}), 422, "email_invalid"},
		{r.as(s, http.MethodPost, "/v1/orders", map[string]any{"hold_id": nobody, "email": "a\x00@example.org"}), 422, "email_invalid"},
		{r.as(s, http.MethodPost, "/v1/orders", map[string]any{"hold_id": nobody, "email": "a\r\nBcc: b@example.org"}), 422, "email_invalid"},
		{r.request("edge", http.MethodGet, "/v1/events/nothing", nil), 404, "event_unknown"},
		{r.request("edge", http.MethodGet, "/nothing", nil), 404, "not_found"},
		{r.request("webhook", http.MethodPost, "/webhooks/stripe", "{}"), 400, "webhook_signature"},
		{r.request("webhook", http.MethodPost, "/webhooks/nobody", "{}"), 404, "not_found"},
		{r.request("admin", http.MethodPut, "/admin/v1/events", "id: [\nname: 3"), 422, "event_invalid"},
		{r.request("admin", http.MethodPost, "/admin/v1/events/"+slug+"/onsale/schedule", map[string]any{"opens_at": time.Now().Add(time.Hour)}), 409, "sale_started"},
		{r.request("admin", http.MethodGet, "/admin/v1/orders?event="+slug+"&limit=0", nil), 400, "bad_request"},
		{r.request("admin", http.MethodGet, "/admin/v1/orders?event="+slug+"&after=zzz", nil), 400, "bad_request"},
		{r.request("admin", http.MethodPost, "/admin/v1/bans", map[string]any{"kind": "device", "subject": "00", "reason": "x"}), 422, "ban_invalid"},
	}
	for _, c := range requests {
		if code := r.code(c.req, c.status); code != c.code {
			t.Errorf("%s %s: %s, want %s", c.req.Method, c.req.URL.Path, code, c.code)
		}
	}
	for _, listener := range []string{"edge", "admin"} {
		path := map[string]string{"edge": "/v1/events", "admin": "/admin/v1/events"}[listener]
		for _, secret := range []string{"", "Bearer wrong", "Basic " + r.secrets[listener], "Bearer " + r.secrets[map[string]string{"edge": "admin", "admin": "edge"}[listener]]} {
			req := r.request(listener, http.MethodGet, path, nil)
			req.Header.Set("Authorization", secret)
			if code := r.code(req, http.StatusUnauthorized); code != "unauthorized" {
				t.Errorf("%s with a wrong secret: %s", listener, code)
			}
		}
	}
}

func TestAPausedSaleSellsNothingAndKeepsEverything(t *testing.T) {
	r := newRig(t, club)
	slug, tier := r.firstEvent()
	s := r.open(slug, 1)[0]
	r.admit(slug, s)
	one := `[{"tier":"` + tier + `","quantity":1}]`
	r.admin(http.MethodPost, "/admin/v1/events/"+slug+"/onsale/pause", map[string]any{"message": "a moment"}, http.StatusOK, nil)
	if got := r.hold(slug, s, "k", one); got.Problem.Code != "sale_paused" {
		t.Errorf("hold while paused: %d %s", got.Status, got.Problem.Code)
	}
	r.admin(http.MethodPost, "/admin/v1/events/"+slug+"/onsale/resume", nil, http.StatusOK, nil)
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := r.hold(slug, s, "k", one)
		if got.Status == http.StatusCreated {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("hold after resuming: %d %s", got.Status, got.Problem.Code)
		}
	}
}

// A core that is started a second time on the same database serves the same buyers.
func TestAnotherCoreKnowsTheBuyersOfTheFirst(t *testing.T) {
	r := newRig(t, club)
	slug, tier := r.firstEvent()
	all := r.open(slug, 2)
	r.admit(slug, all...)
	got := r.hold(slug, all[0], "k", `[{"tier":"`+tier+`","quantity":1}]`)
	if got.Status != http.StatusCreated {
		t.Fatalf("hold: %+v", got)
	}
	r.startCore()
	again := r.hold(slug, all[0], "k", `[{"tier":"`+tier+`","quantity":1}]`)
	if again.Status != http.StatusCreated {
		t.Fatalf("the same hold at another core: %+v", again)
	}
	var a, b struct {
		ID uuid.UUID `json:"id"`
	}
	_ = json.Unmarshal(got.Body, &a)
	_ = json.Unmarshal(again.Body, &b)
	if a.ID != b.ID {
		t.Errorf("hold %s became %s", a.ID, b.ID)
	}
}

func TestABannedBuyerStopsBuyingAndStillSeesWhatIsTheirs(t *testing.T) {
	r := newRig(t, club)
	slug, tier := r.firstEvent()
	s := r.open(slug, 1)[0]
	r.admit(slug, s)
	got := r.hold(slug, s, "k", `[{"tier":"`+tier+`","quantity":1}]`)
	var hold struct {
		ID uuid.UUID `json:"id"`
	}
	if err := json.Unmarshal(got.Body, &hold); err != nil {
		t.Fatalf("hold: %+v", got)
	}
	r.admin(http.MethodPost, "/admin/v1/bans", map[string]any{"kind": "entrant", "subject": s.entrant.String(), "reason": "a script"}, http.StatusCreated, nil)
	if got := r.hold(slug, s, "k2", `[{"tier":"`+tier+`","quantity":1}]`); got.Problem.Code != "banned" {
		t.Errorf("hold: %d %s", got.Status, got.Problem.Code)
	}
	if code := r.code(r.as(s, http.MethodPost, "/v1/orders", map[string]any{"hold_id": hold.ID}), http.StatusForbidden); code != "banned" {
		t.Errorf("order: %s", code)
	}
	r.call(r.as(s, http.MethodGet, "/v1/holds/"+hold.ID.String(), nil), http.StatusOK, nil)
}

func TestASaleScheduledForNextYearCanBeOpenedNow(t *testing.T) {
	r := newRig(t, club)
	slug, _ := r.firstEvent()
	r.admin(http.MethodPost, "/admin/v1/events/"+slug+"/onsale/schedule", map[string]any{"opens_at": time.Now().AddDate(1, 0, 0)}, http.StatusOK, nil)
	r.admin(http.MethodPost, "/admin/v1/events/"+slug+"/onsale/open", nil, http.StatusOK, nil)
}

func TestAFewEventsAreAppliedTogether(t *testing.T) {
	r := newRig(t, "")
	text, err := os.ReadFile("../../../configs/events/club.yaml")
	if err != nil {
		t.Fatal(err)
	}
	club := func(id string) string { return strings.Replace(string(text), "id: club", "id: "+id, 1) }
	var done struct {
		Applied []struct {
			Event   string
			Changed bool
		}
	}
	const batch = "/admin/v1/events:batch"
	r.admin(http.MethodPost, batch, map[string]any{"files": []string{club("b"), club("a")}}, http.StatusOK, &done)
	if len(done.Applied) != 2 || done.Applied[0].Event != "b" || !done.Applied[0].Changed {
		t.Errorf("got %+v", done)
	}
	r.admin(http.MethodPost, batch, map[string]any{"files": []string{club("b"), club("a")}}, http.StatusOK, &done)
	if done.Applied[0].Changed {
		t.Errorf("applied again: %+v", done)
	}
	var refused struct {
		Code     string
		Problems []struct{ Path string }
	}
	r.admin(http.MethodPost, batch, map[string]any{"files": []string{club("c"), strings.Replace(club("d"), "12.00", "free", 1)}}, http.StatusUnprocessableEntity, &refused)
	if refused.Code != "event_invalid" || len(refused.Problems) != 1 || refused.Problems[0].Path != "events[1].tiers[0].price" {
		t.Errorf("got %+v", refused)
	}
	r.admin(http.MethodGet, "/admin/v1/events/c", nil, http.StatusNotFound, nil)
	for name, files := range map[string][]string{"none": nil, "twice": {club("c"), club("c")}, "too many": make([]string, 501)} {
		r.admin(http.MethodPost, batch, map[string]any{"files": files}, http.StatusBadRequest, &refused)
		if refused.Code != "bad_request" {
			t.Errorf("%s: %+v", name, refused)
		}
	}
}

func TestBuyersSearchTheCatalog(t *testing.T) {
	r := newRig(t, "../../../configs/events/arena.yaml")
	r.enroll("arena")
	type page struct {
		Code, Detail, Next string
		Total              int
		Events             []struct {
			ID, Name, Category string
			OnSale             *struct{ Phase string }            `json:"on_sale"`
			Prices             struct{ From struct{ Minor int } } `json:"price_range"`
		}
		Facets struct{ Categories, Cities []struct{ Value string } }
	}
	search := func(query string, want int) (p page) {
		t.Helper()
		r.edge(http.MethodGet, "/v1/events"+query, nil, want, &p)
		return p
	}
	var found page
	for deadline := time.Now().Add(10 * time.Second); found.Total == 0 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		resp := r.raw(r.request("edge", http.MethodGet, "/v1/events?q=orquesta+MIDSUM&city=val%C3%A8ncia&country=es&category=concert&currency=EUR&price_max=55&facets=1", nil))
		if resp.status != http.StatusOK && !strings.Contains(string(resp.body), "catalog_loading") {
			t.Fatalf("%d %s", resp.status, resp.body)
		}
		_ = json.Unmarshal(resp.body, &found)
	}
	if found.Total != 1 || found.Events[0].ID != "arena" || found.Events[0].Category != "concert" || found.Events[0].Prices.From.Minor != 5348 ||
		found.Next != "" || len(found.Facets.Cities) != 1 || found.Facets.Cities[0].Value != "Valencia" {
		t.Errorf("got %+v", found)
	}
	if p := search("?q=nothing", http.StatusOK); p.Total != 0 || p.Events == nil {
		t.Errorf("got %+v", p)
	}
	if p := search("?limit=0&colour=red", http.StatusBadRequest); p.Code != "bad_request" || !strings.Contains(p.Detail, "limit must be") || !strings.Contains(p.Detail, "colour") {
		t.Errorf("got %+v", p)
	}
	search("?after=!", http.StatusBadRequest)
	r.admin(http.MethodGet, "/admin/v1/events?after=!", nil, http.StatusBadRequest, nil)
	var byAdmin page
	r.admin(http.MethodGet, "/admin/v1/catalog?q=arena", nil, http.StatusOK, &byAdmin)
	if byAdmin.Total != 1 {
		t.Errorf("got %+v", byAdmin)
	}
	for path, age := range map[string]string{"/v1/events": "public, max-age=2", "/v1/events/arena": "public, max-age=1"} {
		first := r.raw(r.request("edge", http.MethodGet, path, nil))
		if first.status != http.StatusOK || first.header.Get("ETag") == "" || first.header.Get("Cache-Control") != age {
			t.Fatalf("%s: %d %v", path, first.status, first.header)
		}
		again := r.request("edge", http.MethodGet, path, nil)
		again.Header.Set("If-None-Match", `"other", W/`+first.header.Get("ETag"))
		if second := r.raw(again); second.status != http.StatusNotModified || len(second.body) != 0 || second.header.Get("ETag") != first.header.Get("ETag") {
			t.Errorf("%s again: %d %v %s", path, second.status, second.header, second.body)
		}
	}
	var feed struct {
		Catalog uint64 `json:"catalog_version"`
	}
	r.edge(http.MethodGet, "/edge/v1/state", nil, http.StatusOK, &feed)
	if feed.Catalog == 0 {
		t.Error("the feed tells edges no version of the catalog")
	}
	resp, err := http.Get(r.servers["private"].URL + "/readyz")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("ready: %v %v", resp, err)
	}
	resp.Body.Close()
}
