package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/event"
	"fairgate/edge/admission"
	"fairgate/edge/lottery"
	"fairgate/loadtest/paysim"
)

// ordersUnpaid has a shopper order a ticket without paying it; the provider has the intent.
func (r *rig) ordersUnpaid(s *shopper, slug, tier, email string) order {
	r.t.Helper()
	var hold struct{ ID uuid.UUID }
	if got := r.hold(slug, s, uuid.NewString(), `[{"tier":"`+tier+`","quantity":1}]`); json.Unmarshal(got.Body, &hold) != nil || got.Status != http.StatusCreated {
		r.t.Fatalf("hold: %+v", got)
	}
	var o order
	r.call(r.keyed(r.as(s, http.MethodPost, "/v1/orders", map[string]any{"hold_id": hold.ID, "email": email, "language": "de"}), hold.ID.String()), http.StatusCreated, &o)
	r.call(r.keyed(r.as(s, http.MethodPost, "/v1/orders/"+o.ID.String()+"/pay", map[string]any{}), "p"), http.StatusOK, &o)
	return o
}

// linked makes a request of a device that has nothing but a link.
func (r *rig) linked(link, method, path string, body any) *http.Request {
	req := r.as(&shopper{device: lottery.HashDevice([]byte("another device"))}, method, path, body)
	req.Header.Set("Fairgate-Order-Link", link)
	return req
}

// unfinished are the orders that a request to GET /v1/orders lists.
func (r *rig) unfinished(req *http.Request) (ids []uuid.UUID) {
	r.t.Helper()
	var list struct {
		Orders []struct {
			ID         uuid.UUID
			Event      string
			Deadline   time.Time
			ServerTime time.Time `json:"server_time"`
		}
	}
	r.call(req, http.StatusOK, &list)
	for _, o := range list.Orders {
		if !o.Deadline.After(o.ServerTime) || o.Event == "" {
			r.t.Errorf("an order without time left, or of nothing: %+v", o)
		}
		ids = append(ids, o.ID)
	}
	return ids
}

var mailedLink = regexp.MustCompile(`https://t\.example\.org/e/club\?order=([0-9a-f-]{36})#link=([\w-]{82})`)

// mailedTo waits for the mail about an unpaid order and answers the link in it.
func (r *rig) mailedTo(box *letterbox, email string, o order) string {
	r.t.Helper()
	const subject = "Ihre Bestellung ist noch nicht bezahlt"
	r.eventually("the mail about the unpaid order", func() bool { return len(box.of(email, subject)) > 0 })
	found := mailedLink.FindStringSubmatch(box.of(email, subject)[0].parts["text/plain"])
	if found == nil || found[1] != o.ID.String() {
		r.t.Fatalf("no link to the order in\n%s", box.of(email, subject)[0].parts["text/plain"])
	}
	return found[2]
}

const sqlAllMails = `SELECT coalesce(string_agg(key || data || last_error, ' '), '') FROM mails`

func TestAnUnpaidOrderIsFoundAgainByTheLinkInItsMailAndNothingElseIs(t *testing.T) {
	box := newLetterbox(t)
	r := newMailRigWith(t, box, "refunds: {by: buyer}\n", func(c *config) { c.Checkout.UnpaidMail = 500 * time.Millisecond })
	r.startCore() // and another one, which looks for unpaid orders as well
	slug, tier := r.firstEvent()
	all := r.open(slug, 4)
	r.admit(slug, all...)
	o, other, silent := r.ordersUnpaid(all[0], slug, tier, "ann@example.net"), r.ordersUnpaid(all[1], slug, tier, "ben@example.net"), r.ordersUnpaid(all[2], slug, tier, "")
	r.buys(all[3], slug, tier, 1, "eva@example.net", "de") // at once

	link := r.mailedTo(box, "ann@example.net", o)
	r.mailedTo(box, "ben@example.net", other)
	r.eventually("several more looks for unpaid orders", waits(2*time.Second))
	for email, want := range map[string]int{"ann@example.net": 1, "ben@example.net": 1, "eva@example.net": 0} {
		if n := len(box.of(email, "Ihre Bestellung")); n != want {
			t.Errorf("%s got %d mails about an unpaid order", email, n)
		}
	}
	if told := r.mailsAbout(silent); len(told) != 0 {
		t.Errorf("who gave no address is written to: %v", told)
	}
	if told := box.of("ann@example.net", "Ihre Bestellung ist noch nicht bezahlt")[0]; !strings.Contains(told.parts["text/plain"], "Oder melden Sie sich mit dieser Adresse an:") || !strings.Contains(told.parts["text/plain"], ".org/account") || !strings.Contains(told.parts["text/html"], `/account"`) {
		t.Errorf("who has no script is not told where to sign in:\n%s", told.parts["text/plain"])
	}
	var kept string
	if err := r.db.Pool.QueryRow(t.Context(), sqlAllMails).Scan(&kept); err != nil || strings.Contains(kept, link[:20]) {
		t.Errorf("the database keeps the link: %v", err)
	}

	// What it is good for.
	path := "/v1/orders/" + o.ID.String()
	var seen struct {
		order
		Linked bool
	}
	r.call(r.linked(link, http.MethodGet, path, nil), http.StatusOK, &seen)
	if seen.State != "payment_pending" || seen.Payment.PayURL != o.Payment.PayURL || !seen.Linked {
		t.Errorf("the device that opened the link sees %+v", seen)
	}
	r.call(r.linked(link, http.MethodPost, path+"/pay", map[string]any{}), http.StatusOK, nil)
	if ids := r.unfinished(r.linked(link, http.MethodGet, "/v1/orders", nil)); len(ids) != 1 || ids[0] != o.ID {
		t.Errorf("it lists %v", ids)
	}
	// And for nothing else.
	for what, req := range map[string]*http.Request{
		"somebody else's order":         r.linked(link, http.MethodGet, "/v1/orders/"+other.ID.String(), nil),
		"paying somebody else's order":  r.linked(link, http.MethodPost, "/v1/orders/"+other.ID.String()+"/pay", map[string]any{}),
		"giving the tickets back":       r.linked(link, http.MethodDelete, "/v1/holds/"+r.holdOf(all[0], o).String(), nil),
		"a refund":                      r.linked(link, http.MethodPost, path+"/refund", map[string]any{}),
		"a bent link":                   r.linked(link[:40]+flip(link[40])+link[41:], http.MethodGet, path, nil),
		"a link of a session's making":  r.linked(all[0].session, http.MethodGet, path, nil),
		"many links, the good one last": r.linked("a,b,c,d,"+link, http.MethodGet, path, nil),
	} {
		if got := r.raw(req); got.status != http.StatusUnauthorized && got.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}

	r.payForm(o, visa)
	o = r.awaitOrder(all[0], o.ID, "ticket_issued")
	seen.order = order{}
	r.call(r.linked(link, http.MethodGet, path, nil), http.StatusOK, &seen)
	if seen.State != "ticket_issued" || len(seen.Tickets) != 0 || seen.Payment.PayURL != "" {
		t.Errorf("once it is paid the device sees %+v", seen)
	}
	if got := r.raw(r.linked(link, http.MethodGet, "/v1/tickets/"+o.Tickets[0].String(), nil)); got.status != http.StatusUnauthorized {
		t.Errorf("the ticket: %d %s", got.status, got.body)
	}
	if ids := r.unfinished(r.as(all[0], http.MethodGet, "/v1/orders", nil)); len(ids) != 0 {
		t.Errorf("a paid order is unfinished: %v", ids)
	}
}

// waits says yes when a time has gone by.
func waits(d time.Duration) func() bool {
	end := time.Now().Add(d)
	return func() bool { return time.Now().After(end) }
}

func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

// holdOf is the hold of an order.
func (r *rig) holdOf(s *shopper, o order) uuid.UUID {
	r.t.Helper()
	var got struct {
		HoldID uuid.UUID `json:"hold_id"`
	}
	r.call(r.as(s, http.MethodGet, "/v1/orders/"+o.ID.String(), nil), http.StatusOK, &got)
	return got.HoldID
}

func TestTwoDevicesThatPayOneOrderAtOncePayItOnce(t *testing.T) {
	box := newLetterbox(t)
	r := newMailRigWith(t, box, "", func(c *config) { c.Checkout.UnpaidMail = 300 * time.Millisecond })
	slug, tier := r.firstEvent()
	buyers := r.open(slug, 3)
	r.admit(slug, buyers...)
	for i, s := range buyers {
		email := fmt.Sprintf("buyer%d@example.net", i)
		o := r.ordersUnpaid(s, slug, tier, email)
		path, link := "/v1/orders/"+o.ID.String(), r.mailedTo(box, email, o)
		var at sync.WaitGroup
		for n := range 6 {
			at.Go(func() {
				device := r.as(s, http.MethodPost, path+"/pay", map[string]any{})
				if n%2 == 1 {
					device = r.linked(link, http.MethodPost, path+"/pay", map[string]any{})
				}
				resp, err := http.DefaultClient.Do(r.keyed(device, uuid.NewString()))
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				var mine order
				if err != nil || json.Unmarshal(body, &mine) != nil || resp.StatusCode != http.StatusOK {
					if !bytes.Contains(body, []byte("order_state")) { // another device was quicker
						t.Errorf("pay: %d %s, %v", resp.StatusCode, body, err)
					}
					return
				}
				if mine.Payment.PayURL != "" {
					r.payForm(mine, []string{visa, "5555555555554444"}[n%2])
				}
			})
		}
		at.Wait()
		r.awaitOrder(s, o.ID, "ticket_issued")
		intents := r.booked(o.ID)
		if len(intents) != 1 || intents[0].Captured != 1200 {
			t.Errorf("two devices made %d intents: %+v", len(intents), intents)
		}
	}
}

func TestAnAccountFindsAndPaysItsUnpaidOrderOnAnyDevice(t *testing.T) {
	r, slug, tier := accountRig(t)
	laptop, phone, bob := r.signIn("ann@example.org", "laptop"), r.signIn("ann@example.org", "phone"), r.signIn("bob@example.org", "tablet")
	r.open(slug, 0)
	key, err := hex.DecodeString(r.keys.Pseudonym)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*person{laptop, phone, bob} {
		p.entrant = p.subject.Entrant(key)
	}
	r.join(slug, &laptop.shopper)
	r.eventually("the laptop is let in", func() bool { return r.claim(slug, laptop, false).Status == http.StatusOK })
	o := r.ordersUnpaid(&laptop.shopper, slug, tier, "")

	path := "/v1/orders/" + o.ID.String()
	if ids := r.unfinished(r.by(phone, http.MethodGet, "/v1/orders?event="+slug, nil)); len(ids) != 1 || ids[0] != o.ID {
		t.Errorf("the phone finds %v", ids)
	}
	if ids := r.unfinished(r.by(phone, http.MethodGet, "/v1/orders?event=elsewhere", nil)); len(ids) != 0 {
		t.Errorf("of another event it finds %v", ids)
	}
	if ids := r.unfinished(r.by(bob, http.MethodGet, "/v1/orders", nil)); len(ids) != 0 {
		t.Errorf("somebody else finds %v", ids)
	}
	r.call(r.by(bob, http.MethodPost, path+"/pay", map[string]any{}), http.StatusNotFound, nil)
	var mine order
	r.call(r.by(phone, http.MethodPost, path+"/pay", map[string]any{}), http.StatusOK, &mine)
	r.payForm(mine, visa)
	r.awaitOrder(&laptop.shopper, o.ID, "ticket_issued")
}

func TestALinkToAnOrderEnds(t *testing.T) {
	r := newRigWith(t, club, paysim.Faults{}, func(*config) {})
	keys := orderLinks(event.NewStore(r.db, event.Options{}))
	seal := sealLink(keys)
	slug, tier := r.firstEvent()
	all := r.open(slug, 1)
	r.admit(slug, all...)
	o := r.ordersUnpaid(all[0], slug, tier, "ann@example.net")
	text, err := seal(t.Context(), o.ID, time.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.raw(r.linked(text, http.MethodGet, "/v1/orders/"+o.ID.String(), nil)); got.status != http.StatusUnauthorized {
		t.Errorf("a link that has expired: %d %s", got.status, got.body)
	}
	if raw, err := decode64(text); err != nil || len(raw) != admission.OrderLinkSize {
		t.Errorf("the link has %d bytes: %v", len(raw), err)
	}
}
