package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
	"fairgate/loadtest/paysim"
)

type waitlistEntry struct {
	ID      uuid.UUID `json:"id"`
	Entrant string    `json:"entrant"`
	State   string    `json:"state"`
	Offers  []struct {
		ID     uuid.UUID `json:"id"`
		State  string    `json:"state"`
		HoldID uuid.UUID `json:"hold_id"`
	} `json:"offers"`
}

// entry waits until the person's latest entry is as wanted.
func (r *rig) entry(p *person, slug string, want func(e *waitlistEntry) bool) waitlistEntry {
	r.t.Helper()
	var found struct {
		Entries []waitlistEntry `json:"entries"`
	}
	var e waitlistEntry
	r.eventually("the waiting list comes to it", func() bool {
		r.call(r.by(p, http.MethodGet, "/v1/waitlist", nil), http.StatusOK, &found)
		if len(found.Entries) == 0 {
			return false
		}
		e = found.Entries[0]
		return want(&e)
	})
	return e
}

// buysAlone orders and pays a hold as an account alone.
func (r *rig) buysAlone(p *person, hold uuid.UUID) order {
	r.t.Helper()
	var o order
	r.call(r.keyed(r.by(p, http.MethodPost, "/v1/orders", map[string]any{"hold_id": hold}), "order"), http.StatusCreated, &o)
	r.call(r.keyed(r.by(p, http.MethodPost, "/v1/orders/"+o.ID.String()+"/pay", map[string]any{}), "pay"), http.StatusOK, &o)
	r.payForm(o, visa)
	r.eventually("the order is paid", func() bool {
		r.call(r.by(p, http.MethodGet, "/v1/orders/"+o.ID.String(), nil), http.StatusOK, &o)
		return o.State == "ticket_issued"
	})
	return o
}

func TestARefundedTicketGoesToTheWaitingListAndIsBoughtWithoutTheRoom(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(*config) {})
	r.with("\nrefunds: {by: buyer}\nresale: {allowed: true}\nwaiting_list: {enabled: true, offer_for: 10m, draw_after: 1s}\n")
	slug, tier := r.firstEvent()
	people := r.open(slug, 2)
	r.admit(slug, people...)
	ann, ben, cyd := r.signIn("ann@example.org", "ann"), r.signIn("ben@example.org", "ben"), r.signIn("cyd@example.org", "cyd")
	listHold := func(p *person, listing uuid.UUID) *http.Request {
		return r.keyed(r.by(p, http.MethodPost, "/v1/holds", map[string]any{"event": slug, "items": []any{map[string]any{"listing": listing}}}), "listing")
	}
	if got := r.code(listHold(ann, uuid.New()), http.StatusForbidden); got != "waiting_room_first" {
		t.Errorf("a listing while the event sells: %s", got)
	}
	if got := r.code(r.keyed(r.by(ann, http.MethodPost, "/v1/holds", map[string]any{"event": slug, "items": []any{map[string]any{"tier": tier, "quantity": 1}}}), "k"), http.StatusUnauthorized); got != "session_missing" {
		t.Errorf("a ticket of the event's own: %s", got)
	}

	wish := map[string]any{"tiers": []string{tier}, "quantity": 1}
	path := "/v1/events/" + slug + "/waitlist/entry"
	if got := r.code(r.as(people[0], http.MethodPut, path, wish), http.StatusUnauthorized); got != "signed_out" {
		t.Errorf("without an account: %s", got)
	}
	reminders := "/v1/events/" + slug + "/reminders"
	if got := r.code(r.by(ann, http.MethodPut, reminders, map[string]any{"occasions": []string{"sale_opens"}}), http.StatusConflict); got != "reminder_past" {
		t.Errorf("reminded of a sale that has begun: %s", got)
	}
	r.call(r.by(ann, http.MethodGet, reminders, nil), http.StatusOK, nil)
	var entry waitlistEntry
	r.call(r.by(ann, http.MethodPut, path, wish), http.StatusCreated, &entry)
	r.call(r.by(ann, http.MethodPut, path, wish), http.StatusOK, &entry)

	// The event sells out.
	first, second := r.bought(people[0], slug, tier, 1), r.bought(people[1], slug, tier, 1)
	if _, err := r.db.Pool.Exec(t.Context(), `UPDATE stock SET capacity = taken, version = version + 1 WHERE allocation = 'general'`); err != nil {
		t.Fatal(err)
	}
	var list struct {
		Commitment string     `json:"commitment"`
		DrawnAt    *time.Time `json:"drawn_at"`
		Secret     string     `json:"secret"`
	}
	var all struct {
		Reminders []struct {
			Event     string   `json:"event"`
			Occasions []string `json:"occasions"`
		} `json:"reminders"`
	}
	r.eventually("one may be reminded of what comes back", func() bool {
		resp, err := http.DefaultClient.Do(r.by(cyd, http.MethodPut, reminders, map[string]any{"occasions": []string{"returned"}}))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	r.call(r.by(cyd, http.MethodGet, "/v1/reminders", nil), http.StatusOK, &all)
	if len(all.Reminders) != 1 || all.Reminders[0].Event != slug || len(all.Reminders[0].Occasions) != 1 || all.Reminders[0].Occasions[0] != "returned" {
		t.Errorf("the reminders of an account: %+v", all)
	}
	r.call(r.by(ann, http.MethodGet, "/v1/reminders", nil), http.StatusOK, &all)
	if len(all.Reminders) != 0 {
		t.Errorf("another's reminders: %+v", all)
	}
	var shown struct {
		WaitingList bool `json:"waiting_list"`
	}
	if r.call(r.request("edge", http.MethodGet, "/v1/events/"+slug, nil), http.StatusOK, &shown); !shown.WaitingList {
		t.Error("the event does not say that it has a waiting list")
	}
	r.eventually("the list is drawn", func() bool {
		r.call(r.request("edge", http.MethodGet, "/v1/events/"+slug+"/waitlist", nil), http.StatusOK, &list)
		if list.Commitment == "" || (list.DrawnAt == nil) != (list.Secret == "") {
			t.Fatalf("the list says %+v", list)
		}
		return list.DrawnAt != nil
	})
	r.call(r.by(ben, http.MethodPut, path, wish), http.StatusCreated, &entry)

	r.call(r.keyed(r.as(people[0], http.MethodPost, "/v1/orders/"+first.ID.String()+"/refund", map[string]any{}), "refund"), http.StatusOK, nil)
	offered := r.entry(ann, slug, func(e *waitlistEntry) bool { return e.State == "offered" && len(e.Offers) == 1 })
	offer := offered.Offers[0]
	if got := r.code(r.by(ben, http.MethodPost, "/v1/offers/"+offer.ID.String()+"/accept", map[string]any{}), http.StatusNotFound); got != "not_on_waiting_list" {
		t.Errorf("another's offer: %s", got)
	}
	if got := r.code(r.keyed(r.by(ben, http.MethodPost, "/v1/orders", map[string]any{"hold_id": offer.HoldID}), "mine"), http.StatusUnauthorized); got != "session_missing" {
		t.Errorf("another's hold: %s", got)
	}
	if got := r.hold(slug, people[1], "more", fmt.Sprintf(`[{"tier":%q,"quantity":1}]`, tier)); got.Status == http.StatusCreated {
		t.Errorf("general sale has what is offered: %+v", got)
	}
	r.call(r.by(ann, http.MethodPost, "/v1/offers/"+offer.ID.String()+"/accept", map[string]any{}), http.StatusOK, nil)
	got := r.buysAlone(ann, offer.HoldID)
	if len(got.Tickets) != 1 {
		t.Errorf("ann's order: %+v", got)
	}
	r.entry(ann, slug, func(e *waitlistEntry) bool { return e.State == "bought" })

	// A ticket that is sold on goes to the list too; ben does not want it, and then an account alone buys it.
	var l listing
	r.call(r.keyed(r.as(people[1], http.MethodPost, "/v1/tickets/"+second.Tickets[0].String()+"/listing", price(1000)), "list"), http.StatusCreated, &l)
	if got := r.code(listHold(cyd, l.ID), http.StatusConflict); got != "waiting_list_first" && got != "sold_out" {
		t.Errorf("a listing that the list has first: %s", got)
	}
	offered = r.entry(ben, slug, func(e *waitlistEntry) bool { return e.State == "offered" && len(e.Offers) == 1 })
	r.call(r.by(ben, http.MethodPost, "/v1/offers/"+offered.Offers[0].ID.String()+"/decline", map[string]any{}), http.StatusOK, nil)
	var hold struct {
		ID uuid.UUID `json:"id"`
	}
	r.eventually("everybody may have the listing", func() bool {
		reply := r.raw(listHold(cyd, l.ID))
		return reply.status == http.StatusCreated
	})
	for range 10 { // the answer was lost: the same request is the same hold, and no other take
		r.call(listHold(cyd, l.ID), http.StatusCreated, &hold)
	}
	r.call(r.by(cyd, http.MethodGet, "/v1/holds/"+hold.ID.String(), nil), http.StatusOK, nil)
	r.call(r.by(ben, http.MethodGet, "/v1/holds/"+hold.ID.String(), nil), http.StatusUnauthorized, nil)
	if got := r.buysAlone(cyd, hold.ID); len(got.Tickets) != 1 {
		t.Errorf("cyd's order: %+v", got)
	}
}

func TestAnOffersMailLeadsToWhereItIsAnswered(t *testing.T) {
	for site, want := range map[string]string{"": "", "https://t.example.org": "https://t.example.org/account#offers", "https://t.example.org/": "https://t.example.org/account#offers"} {
		if got := offersPage(site); got != want {
			t.Errorf("of %q: %q", site, got)
		}
	}
}

// Who needs no waiting room meets its bans all the same.
func TestABannedNetworkNeitherWaitsNorBuysWithoutTheRoom(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(*config) {})
	r.with("\nresale: {allowed: true}\nwaiting_list: {enabled: true}\n")
	slug, tier := r.firstEvent()
	r.open(slug, 1)
	ann := r.signIn("ann@example.org", "ann")
	from := func(address string, req *http.Request) *http.Request {
		req.Header.Set("Fairgate-Client", address)
		return req
	}
	network := lottery.NetworkOf(netip.MustParseAddr("203.0.113.9"))
	r.admin(http.MethodPost, "/admin/v1/bans", map[string]any{"kind": "network", "subject": hex.EncodeToString(network[:]), "reason": "scripts"}, http.StatusCreated, nil)
	wish := map[string]any{"tiers": []string{tier}, "quantity": 1}
	path := "/v1/events/" + slug + "/waitlist/entry"
	r.eventually("the ban is known", func() bool {
		return r.raw(from("203.0.113.77", r.by(ann, http.MethodPut, path, wish))).status == http.StatusForbidden
	})
	for _, req := range []*http.Request{
		r.by(ann, http.MethodPut, path, wish),
		r.keyed(r.by(ann, http.MethodPost, "/v1/holds", map[string]any{"event": slug, "items": []any{map[string]any{"listing": uuid.New()}}}), "k"),
	} {
		if got := r.code(from("203.0.113.77", req), http.StatusForbidden); got != "banned" {
			t.Errorf("%s from a banned network: %s", req.URL.Path, got)
		}
	}
	if got := r.raw(from("198.51.100.7", r.by(ann, http.MethodPut, path, wish))); got.status == http.StatusForbidden {
		t.Errorf("from another network: %d %s", got.status, got.body)
	}
}

func TestWhoAsksWithAnAccountIsCountedWithWhatTheSameBrowserHasBoughtWithoutIt(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(*config) {})
	r.with("\nlimits: {per_device: 2}\nrefunds: {by: buyer}\nwaiting_list: {enabled: true, offer_for: 10m, draw_after: 1s}\n")
	slug, tier := r.firstEvent()
	people := r.open(slug, 2)
	r.admit(slug, people...)
	s, other := people[0], people[1]
	r.bought(s, slug, tier, 2) // all that its browser may have
	o := r.bought(other, slug, tier, 1)
	same, elsewhere := r.signInAt("ann@example.org", s.device), r.signIn("ben@example.org", "another browser")
	for _, p := range []*person{same, elsewhere} {
		r.call(r.by(p, http.MethodPut, "/v1/events/"+slug+"/waitlist/entry", map[string]any{"tiers": []string{tier}, "quantity": 1}), http.StatusCreated, nil)
	}
	if _, err := r.db.Pool.Exec(t.Context(), `UPDATE stock SET capacity = taken, version = version + 1 WHERE allocation = 'general'`); err != nil {
		t.Fatal(err)
	}
	r.eventually("the list is drawn", func() bool {
		var list struct {
			DrawnAt *time.Time `json:"drawn_at"`
		}
		r.call(r.request("edge", http.MethodGet, "/v1/events/"+slug+"/waitlist", nil), http.StatusOK, &list)
		return list.DrawnAt != nil
	})
	r.call(r.keyed(r.request("admin", http.MethodPost, "/admin/v1/orders/"+o.ID.String()+"/refunds", map[string]any{"reason": "ill"}), "one"), http.StatusCreated, nil)
	r.entry(elsewhere, slug, func(e *waitlistEntry) bool { return e.State == "offered" })
	if e := r.entry(same, slug, func(*waitlistEntry) bool { return true }); e.State != "waiting" {
		t.Errorf("whose browser has as many as one may is %s", e.State)
	}
}

func TestWhoHoldsAListingAndLetsItGoAgainAndAgainIsSlowedAndItIsExplained(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(*config) {})
	r.with("\nresale: {allowed: true}\n")
	slug, tier := r.firstEvent()
	people := r.open(slug, 2)
	r.admit(slug, people...)
	sold := r.bought(people[0], slug, tier, 1)
	if _, err := r.db.Pool.Exec(t.Context(), `UPDATE stock SET capacity = taken, version = version + 1 WHERE allocation = 'general'`); err != nil {
		t.Fatal(err)
	}
	var l listing
	r.call(r.keyed(r.as(people[0], http.MethodPost, "/v1/tickets/"+sold.Tickets[0].String()+"/listing", price(1000)), "list"), http.StatusCreated, &l)
	cyd := r.signIn("cyd@example.org", "cyd")
	take := func() *http.Request {
		return r.keyed(r.by(cyd, http.MethodPost, "/v1/holds", map[string]any{"event": slug, "items": []any{map[string]any{"listing": l.ID}}}), uuid.NewString())
	}
	var hold struct {
		ID uuid.UUID `json:"id"`
	}
	r.eventually("the event is sold out, and an account may hold", func() bool {
		reply := r.raw(take())
		return reply.status == http.StatusCreated && json.Unmarshal(reply.body, &hold) == nil
	})
	slowed := reply{}
	for n := 0; slowed.status == 0 && n < 20; n++ {
		r.call(r.by(cyd, http.MethodDelete, "/v1/holds/"+hold.ID.String(), nil), http.StatusOK, nil)
		got := r.raw(take())
		if got.status == http.StatusTooManyRequests {
			slowed = got
		} else if got.status != http.StatusCreated || json.Unmarshal(got.body, &hold) != nil {
			t.Fatalf("hold %d: %d %s", n, got.status, got.body)
		}
	}
	if slowed.status == 0 || !strings.Contains(string(slowed.body), `"slowed"`) || slowed.header.Get("Retry-After") == "" {
		t.Fatalf("twenty times held and let go: %d %s", slowed.status, slowed.body)
	}
	var key []byte
	if err := r.db.Reader.QueryRow(t.Context(), `SELECT pseudonym_key FROM events WHERE slug = $1`, slug).Scan(&key); err != nil {
		t.Fatal(err)
	}
	out := r.ticketctl("", 0, "guard", "explain", cyd.subject.Entrant(key).String())
	for _, want := range []string{"slowed", "held and let go", "takes often outside the waiting room"} {
		if !strings.Contains(out, want) {
			t.Errorf("the explanation lacks %q: %s", want, out)
		}
	}
}
