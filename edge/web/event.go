package web

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Sale is how an event's on-sale stands, as far as its page says so.
type Sale struct {
	Phase                      string
	Identity                   string // device, invitation or account
	Presale                    string // whose on-sale it is; empty: general sale
	Generation                 uint32 // which of the event's on-sales it is
	JoiningAt, OpensAt, EndsAt time.Time
}

// Joinable tells whether the waiting room takes entries.
func (s *Sale) Joinable() bool {
	return s != nil && !slices.Contains([]string{"announced", "ended", ""}, s.Phase)
}

// eventAnswer is what core says to GET /v1/events/{event}.
type eventAnswer struct {
	ID, Name, State, Summary string
	StartsAt                 time.Time `json:"starts_at"`
	TimeZone                 string    `json:"time_zone"`
	Venue                    struct{ Name, City string }
	Performers               []string
	PerBuyer                 int `json:"per_buyer"`
	Identity                 string
	WaitingList              bool `json:"waiting_list"` // it takes who asks for what comes back
	Tiers                    []struct {
		ID, Name, Kind        string
		Price, Face, Fee, Tax priceJSON
	}
	Methods []string `json:"payment_methods"`
	Rules   *struct {
		RefundUntil   time.Time `json:"refund_until"`
		RefundKeepFee bool      `json:"refund_keep_fee"`
		TransferUntil time.Time `json:"transfer_until"`
		ResaleUntil   time.Time `json:"resale_until"`
		ResaleOver    string    `json:"resale_over"`
		Companions    *struct {
			FreeFrom time.Time `json:"free_from"`
		}
	}
	Sales []saleAnswer
}

// eventView is what the template of an event's page shows. Nothing in it but Open is of one person.
type eventView struct {
	Slug, Title, Instant, When, Venue, With string
	Known                                   bool
	Cancelled                               bool
	Sale                                    *Sale
	Identity, Summary                       string
	Joining, Opens, Ends, Phase             string
	Selling                                 string // the name of the sale there is, of an event with presales
	Sales                                   []saleView
	Tiers                                   []tierView
	Rules                                   []string
	// Ask and Remind are the ways to hear of tickets later.
	Ask, Remind bool
	// List says that there is a waiting list, which is asked for when nothing is left.
	List bool
	// Open are the orders of this browser that can still be paid. Of one person: a page with any is nobody else's.
	Open []OpenOrder
	// Steps are where who waits stands, the present one marked by Step.
	Steps []stepView
}

type tierView struct{ Name, Kind, Price, Parts string }

type stepView struct {
	Name          string
	Done, Present bool
}

// Event is the page of an event in a language, made of core's answer about it and of how its sale stands: nil where none is known. Without an
// answer it is the page without what there is to know, on which the waiting room works all the same.
func (p *Pages) Event(l *Language, slug string, body []byte, sale *Sale) ([]byte, error) {
	return p.EventWith(l, slug, body, sale, nil)
}

// EventWith is Event for a browser that has unfinished orders of the event.
func (p *Pages) EventWith(l *Language, slug string, body []byte, sale *Sale, open []OpenOrder) ([]byte, error) {
	view := eventView{Slug: slug, Title: l.T("event.title"), Sale: sale, Steps: l.steps("join"), Open: open}
	if sale != nil {
		view.Identity, view.Phase = sale.Identity, l.phase(sale.Phase)
	}
	if body != nil {
		var e eventAnswer
		if err := json.Unmarshal(body, &e); err != nil {
			return nil, fmt.Errorf("read an event: %w", err)
		}
		view.take(l, &e)
		view.List = e.WaitingList
		if view.Sales = l.sales(e.Sales, e.TimeZone); sale != nil && len(e.Sales) > 0 {
			view.Selling = l.SaleIn(body, sale.Presale)
		}
		over := sale != nil && (sale.Phase == "sold_out" || sale.Phase == "ended")
		view.Ask = !view.Cancelled && over && e.WaitingList
		view.Remind = !view.Cancelled && !view.Ask && (slices.ContainsFunc(occasions, sale.MayCome) ||
			slices.ContainsFunc(e.Sales, func(s saleAnswer) bool { return s.State == "coming" }))
	}
	return p.write(l, "event", view)
}

// stepNames are the steps to a ticket.
var stepNames = []string{"join", "draw", "wait", "buy", "ticket"}

// steps are all steps, the one named being the present one.
func (l *Language) steps(present string) []stepView {
	at := slices.Index(stepNames, present)
	steps := make([]stepView, len(stepNames))
	for i, name := range stepNames {
		steps[i] = stepView{Name: l.T("steps." + name), Done: i < at, Present: i == at}
	}
	return steps
}

func (v *eventView) take(l *Language, e *eventAnswer) {
	v.Known, v.Cancelled, v.Title, v.Summary = true, e.State == "cancelled", e.Name, e.Summary
	v.Instant, v.When, v.Venue = e.StartsAt.Format(time.RFC3339), l.WhenLong(e.StartsAt, e.TimeZone), e.Venue.Name+", "+e.Venue.City
	if len(e.Performers) > 0 {
		v.With = l.T("about.with", "names", strings.Join(e.Performers, ", "))
	}
	if v.Identity == "" {
		v.Identity = e.Identity
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return l.When(t, e.TimeZone)
	}
	if v.Sale != nil {
		v.Joining, v.Opens, v.Ends = at(v.Sale.JoiningAt), at(v.Sale.OpensAt), at(v.Sale.EndsAt)
	}
	for _, t := range e.Tiers {
		one := tierView{Name: t.Name, Kind: l.T("about.kind_" + t.Kind), Price: l.Money(t.Price)}
		if t.Fee.Minor > 0 {
			one.Parts = l.T("about.price_parts", "face", l.Money(t.Face), "fee", l.Money(t.Fee))
		}
		if t.Tax.Minor > 0 {
			if one.Parts != "" {
				one.Parts += ", "
			}
			one.Parts += l.T("about.price_tax", "tax", l.Money(t.Tax))
		}
		v.Tiers = append(v.Tiers, one)
	}
	v.Rules = l.rules(e, v.Identity, at)
}

// rules are what applies to who buys, in sentences.
func (l *Language) rules(e *eventAnswer, identity string, at func(time.Time) string) []string {
	var rules []string
	if e.PerBuyer > 0 {
		rules = append(rules, l.T("about.per_buyer", "n", e.PerBuyer))
	}
	if key := "about.identity_" + identity; l.Has(key) {
		rules = append(rules, l.T(key))
	}
	if r := e.Rules; r != nil {
		if r.RefundUntil.IsZero() {
			rules = append(rules, l.T("about.refund_none"))
		} else {
			text := l.T("about.refund_until", "when", at(r.RefundUntil))
			if r.RefundKeepFee {
				text += " " + l.T("about.refund_fee")
			}
			rules = append(rules, text)
		}
		if r.TransferUntil.IsZero() {
			rules = append(rules, l.T("about.transfer_none"))
		} else {
			rules = append(rules, l.T("about.transfer_until", "when", at(r.TransferUntil)))
		}
		switch {
		case r.ResaleUntil.IsZero():
			rules = append(rules, l.T("about.resale_none"))
		case r.ResaleOver == "":
			rules = append(rules, l.T("about.resale_free", "when", at(r.ResaleUntil)))
		case r.ResaleOver == "0%":
			rules = append(rules, l.T("about.resale_face", "when", at(r.ResaleUntil)))
		default:
			rules = append(rules, l.T("about.resale_until", "when", at(r.ResaleUntil), "over", r.ResaleOver))
		}
	}
	if r := e.Rules; r != nil && r.Companions != nil {
		if from := r.Companions.FreeFrom; from.IsZero() {
			rules = append(rules, l.T("about.companions"))
		} else {
			rules = append(rules, l.T("about.companions")+" "+l.T("about.companions_free", "when", at(from)))
		}
	}
	if len(e.Methods) > 0 {
		var names []string
		for _, method := range e.Methods {
			if key := "method." + method; l.Has(key) {
				method = l.T(key)
			}
			names = append(names, method)
		}
		rules = append(rules, l.T("about.methods", "methods", strings.Join(names, ", ")))
	}
	return rules
}

// Missing is the page that is shown where there is no such event.
func (p *Pages) Missing(l *Language) ([]byte, error) { return p.write(l, "missing", nil) }
