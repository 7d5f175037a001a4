package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// ErrNothingToPay means that an order is not, or no longer, paid on a page of its own.
var ErrNothingToPay = errors.New("there is nothing to pay on this page")

// The ways to pay that need a page of their own, as core names them.
const (
	formStripe = "stripe_elements"
	formFrame  = "frame"
	// Money that is transferred, or brought to a box office, needs none; the page tells it to who has no JavaScript.
	formByHand = "instructions"
)

// payView is what the template shows.
type payView struct {
	ID, Event, Form, URL, Key, Secret, Failure, Deadline, Now string
	Method, PayTo, Reference, Until                           string // of money that somebody records
	About                                                     orderAbout
	Attempt                                                   int
	Amount                                                    priceJSON
	Lines                                                     []lineView
}

type lineView struct {
	Tier, Seat string
	Price      priceJSON
}

// orderAbout is what the pages of an order say of its event.
type orderAbout struct {
	Name, When string // empty where nothing is known

	zone string
}

// aboutOrder reads core's answer about an event, nil where there is none.
func (l *Language) aboutOrder(event []byte) orderAbout {
	var e struct {
		Name     string
		StartsAt time.Time `json:"starts_at"`
		TimeZone string    `json:"time_zone"`
		Venue    struct{ Name, City string }
	}
	if event == nil || json.Unmarshal(event, &e) != nil || e.Name == "" {
		return orderAbout{}
	}
	return orderAbout{Name: e.Name, When: l.When(e.StartsAt, e.TimeZone) + " · " + e.Venue.Name + ", " + e.Venue.City, zone: e.TimeZone}
}

// order is what core says to GET /v1/orders/{id}.
type order struct {
	ID         string
	Event      string
	State      string
	Amount     priceJSON
	Deadline   string
	ServerTime string `json:"server_time"`
	Lines      []struct {
		Tier, Seat     string
		Face, Fee, Tax priceJSON
	}
	Payment struct {
		Attempt                     int
		Form, Instructions, Failure string
		Method                      string
		PayTo                       string `json:"pay_to"`
		Reference                   string `json:"provider_ref"`
		URL                         string `json:"pay_url"`
		Key                         string `json:"publishable_key"`
		Secret                      string `json:"client_secret"`
	}
}

// Pay is the page on which an order of the event is paid, made of core's answers about the order and, where there is one, about the event, and the Content-Security-Policy
// that goes with it: that of every page, opened for the form of this order's provider. ErrNothingToPay for any other order.
// An order whose money is transferred, or brought to a box office, has one too, which says how and needs no script.
func (p *Pages) Pay(l *Language, event string, body, known []byte) (page []byte, policy string, err error) {
	var o order
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, "", fmt.Errorf("read an order: %w", err)
	}
	if o.Event != event || o.State != "payment_pending" && o.State != "payment_failed" {
		return nil, "", ErrNothingToPay
	}
	if policy, err = payPolicy(o.Payment.Form, o.Payment.URL); err != nil {
		return nil, "", err
	}
	if o.Payment.Form == formByHand && o.Payment.PayTo == "" {
		return nil, "", ErrNothingToPay
	}
	view := payView{
		ID: o.ID, Event: o.Event, Form: o.Payment.Form, URL: o.Payment.URL, Key: o.Payment.Key, Secret: o.Payment.Secret,
		Attempt: o.Payment.Attempt, Amount: o.Amount, Deadline: o.Deadline, Now: o.ServerTime,
		About: l.aboutOrder(known),
	}
	if o.Payment.Form == formByHand {
		view.Method, view.PayTo, view.Reference = o.Payment.Method, o.Payment.PayTo, inFours(o.Payment.Reference)
		if t, err := time.Parse(time.RFC3339, o.Deadline); err == nil {
			view.Until = l.When(t, view.About.zone)
		}
	}
	if o.Payment.Failure != "" {
		view.Failure = l.T("pay.still_held", "failure", l.failure(o.Payment.Failure))
	}
	for _, line := range o.Lines {
		price := priceJSON{Minor: line.Face.Minor + line.Fee.Minor + line.Tax.Minor, Currency: o.Amount.Currency}
		view.Lines = append(view.Lines, lineView{Tier: tierName(known, line.Tier), Seat: seatName(line.Seat), Price: price})
	}
	if page, err = p.write(l, "pay", view); err != nil {
		return nil, "", err
	}
	return page, policy, nil
}

// tierName is what core's answer about an event calls a tier; its id where that is not known.
func tierName(known []byte, id string) string {
	var e struct {
		Tiers []struct{ ID, Name string }
	}
	if len(known) > 0 && json.Unmarshal(known, &e) == nil {
		for _, tier := range e.Tiers {
			if tier.ID == id && tier.Name != "" {
				return tier.Name
			}
		}
	}
	return id
}

// seatName is a seat as people read it.
func seatName(seat string) string { return strings.ReplaceAll(seat, "/", " · ") }

// failure is why a payment failed, in a sentence: by the provider's code, with or without its detail. The page's script says the same, see
// failureText of static/page.js.
func (l *Language) failure(code string) string {
	kind, detail, _ := strings.Cut(code, "/")
	for _, name := range []string{detail, kind, strings.Replace(kind, "invalid_", "incorrect_", 1)} {
		if key := "failure." + name; name != "" && l.Has(key) {
			return l.T(key)
		}
	}
	return l.T("failure.other")
}

// payPolicy opens the policy of every page for a provider's form: for Stripe's, what Stripe says its script needs; for a frame
// its origin.
func payPolicy(form, address string) (string, error) {
	switch form {
	case formStripe:
		policy := strings.Replace(ContentSecurityPolicy, "script-src 'self'", "script-src 'self' https://js.stripe.com https://*.js.stripe.com", 1)
		policy = strings.Replace(policy, "connect-src 'self'", "connect-src 'self' https://api.stripe.com", 1)
		return policy + "; frame-src https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com", nil
	case formFrame:
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || !plainHost(u.Host) {
			return "", fmt.Errorf("%w: the provider's page has no web address", ErrNothingToPay)
		}
		return ContentSecurityPolicy + "; frame-src " + u.Scheme + "://" + u.Host, nil
	case formByHand:
		return ContentSecurityPolicy, nil
	default:
		return "", ErrNothingToPay
	}
}

// inFours is a reference in groups of four, as people write it on a transfer.
func inFours(reference string) string {
	var out strings.Builder
	for i, c := range reference {
		if i > 0 && i%4 == 0 {
			out.WriteByte(' ')
		}
		out.WriteRune(c)
	}
	return out.String()
}

// plainHost tells whether a host can stand in a header as one source: anything else could add sources of its own.
func plainHost(host string) bool {
	for _, c := range []byte(host) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune(".-:[]", rune(c)) {
			return false
		}
	}
	return host != ""
}
