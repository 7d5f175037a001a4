package soak

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"fairgate/edge/lottery"
	"fairgate/loadtest"
	"fairgate/loadtest/stage"
)

// How long a buyer waits.
const (
	answerWithin = 10 * time.Second       // for one answer
	patience     = 45 * time.Second       // for one step, asked again and again; longer than a hold lives
	followEvery  = 250 * time.Millisecond // between two looks at an order
	lateBy       = 2 * time.Second        // after a hold and its extension are over
)

// givesUpTimes is how often those who give a hold back while the form is made come again: few of these races are won.
const givesUpTimes = 5

// buyer is one person with one order to make. It belongs to one goroutine.
type buyer struct {
	run             *run
	n               int
	turn            int // of those who come again: which of their orders it is
	rng             *rand.Rand
	manner          manner
	paypal          bool   // pays there
	event           string // that is wanted
	core            int
	session, device string
	http            *http.Client
}

var buyersClient = sync.OnceValue(func() *http.Client { return newClient(answerWithin) })

func newBuyer(r *run, n int) *buyer {
	b := &buyer{run: r, n: n, http: buyersClient()}
	b.rng, b.manner = draw(r.Seed, n)
	b.core, b.paypal = b.rng.IntN(cores), b.rng.IntN(100) < 30
	if b.manner == givesUp {
		b.paypal = false // an order there is nothing that is left open: nothing comes of it unless we ask for it
	}
	b.event = mainSlug
	if b.rng.IntN(100) < cancelledShare {
		b.event = cancelledSlug
	}
	b.session, b.device = credentials(r.mint.Shopper(b.event, uint64(n)+1, time.Now()))
	return b
}

// credentials are a minted session as edges hand it to core.
func credentials(s loadtest.Shopper) (session, device string) {
	for part := range strings.SplitSeq(s.Cookie, "; ") {
		name, value, _ := strings.Cut(part, "=")
		if name != "fg_device" {
			session = value
			continue
		}
		secret, _ := base64.RawURLEncoding.DecodeString(value) // we have just made it
		hash := lottery.HashDevice(secret)
		device = hex.EncodeToString(hash[:])
	}
	return session, device
}

type orderBody struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	Code    string `json:"code"` // of a refusal
	Payment struct {
		Attempt int    `json:"attempt"`
		State   string `json:"state"`
		PayURL  string `json:"pay_url"`
		Failure string `json:"failure"`
	} `json:"payment"`
	Tickets []string `json:"tickets"`
}

// over tells whether nothing more comes of an order without its buyer.
func (o orderBody) over() bool {
	switch o.State {
	case "ticket_issued", "expired", "cancelled", "capture_failed", "refunded", "refund_failed", "disputed", "dispute_lost":
		return true
	}
	return false
}

// buy makes one order and says how it ended for its buyer.
func (b *buyer) buy(ctx context.Context) string {
	hold, refusal := b.hold(ctx)
	if hold == "" {
		return "no hold: " + refusal
	}
	o, code := b.open(ctx, hold)
	if o.ID == "" {
		return "no order: " + code
	}
	b.run.operation.add(string(b.manner))
	b.run.operation.add("with " + map[bool]string{true: "PayPal", false: "a card"}[b.paypal])
	if b.manner == givesUp {
		if b.giveUp(ctx, hold); b.turn < givesUpTimes {
			b.turn++
			return b.buy(ctx)
		}
		return "given up"
	}
	if b.manner == neverPays && b.rng.IntN(2) == 0 {
		return b.end(ctx, o, hold)
	}
	if o = b.begin(ctx, o); o.Payment.PayURL == "" {
		return b.end(ctx, o, hold)
	}
	if b.manner == paysLate {
		stage.Sleep(ctx, 2*b.run.Hold+lateBy)
	}
	b.pay(ctx, o, hold)
	return b.end(ctx, o, hold)
}

// hold takes places of one kind or another.
func (b *buyer) hold(ctx context.Context) (id, refusal string) {
	var item m
	switch dice := b.rng.IntN(10); {
	case dice < 6:
		item = m{"tier": "floor", "quantity": 1 + b.rng.IntN(3)}
	case dice < 7:
		item = m{"tier": "pit", "quantity": 1 + b.rng.IntN(2)}
	default:
		item = m{"best": m{"quantity": 1 + b.rng.IntN(3), "tier": "lower", "allow": []string{"orphans", "split"}}}
	}
	body := b.json(m{"event": b.event, "items": []m{item}})
	type one struct {
		Status int `json:"status"`
		Body   struct {
			ID string `json:"id"`
		} `json:"body"`
		Problem struct {
			Code string `json:"code"`
		} `json:"problem"`
	}
	request := b.json(m{"items": []m{{"event": b.event, "session": b.session, "device": b.device, "key": b.key("hold"),
		"client": "127.0.0.1", "body": json.RawMessage(body)}}})
	for until := time.Now().Add(patience); ctx.Err() == nil && time.Now().Before(until); b.next(ctx) {
		var answer struct {
			Results []one `json:"results"`
		}
		if b.ask(ctx, http.MethodPost, "/edge/v1/holds:batch", "", request, &answer) != http.StatusOK || len(answer.Results) != 1 {
			continue
		}
		switch r := answer.Results[0]; {
		case r.Body.ID != "":
			return r.Body.ID, ""
		case r.Status >= 400 && r.Status < 500 && r.Status != http.StatusTooManyRequests:
			return "", r.Problem.Code
		}
	}
	return "", "no answer"
}

// open opens the order, now and then by two clicks at once.
func (b *buyer) open(ctx context.Context, hold string) (orderBody, string) {
	method := "card"
	if b.paypal {
		method = "paypal"
	}
	body := b.json(m{"hold_id": hold, "email": fmt.Sprintf("buyer-%d@example.com", b.n), "method": method})
	if b.rng.IntN(8) == 0 {
		b.run.operation.add("opened twice at once")
		var second sync.WaitGroup
		second.Go(func() {
			var o orderBody
			b.askAt(ctx, 1-b.core, http.MethodPost, "/v1/orders", b.key("order"), body, &o)
		})
		defer second.Wait()
	}
	return b.insist(ctx, http.MethodPost, "/v1/orders", b.key("order"), body)
}

// begin asks until the provider's form is there, or the order is over.
func (b *buyer) begin(ctx context.Context, o orderBody) orderBody {
	for until := time.Now().Add(patience); ctx.Err() == nil && time.Now().Before(until); b.next(ctx) {
		now, code := b.insist(ctx, http.MethodPost, "/v1/orders/"+o.ID+"/pay", fmt.Sprintf("pay-%d", b.rng.Int64()), []byte("{}"))
		if now.Payment.PayURL != "" || now.over() || code != "" {
			return now
		}
	}
	return orderBody{ID: o.ID}
}

// pay fills in the provider's form in this buyer's manner.
func (b *buyer) pay(ctx context.Context, o orderBody, hold string) {
	switch b.manner {
	case neverPays:
	case declines:
		b.form(ctx, o, url.Values{"card": {cardDeclined}})
		if o = b.begin(ctx, o); o.Payment.PayURL != "" {
			b.form(ctx, o, url.Values{"card": {cardOther}})
		}
	case proves:
		b.form(ctx, o, url.Values{"card": {cardProof}})
		b.form(ctx, o, url.Values{"authentication": {"approve"}})
	case failsProof:
		b.form(ctx, o, url.Values{"card": {cardProof}})
		b.form(ctx, o, url.Values{"authentication": {"fail"}})
		if o = b.begin(ctx, o); o.Payment.PayURL != "" {
			b.form(ctx, o, url.Values{"card": {cardOther}})
		}
	case abandonsProof:
		b.form(ctx, o, url.Values{"card": {cardProof}})
	case releases:
		var gone sync.WaitGroup
		gone.Go(func() {
			var none orderBody
			b.askAt(ctx, 1-b.core, http.MethodDelete, "/v1/holds/"+hold, "", nil, &none)
		})
		b.form(ctx, o, url.Values{"card": {cardGood}})
		gone.Wait()
	case disputes:
		b.form(ctx, o, url.Values{"card": {cardDisputed}})
	default:
		b.form(ctx, o, url.Values{"card": {cardGood}})
	}
}

// approval is what somebody does on PayPal's page who would use a card so.
func approval(card url.Values) string {
	switch {
	case card.Get("card") == cardDeclined, card.Get("authentication") == "fail":
		return "decline"
	case card.Get("card") == cardProof:
		return "cancel"
	}
	return "approve"
}

// form sends the provider's form, again while it does not answer.
func (b *buyer) form(ctx context.Context, o orderBody, fields url.Values) {
	u, err := url.Parse(o.Payment.PayURL)
	if err != nil {
		return
	}
	fields.Set("client_secret", u.Query().Get("client_secret"))
	if token := u.Query().Get("token"); token != "" { // PayPal's page
		fields = url.Values{"token": {token}, "action": {approval(fields)}}
	}
	for until := time.Now().Add(patience); ctx.Err() == nil && time.Now().Before(until); stage.Sleep(ctx, 200*time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.Payment.PayURL, strings.NewReader(fields.Encode()))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Accept", "application/json")
		resp, err := b.http.Do(req)
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)) // so that the connection is used again
		resp.Body.Close()
		if resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
			return
		}
	}
}

// giveUp gives the hold back while the call that makes the provider's form is on its way there: the order's payment is begun and has to
// be voided at once.
func (b *buyer) giveUp(ctx context.Context, hold string) {
	stage.Sleep(ctx, time.Duration(b.rng.IntN(1000))*time.Millisecond)
	for until := time.Now().Add(patience); ctx.Err() == nil && time.Now().Before(until); b.next(ctx) {
		var none json.RawMessage
		if status := b.ask(ctx, http.MethodDelete, "/v1/holds/"+hold, "", nil, &none); status >= 200 && status < 500 && status != http.StatusTooManyRequests {
			return
		}
	}
}

// key is the key of a request that this buyer makes once an order.
func (b *buyer) key(what string) string { return fmt.Sprintf("%s-%d-%d", what, b.n, b.turn) }

// end follows an order until it is over, as far as the buyer's patience goes. What becomes of it later the audit sees.
func (b *buyer) end(ctx context.Context, o orderBody, hold string) string {
	if b.manner == abandonsProof || b.manner == neverPays {
		if b.rng.IntN(3) == 0 {
			var none orderBody
			b.ask(ctx, http.MethodDelete, "/v1/holds/"+hold, "", nil, &none)
		}
		return "left"
	}
	for until := time.Now().Add(patience); ctx.Err() == nil && time.Now().Before(until); stage.Sleep(ctx, followEvery) {
		var now orderBody
		if b.ask(ctx, http.MethodGet, "/v1/orders/"+o.ID, "", nil, &now) != http.StatusOK {
			b.next(ctx)
			continue
		}
		if now.State == "ticket_issued" {
			return b.keep(ctx, now)
		}
		if now.over() {
			return now.State
		}
	}
	return "did not see the end"
}

// insist repeats a request until it is answered for certain: with an order, or with the code of a refusal.
func (b *buyer) insist(ctx context.Context, method, path, key string, body []byte) (orderBody, string) {
	for until := time.Now().Add(patience); ctx.Err() == nil && time.Now().Before(until); b.next(ctx) {
		var o orderBody
		switch status := b.ask(ctx, method, path, key, body, &o); {
		case status >= 200 && status < 300:
			return o, ""
		case status >= 400 && status < 500 && status != http.StatusTooManyRequests:
			return orderBody{}, o.Code
		}
	}
	return orderBody{}, "no answer"
}

// next turns to the other core and takes a breath.
func (b *buyer) next(ctx context.Context) {
	b.core = (b.core + 1) % cores
	stage.Sleep(ctx, time.Duration(50+b.rng.IntN(200))*time.Millisecond)
}

func (b *buyer) ask(ctx context.Context, method, path, key string, body []byte, into any) int {
	return b.askAt(ctx, b.core, method, path, key, body, into)
}

// askAt makes one request of a core as this buyer.
func (b *buyer) askAt(ctx context.Context, core int, method, path, key string, body []byte, into any) int {
	return send(ctx, b.http, b.run.theatre.edge[core]+path, method, map[string]string{
		"Authorization": "Bearer " + b.run.secret, "Fairgate-Session": b.session, "Fairgate-Device": b.device, "Idempotency-Key": key,
	}, body, into)
}

// send makes one request, for which the client has its time. The status is 0 when no answer came that can be read.
func send(ctx context.Context, client *http.Client, url, method string, header map[string]string, body []byte, into any) int {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	for name, value := range header {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil || len(text) > 0 && json.Unmarshal(text, into) != nil {
		return 0
	}
	return resp.StatusCode
}

func (b *buyer) json(v any) []byte {
	text, _ := json.Marshal(v) // plain values cannot fail
	return text
}
