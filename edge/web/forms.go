package web

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"
)

// The pages with which one joins, waits and buys without a script. Scripts show the same, see static/room.js and its neighbours.

// PlaceView is what the page of one buyer's place shows.
type PlaceView struct {
	Slug, Problem           string
	Called, Drawn, Late     bool
	Elsewhere               bool // the account's turn is in another browser, and may come here
	SignIn                  bool
	Ahead, Rank, Joined     int
	Wait                    time.Duration // at the present pace; 0: it cannot be said
	OpensAt                 time.Time
	TimeZone, Message       string
	Phase                   string
	Stock                   []StockView
	Name                    string
	Sale                    string // which of the event's sales it is; empty: it has but one
	Over, Next, Done        string // that the sale is over, what comes next; and what was done
	Again                   int    // seconds until the page is loaded anew by itself; 0: it is not
	HasSession, Provisional bool
}

// StockView is what is left of a tier.
type StockView struct {
	Name     string
	Left     int
	Rounded  bool
	Minor    int64
	Currency string
}

// placeText is what the template shows of it.
type placeText struct {
	PlaceView
	Steps                                  []stepView
	AheadText, PlaceOf, WaitText, OpenText string
	PhaseText                              string
	Lines                                  []lineText
}

type lineText struct{ Name, Price, Left string }

// Place is the page of a buyer's place in the waiting room, which needs no script.
func (p *Pages) Place(l *Language, v PlaceView) ([]byte, error) {
	view := placeText{PlaceView: v, Steps: l.steps("draw"), AheadText: l.Number(int64(v.Ahead)), PhaseText: l.phase(v.Phase),
		PlaceOf: l.T("room.place_of", "rank", v.Rank, "all", v.Joined), WaitText: l.wait(v.Wait), OpenText: l.When(v.OpensAt, v.TimeZone)}
	if v.Drawn {
		view.Steps = l.steps("wait")
	}
	for _, s := range v.Stock {
		one := lineText{Name: s.Name, Price: l.Money(priceJSON{s.Minor, s.Currency}), Left: l.T("common.none_left")}
		switch {
		case s.Left > 0 && s.Rounded:
			one.Left = l.T("common.left_about", "n", s.Left)
		case s.Left > 0:
			one.Left = l.T("common.left", "n", s.Left)
		}
		view.Lines = append(view.Lines, one)
	}
	return p.write(l, "place", view)
}

// Refused is the page that says why a form of the waiting room was refused to who has no place in it.
func (p *Pages) Refused(l *Language, v PlaceView) ([]byte, error) { return p.write(l, "refused", v) }

// ProblemView is a refusal of something that has no page of its own.
type ProblemView struct {
	Status       int // of HTTP
	Code, Detail string
	Again        bool // asking once more is harmless: nothing was sent
}

// Problem is the page of a refusal, for who would otherwise be shown what programs are told.
func (p *Pages) Problem(l *Language, v ProblemView) ([]byte, error) {
	return p.write(l, "problem", struct {
		Missing, Wait, Again bool
		Said                 string
	}{v.Status == 404, v.Status == 429 || v.Status >= 500, v.Again && v.Status != 404, l.Said(v.Code, v.Detail)})
}

// wait is an honest range around an expected wait, as the script says it.
func (l *Language) wait(expected time.Duration) string {
	if expected <= 0 || expected >= 24*time.Hour {
		return l.T("room.wait_unknown")
	}
	from, to := int(expected/6*5/time.Minute), int((expected/7*10+time.Minute-1)/time.Minute)
	switch {
	case to <= 1:
		return l.T("room.wait_soon")
	case from < 1:
		return l.T("room.wait_upto", "n", to)
	case to <= 90:
		return l.T("room.wait_minutes", "from", from, "n", to)
	}
	return l.T("room.wait_hours", "from", max(1, from/60), "n", (to+59)/60)
}

// BuyView is what the page shows on which tickets are chosen without a script.
type BuyView struct {
	Slug, Problem, Key, Email string
	Event                     []byte // core's answer about the event
}

type buyText struct {
	BuyView
	Name    string
	Sale    string // the presale whose tickets these are
	Steps   []stepView
	Tiers   []choiceText
	Methods []methodText
	Most    int
}

type choiceText struct {
	ID, Name, Price, Left string
	Numbers               []int
}

type methodText struct {
	ID, Name string
	First    bool
}

// Buy is the page on which places without a number are chosen, for how many one likes, and ordered.
func (p *Pages) Buy(l *Language, v BuyView) ([]byte, error) {
	var e struct {
		Name     string
		PerBuyer int                      `json:"per_buyer"`
		OnSale   struct{ Presale string } `json:"on_sale"`
		Tiers    []struct {
			ID, Name, Kind string
			Price          priceJSON
			Left           int
		}
		Methods []string `json:"payment_methods"`
	}
	if err := json.Unmarshal(v.Event, &e); err != nil {
		return nil, fmt.Errorf("read an event: %w", err)
	}
	view := buyText{BuyView: v, Name: e.Name, Steps: l.steps("buy"), Most: max(1, e.PerBuyer)}
	if e.OnSale.Presale != "" {
		view.Sale = l.SaleIn(v.Event, e.OnSale.Presale)
	}
	for _, t := range e.Tiers {
		if t.Kind != "general" {
			continue
		}
		one := choiceText{ID: t.ID, Name: t.Name, Price: l.Money(t.Price), Left: l.T("common.none_left")}
		if t.Left > 0 {
			one.Left = l.T("common.left", "n", t.Left)
		}
		for n := range min(view.Most, max(0, t.Left)) + 1 {
			one.Numbers = append(one.Numbers, n)
		}
		view.Tiers = append(view.Tiers, one)
	}
	view.Methods = l.methods(e.Methods)
	return p.write(l, "buy", view)
}

type orderText struct {
	Slug, Title, Problem, Total, Pay, Own, Failure string
	Waiting                                        bool
	Steps                                          []stepView
	Lines                                          []lineView
	Tickets                                        []string
	PayTo, Reference, Until                        string
	About                                          orderAbout
}

// soon is when a page on which something is about to happen is looked at again.
const soon = 5 * time.Second

// Order is the page of an order, which needs no script, made of core's answers about the order and, nil where there is none, about the event; and when
// it should be looked at again, 0 for never. back is where the provider's page is to lead to afterwards, and returned says that it has: who
// may have paid is not asked to pay, and who has not been there is given the time to go.
func (p *Pages) Order(l *Language, slug string, body, known []byte, back string, returned bool) (page []byte, again time.Duration, err error) {
	var o struct {
		order
		Tickets []string
	}
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, 0, fmt.Errorf("read an order: %w", err)
	}
	view := orderText{Slug: slug, Title: o.State, Total: l.Money(o.Amount), Tickets: o.Tickets, Steps: l.steps("buy"), About: l.aboutOrder(known)}
	if key := "order.state_" + o.State; l.Has(key) {
		view.Title = l.T(key)
	}
	if len(o.Tickets) > 0 {
		view.Title, view.Steps = l.T("account.yours"), l.steps("ticket")
	}
	for _, line := range o.Lines {
		view.Lines = append(view.Lines, lineView{Tier: tierName(known, line.Tier), Seat: seatName(line.Seat), Price: priceJSON{line.Face.Minor + line.Fee.Minor + line.Tax.Minor, o.Amount.Currency}})
	}
	open := o.State == "payment_pending" || o.State == "payment_failed" || o.State == "reserved"
	if o.Payment.Failure != "" {
		view.Failure = l.failure(o.Payment.Failure)
	}
	deadline, unknown := time.Parse(time.RFC3339, o.Deadline)
	if open && unknown == nil {
		view.Until = l.When(deadline, view.About.zone)
	}
	switch {
	case !open:
		view.Waiting = o.State == "payment_complete" || o.State == "payment_review"
	case o.Payment.PayTo != "":
		view.PayTo, view.Reference = o.Payment.PayTo, inFours(o.Payment.Reference)
	case o.Payment.URL != "":
		view.Pay = payAddress(o.Payment.URL, back)
		view.Waiting = view.Pay != "" && returned && view.Failure == ""
		if now, err := time.Parse(time.RFC3339, o.ServerTime); err == nil && unknown == nil && !view.Waiting {
			again = max(soon, deadline.Sub(now)+time.Second) // when it cannot be paid any more
		}
	case o.Payment.Form == formStripe:
		view.Own = EventPrefix + slug + "/pay/" + o.ID
	default:
		view.Waiting = true // the payment is being begun
	}
	if view.Waiting {
		again = soon
	}
	page, err = p.write(l, "order", view)
	return page, again, err
}

// payAddress is the provider's page, which leads back afterwards; "" where it is none on the web.
func payAddress(address, back string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	query := u.Query()
	query.Set("return_url", back)
	u.RawQuery = query.Encode()
	return u.String()
}
