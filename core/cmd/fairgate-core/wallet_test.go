package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"fairgate/core/ticket/wallet/wallettest"
	"fairgate/loadtest/paysim"
)

// withWallets writes certificates and keys, and configures both wallets with them.
func withWallets(t *testing.T, c *config) {
	t.Helper()
	a, err := wallettest.NewAuthority(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	service, _, err := wallettest.ServiceKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	w := &c.Wallet
	w.Organization, w.PageURL = "Example Tickets", "https://tickets.example.org/e/{event}"
	w.Apple.CertificateFile, w.Apple.KeyFile, w.Apple.WWDRFile = write("pass.pem", a.Certificate), write("key.pem", a.Key), write("wwdr.pem", a.WWDR)
	w.Apple.PassTypeID, w.Apple.TeamID = wallettest.PassTypeID, wallettest.TeamID
	w.Google.IssuerID, w.Google.ServiceKeyFile = "3388000000012345678", write("service.json", service)
}

// inPass is pass.json of a pass.
func inPass(t *testing.T, made []byte) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(made), int64(len(made)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Open("pass.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAnOwnerPutsATicketIntoWalletsAndNobodyElseDoes(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(c *config) { withWallets(t, c) })
	r.with("\ngates: {rotating: false}\n")
	slug, tier := r.firstEvent()
	buyers := r.open(slug, 2)
	s, other := buyers[0], buyers[1]
	r.admit(slug, s)
	r.admit(slug, other)
	o := r.bought(s, slug, tier, 1)
	id := o.Tickets[0]
	var shown struct {
		Code    string `json:"code"`
		Wallets struct{ Apple, Google string }
	}
	r.call(r.as(s, http.MethodGet, "/v1/tickets/"+id.String(), nil), http.StatusOK, &shown)
	if want := "/v1/tickets/" + id.String() + "/wallet/"; shown.Wallets.Apple != want+"apple" || shown.Wallets.Google != want+"google" {
		t.Fatalf("offered %+v", shown.Wallets)
	}
	for _, path := range []string{shown.Wallets.Apple, shown.Wallets.Google} {
		if got := r.code(r.as(other, http.MethodGet, path, nil), http.StatusNotFound); got != "ticket_unknown" {
			t.Errorf("another buyer: %s", got)
		}
		if got := r.code(r.request("edge", http.MethodGet, path, nil), http.StatusUnauthorized); got != "device_mismatch" {
			t.Errorf("nobody: %s", got)
		}
	}

	pass := r.raw(r.as(s, http.MethodGet, shown.Wallets.Apple, nil))
	if pass.status != http.StatusOK || pass.header.Get("Content-Type") != "application/vnd.apple.pkpass" || pass.header.Get("Cache-Control") != "private, no-store" ||
		!strings.Contains(pass.header.Get("Content-Disposition"), ".pkpass") {
		t.Fatalf("pass: %d, %v", pass.status, pass.header)
	}
	if text := inPass(t, pass.body); !bytes.Contains(text, []byte(shown.Code)) || !bytes.Contains(text, []byte("https://tickets.example.org/e/"+slug)) {
		t.Errorf("pass.json %s", text)
	}

	req := r.as(s, http.MethodGet, shown.Wallets.Google, nil)
	req.Header.Set("Accept", "application/json")
	var link struct{ URL string }
	r.call(req, http.StatusOK, &link)
	visit := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := visit.Do(r.as(s, http.MethodGet, shown.Wallets.Google, nil))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("link: %d, %v", resp.StatusCode, resp.Header)
	}
	for _, url := range []string{link.URL, resp.Header.Get("Location")} {
		token, ok := strings.CutPrefix(url, "https://pay.google.com/gp/v/save/")
		parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
		if !ok || err != nil {
			t.Fatalf("link %q: %v", url, err)
		}
		if text, err := json.Marshal(parsed.Claims); err != nil || !bytes.Contains(text, []byte(shown.Code)) {
			t.Errorf("the link has %s, %v", text, err)
		}
	}

	// One that is listed for resale is dead for wallets as it is for gates.
	hold := func(hold string) {
		t.Helper()
		const sql = `UPDATE tickets SET hold = $2, held_at = now() WHERE ticket_id = $1`
		if _, err := r.db.Pool.Exec(t.Context(), sql, id, hold); err != nil {
			t.Fatal(err)
		}
	}
	hold("listed")
	if got := r.code(r.as(s, http.MethodGet, shown.Wallets.Google, nil), http.StatusConflict); got != "ticket_listed" {
		t.Errorf("the link of a listed ticket: %s", got)
	}
	if text := inPass(t, r.raw(r.as(s, http.MethodGet, shown.Wallets.Apple, nil)).body); !bytes.Contains(text, []byte(`"voided":true`)) || bytes.Contains(text, []byte(shown.Code)) {
		t.Errorf("the pass of a listed ticket: %s", text)
	}
	hold("")

	// A void ticket is offered for no wallet; Apple's pass of it says so, and Google's could not be changed.
	r.call(r.keyed(r.request("admin", http.MethodPost, "/admin/v1/orders/"+o.ID.String()+"/refunds", map[string]any{"reason": "ill"}), "one"), http.StatusCreated, nil)
	var void struct {
		State   string
		Wallets *struct{}
	}
	r.call(r.as(s, http.MethodGet, "/v1/tickets/"+id.String(), nil), http.StatusOK, &void)
	if void.State != "void" || void.Wallets != nil {
		t.Errorf("a void ticket: %+v", void)
	}
	if text := inPass(t, r.raw(r.as(s, http.MethodGet, shown.Wallets.Apple, nil)).body); !bytes.Contains(text, []byte(`"voided":true`)) || bytes.Contains(text, []byte(shown.Code)) {
		t.Errorf("the pass of a void ticket: %s", text)
	}
	if got := r.code(r.as(s, http.MethodGet, shown.Wallets.Google, nil), http.StatusGone); got != "ticket_void" {
		t.Errorf("the link of a void ticket: %s", got)
	}
}

func TestWhatIsNotConfiguredIsNotOffered(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(c *config) {
		withWallets(t, c)
		c.Wallet.PageURL = ""
		c.Wallet.Google.IssuerID, c.Wallet.Google.ServiceKeyFile = "", ""
	})
	r.with("\ngates: {rotating: true}\n") // and there is no page to show codes that change
	slug, tier := r.firstEvent()
	s := r.open(slug, 1)[0]
	r.admit(slug, s)
	id := r.bought(s, slug, tier, 1).Tickets[0]
	var shown struct {
		ID      uuid.UUID
		Wallets *struct{}
	}
	r.call(r.as(s, http.MethodGet, "/v1/tickets/"+id.String(), nil), http.StatusOK, &shown)
	if shown.ID != id || shown.Wallets != nil {
		t.Errorf("%+v", shown)
	}
	for _, name := range []string{"apple", "google"} {
		if got := r.code(r.as(s, http.MethodGet, "/v1/tickets/"+id.String()+"/wallet/"+name, nil), http.StatusNotFound); got != "wallet_unavailable" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAWalletThatIsHalfConfiguredIsRefused(t *testing.T) {
	complete(t)
	t.Setenv("FAIRGATE_WALLET_APPLE_TEAM_ID", "TEAM012345")
	t.Setenv("FAIRGATE_WALLET_GOOGLE_ISSUER_ID", "33")
	t.Setenv("FAIRGATE_WALLET_PAGE_URL", "tickets.example.org")
	t.Setenv("FAIRGATE_WALLET_SIGNERS", "0")
	_, err := loadConfig("")
	if err == nil {
		t.Fatal("accepted")
	}
	for _, key := range []string{"wallet.organization", "wallet.apple.certificate_file", "wallet.apple.key_file", "wallet.apple.wwdr_file", "wallet.apple.pass_type_id",
		"wallet.google.service_key_file", "wallet.page_url", "wallet.signers"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not mentioned in:\n%v", key, err)
		}
	}
}

func TestACertificateOfAnotherKeyEndsTheStart(t *testing.T) {
	var c config
	withWallets(t, &c)
	var another config
	withWallets(t, &another)
	c.Wallet.Apple.KeyFile = another.Wallet.Apple.KeyFile
	c.Wallet.Google.ClassPrefix = "fairgate"
	if _, err := c.Wallet.open(nil); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("got %v", err)
	}
}
