package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"fairgate/core/ticket/passes/passestest"
	"fairgate/core/ticket/wallet/wallettest"
	"fairgate/loadtest/paysim"
)

// walletPhone is an iPhone that has a pass.
type walletPhone struct {
	r             *rig
	device, push  string
	serial, token string
	webService    string
}

// installs puts the pass that a buyer is given into a phone.
func (r *rig) installs(made []byte, device, push string) *walletPhone {
	r.t.Helper()
	var pass struct {
		SerialNumber, AuthenticationToken, WebServiceURL string
	}
	if err := json.Unmarshal(inPass(r.t, made), &pass); err != nil {
		r.t.Fatal(err)
	}
	return &walletPhone{r: r, device: device, push: push, serial: pass.SerialNumber, token: pass.AuthenticationToken, webService: pass.WebServiceURL}
}

// asks is a request of the phone's, as an edge passes it on.
func (p *walletPhone) asks(method, path string, body any) *http.Request {
	req := p.r.request("edge", method, "/wallet/v1/"+path, body)
	req.Header.Set("Fairgate-Pass-Token", p.token)
	return req
}

func (p *walletPhone) registration() string {
	return "devices/" + p.device + "/registrations/" + wallettest.PassTypeID + "/" + p.serial
}

// latest asks for the pass, if it has changed since.
func (p *walletPhone) latest(since string) reply {
	p.r.t.Helper()
	req := p.asks(http.MethodGet, "passes/"+wallettest.PassTypeID+"/"+p.serial, nil)
	if since != "" {
		req.Header.Set("If-Modified-Since", since)
	}
	return p.r.raw(req)
}

func TestAPassIsKeptAsItsTicketIsAndVoidOnceItIsHandedOn(t *testing.T) {
	apns := passestest.NewAPNs()
	t.Cleanup(apns.Close)
	r := newRigWith(t, "", paysim.Faults{}, func(c *config) {
		withWallets(t, c)
		c.Wallet.Apple.WebServiceURL, c.Wallet.Apple.PushURL = "https://tickets.example.org/wallet", apns.URL
		c.Wallet.Apple.PushCAFile = filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(c.Wallet.Apple.PushCAFile, apns.CA(), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	r.with("\ngates: {rotating: false}\n")
	slug, tier := r.firstEvent()
	s := r.open(slug, 1)[0]
	r.admit(slug, s)
	id := r.bought(s, slug, tier, 1).Tickets[0]
	pass := func(req *http.Request) []byte {
		t.Helper()
		got := r.raw(req)
		if got.status != http.StatusOK {
			t.Fatalf("no pass: %d %s", got.status, got.body)
		}
		return got.body
	}
	const push = "0123456789abcdef0123456789abcdef"
	p := r.installs(pass(r.as(s, http.MethodGet, "/v1/tickets/"+id.String()+"/wallet/apple", nil)), "d0c5a1b2c3d4e5f6", push)
	if p.webService != "https://tickets.example.org/wallet" || len(p.token) < 16 {
		t.Fatalf("the pass has %+v", p)
	}
	code := r.codeOf(s, id)

	// Only who has the pass registers for it, and is given it.
	thief := *p
	thief.token = strings.Repeat("A", len(p.token))
	for what, req := range map[string]*http.Request{
		"registered":          thief.asks(http.MethodPost, p.registration(), map[string]string{"pushToken": push}),
		"unregistered":        thief.asks(http.MethodDelete, p.registration(), nil),
		"fetched":             thief.asks(http.MethodGet, "passes/"+wallettest.PassTypeID+"/"+p.serial, nil),
		"of no such ticket":   p.asks(http.MethodGet, "passes/"+wallettest.PassTypeID+"/"+strings.Repeat("0", 36)+"-1", nil),
		"of no ticket's form": p.asks(http.MethodGet, "passes/"+wallettest.PassTypeID+"/1", nil),
	} {
		if got := r.code(req, http.StatusUnauthorized); got != "pass_token" {
			t.Errorf("%s without the token: %s", what, got)
		}
	}
	r.call(p.asks(http.MethodGet, "passes/pass.org.example.other/"+p.serial, nil), http.StatusNotFound, nil)
	r.call(p.asks(http.MethodPost, p.registration(), map[string]string{"pushToken": "not hex"}), http.StatusBadRequest, nil)
	r.call(p.asks(http.MethodPost, p.registration(), "{"), http.StatusBadRequest, nil)
	r.call(p.asks(http.MethodPost, p.registration(), `{"pushToken": "`+strings.Repeat("a", 2000)+`"}`), http.StatusBadRequest, nil)
	r.call(p.asks(http.MethodPost, p.registration(), map[string]string{"pushToken": push}), http.StatusCreated, nil)
	r.call(p.asks(http.MethodPost, p.registration(), map[string]string{"pushToken": push}), http.StatusOK, nil)
	r.call(p.asks(http.MethodPost, "log", map[string][]string{"logs": {"[2027-06-01] it is all wrong\n\x1b[31m", "a", "b", "c"}}), http.StatusOK, nil)

	// What has not changed is not sent again.
	if _, err := r.db.Pool.Exec(t.Context(), `UPDATE wallet_passes SET changed_at = now() - INTERVAL '1 hour'`); err != nil {
		t.Fatal(err)
	}
	got := p.latest("")
	modified := got.header.Get("Last-Modified")
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/vnd.apple.pkpass" || !bytes.Contains(inPass(t, got.body), []byte(code)) || modified == "" {
		t.Fatalf("the pass as it is: %d, %v", got.status, got.header)
	}
	if got := p.latest(modified); got.status != http.StatusNotModified || len(got.body) > 0 {
		t.Errorf("the same: %d", got.status)
	}

	// Handed on: the phone is pushed, learns which pass has changed, and gets a void one without anything of the new owner's.
	ben := r.signsIn("ben@example.org")
	var offer handed
	r.call(r.as(s, http.MethodPost, "/v1/tickets/"+id.String()+"/transfers", map[string]any{"email": ben.email}), http.StatusCreated, &offer)
	r.call(r.member(ben, http.MethodPost, "/v1/transfers/"+offer.ID.String()+"/accept", nil), http.StatusOK, nil)
	r.eventually("the phone is pushed", func() bool { return apns.Pushes(push) == 1 })
	var changed struct {
		SerialNumbers []string
		LastUpdated   string
	}
	list := "devices/" + p.device + "/registrations/" + wallettest.PassTypeID
	r.call(p.asks(http.MethodGet, list, nil), http.StatusOK, &changed)
	if len(changed.SerialNumbers) != 1 || changed.SerialNumbers[0] != p.serial || changed.LastUpdated == "" {
		t.Errorf("changed: %+v", changed)
	}
	if got := r.raw(p.asks(http.MethodGet, list+"?passesUpdatedSince=99999999999999999", nil)); got.status != http.StatusNoContent {
		t.Errorf("nothing has changed since the future: %d", got.status)
	}
	theirs := pass(r.member(ben, http.MethodGet, "/v1/tickets/"+id.String()+"/wallet/apple", nil))
	var now struct{ Code string }
	r.call(r.member(ben, http.MethodGet, "/v1/tickets/"+id.String(), nil), http.StatusOK, &now)
	got = p.latest(modified)
	text := inPass(t, got.body)
	if got.status != http.StatusOK || !bytes.Contains(text, []byte(`"voided":true`)) || bytes.Contains(text, []byte(now.Code)) || bytes.Contains(text, []byte("barcodes")) ||
		!bytes.Contains(text, []byte(p.token)) || !bytes.Contains(text, []byte(p.serial)) {
		t.Errorf("the pass of who has handed it on: %d %s", got.status, text)
	}
	if text := inPass(t, theirs); !bytes.Contains(text, []byte(now.Code)) || bytes.Contains(text, []byte(p.serial)) || bytes.Contains(text, []byte(`"voided"`)) {
		t.Errorf("the pass of who has it: %s", text)
	}
	other := r.installs(theirs, "another-phone-of-ben", "fedcba9876543210fedcba9876543210")
	r.call(other.asks(http.MethodPost, other.registration(), map[string]string{"pushToken": other.push}), http.StatusCreated, nil)

	r.call(p.asks(http.MethodDelete, p.registration(), nil), http.StatusOK, nil)
	if got := r.raw(p.asks(http.MethodGet, list, nil)); got.status != http.StatusNoContent {
		t.Errorf("a phone that has no pass any more: %d", got.status)
	}

	// An account that is forgotten leaves no phone behind.
	var account struct{ ID uuid.UUID }
	r.admin(http.MethodPost, "/admin/v1/accounts:find", map[string]string{"email": ben.email}, http.StatusOK, &account)
	r.admin(http.MethodPost, "/admin/v1/accounts/"+account.ID.String()+"/forget", map[string]any{}, http.StatusOK, nil)
	var phones int
	if err := r.db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM apple_registrations`).Scan(&phones); err != nil || phones != 0 {
		t.Errorf("%d phones are left of a forgotten account, %v", phones, err)
	}
}

func TestGoogleHearsThatATicketWasRefunded(t *testing.T) {
	service, public, err := wallettest.ServiceKey()
	if err != nil {
		t.Fatal(err)
	}
	google := passestest.NewGoogleAPI(public)
	t.Cleanup(google.Close)
	r := newRigWith(t, "", paysim.Faults{}, func(c *config) {
		withWallets(t, c)
		c.Wallet.Google.Updates, c.Wallet.Google.APIURL, c.Wallet.Google.TokenURL = true, google.URL, google.URL+"/token"
		if err := os.WriteFile(c.Wallet.Google.ServiceKeyFile, service, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	r.with("\ngates: {rotating: false}\n")
	slug, tier := r.firstEvent()
	s := r.open(slug, 1)[0]
	r.admit(slug, s)
	o := r.bought(s, slug, tier, 1)
	req := r.as(s, http.MethodGet, "/v1/tickets/"+o.Tickets[0].String()+"/wallet/google", nil)
	req.Header.Set("Accept", "application/json")
	var link struct{ URL string }
	r.call(req, http.StatusOK, &link)
	if err := google.Save(link.URL); err != nil {
		t.Fatal(err)
	}
	r.call(r.keyed(r.request("admin", http.MethodPost, "/admin/v1/orders/"+o.ID.String()+"/refunds", map[string]any{"reason": "ill"}), "one"), http.StatusCreated, nil)
	at := "eventTicketObject/" + r.cfg.Wallet.Google.IssuerID + "." + r.cfg.Wallet.Google.ClassPrefix + "-" + o.Tickets[0].String() + "-1"
	r.eventually("the ticket is inactive in Google Wallet", func() bool { object, _ := google.Resource(at); return object["state"] == "INACTIVE" })
	// Where no web service is configured, passes for Apple Wallet name none, and there is none.
	p := r.installs(r.raw(r.as(s, http.MethodGet, "/v1/tickets/"+o.Tickets[0].String()+"/wallet/apple", nil)).body, "d0c5a1b2c3d4e5f6", "")
	if p.webService != "" || p.token != "" {
		t.Errorf("a pass that is not updated has %+v", p)
	}
	r.call(p.asks(http.MethodGet, "passes/"+wallettest.PassTypeID+"/"+p.serial, nil), http.StatusNotFound, nil)
}

func TestTicketsOfACancelledEventArePutIntoNoWalletAsLivingOnes(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(c *config) { withWallets(t, c) })
	r.with("\ngates: {rotating: false}\n")
	slug, tier := r.firstEvent()
	s := r.open(slug, 1)[0]
	r.admit(slug, s)
	o := r.bought(s, slug, tier, 1)
	at := "/v1/tickets/" + o.Tickets[0].String()
	if _, err := r.db.Exec(t.Context(), `UPDATE events SET state = 'cancelled', revision = revision + 1 WHERE slug = $1`, slug); err != nil {
		t.Fatal(err)
	}
	r.eventually("no wallet is offered", func() bool { return !strings.Contains(string(r.raw(r.as(s, http.MethodGet, at, nil)).body), "wallet/") })
	if got := r.code(r.as(s, http.MethodGet, at+"/wallet/google", nil), http.StatusGone); got != "ticket_void" {
		t.Error(got)
	}
}

func TestUpdatesOfWalletsThatAreHalfConfiguredAreRefused(t *testing.T) {
	complete(t)
	t.Setenv("FAIRGATE_WALLET_APPLE_WEB_SERVICE_URL", "https://tickets.example.org/passes")
	t.Setenv("FAIRGATE_WALLET_GOOGLE_UPDATES", "true")
	t.Setenv("FAIRGATE_WALLET_APPLE_PUSH_URL", "api.push.apple.com")
	_, err := loadConfig("")
	if err == nil {
		t.Fatal("accepted")
	}
	for _, key := range []string{"wallet.apple.web_service_url: needs", "wallet.apple.web_service_url: is the public", "wallet.google.updates", "wallet.apple.push_url"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not mentioned in:\n%v", key, err)
		}
	}
}
