package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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
	codes := strings.Fields(r.ticketctl("", 0, "onsale", "invite", slug, "--presale", "fans", "--count", "3"))
	if len(codes) != 3 || codes[0] == codes[1] {
		t.Errorf("invitations: %q", codes)
	}
	for _, code := range codes {
		if made, err := lottery.ParseInvitation(code); err != nil || made.Event != lottery.EventID(slug) || made.Presale != "fans" {
			t.Errorf("an invitation: %+v, %v", made, err)
		}
	}
	for presale, status := range map[string]int{"": 409, "members": 409, "nobody": 404} {
		want := map[int]string{409: "sale_without_invitations", 404: "presale_unknown"}[status]
		if code := r.code(r.request("admin", http.MethodPost, "/admin/v1/events/"+slug+"/invitations", map[string]any{"count": 1, "presale": presale}), status); code != want {
			t.Errorf("invitations to presale %q: %s", presale, code)
		}
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
		var public lottery.Transcript // which anybody checks, with a receipt that says of which sale it is
		if r.call(r.request("edge", http.MethodGet, fmt.Sprintf("/v1/events/%s/transcript/%d", slug, generation), nil), 200, &public); public.Presale != presale || int(public.Generation) != generation {
			t.Errorf("anybody sees sale %d as %d of %q", generation, public.Generation, public.Presale)
		}
	}
	for _, none := range []string{"3", "0", "x", "99999999999"} {
		if code := r.code(r.request("edge", http.MethodGet, "/v1/events/"+slug+"/transcript/"+none, nil), 409); code != "sale_other" {
			t.Errorf("sale %s: %s", none, code)
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

// seatedPresale has two rows, the first of which is set aside for fans.
const seatedPresale = `id: opera
name: An Opera
organizer: somebody
venue: {name: Hall, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: 40}
  - {id: stalls, name: Stalls, kind: seated, price: "60.00"}
seating:
  sections:
    - {id: S, tier: stalls, rows: [{row: A, seats: 4, allocation: fans}, {row: B, seats: 6}]}
allocations:
  - {id: fans, tier: floor, quantity: 10}
  - {id: fans, tier: stalls}
presales:
  - {id: fans, name: The fan club, allocation: fans, from: %s, until: %s, per_buyer: 2}
  - {id: members, allocation: fans, from: %s, until: %s, who: word}
limits: {per_buyer: 4}
on_sale: {joining_before: 1m, window: 1s, session_ttl: 10m, claim_within: 1m}
`

func TestTheEventAndItsMapShowWhatThePresentSaleSells(t *testing.T) {
	at := func(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }
	file := filepath.Join(t.TempDir(), "opera.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, seatedPresale, at(-time.Hour), at(time.Hour), at(2*time.Hour), at(3*time.Hour)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, file)
	const slug = "opera"
	sale := "/admin/v1/events/" + slug + "/onsale"
	r.admin(http.MethodPost, sale+"/schedule", map[string]any{"presale": "fans", "opens_at": time.Now().Add(10 * time.Minute), "joining_at": time.Now().Add(-time.Second)}, 200, nil)
	r.admin(http.MethodPost, sale+"/schedule", map[string]any{"opens_at": time.Now().Add(5 * time.Hour), "joining_at": time.Now().Add(4 * time.Hour)}, 200, nil)
	type view struct {
		PerBuyer int `json:"per_buyer"`
		OnSale   struct {
			Phase, Presale string
		} `json:"on_sale"`
		Sales []struct{ Presale, Name, Who, State string }
		Tiers []struct {
			ID   string
			Left int
		}
	}
	look := func() (v view, seats seatsAnswer) {
		t.Helper()
		_, _, body := r.get("/v1/events/"+slug, "")
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		_, _, body = r.get("/v1/events/"+slug+"/seats", "")
		if err := json.Unmarshal(body, &seats); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		return v, seats
	}
	// free are the seats of row A and of row B that can be had.
	free := func(s seatsAnswer) (a, b int) {
		for n := range 10 {
			switch {
			case s.state(n) != 0:
			case n < 4:
				a++
			default:
				b++
			}
		}
		return a, b
	}
	r.eventually("the presale is shown, with its own seats", func() bool {
		v, seats := look()
		a, b := free(seats)
		return a == 4 && b == 0 && v.PerBuyer == 2 && v.OnSale.Presale == "fans" && v.OnSale.Phase == "joining" && v.Tiers[0].Left == 10 && v.Tiers[1].Left == 4 &&
			fmt.Sprint(v.Sales) == "[{fans The fan club invitation joining} {members members word coming} {   coming}]"
	})
	r.enroll(slug)
	a := r.shopper("ann")
	r.join(slug, a)
	r.admin(http.MethodPost, sale+"/open", nil, 200, nil)
	r.admit(slug, a)
	if got := r.hold(slug, a, "k", `[{"seats":["S/A/2"]}]`); got.Status != 201 || windowOf(t, got) != "fans" {
		t.Fatalf("a seat of the presale: %d %s", got.Status, got.Body)
	}
	if got := r.hold(slug, a, "k2", `[{"seats":["S/B/2"]}]`); got.Status == 201 {
		t.Error("a seat of general sale is sold in the presale")
	}
	r.eventually("the map shows the seat as held", func() bool { _, seats := look(); return seats.state(1) == 1 })
	r.admin(http.MethodPost, sale+"/end", nil, 200, nil)
	r.eventually("general sale is shown, with its own seats", func() bool {
		v, seats := look()
		a, b := free(seats)
		return a == 0 && b == 6 && v.PerBuyer == 4 && v.OnSale.Presale == "" && v.Tiers[0].Left == 30 && v.Tiers[1].Left == 6 && v.Sales[2].State == "coming" && v.Sales[0].State == "over"
	})
	if got := r.code(r.as(a, http.MethodPost, "/v1/events/"+slug+"/presales/members/registration", map[string]string{"word": "x"}), 401); got == "" {
		t.Error("nobody is signed in, and yet registers")
	}
	p := r.signIn("ann@example.org", "a browser")
	word := "/admin/v1/events/" + slug + "/presales/members/word"
	r.ticketctl("Open Sesame\n", 0, "onsale", "word", slug, "members", "--file", "-")
	var set struct {
		Set bool `json:"word_set"`
	}
	if r.admin(http.MethodPost, word, map[string]string{"word": "open sesame"}, 200, &set); !set.Set {
		t.Error("the word is not set")
	}
	register := func(body any) *http.Request {
		return r.by(p, http.MethodPost, "/v1/events/"+slug+"/presales/members/registration", body)
	}
	if code := r.code(register(map[string]string{"word": "sesame open"}), 403); code != "presale_word_wrong" {
		t.Errorf("another word: %s", code)
	}
	r.call(register(map[string]string{"word": "Open sesame"}), 200, nil)
}

func TestAPresaleThatIsSoldOutLeavesGeneralSaleToGeneralSale(t *testing.T) {
	at := func(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }
	file := filepath.Join(t.TempDir(), "opera.yaml")
	text := fmt.Sprintf(seatedPresale, at(-time.Hour), at(time.Hour), at(2*time.Hour), at(3*time.Hour)) + "waiting_list: {enabled: true, offer_for: 10m, draw_after: 1s}\nresale: {allowed: true}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, file)
	const slug = "opera"
	sale := "/admin/v1/events/" + slug + "/onsale"
	r.admin(http.MethodPost, sale+"/schedule", map[string]any{"presale": "fans", "opens_at": time.Now().Add(10 * time.Minute), "joining_at": time.Now().Add(-time.Second)}, 200, nil)
	ann := r.signIn("ann@example.org", "ann")
	r.call(r.by(ann, http.MethodPut, "/v1/events/"+slug+"/waitlist/entry", map[string]any{"tiers": []string{"floor"}, "quantity": 1}), 201, nil)
	r.admin(http.MethodPost, sale+"/open", nil, 200, nil)
	if _, err := r.db.Pool.Exec(t.Context(), `UPDATE stock SET capacity = taken, version = version + 1 WHERE allocation = 'fans'`); err != nil {
		t.Fatal(err)
	}
	var s struct{ Phase string }
	r.eventually("the presale is sold out", func() bool { r.admin(http.MethodGet, sale, nil, 200, &s); return s.Phase == "sold_out" })
	hold := r.keyed(r.by(ann, http.MethodPost, "/v1/holds", map[string]any{"event": slug, "items": []any{map[string]any{"listing": "0b0f1f0e-6d0d-4a57-9d3c-3a0e3c9f2b11"}}}), "k")
	if code := r.code(hold, 403); code != "waiting_room_first" {
		t.Errorf("a listing without the room: %s", code)
	}
	time.Sleep(3 * time.Second) // a few looks of the waiting list
	if n := r.number(`SELECT count(*) FROM stock WHERE waitlisted`) + r.number(`SELECT count(*) FROM waitlist_offers`); n != 0 {
		t.Errorf("the waiting list has %d of what general sale is yet to sell", n)
	}
}
