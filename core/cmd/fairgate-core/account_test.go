package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/account"
	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

// person is a buyer with an account, in one browser.
type person struct {
	shopper
	account string
	subject admission.Subject
}

// mailedCode is the code in the newest mail, as the outbox has it.
func (r *rig) mailedCode(to string) string {
	r.t.Helper()
	var text string
	if err := r.db.Reader.QueryRow(r.t.Context(), `SELECT data FROM mails WHERE kind = 'sign_in_code' AND recipient = $1 ORDER BY created_at DESC LIMIT 1`, to).Scan(&text); err != nil {
		r.t.Fatal(err)
	}
	var data map[string]string
	if err := json.Unmarshal([]byte(text), &data); err != nil || len(data["code"]) != 6 {
		r.t.Fatalf("the mail says %s, %v", text, err)
	}
	return data["code"]
}

// signIn signs somebody in in a browser.
func (r *rig) signIn(email, browser string) *person {
	r.t.Helper()
	return r.signInAt(email, lottery.HashDevice([]byte(browser)))
}

// signInAt is signIn in the browser of a device.
func (r *rig) signInAt(email string, device lottery.DeviceHash) *person {
	r.t.Helper()
	p := &person{shopper: shopper{device: device}}
	r.call(r.as(&p.shopper, http.MethodPost, "/v1/account/code", map[string]string{"email": email, "language": "es"}), http.StatusAccepted, nil)
	code := r.mailedCode(email)
	var got struct{ Session string }
	r.call(r.as(&p.shopper, http.MethodPost, "/v1/account/session", map[string]string{"email": email, "code": code}), http.StatusOK, &got)
	raw, err := decode64(got.Session)
	if err != nil {
		r.t.Fatal(err)
	}
	token, err := admission.ParseAccount(raw)
	if err != nil {
		r.t.Fatal(err)
	}
	p.account, p.subject = got.Session, token.Subject
	return p
}

func decode64(text string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(text) }

// by makes a request of a person.
func (r *rig) by(p *person, method, path string, body any) *http.Request {
	req := r.as(&p.shopper, method, path, body)
	req.Header.Set("Fairgate-Account", p.account)
	return req
}

// claim redeems a person's turn.
func (r *rig) claim(slug string, p *person, move bool) result {
	r.t.Helper()
	var answer struct{ Results []result }
	r.edge(http.MethodPost, "/edge/v1/redeem", map[string]any{"items": []any{map[string]any{"event": slug, "token": r.token(slug, &p.shopper), "device": p.device.String(),
		"account": p.account, "move": move}}}, http.StatusOK, &answer)
	if answer.Results[0].Status == http.StatusOK {
		var body struct{ Session string }
		if err := json.Unmarshal(answer.Results[0].Body, &body); err != nil {
			r.t.Fatal(err)
		}
		p.session = body.Session
	}
	return answer.Results[0]
}

// accountRig is a rig whose club sells to accounts.
func accountRig(t *testing.T) (r *rig, slug, tier string) {
	t.Helper()
	text, err := os.ReadFile(club)
	if err != nil {
		t.Fatal(err)
	}
	file := string(text)
	if strings.Contains(file, "identity:") || !strings.Contains(file, "\non_sale:\n") {
		file += "\non_sale:\n  identity: account\n"
	} else {
		file = strings.Replace(file, "\non_sale:\n", "\non_sale:\n  identity: account\n", 1)
	}
	r = newRig(t, "")
	r.admin(http.MethodPut, "/admin/v1/events", file, http.StatusOK, nil)
	slug, tier = r.firstEvent()
	return r, slug, tier
}

func TestABuyerWithAnAccountBuysInOneBrowserAndFindsItInAnother(t *testing.T) {
	r, slug, tier := accountRig(t)
	laptop, phone, bob := r.signIn("Ann@example.org", "laptop"), r.signIn("Ann@example.org", "phone"), r.signIn("bob@example.org", "tablet")
	r.open(slug, 0)
	key, err := hex.DecodeString(r.keys.Pseudonym)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*person{laptop, phone, bob} {
		p.entrant = p.subject.Entrant(key)
	}
	if laptop.entrant != phone.entrant || laptop.entrant == bob.entrant {
		t.Fatal("an account is not one entrant")
	}
	r.join(slug, &laptop.shopper, &bob.shopper)
	for deadline := time.Now().Add(20 * time.Second); r.claim(slug, laptop, false).Status != http.StatusOK; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never admitted")
		}
	}
	stolen := *laptop
	stolen.account = ""
	if got := r.claim(slug, &stolen, true); got.Problem.Code != "account_required" {
		t.Errorf("the browser without its account: %d %s", got.Status, got.Problem.Code)
	}
	stolen.account = bob.account
	if got := r.claim(slug, &stolen, true); got.Problem.Code != "account_required" {
		t.Errorf("the browser with another's account: %d %s", got.Status, got.Problem.Code)
	}
	if got := r.claim(slug, phone, false); got.Problem.Code != "session_bound_elsewhere" {
		t.Errorf("the phone, without taking over: %d %s", got.Status, got.Problem.Code)
	}
	if got := r.claim(slug, phone, true); got.Status != http.StatusOK {
		t.Fatalf("the phone takes over: %d %s", got.Status, got.Problem.Code)
	}
	if got := r.hold(slug, &laptop.shopper, "key", `[{"tier":"`+tier+`","quantity":1}]`); got.Problem.Code != "session_moved" {
		t.Errorf("the laptop afterwards: %d %s", got.Status, got.Problem.Code)
	}

	got := r.hold(slug, &phone.shopper, "key", `[{"tier":"`+tier+`","quantity":2}]`)
	var hold struct{ ID uuid.UUID }
	if err := json.Unmarshal(got.Body, &hold); err != nil {
		t.Fatalf("hold: %d %s: %v", got.Status, got.Problem.Code, err)
	}
	var o order
	r.call(r.by(phone, http.MethodPost, "/v1/orders", map[string]any{"hold_id": hold.ID}), http.StatusCreated, &o)
	r.call(r.by(phone, http.MethodPost, "/v1/orders/"+o.ID.String()+"/pay", map[string]any{}), http.StatusOK, &o)
	r.payForm(o, "4242424242424242")
	o = r.awaitOrder(&phone.shopper, o.ID, "ticket_issued")
	var told struct{ Email string }
	if r.admin(http.MethodGet, "/admin/v1/orders/"+o.ID.String(), nil, http.StatusOK, &told); told.Email != "Ann@example.org" {
		t.Errorf("the order has the address %q, not the account's", told.Email)
	}

	elsewhere := r.signIn("Ann@example.org", "library") // no session to shop with
	r.owns(elsewhere, o, true)
	r.owns(bob, o, false)
	r.owns(&person{shopper: elsewhere.shopper}, o, false)
	copied := *elsewhere
	copied.device = bob.device
	r.owns(&copied, o, false)
	if got := r.code(r.by(elsewhere, http.MethodPost, "/v1/orders/"+o.ID.String()+"/pay", map[string]any{}), http.StatusConflict); got != "order_state" {
		t.Errorf("paying once more, what is the account's: %s", got)
	}
	r.call(r.by(elsewhere, http.MethodDelete, "/v1/account/session?everywhere=true", nil), http.StatusOK, nil)
	r.owns(elsewhere, o, false)
	r.owns(laptop, o, false)

	var shown struct {
		ID        uuid.UUID
		Email     string
		Forgotten *time.Time
		Events    []struct{ Event, Entrant string }
	}
	r.admin(http.MethodPost, "/admin/v1/accounts:find", map[string]string{"email": "ANN@example.org"}, http.StatusOK, &shown)
	if shown.Email != "Ann@example.org" || len(shown.Events) != 1 || shown.Events[0].Event != slug || shown.Events[0].Entrant != laptop.entrant.String() {
		t.Errorf("an operator is shown %+v", shown)
	}
	id := shown.ID
	r.admin(http.MethodPost, "/admin/v1/accounts/"+id.String()+"/forget", map[string]any{}, http.StatusOK, &shown)
	if shown.Email != "" || shown.Forgotten == nil || len(shown.Events) != 0 {
		t.Errorf("of a forgotten account an operator is shown %+v", shown)
	}
	r.admin(http.MethodPost, "/admin/v1/accounts:find", map[string]string{"email": "ann@example.org"}, http.StatusNotFound, nil)
	r.call(r.as(&phone.shopper, http.MethodGet, "/v1/tickets/"+o.Tickets[0].String(), nil), http.StatusOK, nil) // tickets stay
}

// owns checks that a person sees an order and its tickets, or none of it, one by one and in the lists.
func (r *rig) owns(p *person, o order, want bool) {
	r.t.Helper()
	alone := *p
	alone.session = ""
	see := func(path string) bool {
		r.t.Helper()
		got := r.raw(r.by(&alone, http.MethodGet, path, nil))
		if got.status != http.StatusOK && got.status != http.StatusNotFound && got.status != http.StatusUnauthorized {
			r.t.Errorf("%s answered %d %s", path, got.status, got.body)
		}
		return got.status == http.StatusOK
	}
	for _, path := range []string{"/v1/orders/" + o.ID.String(), "/v1/tickets/" + o.Tickets[0].String(), "/v1/tickets/" + o.Tickets[1].String()} {
		if see(path) != want {
			r.t.Errorf("%s is seen: %v", path, !want)
		}
	}
	orders := string(r.raw(r.by(&alone, http.MethodGet, "/v1/account/orders", nil)).body)
	tickets := string(r.raw(r.by(&alone, http.MethodGet, "/v1/account/tickets", nil)).body)
	if strings.Contains(orders, o.ID.String()) != want || strings.Contains(tickets, o.Tickets[0].String()) != want || strings.Contains(tickets, o.Tickets[1].String()) != want {
		r.t.Errorf("listed, but should be %v: %s %s", want, orders, tickets)
	}
}

// Whoever proves the address of an order that a browser opened finds it, and its tickets until they are somebody else's.
func TestAProvedAddressFindsTheOrdersThatWereGivenItAndTicketsFollowTheirOwner(t *testing.T) {
	r := newRig(t, club)
	slug, tier := r.firstEvent()
	all := r.open(slug, 1)
	r.admit(slug, all...)
	got := r.hold(slug, all[0], "key", `[{"tier":"`+tier+`","quantity":2}]`)
	var hold struct{ ID uuid.UUID }
	if err := json.Unmarshal(got.Body, &hold); err != nil {
		t.Fatal(err)
	}
	var o order
	r.call(r.as(all[0], http.MethodPost, "/v1/orders", map[string]any{"hold_id": hold.ID, "email": "ANN@example.org"}), http.StatusCreated, &o)
	r.call(r.as(all[0], http.MethodPost, "/v1/orders/"+o.ID.String()+"/pay", map[string]any{}), http.StatusOK, &o)
	ann, bob := r.signIn("ann@example.org", "laptop"), r.signIn("bob@example.org", "tablet")
	var seen order
	if r.call(r.by(ann, http.MethodGet, "/v1/orders/"+o.ID.String(), nil), http.StatusOK, &seen); seen.Payment.PayURL != o.Payment.PayURL {
		t.Error("who has proved the address cannot pay, as the mail's link can")
	}
	r.payForm(o, "4242424242424242")
	o = r.awaitOrder(all[0], o.ID, "ticket_issued")
	r.owns(ann, o, true)
	r.owns(bob, o, false)

	// Handed on, as a transfer does: it is the new owner's, and not the orderer's any more.
	key, err := hex.DecodeString(r.keys.Pseudonym)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := decode64(bob.account)
	token, err := admission.ParseAccount(raw)
	if err != nil {
		t.Fatal(err)
	}
	entrant := token.Subject.Entrant(key)
	if err := account.Remember(t.Context(), r.db, account.Entrancy{Account: token.Account, Event: lottery.EventID(slug), Entrant: entrant}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.db.Exec(t.Context(), `UPDATE tickets SET owner = $1, epoch = 2 WHERE ticket_id = $2`, entrant[:], o.Tickets[0]); err != nil {
		t.Fatal(err)
	}
	path := "/v1/tickets/" + o.Tickets[0].String()
	r.call(r.by(bob, http.MethodGet, path, nil), http.StatusOK, nil)
	r.call(r.by(ann, http.MethodGet, path, nil), http.StatusNotFound, nil)
	r.call(r.as(all[0], http.MethodGet, path, nil), http.StatusNotFound, nil)
	for p, want := range map[*person]string{bob: o.Tickets[0].String(), ann: o.Tickets[1].String()} {
		var list struct{ Tickets []struct{ ID string } }
		if r.call(r.by(p, http.MethodGet, "/v1/account/tickets", nil), http.StatusOK, &list); len(list.Tickets) != 1 || list.Tickets[0].ID != want {
			t.Errorf("listed: %+v, want %s alone", list.Tickets, want)
		}
	}
}

func TestAskingForACodeTellsNobodyWhetherThereIsAnAccount(t *testing.T) {
	r := newRig(t, "")
	r.enrollOnly()
	r.signIn("known@example.org", "laptop")
	s := &shopper{device: lottery.HashDevice([]byte("stranger"))}
	ask := func(email string) reply {
		got := r.raw(r.as(s, http.MethodPost, "/v1/account/code", map[string]string{"email": email}))
		got.header.Del("Date")
		return got
	}
	known, unknown := ask("known@example.org"), ask("unknown@example.org")
	if known.status != http.StatusAccepted || known.status != unknown.status || string(known.body) != string(unknown.body) || len(known.header) != len(unknown.header) {
		t.Errorf("known: %d %s %v; unknown: %d %s %v", known.status, known.body, known.header, unknown.status, unknown.body, unknown.header)
	}
	for _, email := range []string{"known@example.org", "unknown@example.org"} {
		try := r.as(s, http.MethodPost, "/v1/account/session", map[string]string{"email": email, "code": "nothing"})
		if got := r.code(try, http.StatusUnauthorized); got != "code_wrong" {
			t.Errorf("a wrong code for %s: %s", email, got)
		}
	}
	if got := r.code(r.as(s, http.MethodPost, "/v1/account/code", map[string]string{"email": "no address"}), http.StatusUnprocessableEntity); got != "email_invalid" {
		t.Errorf("no address: %s", got)
	}
	for range 4 {
		ask("unknown@example.org")
	}
	many := ask("unknown@example.org")
	if many.status != http.StatusTooManyRequests || many.header.Get("Retry-After") == "" || !strings.Contains(string(many.body), "too_many_codes") {
		t.Errorf("the sixth code: %d %v %s", many.status, many.header, many.body)
	}
}

// enrollOnly makes the rig an edge of core without any event.
func (r *rig) enrollOnly() {
	r.t.Helper()
	var enrolled struct {
		Token    string             `json:"edge_token"`
		Accounts lottery.PublicKeys `json:"account_keys"`
	}
	r.edge(http.MethodPost, "/edge/v1/enroll", map[string]any{"edge_id": uuid.New(), "boot": uuid.New()}, http.StatusOK, &enrolled)
	if r.edgeToken = enrolled.Token; len(enrolled.Accounts) != 1 {
		r.t.Errorf("the edge is told %d keys of accounts", len(enrolled.Accounts))
	}
}

func TestTheKeysOfAccountSessionsAreRotatedUnnoticedAndRevokingThemSignsEverybodyOut(t *testing.T) {
	r := newRig(t, "")
	first := *r // another core of the same database, which has the old ring in memory
	r.startCore()
	a := r.signIn("ann@example.org", "a browser")
	r.call(r.by(a, http.MethodGet, "/v1/account", nil), 200, nil)
	first.call(first.by(a, http.MethodGet, "/v1/account", nil), 200, nil)
	if out := r.ticketctl("", 0, "keys", "rotate", "--key", "account"); !strings.Contains(out, "account key 2 signs from now on; 2 verify") {
		t.Errorf("rotating says %s", out)
	}
	b := r.signIn("bob@example.org", "b browser")
	if token, err := decode64(b.account); err != nil || token[4] != 2 {
		t.Errorf("the new session is of key %v: %v", token[1:5], err)
	}
	for _, core := range []*rig{r, &first} { // the other core learns of the new key from the session
		for _, p := range []*person{a, b} {
			core.call(core.by(p, http.MethodGet, "/v1/account", nil), 200, nil)
		}
	}
	// A caller who does not know of the rotation makes no third key.
	r.admin(http.MethodPost, "/admin/v1/accounts/keys:rotate", map[string]any{"newest": 1}, 200, nil)
	if out := r.ticketctl("", 0, "keys", "revoke", "--key", "account"); !strings.Contains(out, "account key 3 signs from now on, and 1 verifies") {
		t.Errorf("revoking says %s", out)
	}
	var told struct {
		Accounts lottery.PublicKeys `json:"account_keys"`
	}
	first.edge(http.MethodPost, "/edge/v1/enroll", map[string]any{"edge_id": uuid.New(), "boot": uuid.New()}, http.StatusOK, &told)
	if len(told.Accounts) != 1 || told.Accounts[0].No != 3 { // at once, and of the core that did not revoke them
		t.Errorf("edges are told of the keys %v", told.Accounts)
	}
	for _, p := range []*person{a, b} {
		if code := r.code(r.by(p, http.MethodGet, "/v1/account", nil), 401); code != "signed_out" {
			t.Errorf("after revoking: %s", code)
		}
		first.eventually("the other core signs out too", func() bool {
			return first.raw(first.by(p, http.MethodGet, "/v1/account", nil)).status == 401
		})
	}
	again := r.signIn("ann@example.org", "a browser")
	r.call(r.by(again, http.MethodGet, "/v1/account", nil), 200, nil)
	// A key whose last session has ended long ago is retired by the next rotation.
	if _, err := r.db.Pool.Exec(t.Context(), `UPDATE keys SET created_at = now() - INTERVAL '31 days' WHERE purpose = 'account' AND number = 3`); err != nil {
		t.Fatal(err)
	}
	var keys struct{ Verify []int }
	if r.admin(http.MethodPost, "/admin/v1/accounts/keys:rotate", map[string]any{"newest": 3}, 200, &keys); len(keys.Verify) != 2 {
		t.Errorf("after the rotation there are %v", keys.Verify)
	}
	if _, err := r.db.Pool.Exec(t.Context(), `UPDATE keys SET created_at = now() - INTERVAL '31 days' WHERE purpose = 'account' AND number = 4`); err != nil {
		t.Fatal(err)
	}
	if r.admin(http.MethodPost, "/admin/v1/accounts/keys:rotate", map[string]any{"newest": 4}, 200, &keys); len(keys.Verify) != 2 || keys.Verify[1] != 4 {
		t.Errorf("of the keys %v one has no session any more", keys.Verify)
	}
}

func TestTheKeysOfAccountSessionsAreRevokedHoweverManyThereAre(t *testing.T) {
	r := newRig(t, "")
	a := r.signIn("ann@example.org", "a browser")
	for newest := 1; newest < 16; newest++ {
		r.admin(http.MethodPost, "/admin/v1/accounts/keys:rotate", map[string]any{"newest": newest}, 200, nil)
	}
	var keys struct{ Verify []int }
	if r.admin(http.MethodPost, "/admin/v1/accounts/keys:revoke", map[string]any{"newest": 16}, 200, &keys); len(keys.Verify) != 1 || keys.Verify[0] != 17 {
		t.Errorf("after revoking there are %v", keys.Verify)
	}
	if code := r.code(r.by(a, http.MethodGet, "/v1/account", nil), 401); code != "signed_out" {
		t.Errorf("after revoking: %s", code)
	}
}
