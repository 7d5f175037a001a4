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
		created:     s.clock.now().Unix(),
	}
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
	return s.change(c, clientSecret, func(i *intent) (string, *failure) { return i.confirm(with, false) })
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
		gone := i.status == requiresCapture && s.dice.hits("refused", i.name(), s.cfg.Faults.CaptureRefused)
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

// change finds the call's intent, does something to it and shows it. It keeps the balance and makes the event.
func (s *Server) change(c *call, clientSecret string, do func(*intent) (string, *failure)) (*reply, bool) {
	id := c.r.PathValue("id")
	shown, kind, fail := s.apply(id, func(i *intent) (string, *failure) {
		if c.public && !same(clientSecret, i.clientSecret) {
			return "", missing("payment_intent", id)
		}
		return do(i)
	})
	if kind != "" {
		c.events = append(c.events, s.newEvent(kind, shown.fixed, shown.of(kind), c))
	}
	if fail != nil {
		return refusal(fail), fail.status != http.StatusNotFound
	}
	return &reply{status: http.StatusOK, shown: shown, public: c.public}, true
}

// apply does something to an intent under the lock and books what it did to the money. It returns the intent as it is
// then, and the kind of event that tells about it.
func (s *Server) apply(id string, do func(*intent) (string, *failure)) (*snapshot, string, *failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.byID[id]
	if i == nil {
		return nil, "", missing("payment_intent", id)
	}
	before := i.received - i.refunded
	kind, fail := do(i)
	if i.status == canceled && i.canceledAt == 0 {
		i.canceledAt = s.clock.now().Unix()
	}
	if moved := i.received - i.refunded - before; moved != 0 {
		s.balances[i.currency] += moved
	}
	shown := i.snapshot()
	return &shown, kind, fail
}

func (s *Server) refund(c *call) (*reply, bool) {
	p := readParams(c.form)
	id := p.required("payment_intent")
	amount := p.integer("amount", 1, maxAmount, 0)
	p.text("reason")
	p.group("metadata")
	if fail := p.done(); fail != nil {
		return refusal(fail), false
	}
	given := int64(0)
	shown, kind, fail := s.apply(id, func(i *intent) (string, *failure) {
		before := i.refunded
		kind, fail := i.refund(amount)
		given = i.refunded - before
		return kind, fail
	})
	if fail != nil {
		return refusal(fail), fail.status != http.StatusNotFound
	}
	c.events = append(c.events, s.newEvent(kind, shown.fixed, shown.of(kind), c))
	return &reply{status: http.StatusOK, other: encode(refundJSON{
		ID: s.newID("re_"), Object: "refund", Amount: given, Charge: shown.chargeID(), Created: s.clock.now().Unix(),
		Currency: shown.currency, PaymentIntent: shown.id, Status: "succeeded",
	})}, true
}

func (s *Server) balance(c *call) (*reply, bool) {
	if fail := readParams(c.form).done(); fail != nil {
		return refusal(fail), false
	}
	b := balanceJSON{Object: "balance", Available: []amountJSON{}, Pending: []amountJSON{}}
	for currency, minor := range s.Balances() {
		b.Available = append(b.Available, amountJSON{Amount: minor, Currency: strings.ToLower(currency)})
	}
	return &reply{status: http.StatusOK, other: encode(b)}, true
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
