package paypal

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"time"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// order is an order as PayPal shows it, as far as we read it.
type order struct {
	ID         string    `json:"id"`
	Status     string    `json:"status"`
	UpdateTime time.Time `json:"update_time"`
	Units      []unit    `json:"purchase_units"`
	Payer      struct {
		ID      string `json:"payer_id"`
		Address struct {
			Country string `json:"country_code"`
		} `json:"address"`
	} `json:"payer"`
	Links []link `json:"links"`
}

type unit struct {
	CustomID string `json:"custom_id"`
	Amount   money  `json:"amount"`
	Payments struct {
		Authorizations []authorization `json:"authorizations"`
		Captures       []capture       `json:"captures"`
		Refunds        []refund        `json:"refunds"`
	} `json:"payments"`
}

type link struct {
	Href string `json:"href"`
	Rel  string `json:"rel"`
}

type authorization struct {
	ID         string    `json:"id"`
	Status     string    `json:"status"`
	CustomID   string    `json:"custom_id"`
	Amount     money     `json:"amount"`
	CreateTime time.Time `json:"create_time"`
	Related    related   `json:"supplementary_data"`
}

type capture struct {
	ID       string  `json:"id"`
	Status   string  `json:"status"`
	CustomID string  `json:"custom_id"`
	Amount   money   `json:"amount"`
	Related  related `json:"supplementary_data"`
}

type refund struct {
	ID       string `json:"id"`
	Status   string `json:"status"`
	Details  reason `json:"status_details"`
	CustomID string `json:"custom_id"`
	Amount   money  `json:"amount"`
	Links    []link `json:"links"`
}

type reason struct {
	Reason string `json:"reason"`
}

type related struct {
	IDs struct {
		Order string `json:"order_id"`
	} `json:"related_ids"`
}

// Statuses of orders, authorizations and captures.
const (
	statusCreated           = "CREATED"
	statusSaved             = "SAVED"
	statusActionRequired    = "PAYER_ACTION_REQUIRED"
	statusApproved          = "APPROVED"
	statusCompleted         = "COMPLETED"
	statusVoided            = "VOIDED"
	statusPending           = "PENDING"
	statusDenied            = "DENIED"
	statusDeclined          = "DECLINED"
	statusFailed            = "FAILED"
	statusCancelled         = "CANCELLED"
	statusCaptured          = "CAPTURED"
	statusPartiallyCaptured = "PARTIALLY_CAPTURED"
	statusExpired           = "EXPIRED"
	statusRefunded          = "REFUNDED"
	statusPartiallyRefunded = "PARTIALLY_REFUNDED"
)

// live tells whether an authorization reserves money, or is about to.
func (a authorization) live() bool {
	return a.Status == statusCreated || a.Status == statusPending || a.Status == statusPartiallyCaptured
}

// taken tells whether a capture has taken the money, whatever was given back since.
func (c capture) taken() bool {
	return c.Status == statusCompleted || c.Status == statusPartiallyRefunded || c.Status == statusRefunded
}

// standing is what an order says about its payment.
type standing struct {
	outcome payment.Outcome
	custom  custom
	// live are the authorizations that can still take money, newest last.
	live []authorization
	// captured is the capture that took the money, or is about to; its ID is "" while there is none.
	captured capture
	approved bool // the buyer has agreed, and nothing was authorized yet
	closed   bool // by Void: nothing may be authorized any more
	update   string
}

// stand reads an order that answers a question about i. An order of another payment is refused.
func (p *Provider) stand(i payment.Intent, o *order) (standing, error) {
	if len(o.Units) != 1 {
		return standing{}, fmt.Errorf("%w: the order has %d purchase units", payment.ErrRejected, len(o.Units))
	}
	u := o.Units[0]
	c, ok := parseCustom(u.CustomID)
	if !ok || c.payment != i.PaymentID {
		return standing{}, fmt.Errorf("%w: order %s belongs to another payment", payment.ErrRejected, clean(o.ID))
	}
	s := standing{custom: c, closed: !c.closed.IsZero()}
	if !o.UpdateTime.IsZero() {
		s.update = strconv.FormatInt(o.UpdateTime.UnixMilli(), 10)
	}
	s.outcome = payment.Outcome{
		ProviderRef: o.ID, ClientSecret: approvalLink(o.Links), Amount: u.Amount.amountOr(i.Amount.Currency),
		Risk: payment.Risk{CardCountry: clean(o.Payer.Address.Country)},
	}
	if o.Payer.ID != "" {
		s.outcome.Card = "paypal:" + clean(o.Payer.ID) // an account is what a card is elsewhere
	}
	s.read(u)
	if s.outcome.State == payment.Unknown {
		s.outcome.State = stateOfOrder(o, &s)
	}
	if s.outcome.State == payment.Unknown || s.outcome.ProviderRef == "" {
		return standing{}, fmt.Errorf("%w: order %q has status %q", payment.ErrUnknown, clean(o.ID), clean(o.Status))
	}
	return s, nil
}

// read finds out from the payments in an order how far it has come; the state stays Unknown when there are none.
func (s *standing) read(u unit) {
	currency := s.outcome.Amount.Currency
	for _, c := range u.Payments.Captures {
		switch {
		case c.taken():
			s.captured, s.outcome.State, s.outcome.Amount = c, payment.Captured, c.Amount.amountOr(currency)
			return
		case c.Status == statusPending:
			s.captured, s.outcome.State = c, payment.Authorized
		}
	}
	for _, a := range u.Payments.Authorizations {
		if c, ok := parseCustom(a.CustomID); ok && !c.closed.IsZero() {
			s.closed = true
		}
		switch {
		case a.live():
			s.live = append(s.live, a)
		case a.Status == statusCaptured && s.outcome.State == payment.Unknown: // the capture is not shown yet
			s.outcome.State = payment.Authorized
		}
	}
	slices.SortStableFunc(s.live, func(a, b authorization) int { return a.CreateTime.Compare(b.CreateTime) })
	for _, a := range s.live {
		if a.Status == statusPending && s.outcome.State == payment.Unknown {
			s.outcome.State = payment.RequiresAction // PayPal has a look at it
		} else if a.Status != statusPending {
			s.outcome.State, s.outcome.Amount = payment.Authorized, a.Amount.amountOr(currency)
		}
	}
	if s.outcome.State == payment.Unknown && len(u.Payments.Authorizations) > 0 {
		last := u.Payments.Authorizations[len(u.Payments.Authorizations)-1]
		s.outcome.State, s.outcome.Failure = payment.Voided, "authorization/"+lower(last.Status)
	}
}

// stateOfOrder is the state of an order without payments.
func stateOfOrder(o *order, s *standing) payment.OutcomeState {
	switch o.Status {
	case statusCreated, statusSaved, statusActionRequired:
		return payment.Begun
	case statusApproved:
		s.approved = true
		return payment.Approved
	case statusVoided:
		s.outcome.Failure = "order/voided"
		return payment.Voided
	default:
		return payment.Unknown
	}
}

// approvalLink is where the buyer goes to approve.
func approvalLink(links []link) string {
	for _, l := range links {
		if l.Rel == "approve" || l.Rel == "payer-action" {
			return l.Href
		}
	}
	return ""
}

// upID is the id of what an object was made from, out of its links.
func upID(links []link) string {
	for _, l := range links {
		if l.Rel != "up" {
			continue
		}
		if u, err := url.Parse(l.Href); err == nil {
			return clean(path.Base(u.Path))
		}
	}
	return ""
}

// same tells whether an amount is the one that was meant.
func same(have, want ledger.Amount) bool { return have == want }
