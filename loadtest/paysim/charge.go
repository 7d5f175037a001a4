package paysim

import (
	"net/http"
	"strconv"
	"strings"
)

// charge is one card that was charged or declined. It never changes: what happens to it makes another one of it.
type charge struct {
	n        int // of its intent, from 1
	created  int64
	card     *card
	failed   bool
	expired  bool  // authorized once, and gone
	proven   bool  // its owner proved who they are
	captured int64 // 0: not yet
	until    int64 // till when it can be captured; 0: it was captured at once
	txn      string
	disputed string // the dispute's id
}

// idLength is that of what stands in ids after their prefix.
const idLength = 16

// id follows from that of the intent, so that it needs no index.
func (c *charge) id(of *fixed) string {
	suffix := strconv.Itoa(c.n)
	if c.n <= 26 {
		suffix = string(rune('a' + c.n - 1))
	}
	return "ch_" + strings.TrimPrefix(of.id, "pi_") + suffix
}

// charge makes the intent's next charge of a card.
func (i *intent) charge(t try) *charge {
	if i.latest != nil {
		i.past = append(i.past, i.latest)
	}
	i.charges++
	i.latest = &charge{n: i.charges, created: t.at, card: i.card, failed: i.card.code != "", proven: t.proven}
	return i.latest
}

// amend replaces the latest charge by one that is changed.
func (i *intent) amend(do func(*charge)) {
	changed := *i.latest
	do(&changed)
	i.latest = &changed
}

// charged is a charge with its intent, at one moment.
type charged struct {
	snapshot
	*charge
}

// show is the object of an event about the charge.
func (c charged) show() any { return c.json() }

func (c charged) about() string { return c.id(c.fixed) }

// chargeByID finds a charge. The caller holds the mutex.
func (s *Server) chargeByID(id string) (*intent, *charge) {
	rest, ok := strings.CutPrefix(id, "ch_")
	if !ok || len(rest) <= idLength {
		return nil, nil
	}
	i := s.byID["pi_"+rest[:idLength]]
	if i == nil || i.latest == nil {
		return nil, nil
	}
	for _, c := range append([]*charge{i.latest}, i.past...) {
		if c.id(&i.fixed) == id {
			return i, c
		}
	}
	return nil, nil
}

// retrieveCharge answers GET /v1/charges/{id}.
func (s *Server) retrieveCharge(c *call) (*reply, bool) {
	if fail := readParams(c.form).done(); fail != nil {
		return refusal(fail), false
	}
	id := c.r.PathValue("id")
	s.mu.Lock()
	i, found := s.chargeByID(id)
	if found == nil {
		s.mu.Unlock()
		return refusal(missing("charge", id)), false
	}
	shown := charged{i.snapshot(), found}
	s.mu.Unlock()
	return &reply{status: http.StatusOK, other: encode(shown.json())}, true
}

// chargeJSON is a charge as Stripe shows it, as far as it has something to show.
type chargeJSON struct {
	ID                   string             `json:"id"`
	Object               string             `json:"object"`
	Amount               int64              `json:"amount"`
	AmountCaptured       int64              `json:"amount_captured"`
	AmountRefunded       int64              `json:"amount_refunded"`
	BalanceTransaction   *string            `json:"balance_transaction"`
	Captured             bool               `json:"captured"`
	Created              int64              `json:"created"`
	Currency             string             `json:"currency"`
	Description          *string            `json:"description"`
	Dispute              *string            `json:"dispute"`
	Disputed             bool               `json:"disputed"`
	FailureCode          *string            `json:"failure_code"`
	FailureMessage       *string            `json:"failure_message"`
	Livemode             bool               `json:"livemode"`
	Metadata             map[string]string  `json:"metadata"`
	Outcome              outcomeJSON        `json:"outcome"`
	Paid                 bool               `json:"paid"`
	PaymentIntent        string             `json:"payment_intent"`
	PaymentMethod        *string            `json:"payment_method"`
	PaymentMethodDetails *methodDetailsJSON `json:"payment_method_details"`
	ReceiptEmail         *string            `json:"receipt_email"`
	Refunded             bool               `json:"refunded"`
	Status               string             `json:"status"`
}

type outcomeJSON struct {
	NetworkStatus string  `json:"network_status"`
	Reason        *string `json:"reason"`
	RiskLevel     string  `json:"risk_level"`
	RiskScore     int     `json:"risk_score"`
	SellerMessage string  `json:"seller_message"`
	Type          string  `json:"type"`
}

type methodDetailsJSON struct {
	Type string `json:"type"`
	Card struct {
		Brand         string           `json:"brand"`
		CaptureBefore *int64           `json:"capture_before,omitempty"`
		Checks        checksJSON       `json:"checks"`
		Country       string           `json:"country"`
		ExpMonth      int              `json:"exp_month"`
		ExpYear       int              `json:"exp_year"`
		Fingerprint   string           `json:"fingerprint"`
		Funding       string           `json:"funding"`
		Last4         string           `json:"last4"`
		Network       string           `json:"network"`
		ThreeDSecure  *threeDSecureOut `json:"three_d_secure"`
	} `json:"card"`
}

type checksJSON struct {
	AddressLine1 *string `json:"address_line1_check"`
	PostalCode   *string `json:"address_postal_code_check"`
	CVC          *string `json:"cvc_check"`
}

type threeDSecureOut struct {
	AuthenticationFlow string  `json:"authentication_flow"`
	Result             string  `json:"result"`
	ResultReason       *string `json:"result_reason"`
	Version            string  `json:"version"`
}

func (c charged) json() *chargeJSON {
	o := &chargeJSON{
		ID: c.id(c.fixed), Object: "charge", Amount: c.amount, AmountCaptured: c.charge.captured, Captured: c.charge.captured > 0,
		BalanceTransaction: optional(c.txn), Created: c.charge.created, Currency: c.currency, Description: optional(c.description),
		Dispute: optional(c.charge.disputed), Disputed: c.charge.disputed != "", Metadata: c.metadataMap(), Paid: !c.failed,
		PaymentIntent: c.snapshot.id, PaymentMethod: &c.charge.card.method, ReceiptEmail: optional(c.email), Status: "succeeded",
		Outcome: c.charge.card.outcome(c.failed), PaymentMethodDetails: c.charge.card.details(),
	}
	if captured := c.charge.captured; c.latest != nil && c.latest.n == c.n && captured > 0 {
		o.AmountRefunded, o.Refunded = c.refunded, c.refunded == captured
	}
	if c.failed {
		o.Status, o.FailureCode, o.FailureMessage = "failed", &c.charge.card.code, optional(c.charge.card.message())
	}
	d := &o.PaymentMethodDetails.Card
	if c.until != 0 {
		d.CaptureBefore = &c.until
	}
	if c.proven {
		d.ThreeDSecure = &threeDSecureOut{AuthenticationFlow: "challenge", Result: "authenticated", Version: "2.2.0"}
	}
	return o
}
