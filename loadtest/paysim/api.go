package paysim

import (
	"net/http"
	"strings"
)

// apiVersion is the version of Stripe's API that answers and events are shaped by.
const apiVersion = "2023-10-16"

// maxAmount is eight digits, as at Stripe.
const maxAmount = 99_999_999

func (s *Server) create(c *call) (*reply, bool) {
	p := readParams(c.form)
	p.required("amount")
	f := &fixed{
		amount:      p.integer("amount", 1, maxAmount, 0),
		currency:    strings.ToLower(p.required("currency")),
		description: p.text("description"),
		email:       p.text("receipt_email"),
		metadata:    sortedMetadata(p.group("metadata")),
		methodTypes: p.array("payment_method_types"),
		challenge:   p.challenge(),
		created:     s.clock.now().Unix(),
	}
	p.text("statement_descriptor")
	p.text("statement_descriptor_suffix")
	switch method := p.text("capture_method"); method {
	case "manual":
		f.manual = true
	case "", "automatic", "automatic_async":
	default:
		p.wrong("parameter_invalid_enum", "capture_method", "Invalid capture_method: must be one of automatic, automatic_async, or manual")
	}
	automatic := p.group("automatic_payment_methods")
	if len(automatic) > 0 && len(f.methodTypes) > 0 {
		p.wrong("", "payment_method_types", "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.")
	}
	if len(f.methodTypes) == 0 {
		f.methodTypes = []string{"card"}
	}
	if len(f.currency) != 3 {
		p.wrong("", "currency", "Invalid currency: "+f.currency)
	}
	if len(f.metadata) > 50 {
		p.wrong("", "metadata", "You can have up to 50 keys.")
	}
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	f.id = s.newID("pi_")
	f.clientSecret = f.id + "_secret_" + randomText(25)
	i := &intent{fixed: *f, state: state{status: requiresMethod}}
	s.mu.Lock()
	i.no = len(s.intents)
	s.intents = append(s.intents, i)
	s.byID[i.id] = i
	if id := i.value(metadataPayment); id != "" {
		s.byPayment[id] = append(s.byPayment[id], i)
	}
	if order := i.value("order_id"); order != "" {
		s.byOrder[order] = append(s.byOrder[order], i)
	}
	shown := i.snapshot()
	s.mu.Unlock()
	c.events = append(c.events, s.newEvent(eventCreated, &i.fixed, shown, c))
	return &reply{status: http.StatusOK, shown: &shown}, true
}

func (s *Server) retrieve(c *call) (*reply, bool) {
	p := readParams(c.form)
	clientSecret := p.text("client_secret")
	charge := p.expands("latest_charge")
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	answer, executed := s.change(c, clientSecret, func(*intent) (string, *failure) { return "", nil })
	answer.charge = charge
	return answer, executed
}

func (s *Server) confirm(c *call) (*reply, bool) {
	p := readParams(c.form)
	clientSecret := p.text("client_secret")
	method, data := p.text("payment_method"), p.group("payment_method_data")
	challenge := p.challenge()
	p.text("return_url")
	p.text("use_stripe_sdk")
	var with card
	switch number := data["card][number"]; {
	case number != "":
		with = cardByNumber(number)
	case method == "":
		p.wrong("parameter_missing", "payment_method", "You cannot confirm this PaymentIntent because it's missing a payment method.")
	default:
		known := false
		if with, known = cardByMethod(method); !known {
			p.wrong("resource_missing", "payment_method", "No such PaymentMethod: '"+method+"'")
		}
	}
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	return s.change(c, clientSecret, func(i *intent) (string, *failure) { return i.confirm(s.attempt(i, with, challenge)) })
}

func (s *Server) capture(c *call) (*reply, bool) {
	p := readParams(c.form)
	amount := p.integer("amount_to_capture", 1, maxAmount, -1)
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	return s.change(c, "", func(i *intent) (string, *failure) {
		take := amount
		if take < 0 {
			take = i.capturable
		}
		gone := i.status == requiresCapture &&
			(s.clock.now().Unix() >= i.latest.until || s.dice.hits("refused", i.name(), s.cfg.Faults.CaptureRefused))
		return i.capture(take, gone)
	})
}

func (s *Server) cancel(c *call) (*reply, bool) {
	p := readParams(c.form)
	reason := p.text("cancellation_reason")
	switch reason {
	case "", "duplicate", "fraudulent", "requested_by_customer", "abandoned":
	default:
		p.wrong("parameter_invalid_enum", "cancellation_reason", "Invalid cancellation_reason")
	}
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	return s.change(c, "", func(i *intent) (string, *failure) { return i.cancel(reason) })
}

// change finds the call's intent, does something to it and shows it.
func (s *Server) change(c *call, clientSecret string, do func(*intent) (string, *failure)) (*reply, bool) {
	id := c.r.PathValue("id")
	shown, events, fail := s.apply(id, c, func(i *intent) (string, *failure) {
		if c.public && !same(clientSecret, i.clientSecret) {
			return "", missing("payment_intent", id)
		}
		return do(i)
	})
	c.events = append(c.events, events...)
	if fail != nil {
		return refusal(fail), fail.status != http.StatusNotFound
	}
	return &reply{status: http.StatusOK, shown: shown, public: c.public}, true
}

// apply does something to an intent under the lock and books what it did to the money. It returns the intent as it is then,
// and the events that tell about it. c may be nil.
func (s *Server) apply(id string, c *call, do func(*intent) (string, *failure)) (*snapshot, []*event, *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.byID[id]
	if i == nil {
		return nil, nil, missing("payment_intent", id)
	}
	before := i.state
	kind, fail := do(i)
	var events []*event
	if kind != "" {
		events = s.follow(i, before, kind, c)
	}
	shown := i.snapshot()
	return &shown, events, fail
}

// follow books what became of an intent and makes the events: of its charge, then of itself. The caller holds the mutex.
func (s *Server) follow(i *intent, before state, kind string, c *call) (events []*event) {
	if i.status == canceled && i.canceledAt == 0 {
		i.canceledAt = s.clock.now().Unix()
	}
	if i.received > before.received {
		s.took(i)
	}
	charge := ""
	switch {
	case kind == eventFailed && i.charges > before.charges:
		charge = eventChargeFailed
	case kind == eventCapturable:
		charge = eventChargeOK
		s.after(s.cfg.AuthorizationLife, func() []*event { return s.lapse(i) })
	case kind == eventSucceeded && before.status == requiresCapture:
		charge = eventChargeCaptured
	case kind == eventSucceeded:
		charge = eventChargeOK
	case kind == eventCanceled && i.latest != nil && i.latest.expired:
		charge = eventChargeExpired
	}
	if charge != "" {
		events = append(events, s.newEvent(charge, &i.fixed, charged{i.snapshot(), i.latest}, c))
	}
	return append(events, s.newEvent(kind, &i.fixed, i.snapshot(), c))
}

// lapse ends an authorization that nobody captured in time.
func (s *Server) lapse(i *intent) []*event {
	if i.status != requiresCapture {
		return nil
	}
	before := i.state
	return s.follow(i, before, i.expire(), nil)
}

// attempt is a card that somebody pays with now, as the dice have it: a good one may be declined, or ask for a proof that its
// owner never gives.
func (s *Server) attempt(i *intent, with card, challenge bool) try {
	now := s.clock.now()
	t := try{card: with, challenge: challenge, at: now.Unix(), until: now.Add(s.cfg.AuthorizationLife).Unix()}
	f := &s.cfg.Faults
	if with.verdict != approved || f.Declined == 0 && f.ChallengeAbandoned == 0 {
		return t
	}
	name := numbered(i.name(), i.tries+1)
	switch {
	case s.dice.hits("declined", name, f.Declined):
		t.card.verdict, t.card.code, t.card.reason = declined, codeDeclined, "try_again_later"
	case s.dice.hits("abandoned", name, f.ChallengeAbandoned):
		t.card.verdict, t.card.abandons = needsAction, true
	}
	return t
}

// subscribe sets where webhooks go. Unlike Stripe's, the signing secret is the configured one, and there is one endpoint.
func (s *Server) subscribe(c *call) (*reply, bool) {
	p := readParams(c.form)
	target := p.required("url")
	kinds := p.array("enabled_events")
	p.text("api_version")
	if err := checkURL(target); target != "" && err != nil {
		p.wrong("url_invalid", "url", "Invalid URL: "+err.Error())
	}
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	s.courier.redirect(toStripe, target, stripeSigner(s.cfg.WebhookSecret), kinds)
	return &reply{status: http.StatusOK, other: encode(map[string]any{
		"id": s.newID("we_"), "object": "webhook_endpoint", "url": target, "secret": s.cfg.WebhookSecret,
		"status": "enabled", "enabled_events": kinds, "api_version": apiVersion, "created": s.clock.now().Unix(), "livemode": false,
	})}, true
}
