package paysim

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"html/template"
	"net/http"
	"net/http/pprof"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxBody bounds a request; the largest is all the evidence that a dispute takes, as a form may encode it.
const maxBody = 512 << 10

// Server is the provider. Handler serves it, Deliver sends its webhooks and lets its time pass.
type Server struct {
	cfg     Config
	clock   *clock
	dice    *dice
	limit   *limiter
	courier *courier
	mux     *http.ServeMux
	page    *template.Template
	pp      *paypal
	ppPage  *template.Template
	nonce   string // makes the ids of this start unlike those of any other
	ids     atomic.Uint64
	calls   callCounts
	stir    chan struct{} // something is due earlier than anything before
	moving  sync.Mutex    // held while the clock is moved by hand; taken before mu

	mu        sync.Mutex
	intents   []*intent          // in the order in which they were made
	byID      map[string]*intent // by id
	byPayment map[string][]*intent
	byOrder   map[string][]*intent
	keys      keyring
	agenda    agenda
	balances  map[string]int64 // taken minus given back and disputed, by lower-case currency, kept as the money moves
	account   account

	refunds     []*refund // in the order in which they were made, as all below
	refundByID  map[string]*refund
	disputes    []*dispute
	disputeByID map[string]*dispute
	payouts     []*payout
	payoutByID  map[string]*payout
}

// callCounts are the calls with the secret key, by how they ended.
type callCounts struct {
	served, replayed, limited, failed, lost, cut, slow, onWay, refused atomic.Int64
}

// New makes a Server.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Server{
		cfg: cfg, clock: newClock(cfg.Now, cfg.ClockSpeed), dice: newDice(cfg.Seed), limit: newLimiter(cfg.Rate, cfg.Now),
		mux: http.NewServeMux(), page: parsePage(), nonce: randomText(8),
		stir:      make(chan struct{}, 1),
		byID:      make(map[string]*intent),
		byPayment: make(map[string][]*intent),
		byOrder:   make(map[string][]*intent),
		keys:      keyring{known: make(map[string]*keyed)},
		balances:  make(map[string]int64), account: newAccount(),
		refundByID: make(map[string]*refund), disputeByID: make(map[string]*dispute), payoutByID: make(map[string]*payout),
	}
	s.pp, s.ppPage = newPayPal(cfg.PayPal), parsePayPalPage()
	s.courier = newCourier(cfg, s.dice)
	s.courier.redirect(toPayPal, cfg.PayPal.WebhookURL, s.payPalSigner(), nil)
	s.courier.redirect(toStripe, cfg.WebhookURL, stripeSigner(cfg.WebhookSecret), cfg.WebhookEvents)
	s.planPayouts()
	s.routes()
	return s, nil
}

// Handler serves the API, the form and the books.
func (s *Server) Handler() http.Handler { return s.mux }

// Deliver sends webhooks and does what falls due by the provider's clock until ctx ends, and returns when all that it started
// has stopped. Webhooks that were not sent by then are lost, as they are when a provider gives up.
func (s *Server) Deliver(ctx context.Context) {
	var time sync.WaitGroup
	time.Go(func() { s.keepTime(ctx) })
	s.courier.run(ctx)
	time.Wait()
}

func (s *Server) routes() {
	secret := func(pattern, step string, e endpoint) { s.mux.HandleFunc(pattern, s.api(step, e, false)) }
	shared := func(pattern, step string, e endpoint) { s.mux.HandleFunc(pattern, s.api(step, e, true)) }
	secret("POST /v1/payment_intents", "create", s.create)
	secret("GET /v1/payment_intents", "list", s.list)
	secret("GET /v1/payment_intents/search", "search", s.search)
	shared("GET /v1/payment_intents/{id}", "retrieve", s.retrieve)
	shared("POST /v1/payment_intents/{id}/confirm", "confirm", s.confirm)
	secret("POST /v1/payment_intents/{id}/capture", "capture", s.capture)
	secret("POST /v1/payment_intents/{id}/cancel", "cancel", s.cancel)
	secret("POST /v1/refunds", "refund", s.refund)
	secret("GET /v1/refunds", "list refunds", s.listRefunds)
	secret("GET /v1/refunds/{id}", "retrieve refund", s.retrieveRefund)
	secret("GET /v1/charges/{id}", "retrieve charge", s.retrieveCharge)
	secret("GET /v1/disputes", "list disputes", s.listDisputes)
	secret("GET /v1/disputes/{id}", "retrieve dispute", s.retrieveDispute)
	secret("POST /v1/disputes/{id}", "answer dispute", s.answerDispute)
	secret("GET /v1/balance", "balance", s.balance)
	secret("GET /v1/balance_transactions", "list balance", s.listTransactions)
	secret("GET /v1/balance_transactions/{id}", "retrieve balance", s.retrieveTransaction)
	secret("GET /v1/payouts", "list payouts", s.listPayouts)
	secret("GET /v1/payouts/{id}", "retrieve payout", s.retrievePayout)
	secret("POST /v1/webhook_endpoints", "subscribe", s.subscribe)
	secret("/v1/", "unknown", func(c *call) (*reply, bool) {
		return refusal(invalid(http.StatusNotFound, "", "", "Unrecognized request URL ("+c.r.Method+": "+c.r.URL.Path+").")), false
	})
	s.payPalRoutes()
	s.mux.HandleFunc("GET /pay/{id}", s.showForm)
	s.mux.HandleFunc("POST /pay/{id}", s.takeForm)
	s.mux.HandleFunc("GET /_paysim/books", s.serveBooks)
	s.mux.HandleFunc("GET /_paysim/books.jsonl", s.streamBooks)
	s.mux.HandleFunc("GET /_paysim/orders/{order}", s.serveOrder)
	s.mux.HandleFunc("POST /_paysim/dispute", s.disputeByHand)
	s.mux.HandleFunc("GET /_paysim/clock", s.showClock)
	s.mux.HandleFunc("POST /_paysim/clock", s.moveClock)
	s.mux.HandleFunc("GET /_paysim/profile", pprof.Profile) // of the processor, over ?seconds=
	s.mux.HandleFunc("GET /_paysim/health", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
}

// call is one request of the API.
type call struct {
	r       *http.Request
	form    url.Values
	request string // its id
	key     string // idempotency key, or ""
	public  bool   // made with the publishable key
	mishap  mishap // never of a public call
	events  []*event
}

// endpoint carries out a call. executed is false when the call was not valid, so that its answer is not kept.
type endpoint func(c *call) (answer *reply, executed bool)

// api wraps an endpoint with what all of them share. step names the endpoint to the dice. shared endpoints can be called with
// the publishable key too.
func (s *Server) api(step string, e endpoint, shared bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{r: r, request: s.newID("req_")}
		w.Header().Set("Request-Id", c.request)
		w.Header().Set("Stripe-Version", apiVersion)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if err := r.ParseForm(); err != nil {
			s.send(w, refusal(invalid(http.StatusBadRequest, "", "", "Invalid request body.")))
			return
		}
		c.form = r.Form
		if f := s.authorize(c, shared); f != nil {
			s.calls.refused.Add(1)
			s.send(w, refusal(f))
			return
		}
		if r.Method == http.MethodPost {
			c.key = r.Header.Get("Idempotency-Key")
		}
		if !c.public && s.cfg.Faults.ofCalls() {
			c.mishap = s.mishapOf(step, s.nameOf(c))
		}
		if c.mishap.cut {
			s.calls.cut.Add(1)
			hangUp()
		}
		if !c.public && (!s.limit.allow() || c.mishap.limited) {
			s.calls.limited.Add(1)
			w.Header().Set("Stripe-Rate-Limited-Reason", "global-rate")
			s.send(w, refusal(invalid(http.StatusTooManyRequests, "rate_limit", "", "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.")))
			return
		}
		s.arrive(c.mishap, c.r.Method)
		s.answer(w, c, s.once(w, c, e))
	}
}

// hangUp closes the connection of the request that is being handled without an answer.
func hangUp() { panic(http.ErrAbortHandler) }

// nameOf is what the dice know a call's thing by: the merchant's own name of it.
func (s *Server) nameOf(c *call) string {
	for _, field := range []string{"metadata[refund_id]", "metadata[payment_id]"} {
		if name := c.form.Get(field); name != "" {
			return name
		}
	}
	id := c.r.PathValue("id")
	if id == "" {
		id = c.form.Get("payment_intent")
	}
	if name := s.nameOfObject(id); name != "" {
		return name
	}
	if query := c.form.Get("query"); query != "" {
		return query
	}
	return c.key
}

// nameOfObject is the merchant's own name of what one of our ids means, "" for an id that means nothing.
func (s *Server) nameOfObject(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.byID[id]; i != nil {
		return i.name()
	}
	if r := s.refundByID[id]; r != nil {
		return r.name
	}
	if d := s.disputeByID[id]; d != nil {
		return d.name
	}
	if i, _ := s.chargeByID(id); i != nil {
		return i.name()
	}
	return ""
}

// once carries out a call, or repeats the answer that is stored under its key.
func (s *Server) once(w http.ResponseWriter, c *call, e endpoint) *reply {
	if c.key == "" {
		answer, _ := s.execute(c, e)
		return answer
	}
	print := fingerprint(c.r.Method, c.r.URL.Path, c.form)
	s.mu.Lock()
	stored, refused := s.keys.begin(c.key, c.request, print, s.clock.now())
	s.mu.Unlock()
	w.Header().Set("Idempotency-Key", c.key)
	if refused != nil {
		s.calls.refused.Add(1)
		return refusal(refused)
	}
	if stored != nil {
		s.calls.replayed.Add(1)
		w.Header().Set("Idempotent-Replayed", "true")
		w.Header().Set("Original-Request", stored.request)
		return stored.reply
	}
	answer, executed := s.execute(c, e)
	s.mu.Lock()
	if executed {
		s.keys.keep(c.key, answer)
	} else {
		s.keys.forget(c.key)
	}
	s.mu.Unlock()
	return answer
}

// execute carries out a call, or fails before or after it.
func (s *Server) execute(c *call, e endpoint) (answer *reply, executed bool) {
	if c.mishap.before {
		s.calls.failed.Add(1)
		return refusal(ownFault()), true
	}
	answer, executed = e(c)
	if c.mishap.after && executed {
		s.calls.failed.Add(1)
		answer = refusal(ownFault())
	}
	return answer, executed
}

// answer sends the call's events and its answer, in an order and manner that the dice decide.
func (s *Server) answer(w http.ResponseWriter, c *call, answer *reply) {
	s.announce(c.r.Context(), c.events)
	if c.mishap.slow {
		s.calls.slow.Add(1)
		pause(c.r.Context(), s.cfg.Faults.SlowFor)
	}
	if c.mishap.lost {
		s.calls.lost.Add(1)
		hangUp()
	}
	s.calls.served.Add(1)
	s.send(w, answer)
}

// announce hands events to the courier, or has them arrive before it returns.
func (s *Server) announce(ctx context.Context, events []*event) {
	for _, e := range events {
		if s.dice.hits("early", e.name, s.cfg.Faults.WebhookEarly) {
			s.courier.sendNow(ctx, e)
		} else {
			s.courier.schedule(e)
		}
	}
}

func (s *Server) send(w http.ResponseWriter, answer *reply) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body()) // a caller that is gone repeats the call
}

// authorize checks the key of a call: a Bearer token or the user name of Basic.
func (s *Server) authorize(c *call, shared bool) *failure {
	key, _, basic := c.r.BasicAuth()
	if !basic {
		key = strings.TrimSpace(strings.TrimPrefix(c.r.Header.Get("Authorization"), "Bearer "))
	}
	if key == "" {
		key = c.form.Get("key") // as a browser's form may send it
	}
	c.form.Del("key")
	switch {
	case key == "":
		return invalid(http.StatusUnauthorized, "", "", "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').")
	case same(key, s.cfg.SecretKey):
		return nil
	case same(key, s.cfg.PublishableKey):
		if !shared {
			return invalid(http.StatusForbidden, "secret_key_required", "", "This API call cannot be made with a publishable API key. Please use a secret API key.")
		}
		c.public = true
		return nil
	default:
		return invalid(http.StatusUnauthorized, "api_key_invalid", "", "Invalid API Key provided: "+masked(key))
	}
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// masked is a key as an error may show it.
func masked(key string) string {
	if len(key) <= 12 {
		return strings.Repeat("*", len(key))
	}
	return key[:8] + strings.Repeat("*", len(key)-12) + key[len(key)-4:]
}

// newID makes an id that is unique among all starts of all servers.
func (s *Server) newID(prefix string) string {
	n := s.ids.Add(1)
	var digits [8]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = alphabet[n%uint64(len(alphabet))]
		n /= uint64(len(alphabet))
	}
	return prefix + s.nonce + string(digits[:])
}

const alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// randomText is unguessable: n characters of some 6 bits each.
func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
