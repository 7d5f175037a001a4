package web

import (
	"encoding/json"
	"time"
)

// saleAnswer is one of the on-sales that an event has one after the other, as core's answer about the event lists them.
type saleAnswer struct {
	Presale, Name, Who, State string
	PerBuyer                  int       `json:"per_buyer"`
	JoiningAt                 time.Time `json:"joining_at"`
	OpensAt                   time.Time `json:"opens_at"`
	EndsAt                    time.Time `json:"ends_at"`
}

// saleView is what the page shows of it. Presale is set where one can register for it, with a word if Word is.
type saleView struct {
	ID                                             string // the presale's; empty: general sale
	Presale, Name, Who, State, When, Joining, Most string
	Now, Word                                      bool
}

// standing is general sale of an event with presales as its page knows it: the one that runs, if that is it, or else by what core says of it.
func (s *saleAnswer) standing(running *Sale) *Sale {
	if running != nil && running.Presale == "" {
		return running
	}
	if s.State == "over" {
		return &Sale{Phase: "ended"}
	}
	return nil // not announced: everything may come
}

// who says who may enter a sale; what an entry is in general sale, the event's rules say.
func (l *Language) who(s *saleAnswer) string {
	switch s.Who {
	case "invitation":
		return l.T("about.who_invitation")
	case "registered":
		return l.T("about.who_registered")
	case "word":
		return l.T("about.who_word")
	}
	return l.T("about.who_all")
}

// saleName is what a sale is called: a presale's name, as core has it, or that of general sale.
func (l *Language) saleName(s *saleAnswer) string {
	switch {
	case s.Name != "":
		return s.Name
	case s.Presale != "":
		return s.Presale
	}
	return l.T("room.general")
}

func (l *Language) saleState(state string) string {
	if key := "room.state_" + state; l.Has(key) {
		return l.T(key)
	}
	return ""
}

// sales are the sales of an event in words.
func (l *Language) sales(all []saleAnswer, zone string) []saleView {
	views := make([]saleView, len(all))
	for i := range all {
		s := &all[i]
		view := saleView{ID: s.Presale, Name: l.saleName(s), Who: l.who(s), State: l.saleState(s.State), When: l.T("about.time_unknown"), Now: s.State == "on" || s.State == "joining"}
		if !s.OpensAt.IsZero() && !s.EndsAt.IsZero() {
			view.When = l.T("about.sale_from", "from", l.When(s.OpensAt, zone), "until", l.When(s.EndsAt, zone))
		}
		if !s.JoiningAt.IsZero() && s.State == "coming" {
			view.Joining = l.T("room.opens_at", "when", l.When(s.JoiningAt, zone))
		}
		if s.PerBuyer > 0 {
			view.Most = l.T("about.per_buyer", "n", s.PerBuyer)
		}
		if s.State != "over" && (s.Who == "registered" || s.Who == "word") {
			view.Presale, view.Word = s.Presale, s.Who == "word"
		}
		views[i] = view
	}
	return views
}

// SaleIn is what the sale of a presale is called, general sale's name for "", as far as core's answer about the event tells; "" where the event
// has no presales, so that there is nothing to tell apart.
func (l *Language) SaleIn(event []byte, presale string) string {
	var e struct{ Sales []saleAnswer }
	if event != nil && json.Unmarshal(event, &e) == nil {
		for i := range e.Sales {
			if e.Sales[i].Presale == presale {
				return l.saleName(&e.Sales[i])
			}
		}
	}
	if presale == "" {
		return ""
	}
	return presale
}

// NextSale says which sale comes next and when its waiting room opens, or that it is open.
func (l *Language) NextSale(event []byte, presale string, joining time.Time, zone string, open bool) string {
	name := l.SaleIn(event, presale)
	if name == "" {
		name = l.T("room.general")
	}
	if open {
		return l.T("room.next_open", "sale", name)
	}
	return l.T("room.next", "sale", name, "when", l.When(joining, zone))
}
