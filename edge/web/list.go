package web

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Asked is what a visitor looks for, as typed.
type Asked struct {
	Q, City, Country, Category, From, To, PriceMax, Currency, After string
}

// fields are the parameters by their names, which the page and the interface share.
func (a *Asked) fields() map[string]*string {
	return map[string]*string{"q": &a.Q, "city": &a.City, "country": &a.Country, "category": &a.Category, "from": &a.From, "to": &a.To,
		"price_max": &a.PriceMax, "currency": &a.Currency, "after": &a.After}
}

// AskedOf reads the parameters of the page; others are ignored.
func AskedOf(value func(name string) string) Asked {
	var a Asked
	for name, into := range a.fields() {
		*into = value(name)
	}
	return a
}

// Values are the parameters that are not empty.
func (a Asked) Values() url.Values {
	values := url.Values{}
	for name, value := range a.fields() {
		if *value != "" {
			values.Set(name, *value)
		}
	}
	return values
}

// listView is what the template shows.
type listView struct {
	Asked              Asked
	Searched, Narrowed bool
	Problem, Count     string
	Events             []listedEvent
	Cities, Categories []facet
	Next               string
	Query              string // of the page itself
}

type listedEvent struct{ ID, Name, Instant, Day, Month, When, Where, Phase, Price string }

type facet struct {
	Value  string
	Events int
}

// answer is what core says to GET /v1/events.
type answer struct {
	Events []struct {
		ID       string
		Name     string
		StartsAt time.Time `json:"starts_at"`
		TimeZone string    `json:"time_zone"`
		Venue    struct{ Name, City string }
		OnSale   *struct{ Phase string }       `json:"on_sale"`
		Prices   *struct{ From, To priceJSON } `json:"price_range"`
	}
	Next   string
	Total  int
	Facets struct{ Categories, Cities []facet }
}

type priceJSON struct {
	Minor    int64
	Currency string
}

// Wrong says what is wrong with a search that core refuses, for people: "" where it is nothing that the form asks for.
func (a Asked) Wrong(l *Language) string {
	letters := func(text string, n int) bool {
		return text == "" || len(text) == n && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
	}
	switch {
	case !letters(a.Country, 2):
		return l.T("list.wrong_country")
	case !letters(a.Currency, 3):
		return l.T("list.wrong_currency")
	case a.PriceMax != "" && a.Currency == "":
		return l.T("list.needs_currency")
	case a.PriceMax != "" && strings.Trim(a.PriceMax, "0123456789.") != "":
		return l.T("list.wrong_price")
	}
	return ""
}

// List is the list of events as a page that needs no script: core's answer to a search, or what is wrong instead.
func (p *Pages) List(l *Language, asked Asked, body []byte, problem string) ([]byte, error) {
	view := listView{Asked: asked, Problem: problem, Searched: len(asked.Values()) > 0, Query: asked.Values().Encode()}
	narrowed := asked
	narrowed.Q, narrowed.After = "", ""
	view.Narrowed = narrowed != Asked{}
	if problem == "" {
		var a answer
		if err := json.Unmarshal(body, &a); err != nil {
			return nil, fmt.Errorf("read the list of events: %w", err)
		}
		view.take(l, a)
	}
	return p.write(l, "list", view)
}

func (v *listView) take(l *Language, a answer) {
	v.Cities, v.Categories = a.Facets.Cities, a.Facets.Categories
	if v.Count = l.T("list.none"); a.Total > 0 {
		v.Count = l.T("list.count", "n", a.Total)
	}
	for _, e := range a.Events {
		one := listedEvent{ID: e.ID, Name: e.Name, Instant: e.StartsAt.Format(time.RFC3339), When: l.When(e.StartsAt, e.TimeZone), Where: e.Venue.Name + ", " + e.Venue.City}
		one.Day, one.Month = l.dayAndMonth(e.StartsAt, e.TimeZone)
		if e.OnSale != nil {
			one.Phase = l.phase(e.OnSale.Phase)
		}
		if e.Prices != nil {
			if one.Price = l.Money(e.Prices.From); e.Prices.To != e.Prices.From {
				one.Price = l.T("list.price_from", "price", one.Price)
			}
		}
		v.Events = append(v.Events, one)
	}
	if a.Next != "" {
		next := v.Asked
		next.After = a.Next
		v.Next = "/?" + next.Values().Encode()
	}
}

// phase is the word for how a sale stands.
func (l *Language) phase(name string) string {
	if key := "phase." + name; l.Has(key) {
		return l.T(key)
	}
	return name
}
