package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/valyala/fasthttp"

	"fairgate/edge/lottery"
	"fairgate/ledger"
	"fairgate/loadtest"
)

const (
	slug = "bench"
	// A page looks when its form is done, and is answered when there is news or after three seconds; it looks again every one and a
	// half seconds from then on.
	look     = "?wait=3s"
	thenLook = 1500 * time.Millisecond
	// patience is how long a purchase may take before it counts as failed.
	patience = 60 * time.Second
	// settle is how long the last purchases may take to end after the measurement.
	settle = 60 * time.Second
)

const eventText = `id: bench
name: Bench
organizer: bench
venue: {name: Hall, city: Valencia, country: ES}
time_zone: Europe/Madrid
starts_at: 2031-06-12T21:00:00+02:00
currency: EUR
tiers:
  - {id: floor, name: Floor, kind: general, price: "30.00", capacity: 1000000}
fees: {per_ticket: "1.50", percent: 5}
taxes: {percent: 10, included: true}
limits: {per_buyer: 8}
hold: {ttl: 10m}
`

// outcome is what was achieved.
type outcome struct {
	completed int64 // in the time measured
	all       int64 // with the warm-up, and what ended after
	latency   *hdrhistogram.Histogram
	used      map[string]seconds // in the time measured
	counts    counts             // of the time measured
	failures  map[string]int
}

// crowd is a closed loop of buyers: whoever has bought makes way for another.
type crowd struct {
	w           *world
	o           options
	edge, shop  *fasthttp.HostClient
	next        atomic.Int64
	from, until time.Time

	mu  sync.Mutex // guards out
	out outcome
}

func (w *world) purchases(ctx context.Context, o options) (outcome, error) {
	if err := w.admin.Apply(ctx, []byte(eventText)); err != nil {
		return outcome{}, err
	}
	if err := w.admin.Schedule(ctx, slug, time.Now(), time.Now().Add(5*time.Minute)); err != nil {
		return outcome{}, err
	}
	client := func(host string) *fasthttp.HostClient {
		return &fasthttp.HostClient{Addr: host, MaxConns: 2 * o.buyers, MaxIdleConnDuration: time.Minute, ReadTimeout: patience, WriteTimeout: patience}
	}
	began := time.Now()
	c := &crowd{w: w, o: o, edge: client(w.edge), shop: client(w.paysim), from: began.Add(o.warmUp), until: began.Add(o.warmUp + o.seconds)}
	c.out = outcome{latency: hdrhistogram.New(1, time.Hour.Microseconds(), 3), failures: map[string]int{}}
	var group sync.WaitGroup
	for i := range o.buyers {
		group.Go(func() {
			// They come one after the other, or all would wait for the same commits for ever.
			time.Sleep(time.Duration(i) * o.warmUp / time.Duration(2*o.buyers))
			for time.Now().Before(c.until) && ctx.Err() == nil {
				c.one(ctx)
			}
		})
	}
	time.Sleep(time.Until(c.from))
	if _, err := w.db.Pool.Exec(ctx, `ANALYZE`); err != nil { // as PostgreSQL does by itself every minute
		return outcome{}, err
	}
	before, counted := w.spent(), w.counted(ctx)
	wait := func() {}
	if o.profile != "" {
		wait = w.profiled(o.profile, int(o.seconds/time.Second))
	}
	time.Sleep(time.Until(c.until))
	used := w.spent()
	c.out.counts = w.counted(ctx).since(counted)
	wait()
	group.Wait()
	for part := range used {
		used[part] = used[part].minus(before[part])
	}
	c.out.used = used
	if c.out.completed == 0 {
		return c.out, fmt.Errorf("nothing was bought in %s: %v", o.seconds, c.out.failures)
	}
	return c.out, ctx.Err()
}

// one is one buyer's purchase.
func (c *crowd) one(ctx context.Context) {
	n := c.next.Add(1)
	started := time.Now()
	err := c.buy(ctx, uint64(n))
	ended := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.out.failures[err.Error()]++
		return
	}
	c.out.all++
	if ended.After(c.from) && ended.Before(c.until) {
		c.out.completed++
		_ = c.out.latency.RecordValue(max(ended.Sub(started).Microseconds(), 1)) // longer than an hour does not happen
	}
}

// orderBody is what a buyer reads of an order.
type orderBody struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	Payment struct {
		State        string `json:"state"`
		ProviderRef  string `json:"provider_ref"`
		ClientSecret string `json:"client_secret"`
	} `json:"payment"`
	Tickets []string `json:"tickets"`
}

func (c *crowd) buy(ctx context.Context, n uint64) error {
	cookie := c.w.mint.Shopper(slug, n, time.Now()).Cookie
	var hold struct {
		ID string `json:"id"`
	}
	if err := c.ask("hold", "POST", "/v1/holds", cookie, `{"event":"`+slug+`","items":[{"tier":"floor","quantity":`+strconv.Itoa(c.o.tickets)+`}]}`, &hold); err != nil {
		return err
	}
	var o orderBody
	if err := c.ask("order", "POST", "/v1/orders", cookie, `{"hold_id":"`+hold.ID+`","email":"buyer-`+strconv.FormatUint(n, 10)+`@example.org"}`, &o); err != nil {
		return err
	}
	id := o.ID
	give := time.Now().Add(patience)
	for o.Payment.State != "begun" {
		if time.Now().After(give) {
			return errors.New("the payment is never begun")
		}
		if err := c.ask("pay", "POST", "/v1/orders/"+id+"/pay", cookie, `{}`, &o); err != nil {
			return err
		}
	}
	if err := c.confirm(o.Payment.ProviderRef, o.Payment.ClientSecret, int(n)); err != nil {
		return err
	}
	for {
		o = orderBody{}
		if err := c.ask("look", "GET", "/v1/orders/"+id+look, cookie, "", &o); err != nil {
			return err
		}
		switch {
		case o.State == "ticket_issued" && len(o.Tickets) == c.o.tickets:
			return nil
		case o.State != "payment_pending":
			return errors.New("the order ended " + o.State)
		case time.Now().After(give):
			return errors.New("the tickets never come")
		}
		select {
		case <-ctx.Done():
			return errors.New("stopped")
		case <-time.After(thenLook):
		}
	}
}

// ask is one call of a buyer's page.
func (c *crowd) ask(what, method, path, cookie, body string, into any) error {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.SetRequestURI("http://" + c.w.edge + path)
	request.Header.SetMethod(method)
	request.Header.Set("Cookie", cookie)
	if body != "" {
		request.Header.SetContentType("application/json")
		request.Header.Set("Idempotency-Key", what)
		request.SetBodyString(body)
	}
	if err := c.edge.Do(request, response); err != nil {
		return fmt.Errorf("%s: no answer", what) // the text of err has ports in it, and would make every failure another one
	}
	if status := response.StatusCode(); status/100 != 2 {
		var problem struct {
			Code string `json:"code"`
		}
		_ = json.Unmarshal(response.Body(), &problem)
		return fmt.Errorf("%s: %d %s", what, status, problem.Code)
	}
	if err := json.Unmarshal(response.Body(), into); err != nil {
		return fmt.Errorf("%s: an answer that cannot be read", what)
	}
	return nil
}

// confirm is the provider's form, as its script in the buyer's browser sends it.
func (c *crowd) confirm(ref, secret string, n int) error {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.SetRequestURI("http://" + c.w.paysim + "/v1/payment_intents/" + ref + "/confirm")
	request.Header.SetMethod("POST")
	request.Header.SetContentType("application/x-www-form-urlencoded")
	request.SetBodyString("payment_method_data[type]=card&payment_method_data[card][number]=" + loadtest.CardNumber(n) + "&client_secret=" + url.QueryEscape(secret) + "&key=" + publishable)
	if err := c.shop.Do(request, response); err != nil {
		return errors.New("confirm: no answer")
	}
	if response.StatusCode() != 200 {
		return fmt.Errorf("confirm: %d", response.StatusCode())
	}
	return nil
}

const sqlCheck = `SELECT
	(SELECT count(*) FROM orders WHERE event_id = $1 AND state = 'ticket_issued'),
	(SELECT count(*) FROM orders WHERE event_id = $1),
	(SELECT coalesce(sum(amount_minor), 0)::INT8 FROM orders WHERE event_id = $1 AND state = 'ticket_issued'),
	(SELECT count(*) FROM tickets WHERE event_id = $1 AND state = 'valid'),
	(SELECT coalesce(sum(taken), 0)::INT8 FROM stock WHERE event_id = $1)`

// check compares the tables with each other, with paysim's books, and with what buyers saw: a figure for lost money is worth
// nothing.
func (w *world) check(ctx context.Context, o options, got outcome) (string, error) {
	var issued, orders, minor, tickets, taken int64
	for give := time.Now().Add(settle); ; time.Sleep(200 * time.Millisecond) {
		if err := w.db.Reader.QueryRow(ctx, sqlCheck, lottery.EventID(slug)).Scan(&issued, &orders, &minor, &tickets, &taken); err != nil {
			return "", fmt.Errorf("compare the tables: %w", err)
		}
		if issued >= got.all && issued == orders || time.Now().After(give) {
			break
		}
	}
	if issued < got.all || tickets != issued*int64(o.tickets) || taken < tickets {
		return "", fmt.Errorf("%d buyers saw their tickets; %d orders have them, %d tickets, %d places taken", got.all, issued, tickets, taken)
	}
	status, body, err := fasthttp.Get(nil, "http://"+w.paysim+"/_paysim/books?entries=0")
	if err != nil || status != 200 {
		return "", fmt.Errorf("read paysim's books: %d, %w", status, err)
	}
	var books struct {
		Captured   map[string]int64 `json:"captured"`
		Consistent bool             `json:"consistent"`
	}
	if err := json.Unmarshal(body, &books); err != nil {
		return "", fmt.Errorf("read paysim's books: %w", err)
	}
	var captured int64
	for _, amount := range books.Captured {
		captured += amount
	}
	if captured != minor || !books.Consistent {
		return "", fmt.Errorf("paysim captured %d, paid orders add up to %d", captured, minor)
	}
	report, err := ledger.Verify(ctx, w.db.Reader)
	if err != nil {
		return "", err
	}
	if !report.OK || report.Transfers == 0 {
		return "", fmt.Errorf("the ledger does not verify: %+v", report.Checks)
	}
	var audit struct {
		OK       bool            `json:"ok"`
		Orders   int64           `json:"orders"`
		Steps    int64           `json:"steps"`
		Findings json.RawMessage `json:"findings"`
	}
	if err := w.admin.Get(ctx, "/admin/v1/orders/verify", &audit); err != nil {
		return "", fmt.Errorf("verify the audit trail: %w", err)
	}
	if !audit.OK || audit.Orders != orders {
		return "", fmt.Errorf("the audit trail does not verify: %s", audit.Findings)
	}
	return fmt.Sprintf("checked: %d orders, %d tickets, paysim captured what they cost, %d ledger transfers and %d steps of the audit trail verify",
		issued, tickets, report.Transfers, audit.Steps), nil
}
