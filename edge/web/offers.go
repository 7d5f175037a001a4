package web

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Later is what core says of what an account waits for, or is offered: its answers to GET /v1/waitlist and GET /v1/reminders, and to whatever
// has to be known beside them. A function answers nil where core does not say.
type Later struct {
	Entries, Reminders []byte
	Event              func(slug string) []byte // GET /v1/events/{event}
	Offer              func(id string) []byte   // GET /v1/offers/{id}
	List               []byte                   // GET /v1/events/{event}/waitlist of the event that is asked about; nil: it has none
	Sale               *Sale                    // of that event; nil where none is known
}

// UnsubscribeView is what the page shows at which reminders are withdrawn.
type UnsubscribeView struct {
	Token, Problem string
	Done           bool
}

// Unsubscribe is the page at which whoever has a mail withdraws reminders.
func (p *Pages) Unsubscribe(l *Language, v UnsubscribeView) ([]byte, error) {
	return p.write(l, "unsubscribe", v)
}

// LaterView is what the account's page shows of it.
type LaterView struct {
	Offers    []offerView
	Waits     []waitView
	Reminders []reminderView
	Ask       *askView    // the form to ask with; nil: there is nothing to ask for
	Remind    *remindView // the form to be reminded with
}

type offerView struct {
	ID, Event, Name, What, Price, Until string
	Accepted, Resold                    bool
	Methods                             []methodText // where there is a choice
}

type waitView struct {
	Event, Name, Wish string
	Ahead             int // how many wait in front; -1: it cannot be said
}

type reminderView struct {
	Event, Name string
	Of          []string
}

type askView struct {
	Event, Name      string
	Tiers            []tickView
	Numbers          []numberView
	Together, Resold bool
	Standing         bool // it is a wish that is changed
}

type remindView struct {
	Event, Name string
	Of          []tickView
}

type tickView struct {
	ID, Name string
	Ticked   bool
}

type numberView struct {
	N      int
	Chosen bool
}

// waitEntry is one of the account's entries, as core has it.
type waitEntry struct {
	Event, State     string
	Tiers            []string
	Quantity         int
	Together, Resold bool
	Ahead            *int
	Offers           []struct{ ID, State string }
}

// waitEvent is what has to be known of an event here.
type waitEvent struct {
	Name, State string
	TimeZone    string `json:"time_zone"`
	PerBuyer    int    `json:"per_buyer"`
	Tiers       []struct{ ID, Name string }
	Sales       []saleAnswer
	Methods     []string `json:"payment_methods"`
}

func (e *waitEvent) tier(id string) string {
	for _, t := range e.Tiers {
		if t.ID == id {
			return t.Name
		}
	}
	return id
}

// maxOffers is how many offers and entries are shown.
const maxOffers = 20

// FillLater takes what an account waits for into the view. With an event the forms to ask about that are there, too.
func (v *AccountView) FillLater(l *Language, from *Later) error {
	var waits struct{ Entries []waitEntry }
	if err := json.Unmarshal(from.Entries, &waits); err != nil {
		return fmt.Errorf("read an account's entries: %w", err)
	}
	var reminders struct {
		Reminders []struct {
			Event     string
			Occasions []string
		}
	}
	if err := json.Unmarshal(from.Reminders, &reminders); err != nil {
		return fmt.Errorf("read an account's reminders: %w", err)
	}
	known := map[string]*waitEvent{}
	about := func(slug string) *waitEvent {
		e := known[slug]
		if e == nil {
			e = &waitEvent{}
			if body := from.Event(slug); body == nil || json.Unmarshal(body, e) != nil || e.Name == "" {
				e.Name = slug
			}
			known[slug] = e
		}
		return e
	}
	var asked *waitEntry
	standing := []string(nil) // what is asked about the event that is gone to
	for i := range waits.Entries {
		one := &waits.Entries[i]
		if one.State != "waiting" && one.State != "offered" || len(v.Offers)+len(v.Waits) >= maxOffers {
			continue
		}
		if one.Event == v.Event {
			asked = one
		}
		v.takeEntry(l, one, about(one.Event), from)
	}
	for _, one := range reminders.Reminders {
		if one.Event == v.Event {
			standing = one.Occasions
		}
		if len(v.Reminders) >= maxOffers {
			continue
		}
		line := reminderView{Event: one.Event, Name: about(one.Event).Name}
		for _, occasion := range one.Occasions {
			line.Of = append(line.Of, l.occasion(occasion, about(one.Event).Sales))
		}
		v.Reminders = append(v.Reminders, line)
	}
	if v.Event != "" {
		if e := about(v.Event); len(e.Tiers) > 0 && e.State != "cancelled" {
			v.Ask = askOf(v.Event, e, asked, from.List)
			v.Remind = l.remindOf(v.Event, e, standing, from.Sale)
		}
	}
	return nil
}

// takeEntry shows an entry: what it is offered, or how it waits.
func (v *AccountView) takeEntry(l *Language, one *waitEntry, e *waitEvent, from *Later) {
	for _, o := range one.Offers {
		if o.State != "open" && o.State != "accepted" {
			continue
		}
		var got struct {
			Tier, State, Listing string
			Quantity             int
			ExpiresAt            time.Time `json:"expires_at"`
			Hold                 *struct {
				Deadline time.Time
				Amount   priceJSON
				Items    []struct{ Seats []string }
			}
		}
		if body := from.Offer(o.ID); body == nil || json.Unmarshal(body, &got) != nil || got.State != "open" && got.State != "accepted" {
			continue
		}
		offer := offerView{ID: o.ID, Event: one.Event, Name: e.Name, What: l.T("offers.places", "n", got.Quantity, "tier", e.tier(got.Tier)), Accepted: got.State == "accepted", Resold: got.Listing != ""}
		until := got.ExpiresAt
		if got.Hold != nil {
			offer.Price = l.Money(got.Hold.Amount)
			if !got.Hold.Deadline.IsZero() {
				until = got.Hold.Deadline
			}
			for _, item := range got.Hold.Items {
				for _, seat := range item.Seats {
					offer.What += ", " + seat
				}
			}
		}
		offer.Until = l.When(until, e.TimeZone)
		if len(e.Methods) > 1 && !offer.Accepted {
			offer.Methods = l.methods(e.Methods)
		}
		v.Offers = append(v.Offers, offer)
		return
	}
	if one.State != "waiting" {
		return
	}
	wait := waitView{Event: one.Event, Name: e.Name, Ahead: -1}
	var tiers string
	for i, tier := range one.Tiers {
		if i > 0 {
			tiers += ", "
		}
		tiers += e.tier(tier)
	}
	wait.Wish = l.T("offers.places", "n", one.Quantity, "tier", tiers)
	if one.Ahead != nil {
		wait.Ahead = *one.Ahead
	}
	v.Waits = append(v.Waits, wait)
}

// askOf is the form to ask with, filled with the wish that stands; nil where the list takes none, or an offer is to be answered first.
func askOf(slug string, e *waitEvent, standing *waitEntry, list []byte) *askView {
	var open struct{ Open bool }
	if json.Unmarshal(list, &open) != nil || !open.Open || standing != nil && standing.State == "offered" {
		return nil
	}
	form := &askView{Event: slug, Name: e.Name, Standing: standing != nil, Resold: true}
	wish := waitEntry{Quantity: 1}
	if standing != nil {
		wish, form.Together, form.Resold = *standing, standing.Together, standing.Resold
	}
	for _, t := range e.Tiers {
		form.Tiers = append(form.Tiers, tickView{t.ID, t.Name, len(e.Tiers) == 1 || slices.Contains(wish.Tiers, t.ID)})
	}
	most := e.PerBuyer
	if most < 1 {
		most = maxOffers
	}
	for n := range most {
		form.Numbers = append(form.Numbers, numberView{n + 1, n+1 == wish.Quantity})
	}
	return form
}

// remindOf is the form to be reminded with: of what may still come, and of what is asked for already. nil where there is nothing of either.
func (l *Language) remindOf(slug string, e *waitEvent, standing []string, sale *Sale) *remindView {
	form := &remindView{Event: slug, Name: e.Name}
	add := func(occasion string, may bool) {
		if ticked := slices.Contains(standing, occasion); ticked || may {
			form.Of = append(form.Of, tickView{occasion, l.occasion(occasion, e.Sales), ticked})
		}
	}
	general := sale
	for i := range e.Sales { // of an event with presales, each is reminded of by itself
		s := &e.Sales[i]
		if s.Presale == "" {
			general = s.standing(sale)
			continue
		}
		add("room_opens:"+s.Presale, s.State == "coming")
		add("sale_opens:"+s.Presale, s.State == "coming" || s.State == "joining")
	}
	for _, occasion := range occasions {
		add(occasion, general.MayCome(occasion))
	}
	if form.Of == nil {
		return nil
	}
	return form
}

// occasions are what one can be reminded of, in the order in which they come.
var occasions = []string{"room_opens", "sale_opens", "returned"}

// MayCome tells whether an occasion to be reminded of may still come, as core judges it.
func (s *Sale) MayCome(occasion string) bool {
	before := s == nil || s.Phase == "announced" || s.Phase == ""
	switch occasion {
	case "room_opens":
		return before
	case "sale_opens":
		return before || slices.Contains([]string{"joining", "sealing", "drawn"}, s.Phase)
	default:
		return !before && s.Phase == "sold_out"
	}
}

// occasion is the word for what somebody is reminded of; of an event with several sales, with the name of the sale.
func (l *Language) occasion(name string, sales []saleAnswer) string {
	kind, presale, _ := strings.Cut(name, ":")
	text := name
	if key := "offers.kind_" + kind; l.Has(key) {
		text = l.T(key)
	}
	for i := range sales {
		if sales[i].Presale == presale && kind != "returned" {
			return l.saleName(&sales[i]) + ": " + text
		}
	}
	return text
}

// methods are ways to pay to choose from.
func (l *Language) methods(ids []string) []methodText {
	var all []methodText
	for i, method := range ids {
		name := method
		if key := "method." + method; l.Has(key) {
			name = l.T(key)
		}
		all = append(all, methodText{method, name, i == 0})
	}
	return all
}
