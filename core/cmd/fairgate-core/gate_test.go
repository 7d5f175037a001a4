package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/ticket/gate"
	"fairgate/loadtest/paysim"
)

// atGate makes a request with a gate's credential.
func (r *rig) atGate(credential, method, path string, body any) *http.Request {
	req := r.request("gate", method, path, body)
	req.Header.Set("Authorization", "Bearer "+credential)
	return req
}

// refusal is a problem of a scan.
type refusal struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Before struct {
		Gate string    `json:"gate"`
		At   time.Time `json:"at"`
	} `json:"before"`
}

func (r *rig) addGate(slug, name, zone string) (credential string) {
	r.t.Helper()
	var added struct {
		Credential string `json:"credential"`
	}
	r.admin(http.MethodPost, "/admin/v1/events/"+slug+"/gates", map[string]any{"gate": name, "zone": zone}, http.StatusCreated, &added)
	return added.Credential
}

func (r *rig) codeOf(s *shopper, id uuid.UUID) string {
	r.t.Helper()
	var x struct {
		Code string `json:"code"`
	}
	r.call(r.as(s, http.MethodGet, "/v1/tickets/"+id.String(), nil), http.StatusOK, &x)
	return x.Code
}

func TestTicketsGoThroughTheGatesOnLineAndOff(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(*config) {})
	r.with("\ngates: {zones: [{id: cellar, tiers: [door]}]}\n")
	slug, tier := r.firstEvent()
	s := r.open(slug, 1)[0]
	r.admit(slug, s)
	o := r.bought(s, slug, tier, 3)
	codes := []string{r.codeOf(s, o.Tickets[0]), r.codeOf(s, o.Tickets[1]), r.codeOf(s, o.Tickets[2])}
	north, south := r.addGate(slug, "north", "cellar"), r.addGate(slug, "south", "cellar")
	scan := func(credential, text string, want int, into any) uuid.UUID {
		t.Helper()
		id := uuid.New()
		r.call(r.atGate(credential, http.MethodPost, "/gate/v1/scans", map[string]any{"id": id, "code": text, "direction": "in"}), want, into)
		return id
	}

	var passed struct {
		Ticket uuid.UUID `json:"ticket"`
		At     time.Time `json:"at"`
	}
	first := scan(north, codes[0], http.StatusOK, &passed)
	var no refusal
	scan(south, codes[0], http.StatusConflict, &no)
	if passed.Ticket != o.Tickets[0] || no.Code != "ticket_used" || no.Before.Gate != "north" || !no.Before.At.Equal(passed.At) || !strings.Contains(no.Detail, "at gate north") {
		t.Errorf("%+v, then %+v", passed, no)
	}
	for text, want := range map[string]string{"x": "code_malformed", codes[0][:100] + strings.Repeat("A", len(codes[0])-100): "code_forged"} {
		status := map[string]int{"code_malformed": 400, "code_forged": 403}[want]
		if scan(north, text, status, &no); no.Code != want {
			t.Errorf("%.20s: %+v", text, no)
		}
	}
	undo := "/gate/v1/scans/" + first.String() + "/undo"
	if got := r.code(r.atGate(south, http.MethodPost, undo, map[string]any{"reason": "not mine"}), 404); got != "scan_unknown" {
		t.Errorf("another gate's scan: %s", got)
	}
	if got := r.code(r.atGate(north, http.MethodPost, undo, map[string]any{"reason": ""}), 422); got != "reason_invalid" {
		t.Errorf("no reason: %s", got)
	}
	r.call(r.atGate(north, http.MethodPost, undo, map[string]any{"reason": "wrong person"}), http.StatusOK, nil)
	if got := r.code(r.atGate(north, http.MethodPost, "/gate/v1/scans", map[string]any{"id": first, "code": codes[0], "direction": "in"}), 409); got != "scan_undone" {
		t.Errorf("an undone scan: %s", got)
	}
	scan(south, codes[0], http.StatusOK, nil)

	// North goes off line. A ticket is refunded meanwhile; its delta says so.
	pack := r.openPack(slug, north, "")
	path := filepath.Join(t.TempDir(), "north.log")
	g, err := gate.New(gate.Config{Name: "north", Zone: "cellar", Pack: pack, Log: path})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	offline := func(text string, want error) {
		t.Helper()
		if _, err := g.Scan(text, gate.In); !errors.Is(err, want) {
			t.Errorf("off line: %v, want %v", err, want)
		}
	}
	offline(codes[0], nil) // which south has let in
	offline(codes[1], nil)
	r.call(r.keyed(r.request("admin", http.MethodPost, "/admin/v1/orders/"+o.ID.String()+"/refunds", map[string]any{"reason": "ill", "tickets": []uuid.UUID{o.Tickets[2]}}), "one"), http.StatusCreated, nil)
	scan(south, codes[2], http.StatusGone, &no)
	if no.Code != "ticket_void" {
		t.Errorf("a refunded ticket: %+v", no)
	}
	if err := g.Update(r.openPack(slug, north, pack.AsOf.Format(time.RFC3339Nano))); err != nil {
		t.Fatal(err)
	}
	offline(codes[2], gate.ErrVoid)

	records := r.readLog(path)
	var merged struct {
		New      int `json:"new"`
		Rejected []any
		Findings []struct {
			What   string `json:"what"`
			Gate   string `json:"gate"`
			Before struct {
				Gate string `json:"gate"`
			} `json:"before"`
		} `json:"findings"`
	}
	for range 2 {
		r.call(r.atGate(north, http.MethodPost, "/gate/v1/scans:merge", map[string]any{"scans": records}), http.StatusOK, &merged)
		if len(merged.Findings) != 1 || merged.Findings[0].What != "duplicate" || merged.Findings[0].Gate != "north" || merged.Findings[0].Before.Gate != "south" || len(merged.Rejected) != 0 {
			t.Errorf("merged %+v", merged)
		}
	}
	if got := r.code(r.atGate(south, http.MethodPost, "/gate/v1/scans:merge", map[string]any{"scans": records}), 401); got != "gate_unauthorized" {
		t.Errorf("another gate's log: %s", got)
	}
	var counts struct {
		Gates []map[string]any
		Zones []map[string]any
	}
	r.admin(http.MethodGet, "/admin/v1/events/"+slug+"/counts", nil, http.StatusOK, &counts)
	if len(counts.Gates) != 2 || len(counts.Zones) != 1 || counts.Zones[0]["inside"] != 2.0 || counts.Gates[0]["findings"] != 1.0 {
		t.Errorf("%+v", counts)
	}
	var found struct {
		Findings []any
	}
	r.admin(http.MethodGet, "/admin/v1/events/"+slug+"/findings?limit=5", nil, http.StatusOK, &found)
	told := r.raw(r.request("admin", http.MethodGet, "/admin/v1/orders/"+o.ID.String(), nil))
	if len(found.Findings) != 1 || !strings.Contains(string(told.body), "entered through gate south of cellar") || !strings.Contains(string(told.body), "found when its log was merged: duplicate") {
		t.Errorf("%+v; the order's story: %s", found, told.body)
	}
	r.gateRights(slug, north)
}

// gateRights checks that a credential opens its own gate and nothing else, until it is revoked.
func (r *rig) gateRights(slug, credential string) {
	r.t.Helper()
	for _, secret := range []string{"", "wrong", r.secrets["admin"], r.secrets["edge"], credential + "A"} {
		if got := r.code(r.atGate(secret, http.MethodGet, "/gate/v1/counts", nil), 401); got != "gate_unauthorized" {
			r.t.Errorf("a wrong credential: %s", got)
		}
	}
	req := r.request("admin", http.MethodGet, "/admin/v1/events/"+slug+"/counts", nil)
	req.Header.Set("Authorization", "Bearer "+credential)
	if got := r.code(req, 401); got != "unauthorized" {
		r.t.Errorf("a gate on the admin listener: %s", got)
	}
	if got := r.code(r.atGate(credential, http.MethodGet, "/admin/v1/events", nil), 404); got != "not_found" {
		r.t.Errorf("an operator's path on the gate listener: %s", got)
	}
	for body, want := range map[string]string{
		`{"gate":"west","zone":"roof"}`: "zone_unknown", `{"gate":"WEST"}`: "gate_invalid", `{"gate":"north"}`: "gate_exists",
	} {
		status := map[string]int{"zone_unknown": 404, "gate_invalid": 422, "gate_exists": 409}[want]
		if got := r.code(r.request("admin", http.MethodPost, "/admin/v1/events/"+slug+"/gates", body), status); got != want {
			r.t.Errorf("%s: %s", body, got)
		}
	}
	r.admin(http.MethodDelete, "/admin/v1/events/"+slug+"/gates/north", nil, http.StatusNoContent, nil)
	if got := r.code(r.atGate(credential, http.MethodGet, "/gate/v1/counts", nil), 401); got != "gate_unauthorized" {
		r.t.Errorf("a revoked credential: %s", got)
	}
	if got := r.code(r.request("admin", http.MethodDelete, "/admin/v1/events/"+slug+"/gates/north", nil), 404); got != "gate_unknown" {
		r.t.Errorf("revoked twice: %s", got)
	}
}

// openPack loads a pack with the key that core exports.
func (r *rig) openPack(slug, credential, since string) *gate.Pack {
	r.t.Helper()
	var keys struct {
		PackKeys []struct{ Public string } `json:"pack_keys"`
	}
	r.admin(http.MethodGet, "/admin/v1/tickets/keys?event="+slug, nil, http.StatusOK, &keys)
	public, err := hex.DecodeString(keys.PackKeys[0].Public)
	if err != nil {
		r.t.Fatal(err)
	}
	var answer struct {
		Pack string `json:"pack"`
	}
	path := "/gate/v1/pack"
	if since != "" {
		path += "?since=" + since
	}
	r.call(r.atGate(credential, http.MethodGet, path, nil), http.StatusOK, &answer)
	sealed, err := base64.StdEncoding.DecodeString(answer.Pack)
	if err != nil {
		r.t.Fatal(err)
	}
	pack, err := gate.Open(sealed, ed25519.PublicKey(public))
	if err != nil {
		r.t.Fatal(err)
	}
	return pack
}

func (r *rig) readLog(path string) []gate.Record {
	r.t.Helper()
	file, err := os.Open(path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer file.Close()
	records, _, err := gate.ReadLog(file)
	if err != nil {
		r.t.Fatal(err)
	}
	return records
}
