package api

import (
	"time"

	"github.com/google/uuid"

	"fairgate/core/checkout"
	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/ledger"
)

// The JSON of the buyers' API. Times are UTC with milliseconds.

type moneyJSON struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

func money(a ledger.Amount) moneyJSON { return moneyJSON{a.Minor, a.Currency} }

type timeJSON time.Time

const timeForm = `"2006-01-02T15:04:05.000Z07:00"`

// MarshalJSON writes RFC 3339 in UTC with milliseconds.
func (t timeJSON) MarshalJSON() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format(timeForm)), nil
}

type holdItemJSON struct {
	Tier       string   `json:"tier"`
	Allocation string   `json:"allocation"`
	Quantity   int      `json:"quantity"`
	Seats      []string `json:"seats,omitempty"`
	Commit     int64    `json:"commit,omitempty"` // which change of its stock granted it, by which histories are proved
	Window     string   `json:"window,omitempty"` // the presale it came through
}

type holdJSON struct {
	ID         uuid.UUID      `json:"id"`
	Event      string         `json:"event"`
	State      string         `json:"state"`
	Deadline   timeJSON       `json:"deadline"`
	ServerTime timeJSON       `json:"server_time"`
	Items      []holdItemJSON `json:"items"`
	Amount     moneyJSON      `json:"amount"`
}

func holdOf(h inventory.Hold, slug string) holdJSON {
	items := make([]holdItemJSON, len(h.Items))
	for i, item := range h.Items {
		items[i] = holdItemJSON{Tier: item.Tier, Allocation: item.Allocation, Quantity: item.Quantity, Seats: item.Seats, Commit: item.Commit,
			Window: item.Window}
	}
	return holdJSON{ID: h.ID, Event: slug, State: string(h.State), Deadline: timeJSON(h.Deadline), ServerTime: timeJSON(h.AsOf),
		Items: items, Amount: money(h.Amount)}
}

type lineJSON struct {
	Tier string    `json:"tier"`
	Seat string    `json:"seat"`
	Face moneyJSON `json:"face"`
	Fee  moneyJSON `json:"fee"`
	Tax  moneyJSON `json:"tax"`
}

type paymentJSON struct {
	Attempt        int    `json:"attempt"`
	Provider       string `json:"provider"`
	Method         string `json:"method,omitempty"`
	State          string `json:"state"`
	ProviderRef    string `json:"provider_ref"`
	ClientSecret   string `json:"client_secret,omitempty"`
	PublishableKey string `json:"publishable_key,omitempty"`
	PayURL         string `json:"pay_url,omitempty"`
	PayTo          string `json:"pay_to,omitempty"` // the account for a transfer that quotes provider_ref
	Form           string `json:"form,omitempty"`   // stripe_elements, frame, redirect or instructions
	Instructions   string `json:"instructions,omitempty"`
	Failure        string `json:"failure"`
}

type orderJSON struct {
	ID         uuid.UUID   `json:"id"`
	Event      string      `json:"event"`
	HoldID     uuid.UUID   `json:"hold_id"`
	State      string      `json:"state"`
	Amount     moneyJSON   `json:"amount"`
	Lines      []lineJSON  `json:"lines"`
	Deadline   timeJSON    `json:"deadline"`
	ServerTime timeJSON    `json:"server_time"`
	Payment    paymentJSON `json:"payment"`
	Tickets    []uuid.UUID `json:"tickets"`
	// Linked says that it is shown to who has a link to it, and so without its tickets and refunds.
	Linked bool `json:"linked,omitempty"`
	// Reseated says that the payment came late and the order was sold with other seats, or other places, than it was opened on.
	Reseated bool              `json:"reseated,omitempty"`
	Refunds  []orderRefundJSON `json:"refunds"`
	// RefundTerms are on which terms its buyer may give tickets back; none: they may not.
	RefundTerms *refundTermsJSON `json:"refund_terms,omitempty"`
}

type refundTermsJSON struct {
	KeepsFee bool      `json:"keeps_fee"`
	Until    *timeJSON `json:"until,omitempty"`
}

// orderOf shows an order to its buyer. The way to pay is shown only while there is something to pay.
func orderOf(o checkout.Order, form func(provider, ref, secret string) payment.Form) orderJSON {
	in := func(minor int64) moneyJSON { return moneyJSON{minor, o.Amount.Currency} }
	lines := make([]lineJSON, len(o.Lines))
	for i, l := range o.Lines {
		lines[i] = lineJSON{Tier: l.Tier, Seat: l.Seat, Face: in(l.Face), Fee: in(l.Fee), Tax: in(l.Tax)}
	}
	p := paymentJSON{Attempt: o.Payment.Attempt, Provider: o.Payment.Provider, Method: o.Payment.Method, State: string(o.Payment.State),
		ProviderRef: o.Payment.ProviderRef, Failure: o.Payment.Failure}
	payable := o.State == checkout.PaymentPending || o.State == checkout.PaymentFailed
	if payable && o.Payment.State == checkout.PaymentBegun {
		f := form(o.Payment.Provider, o.Payment.ProviderRef, o.Payment.ClientSecret)
		p.ClientSecret, p.PublishableKey, p.PayURL = o.Payment.ClientSecret, f.PublishableKey, f.URL
		p.PayTo = f.Account
		p.Form, p.Instructions = string(f.Shown()), f.Instructions
	}
	tickets := o.Tickets
	if tickets == nil {
		tickets = []uuid.UUID{}
	}
	return orderJSON{ID: o.ID, Event: o.Slug, HoldID: o.Hold, State: string(o.State), Amount: money(o.Amount), Lines: lines,
		Deadline: timeJSON(o.Deadline), ServerTime: timeJSON(o.ServerTime), Payment: p, Tickets: tickets,
		Reseated: o.Reseated(), Refunds: refundsOf(o)}
}
