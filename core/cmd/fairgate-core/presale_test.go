package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fairgate/edge/lottery"
)

// presaleEvent has 30 places on general sale and 10 for fans.
const presaleEvent = `id: gala
name: A Gala
organizer: somebody
venue: {name: Hall, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: 40}
allocations:
  - {id: fans, tier: floor, quantity: 10}
presales:
  - {id: fans, allocation: fans, from: %s, until: %s, release: true}
  - {id: members, allocation: fans, from: %s, until: %s, who: registered}
limits: {per_buyer: 4}
on_sale: {joining_before: 1m, window: 1s, session_ttl: 10m, claim_within: 1m}
`

func TestWhoComesThroughAPresaleBuysFromItsAllocationAloneAndGeneralSaleFollows(t *testing.T) {
	from, until := time.Now().Add(-time.Hour).Format(time.RFC3339), time.Now().Add(time.Hour).Format(time.RFC3339)
	file := filepath.Join(t.TempDir(), "gala.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, presaleEvent, from, until, from, until), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, file)
	const slug = "gala"
	sale := "/admin/v1/events/" + slug + "/onsale"
	type status struct {
		Generation uint32 `json:"generation"`
		Presale    string `json:"presale"`
		Phase      string `json:"phase"`
		Next       []any  `json:"next"`
	}
	var s status
	r.admin(http.MethodPost, sale+"/schedule", map[string]any{"presale": "fans", "opens_at": time.Now().Add(10 * time.Minute), "joining_at": time.Now().Add(-time.Second)}, 200, &s)
	if s.Presale != "fans" {
		t.Fatalf("scheduled: %+v", s)
	}
	r.admin(http.MethodPost, sale+"/schedule", map[string]any{"opens_at": time.Now().Add(3 * time.Hour), "joining_at": time.Now().Add(2 * time.Hour)}, 200, &s)
	if len(s.Next) != 1 || s.Generation != 1 {
		t.Fatalf("general sale after it: %+v", s)
	}
	if code := r.code(r.request("admin", http.MethodPost, sale+"/schedule", map[string]any{"opens_at": time.Now().Add(time.Minute)}), 409); code != "sales_overlap" {
		t.Errorf("general sale meanwhile: %s", code)
	}
	r.enroll(slug)
	a, b, c := r.shopper("ann"), r.shopper("bob"), r.shopper("cyd")
	r.join(slug, a, b, c)
	r.admin(http.MethodPost, sale+"/open", nil, 200, nil)
	r.admit(slug, a, b, c)
	const four = `[{"tier":"floor","quantity":4}]`
	for _, one := range []*shopper{a, b} {
		got := r.hold(slug, one, "k", four)
		if got.Status != 201 || windowOf(t, got) != "fans" {
			t.Fatalf("a fan's hold: %d %s %s", got.Status, got.Problem.Code, got.Body)
		}
	}
	// Two of ten are left, however many general sale has.
	if got := r.hold(slug, c, "k", four); got.Status != 409 || got.Problem.Code != "not_enough_left" {
		t.Errorf("more than the allocation has: %d %s", got.Status, got.Problem.Code)
	}
	if got := r.hold(slug, c, "k2", `[{"tier":"floor","quantity":2}]`); got.Status != 201 {
		t.Errorf("the rest of it: %d %s", got.Status, got.Problem.Code)
	}

	r.admin(http.MethodPost, sale+"/end", nil, 200, nil)
	for deadline := time.Now().Add(20 * time.Second); s.Generation != 2; time.Sleep(50 * time.Millisecond) {
		if r.admin(http.MethodGet, sale, nil, 200, &s); time.Now().After(deadline) {
			t.Fatalf("general sale did not begin: %+v", s)
		}
	}
	if got := r.hold(slug, c, "k3", `[{"tier":"floor","quantity":1}]`); got.Status == 201 {
		t.Error("a fan's session buys in general sale before that has opened")
	}
	r.admin(http.MethodPost, sale+"/schedule", map[string]any{"opens_at": time.Now().Add(10 * time.Minute), "joining_at": time.Now().Add(-time.Second)}, 200, nil)
	r.enroll(slug)
	d := r.shopper("dan")
	r.join(slug, d)
	r.admin(http.MethodPost, sale+"/open", nil, 200, nil)
	r.admit(slug, d)
	if got := r.hold(slug, d, "k", four); got.Status != 201 || windowOf(t, got) != "" {
		t.Errorf("general sale: %d %s %s", got.Status, got.Problem.Code, got.Body)
	}
	for generation, presale := range map[int]string{1: "fans", 2: ""} {
		var raw json.RawMessage
		r.admin(http.MethodGet, fmt.Sprintf("/admin/v1/events/%s/lottery?generation=%d", slug, generation), nil, 200, &raw)
		transcript, err := lottery.ParseTranscript(raw)
		if err != nil {
			t.Fatal(err)
		}
		if v := transcript.Verify(); !v.OK() || transcript.Presale != presale {
			t.Errorf("sale %d is of presale %q:\n%s", generation, transcript.Presale, v)
		}
	}
	var list struct {
		Registered int      `json:"registered"`
		Unknown    []string `json:"unknown"`
	}
	registrations := "/admin/v1/events/" + slug + "/presales/members/registrations"
	r.admin(http.MethodPost, registrations, map[string]any{"emails": []string{"nobody@example.org"}}, 200, &list)
	if list.Registered != 0 || len(list.Unknown) != 1 {
		t.Errorf("registered by address: %+v", list)
	}
	if code := r.code(r.as(d, http.MethodPost, "/v1/events/"+slug+"/presales/members/registration", nil), 401); code == "" {
		t.Error("nobody is signed in, and yet registered")
	}
}

// windowOf is the presale that a granted hold came through.
func windowOf(t *testing.T, r result) string {
	t.Helper()
	var hold struct {
		Items []struct {
			Window string `json:"window"`
		} `json:"items"`
	}
	if err := json.Unmarshal(r.Body, &hold); err != nil || len(hold.Items) == 0 {
		t.Fatalf("a hold: %s: %v", r.Body, err)
	}
	return hold.Items[0].Window
}
