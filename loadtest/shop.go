package loadtest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"fairgate/core/inventory/history"

	"github.com/google/uuid"
)

// Shopping from an admitted visitor's side: hold, order, pay, fetch the tickets.

const (
	// holdTries bounds how often a buyer tries for tickets that others take first; stock comes back while holds expire.
	holdTries = 8
	// bestShare is the part of those who want seats that leaves the choice to the server.
	bestShare = 0.3
	// firstLook and lastLook space the polls for the outcome of a payment.
	firstLook = 150 * time.Millisecond
	lastLook  = 2 * time.Second
	// payPatience bounds the wait for a provider that has taken the card.
	payPatience = 45 * time.Second
)

// moneyBody is an amount as the API writes it.
type moneyBody struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

// holdBody is a hold as the API writes it.
type holdBody struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Deadline time.Time `json:"deadline"`
	Amount   moneyBody `json:"amount"`
}

// orderBody is an order as the API writes it.
type orderBody struct {
	ID      string    `json:"id"`
	State   string    `json:"state"`
	Amount  moneyBody `json:"amount"`
	Payment struct {
		Attempt int    `json:"attempt"`
		State   string `json:"state"`
		PayURL  string `json:"pay_url"`
		Failure string `json:"failure"`
	} `json:"payment"`
	Tickets []string `json:"tickets"`
}

// ticketBody is a ticket as the API writes it.
type ticketBody struct {
	ID      string `json:"id"`
	OrderID string `json:"order_id"`
	Tier    string `json:"tier"`
	Seat    string `json:"seat"`
	Code    string `json:"code"`
}

// item is one wish of a hold.
type item struct {
	Tier     string   `json:"tier,omitempty"`
	Quantity int      `json:"quantity,omitempty"`
	Seats    []string `json:"seats,omitempty"`
	Best     *best    `json:"best,omitempty"`
}

// best leaves the choice of seats to the server.
type best struct {
	Quantity int      `json:"quantity"`
	Tier     string   `json:"tier"`
	Allow    []string `json:"allow,omitempty"`
}

// shop is the visit of an admitted buyer.
func (b *buyer) shop(ctx context.Context) string {
	p := b.run.plan.Buyers
	if b.leavesHere(p.Abandon.Admitted) {
		return outcomeLeftAdmitted
	}
	if !b.run.sleep(ctx, b.pause(p.Think.Choose)) {
		return outcomeCut
	}
	hold, outcome := b.hold(ctx)
	if outcome != "" {
		return outcome
	}
	g := &b.run.rec.gauges
	g.holding.Add(1)
	defer g.holding.Add(-1)
	b.leak(loot{hold: hold.ID})
	if b.leavesHere(p.Abandon.Held) {
		return b.abandonHold(ctx, hold)
	}
	if !b.run.sleep(ctx, b.pause(p.Think.Fill)) {
		return outcomeCut
	}
	return b.checkout(ctx, hold)
}

// abandonHold leaves: one half gives the tickets back, the other closes the tab and lets the hold expire.
func (b *buyer) abandonHold(ctx context.Context, h holdBody) string {
	if b.chance(0.5) {
		id, _ := uuid.Parse(h.ID) // of a broken id the audit tells
		b.retry(ctx, call{op: OpRelease, method: "DELETE", path: "/v1/holds/" + h.ID, hold: id})
	}
	return outcomeLeftHolding
}

// hold gets tickets into the visitor's hands for a while. When others were first it looks again and takes what is left.
func (b *buyer) hold(ctx context.Context) (holdBody, string) {
	seated, want := b.seated, b.want
	since := time.Time{}
	for try := range holdTries {
		wish, ok := b.wish(seated, want, since)
		if !ok {
			return holdBody{}, b.cut(ctx)
		}
		var a answer
		if wish == nil {
			a = answer{status: 409, code: "sold_out"}
		} else {
			var alive bool
			c := call{op: OpHold, method: "POST", path: "/v1/holds", key: b.key(), items: wish,
				body: jsonBody(map[string]any{"event": b.run.plan.Event, "items": wish})}
			if a, alive = b.retry(ctx, c); !alive {
				return holdBody{}, outcomeCut
			}
		}
		var h holdBody
		if a.decode(&h) {
			return h, ""
		}
		since = time.Now()
		switch a.code {
		case "seat_taken": // look again at a newer map
		case "not_enough_left", "none_adjacent":
			want = max(1, want-1)
		case "sold_out":
			seated, want = !seated, b.want
			if try%2 == 1 && !b.run.sleep(ctx, b.jitter(time.Second<<min(try/2, 2))) {
				return holdBody{}, outcomeCut
			}
		default:
			b.misread(OpHold, a)
			return holdBody{}, outcomeError
		}
	}
	return holdBody{}, outcomeSoldOut
}

// wish is what to ask for: seats of one row, the best there are, or a quantity. It is nil when no seat is free, and false when the map does not come.
func (v *visitor) wish(seated bool, want int, since time.Time) ([]item, bool) {
	tiers := v.run.tiers
	if seated && tiers.seated || tiers.general == "" {
		if v.rng.Float64() < bestShare {
			return []item{{Best: &best{Quantity: want, Tier: tiers.ranked, Allow: []string{"orphans"}}}}, true
		}
		rows, a := v.run.seats.fresh(v, since)
		if !a.ok() {
			if !honest(a) {
				v.problem(OpSeats, a)
			}
			return nil, honest(a)
		}
		seats := choose(rows, want, v.rng)
		if seats == nil {
			return nil, true
		}
		return []item{{Seats: seats}}, true
	}
	return []item{{Tier: tiers.general, Quantity: want}}, true
}

// checkout turns a hold into tickets.
func (b *buyer) checkout(ctx context.Context, h holdBody) string {
	from := history.Now()
	var spent time.Duration // on our side: without the card's typing and the provider's form
	started := time.Now()
	a, alive := b.retry(ctx, call{op: OpOrder, method: "POST", path: "/v1/orders", key: b.key(), body: jsonBody(map[string]string{"hold_id": h.ID, "email": b.email()})})
	var o orderBody
	if !alive || !a.decode(&o) {
		b.misread(OpOrder, a)
		return b.cut(ctx)
	}
	if b.isBuyer() {
		b.leak(loot{order: o.ID})
	}
	if b.leavesHere(b.run.plan.Buyers.Abandon.Ordered) {
		return outcomeLeftOrdered
	}
	for attempt := 1; ; attempt++ {
		if o, alive = b.begin(ctx, o.ID); !alive {
			return b.cut(ctx)
		}
		spent += time.Since(started)
		if !b.run.sleep(ctx, b.pause(b.run.plan.Buyers.Think.Card)) {
			return outcomeCut
		}
		decline := b.decline && attempt == 1
		if !b.card(ctx, o.Payment.PayURL, decline) {
			return b.cut(ctx)
		}
		started = time.Now()
		if o, alive = b.settled(ctx, o); !alive {
			return b.cut(ctx)
		}
		if o.State != "payment_failed" {
			break
		}
		if !decline {
			b.problem(OpCheckout, answer{status: 200, code: "payment_failed", detail: "a good card failed: " + o.Payment.Failure})
			return outcomeError
		}
		if b.chance(0.5) {
			return outcomeDeclined
		}
	}
	if o.State != "ticket_issued" {
		b.problem(OpCheckout, answer{status: 200, code: "order_" + o.State, detail: "the card was taken and the order ended " + o.State})
		return outcomeError
	}
	b.bought(h.ID, from)
	if b.isBuyer() {
		b.run.rec.Took(OpCheckout, spent+time.Since(started))
	}
	tickets, outcome := b.collect(ctx, o)
	if outcome == outcomeBought && b.isBuyer() {
		b.run.owners.add(owner{b, o, tickets})
	}
	return outcome
}

// begin asks for a payment attempt and waits until the provider's form is there.
func (v *visitor) begin(ctx context.Context, order string) (orderBody, bool) {
	c := call{op: OpPay, method: "POST", path: "/v1/orders/" + order + "/pay", body: []byte("{}"), key: v.key()}
	until := time.Now().Add(payPatience)
	for {
		a, alive := v.retry(ctx, c)
		var o orderBody
		if !alive || !a.decode(&o) {
			v.misread(OpPay, a)
			return o, false
		}
		if o.Payment.PayURL != "" && o.Payment.State == "begun" {
			return o, true
		}
		if time.Now().After(until) {
			v.problem(OpPay, answer{status: 200, code: "payment_never_begun", detail: "state " + o.Payment.State})
			return o, false
		}
		// The server has waited for the provider already; the same again only after a while.
		if !v.run.sleep(ctx, v.jitter(lastLook/4)) {
			return o, false
		}
	}
}

// CardNumber is somebody's own card: one of the range that paysim approves, with its check digit.
func CardNumber(n int) string {
	digits := fmt.Sprintf("42424242%07d", n%10_000_000)
	sum := 0
	for i := range digits {
		d := int(digits[i] - '0')
		if i%2 == 0 { // of sixteen digits every other one counts double, beginning with the first
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return digits + strconv.Itoa((10-sum%10)%10)
}

// card fills in the provider's form. It is the provider's server: no retry advice, one form, sent again while it does not answer.
func (v *visitor) card(ctx context.Context, payURL string, decline bool) bool {
	number := CardNumber(2*v.index + int(min(v.kind, 1)))
	if decline {
		number = "4000000000000002"
	}
	u, err := url.Parse(payURL)
	if err != nil {
		v.problem(OpProvider, answer{status: 200, code: "bad_answer", detail: "pay_url is no URL: " + err.Error()})
		return false
	}
	form := url.Values{"card": {number}, "client_secret": {u.Query().Get("client_secret")}}
	c := call{op: OpProvider, method: "POST", path: u.RequestURI(), contentType: "application/x-www-form-urlencoded", body: []byte(form.Encode())}
	due := time.Now()
	for try := 1; ; try++ {
		a := v.run.paysim.send(c, nil, "", v.run.plan.Limits.RequestTimeout.D())
		if a.status == http.StatusPaymentRequired {
			a.code = "card_declined"
		}
		if v.isBuyer() {
			v.run.rec.Latency(OpProvider, due, a.at)
			v.run.rec.Answer(OpProvider, a.code)
		}
		if a.ok() || a.status == http.StatusPaymentRequired {
			return true
		}
		if try == maxUnreachable || (a.err == nil && !waits(a) && a.status < 500) {
			v.problem(OpProvider, a)
			return false
		}
		due = time.Now().Add(max(a.retryAfter, v.backoff(try)))
		if !v.run.sleepUntil(ctx, due) {
			return false
		}
	}
}

// settled watches the order until the payment that was just confirmed has ended one way or the other.
func (v *visitor) settled(ctx context.Context, before orderBody) (orderBody, bool) {
	c := call{op: OpFollow, method: "GET", path: "/v1/orders/" + before.ID}
	until := time.Now().Add(payPatience)
	for pause := firstLook; ; pause = min(pause*3/2, lastLook) {
		if !v.run.sleep(ctx, pause) {
			return before, false
		}
		a, alive := v.retry(ctx, c)
		var o orderBody
		if !alive || !a.decode(&o) {
			v.misread(OpFollow, a)
			return o, false
		}
		if o.Payment.Attempt < before.Payment.Attempt {
			continue // an answer from before the attempt that was just paid
		}
		switch o.State {
		case "reserved", "payment_pending", "payment_complete":
		default:
			return o, true
		}
		if time.Now().After(until) {
			v.problem(OpCheckout, answer{status: 200, code: "payment_never_settled", detail: "order still " + o.State})
			return o, false
		}
	}
}

// collect fetches the tickets of an issued order.
func (v *visitor) collect(ctx context.Context, o orderBody) ([]ticketBody, string) {
	v.run.witness.Order(SeenOrder{ID: o.ID, Minor: o.Amount.Minor, Currency: o.Amount.Currency, Tickets: len(o.Tickets)})
	g := &v.run.rec.gauges
	g.paid.Add(1)
	if len(o.Tickets) == 0 {
		v.problem(OpTicket, answer{status: 200, code: "no_tickets", detail: "the order says ticket_issued and lists none"})
		return nil, outcomeError
	}
	var tickets []ticketBody
	for _, id := range o.Tickets {
		// The page shows an order's tickets one by one, so the second waits for the first.
		a, alive := v.retry(ctx, call{op: OpTicket, method: "GET", path: "/v1/tickets/" + id})
		var t ticketBody
		if !alive || !a.decode(&t) {
			v.misread(OpTicket, a)
			return nil, outcomeError
		}
		v.run.witness.Ticket(SeenTicket{ID: t.ID, Order: t.OrderID, Tier: t.Tier, Seat: t.Seat, Code: t.Code})
		if v.isBuyer() {
			g.tickets.Add(1)
		} else {
			g.botTickets.Add(1)
			v.run.rec.bot(v.kind, func(f *BotFigures) { f.Tickets++ })
		}
		tickets = append(tickets, t)
	}
	return tickets, outcomeBought
}
