package paysim

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// toPayPal names the target of events in PayPal's form.
const toPayPal = "paypal"

// PayPal is how the PayPal side answers. It is served beside Stripe's, at the same address.
type PayPal struct {
	ClientID     string `mapstructure:"client_id"`     // default paysim
	ClientSecret string `mapstructure:"client_secret"` // default paysim_secret
	WebhookID    string `mapstructure:"webhook_id"`    // default PAYSIM0WEBHOOK; part of what is signed
	WebhookURL   string `mapstructure:"webhook_url"`   // where its events go; empty: nowhere
	// PublicURL is where merchants and buyers reach this server; empty: what the last call of the API was addressed to.
	PublicURL string `mapstructure:"public_url"`
}

func (p PayPal) withDefaults() PayPal {
	for _, field := range []struct {
		at    *string
		value string
	}{{&p.ClientID, "paysim"}, {&p.ClientSecret, "paysim_secret"}, {&p.WebhookID, "PAYSIM0WEBHOOK"}} {
		if strings.TrimSpace(*field.at) == "" {
			*field.at = field.value
		}
	}
	p.PublicURL = strings.TrimSuffix(p.PublicURL, "/")
	return p
}

// paypal is the PayPal side of a Server. Its maps and all that they lead to are guarded by the Server's mutex.
type paypal struct {
	cfg     PayPal
	public  atomic.Value // string: the address to name in links
	stamp   sync.Once
	cert    *ppCert // made when it is first asked for
	certErr error
	tokens  atomic.Int64 // given out

	bearers  map[string]time.Time // until when, by the base clock
	orders   []*ppOrder
	byOrder  map[string]*ppOrder
	auths    map[string]*ppAuth
	captures map[string]*ppCapture
	refunds  map[string]*ppRefund
	disputes map[string]*ppDispute
	given    []*ppRefund  // in the order in which they were made, as all lists are
	disputed []*ppDispute //
	rows     []*ppRow     // what the report shows
	mistakes BookedStatement
	keys     map[string]*ppKeyed
	balances map[string]int64 // by currency, before fees
	fees     map[string]int64
}

func newPayPal(cfg PayPal) *paypal {
	p := &paypal{
		cfg: cfg, bearers: map[string]time.Time{}, byOrder: map[string]*ppOrder{}, auths: map[string]*ppAuth{}, captures: map[string]*ppCapture{},
		refunds: map[string]*ppRefund{}, disputes: map[string]*ppDispute{}, keys: map[string]*ppKeyed{}, balances: map[string]int64{}, fees: map[string]int64{},
	}
	p.public.Store(cfg.PublicURL)
	return p
}

// How long PayPal remembers a PayPal-Request-Id, by what it was used for.
const (
	ppOrderKeyLife   = 6 * time.Hour
	ppPaymentKeyLife = 45 * 24 * time.Hour
)

// ppKeyed is what is known about one PayPal-Request-Id. A repeated call is answered with what its object is like by then.
type ppKeyed struct {
	print string
	until time.Time
	again func() *ppReply // runs with the Server's mutex held
}

// ppReply is an answer: a status, and what JSON shows of an object, nil for nothing.
type ppReply struct {
	status int
	body   any
}

// ppCall is one request of PayPal's API.
type ppCall struct {
	s      *Server
	r      *http.Request
	id     string // of the object in the path
	raw    []byte
	base   string // the address in links
	events []*event
}

// read reads the body; an empty one is none.
func (c *ppCall) read(into any) bool {
	return len(c.raw) == 0 || json.Unmarshal(c.raw, into) == nil
}

// ppEndpoint carries out a call, with the Server's mutex held. again, if not nil, answers the same call when it is repeated.
type ppEndpoint func(c *ppCall) (answer *ppReply, again func() *ppReply)

func (s *Server) payPalRoutes() {
	api := func(pattern, step string, life time.Duration, e ppEndpoint) {
		s.mux.HandleFunc(pattern, s.payPalAPI(step, life, e))
	}
	s.mux.HandleFunc("POST /v1/oauth2/token", s.ppToken)
	api("POST /v2/checkout/orders", "pp create", ppOrderKeyLife, s.ppCreate)
	api("GET /v2/checkout/orders/{id}", "pp order", 0, s.ppShowOrder)
	api("PATCH /v2/checkout/orders/{id}", "pp patch", 0, s.ppPatch)
	api("POST /v2/checkout/orders/{id}/authorize", "pp authorize", ppOrderKeyLife, s.ppAuthorize)
	api("GET /v2/payments/authorizations/{id}", "pp authorization", 0, s.ppShowAuth)
	api("POST /v2/payments/authorizations/{id}/capture", "pp capture", ppPaymentKeyLife, s.ppTake)
	api("POST /v2/payments/authorizations/{id}/void", "pp void", ppPaymentKeyLife, s.ppVoid)
	api("POST /v2/payments/authorizations/{id}/reauthorize", "pp reauthorize", ppPaymentKeyLife, s.ppReauthorize)
	api("GET /v2/payments/captures/{id}", "pp show capture", 0, s.ppShowCapture)
	api("POST /v2/payments/captures/{id}/refund", "pp refund", ppPaymentKeyLife, s.ppGiveBack)
	api("GET /v2/payments/refunds/{id}", "pp show refund", 0, s.ppShowRefund)
	api("GET /v1/customer/disputes", "pp disputes", 0, s.ppListDisputes)
	api("GET /v1/customer/disputes/{id}", "pp dispute", 0, s.ppShowDispute)
	api("POST /v1/customer/disputes/{id}/provide-evidence", "pp evidence", ppPaymentKeyLife, s.ppEvidence)
	api("GET /v1/reporting/transactions", "pp report", 0, s.ppReport)
	api("POST /v1/notifications/verify-webhook-signature", "pp verify", 0, s.ppVerify)
	s.mux.HandleFunc("GET /v1/notifications/certs/{name}", s.ppShowCert)
	s.mux.HandleFunc("GET /checkoutnow", s.ppShowPage)
	s.mux.HandleFunc("POST /checkoutnow", s.ppTakePage)
	s.mux.HandleFunc("GET /_paysim/paypal/ca.pem", s.ppShowRoots)
	s.mux.HandleFunc("POST /_paysim/paypal/disputes", s.ppOpenDispute)
	s.mux.HandleFunc("POST /_paysim/paypal/disputes/{id}", s.ppMoveDispute)
}

// payPalAPI wraps an endpoint with what all of them share: the token, the mishaps, the rate limit, the repeated ids.
func (s *Server) payPalAPI(step string, life time.Duration, e ppEndpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &ppCall{s: s, r: r, id: r.PathValue("id"), base: s.ppBase(r)}
		w.Header().Set("Paypal-Debug-Id", s.newID(""))
		var err error
		if c.raw, err = io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20)); err != nil {
			s.ppSend(w, ppInvalid("MALFORMED_REQUEST_JSON"))
			return
		}
		if !s.ppKnows(r) {
			s.calls.refused.Add(1)
			s.ppSend(w, &ppReply{http.StatusUnauthorized, map[string]any{"error": "invalid_token", "error_description": "Token signature verification failed"}})
			return
		}
		m := s.mishapOf(step, s.ppNameOf(c))
		if m.cut {
			s.calls.cut.Add(1)
			hangUp()
		}
		if !s.limit.allow() || m.limited {
			s.calls.limited.Add(1)
			s.ppSend(w, ppFailure(http.StatusTooManyRequests, "RATE_LIMIT_REACHED", ""))
			return
		}
		s.arrive(m, r.Method)
		answer := s.ppCarryOut(c, m, life, e)
		s.announce(r.Context(), c.events)
		if m.slow {
			s.calls.slow.Add(1)
			pause(r.Context(), s.cfg.Faults.SlowFor)
		}
		if m.lost {
			s.calls.lost.Add(1)
			hangUp()
		}
		s.calls.served.Add(1)
		s.ppSend(w, answer)
	}
}

// ppCarryOut carries a call out, or answers a repeated one, or fails before or after.
func (s *Server) ppCarryOut(c *ppCall, m mishap, life time.Duration, e ppEndpoint) *ppReply {
	ownFault := ppFailure(http.StatusInternalServerError, "INTERNAL_SERVER_ERROR", "")
	if m.before {
		s.calls.failed.Add(1)
		return ownFault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := c.r.Header.Get("PayPal-Request-Id")
	print := c.r.Method + " " + c.r.URL.Path + " " + string(c.raw)
	now := s.clock.now()
	answer := (*ppReply)(nil)
	if known := s.pp.keys[key]; key != "" && life > 0 && known != nil && now.Before(known.until) {
		if known.print != print {
			s.calls.refused.Add(1)
			return ppUnprocessable("PAYPAL_REQUEST_ID_PREVIOUSLY_USED")
		}
		s.calls.replayed.Add(1)
		answer = known.again()
	} else {
		var again func() *ppReply
		answer, again = e(c)
		if key != "" && life > 0 && again != nil {
			s.pp.keys[key] = &ppKeyed{print: print, until: now.Add(life), again: again}
		}
	}
	if m.after && answer.status < 300 {
		s.calls.failed.Add(1)
		return ownFault
	}
	return answer
}

// ppBase is the address that links name, learned from whoever calls unless it is configured.
func (s *Server) ppBase(r *http.Request) string {
	if s.pp.cfg.PublicURL != "" {
		return s.pp.cfg.PublicURL
	}
	base := "http://" + r.Host
	s.pp.public.Store(base)
	return base
}

// ppNameOf is what the dice know a call's thing by: the merchant's own name of it.
func (s *Server) ppNameOf(c *ppCall) string {
	if !s.cfg.Faults.ofCalls() {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var body struct {
		CustomID string `json:"custom_id"`
		Units    []struct {
			CustomID string `json:"custom_id"`
		} `json:"purchase_units"`
	}
	_ = json.Unmarshal(c.raw, &body) // of another shape: it has no name
	switch o := s.ppOrderOf(c.id); {
	case body.CustomID != "":
		return body.CustomID
	case len(body.Units) > 0:
		return body.Units[0].CustomID
	case o != nil:
		return o.name
	default:
		return c.r.Header.Get("PayPal-Request-Id")
	}
}

// ppOrderOf is the order behind the id of anything. The caller holds the mutex.
func (s *Server) ppOrderOf(id string) *ppOrder {
	if o := s.pp.byOrder[id]; o != nil {
		return o
	}
	if a := s.pp.auths[id]; a != nil {
		return a.order
	}
	if c := s.pp.captures[id]; c != nil {
		return c.order
	}
	if r := s.pp.refunds[id]; r != nil {
		return r.capture.order
	}
	if d := s.pp.disputes[id]; d != nil {
		return d.capture.order
	}
	return nil
}

func (s *Server) ppSend(w http.ResponseWriter, answer *ppReply) {
	if answer.body == nil {
		w.WriteHeader(answer.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(answer.status)
	_, _ = w.Write(encode(answer.body)) // a caller that is gone repeats the call
}

// ppToken gives out access tokens.
func (s *Server) ppToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	id, secret, _ := r.BasicAuth()
	if !same(id, s.pp.cfg.ClientID) || !same(secret, s.pp.cfg.ClientSecret) || r.FormValue("grant_type") != "client_credentials" {
		s.calls.refused.Add(1)
		s.ppSend(w, &ppReply{http.StatusUnauthorized, map[string]any{"error": "invalid_client", "error_description": "Client Authentication failed"}})
		return
	}
	const life = 9 * time.Hour
	token := "A21AA" + randomText(40)
	s.mu.Lock()
	s.pp.bearers[token] = s.cfg.Now().Add(life)
	s.mu.Unlock()
	s.pp.tokens.Add(1)
	s.ppSend(w, &ppReply{http.StatusOK, map[string]any{
		"scope": "https://uri.paypal.com/services/payments/payment", "access_token": token, "token_type": "Bearer", "app_id": "APP-PAYSIM",
		"expires_in": int(life / time.Second), "nonce": randomText(12),
	}})
}

// ppKnows checks the token of a call.
func (s *Server) ppKnows(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	return ok && s.cfg.Now().Before(s.pp.bearers[token])
}

// ForgetPayPalTokens takes back every access token that was given out, as PayPal may at any time.
func (s *Server) ForgetPayPalTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.pp.bearers)
}

// PayPalTokens is how many access tokens were given out.
func (s *Server) PayPalTokens() int64 { return s.pp.tokens.Load() }

func ppFailure(status int, name, issue string) *ppReply {
	body := map[string]any{"name": name, "message": "The request could not be carried out.", "debug_id": randomText(13), "links": []any{}}
	if issue != "" {
		body["details"] = []any{map[string]any{"issue": issue, "description": "See the issue."}}
	}
	return &ppReply{status, body}
}

func ppUnprocessable(issue string) *ppReply {
	return ppFailure(http.StatusUnprocessableEntity, "UNPROCESSABLE_ENTITY", issue)
}

func ppInvalid(issue string) *ppReply {
	return ppFailure(http.StatusBadRequest, "INVALID_REQUEST", issue)
}

func ppMissing() *ppReply {
	return ppFailure(http.StatusNotFound, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID")
}
