package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/loadtest/paysim"
)

const (
	visa       = "4242424242424242"
	mastercard = "5555555555554444"
)

// newCardRig is a rig whose event sells no more than so many tickets to one card. While lookupAfter has not passed, the
// provider is not asked about a payment that is silent.
func newCardRig(t *testing.T, perCard int, lookupAfter time.Duration, faults paysim.Faults) *rig {
	t.Helper()
	text, err := os.ReadFile(club)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "club.yaml")
	if err := os.WriteFile(file, fmt.Appendf(text, "limits: {per_card: %d}\n", perCard), 0o600); err != nil {
		t.Fatal(err)
	}
	return newRigWith(t, file, faults, func(c *config) { c.Checkout.LookupAfter = lookupAfter })
}

// begin gives a buyer a hold and an order whose payment has begun.
func (r *rig) begin(s *shopper, slug, tier string, quantity int) (order, uuid.UUID) {
	r.t.Helper()
	got := r.hold(slug, s, uuid.NewString(), fmt.Sprintf(`[{"tier":%q,"quantity":%d}]`, tier, quantity))
	var hold struct {
		ID uuid.UUID `json:"id"`
	}
	if err := json.Unmarshal(got.Body, &hold); err != nil || got.Status != http.StatusCreated {
		r.t.Fatalf("hold: %+v, %v", got, err)
	}
	open := r.as(s, http.MethodPost, "/v1/orders", map[string]any{"hold_id": hold.ID})
	open.Header.Set("Idempotency-Key", hold.ID.String())
	var o order
	r.call(open, http.StatusCreated, &o)
	r.call(r.as(s, http.MethodPost, "/v1/orders/"+o.ID.String()+"/pay", map[string]any{}), http.StatusOK, &o)
	if o.Payment.State != "begun" || o.Payment.PayURL == "" {
		r.t.Fatalf("payment %+v", o.Payment)
	}
	return o, hold.ID
}

// eventually waits until something is so.
func (r *rig) eventually(what string, so func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("never: %s", what)
		}
	}
}

// booked is what the provider has of an order.
func (r *rig) booked(id uuid.UUID) (intents []paysim.BookedIntent) {
	for _, i := range r.provider.Books().Intents {
		if i.Order == id.String() {
			intents = append(intents, i)
		}
	}
	return intents
}

const (
	sqlCardUnits = `SELECT coalesce(sum(taken), 0)::INT8 FROM quota WHERE kind = 'card'`
	sqlTaken     = `SELECT sum(taken)::INT8 FROM stock`
	sqlUnhandled = `SELECT count(*) FROM webhooks WHERE handled_at IS NULL`
	sqlToldOf    = `SELECT count(*) FROM webhooks WHERE type = 'payment_intent.amount_capturable_updated'`
)

func (r *rig) number(sql string) (n int64) {
	r.t.Helper()
	if err := r.db.Reader.QueryRow(r.t.Context(), sql).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// happening is one in an order's history.
type happening struct {
	Cause string `json:"cause"`
	Actor string `json:"actor"`
}

// judged is the history's authorizations, late ones and those of cards over their limit included.
func (r *rig) judged(id uuid.UUID) (told []happening) {
	r.t.Helper()
	var story struct {
		History []happening `json:"history"`
	}
	r.admin(http.MethodGet, "/admin/v1/orders/"+id.String(), nil, http.StatusOK, &story)
	for _, h := range story.History {
		if h.Cause == "authorized" || h.Cause == "card_over_limit" || h.Cause == "late_money" {
			told = append(told, h)
		}
	}
	return told
}

// refused checks an order that its card was over the limit for: cancelled, nothing kept of the money, the hold released.
func (r *rig) refused(s *shopper, id, hold uuid.UUID) {
	r.t.Helper()
	r.awaitOrder(s, id, "cancelled")
	var o order
	r.eventually("the authorization is voided", func() bool {
		r.call(r.as(s, http.MethodGet, "/v1/orders/"+id.String(), nil), http.StatusOK, &o)
		return o.Payment.State == "voided"
	})
	if o.Payment.Failure != "card_over_limit" || len(o.Tickets) != 0 {
		r.t.Errorf("the buyer sees failure %q and %d tickets", o.Payment.Failure, len(o.Tickets))
	}
	var h struct {
		State string `json:"state"`
	}
	r.call(r.as(s, http.MethodGet, "/v1/holds/"+hold.String(), nil), http.StatusOK, &h)
	if h.State != "released" {
		r.t.Errorf("the hold is %s", h.State)
	}
	for _, i := range r.booked(id) {
		if i.Status != "canceled" || i.Captured != 0 || i.Charges != 1 {
			r.t.Errorf("the provider has %+v", i)
		}
	}
	if told := r.judged(id); len(told) != 1 || told[0].Cause != "card_over_limit" {
		r.t.Errorf("history %v", told)
	}
}

// settled checks the books at the end: what the cards count, what is sold, and that no money is tied up.
func (r *rig) settled(units int64) {
	r.t.Helper()
	if got, taken := r.number(sqlCardUnits), r.number(sqlTaken); got != units || taken != units {
		r.t.Errorf("cards count %d units and the stock %d, want %d", got, taken, units)
	}
	books := r.provider.Books()
	if !books.Consistent || books.Authorized["EUR"] != 0 {
		r.t.Errorf("the provider's books: consistent %v, %d still authorized", books.Consistent, books.Authorized["EUR"])
	}
	var verified struct {
		OK bool `json:"ok"`
	}
	r.admin(http.MethodGet, "/admin/v1/ledger/verify", nil, http.StatusOK, &verified)
	if !verified.OK {
		r.t.Error("the ledger does not verify")
	}
}

func TestACardBuysUpToItsLimitAndTheNextOrderIsVoided(t *testing.T) {
	r := newCardRig(t, 3, time.Hour, paysim.Faults{})
	slug, tier := r.firstEvent()
	all := r.open(slug, 4)
	r.admit(slug, all...)
	buy := func(s *shopper, quantity int, card string) {
		t.Helper()
		o, _ := r.begin(s, slug, tier, quantity)
		r.payForm(o, card)
		r.awaitOrder(s, o.ID, "ticket_issued")
	}
	buy(all[0], 2, visa)
	over, hold := r.begin(all[1], slug, tier, 2)
	r.payForm(over, visa)
	r.refused(all[1], over.ID, hold)
	if n := len(r.booked(over.ID)); n != 1 {
		t.Errorf("%d intents for the order that was refused", n)
	}
	buy(all[1], 2, mastercard) // the same buyer with another card
	buy(all[2], 1, visa)       // the last one that the card may buy
	last, hold := r.begin(all[3], slug, tier, 1)
	r.payForm(last, visa)
	r.refused(all[3], last.ID, hold)
	if voided := r.provider.Books().Voided; voided != 2 {
		t.Errorf("%d payments were voided at the provider", voided)
	}
	r.settled(5)
}

// webhooks is what stands between the provider and the cores: it sends each of them every other webhook, and none while it
// is shut.
type webhooks struct {
	shut  atomic.Bool
	turn  atomic.Int64
	cores []http.Handler
}

func (w *webhooks) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	if w.shut.Load() {
		http.Error(rw, "later", http.StatusServiceUnavailable)
		return
	}
	w.cores[int(w.turn.Add(1))%len(w.cores)].ServeHTTP(rw, req)
}

// between has the provider's webhooks go to these webhook listeners.
func (r *rig) between(listeners ...*httptest.Server) *webhooks {
	r.t.Helper()
	w := &webhooks{}
	for _, l := range listeners {
		to, err := url.Parse(l.URL)
		if err != nil {
			r.t.Fatal(err)
		}
		w.cores = append(w.cores, httputil.NewSingleHostReverseProxy(to))
	}
	front := httptest.NewServer(w)
	r.t.Cleanup(front.Close)
	r.subscribe(front.URL)
	return w
}

// delivered waits until every webhook has been sent and handled, and says how many told of an authorization.
func (r *rig) delivered() int64 {
	r.t.Helper()
	r.eventually("every webhook has been sent and handled", func() bool {
		return r.provider.Books().Webhooks.Pending == 0 && r.number(sqlUnhandled) == 0
	})
	return r.number(sqlToldOf)
}

// In every other round the webhooks come after the lookup has told of everything; in the others they race, each sent twice.
func TestAnAuthorizationToldByWebhookAndLookupCountsOnce(t *testing.T) {
	r := newCardRig(t, 2, time.Millisecond, paysim.Faults{WebhookTwice: 1, WebhookDelayMax: 1200 * time.Millisecond})
	slug, tier := r.firstEvent()
	const rounds = 4
	all := r.open(slug, 2*rounds)
	r.admit(slug, all...)
	front := r.between(r.servers["webhook"])
	var orders []order
	for n := range rounds {
		front.shut.Store(n%2 == 0)
		first, _ := r.begin(all[2*n], slug, tier, 2)
		r.payForm(first, ownCard(n))
		r.eventually("the first order is sold", func() bool { return len(r.judged(first.ID)) == 1 })
		over, hold := r.begin(all[2*n+1], slug, tier, 1)
		r.payForm(over, ownCard(n))
		r.refused(all[2*n+1], over.ID, hold)
		if told := r.judged(over.ID)[0]; front.shut.Load() && told.Actor != "lookup" {
			t.Errorf("round %d: told by %s, and no webhook came through", n, told.Actor)
		}
		front.shut.Store(false)
		r.awaitOrder(all[2*n], first.ID, "ticket_issued")
		orders = append(orders, first, over)
	}
	if told := r.delivered(); told != 2*rounds {
		t.Errorf("webhooks told of %d authorizations, want %d", told, 2*rounds)
	}
	for i, o := range orders {
		if told := r.judged(o.ID); len(told) != 1 || (told[0].Cause == "authorized") != (i%2 == 0) {
			t.Errorf("order %d: %v", i, told)
		}
	}
	r.settled(2 * rounds)
}

// Two cores learn of two orders with one card at once, each of both by webhook and lookup: one order is sold.
func TestTwoCoresCountOneCardTogether(t *testing.T) {
	r := newCardRig(t, 2, time.Millisecond, paysim.Faults{WebhookTwice: 1, WebhookDelayMax: 1200 * time.Millisecond})
	slug, tier := r.firstEvent()
	const rounds = 4
	all := r.open(slug, 2*rounds)
	r.admit(slug, all...)
	one := r.servers["webhook"]
	r.startCore()
	front := r.between(one, r.servers["webhook"])
	for n := range rounds {
		pair := all[2*n : 2*n+2]
		var orders [2]order
		var holds [2]uuid.UUID
		for i, s := range pair {
			orders[i], holds[i] = r.begin(s, slug, tier, 2)
		}
		for _, o := range orders {
			r.payForm(o, ownCard(n))
		}
		sold := 0
		for i, s := range pair {
			r.eventually("the order is over", func() bool {
				r.call(r.as(s, http.MethodGet, "/v1/orders/"+orders[i].ID.String(), nil), http.StatusOK, &orders[i])
				return orders[i].State == "ticket_issued" || orders[i].State == "cancelled"
			})
			if orders[i].State == "cancelled" {
				r.refused(s, orders[i].ID, holds[i])
			} else {
				sold++
			}
		}
		if sold != 1 {
			t.Errorf("round %d: %d orders were sold", n, sold)
		}
	}
	if told := r.delivered(); told != 2*rounds || front.turn.Load() < 4*rounds {
		t.Errorf("webhooks told of %d authorizations in %d deliveries, want %d in twice as many or more", told, front.turn.Load(), 2*rounds)
	}
	r.settled(2 * rounds)
}

// ownCard is one of the cards that paysim approves, each with a fingerprint of its own.
func ownCard(n int) string {
	for check := range 10 {
		if number := fmt.Sprintf("42424242%07d%d", n+1, check); luhn(number) {
			return number
		}
	}
	panic("one of ten digits is right")
}

func luhn(number string) bool {
	sum := 0
	for i, c := range number {
		d := int(c - '0')
		if (len(number)-i)%2 == 0 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return sum%10 == 0
}
