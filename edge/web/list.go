package web

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"time"
	_ "time/tzdata" // times are shown in the zone of the venue, on every machine
)

//go:embed template/list.html
var listText string

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
	Events             []eventView
	Cities, Categories []facet
	Next               string
}

type eventView struct{ ID, Name, Instant, When, Where, Phase, Price string }

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

// phases are the words for how a sale stands.
var phases = map[string]string{"announced": "Announced", "joining": "Waiting room open", "sealing": "Drawing", "drawn": "Drawn", "open": "On sale",
	"paused": "Paused", "sold_out": "Sold out", "ended": "Ended"}

// List is the list of events as a page that needs no script: core's answer to a search, or what is wrong instead.
func (p *Pages) List(asked Asked, body []byte, problem string) ([]byte, error) {
	view := listView{Asked: asked, Problem: problem, Searched: len(asked.Values()) > 0}
	narrowed := asked
	narrowed.Q, narrowed.After = "", ""
	view.Narrowed = narrowed != Asked{}
	if problem == "" {
		var a answer
		if err := json.Unmarshal(body, &a); err != nil {
			return nil, fmt.Errorf("read the list of events: %w", err)
		}
		view.take(a)
	}
	var out bytes.Buffer
	if err := p.list.Execute(&out, view); err != nil {
		return nil, fmt.Errorf("write the list of events: %w", err)
	}
	return out.Bytes(), nil
}

func (v *listView) take(a answer) {
	v.Cities, v.Categories = a.Facets.Cities, a.Facets.Categories
	switch a.Total {
	case 0:
		v.Count = "No events found."
	case 1:
		v.Count = "1 event"
	default:
		v.Count = strconv.Itoa(a.Total) + " events"
	}
	for _, e := range a.Events {
		one := eventView{ID: e.ID, Name: e.Name, Instant: e.StartsAt.Format(time.RFC3339), When: when(e.StartsAt, e.TimeZone), Where: e.Venue.Name + ", " + e.Venue.City}
		if e.OnSale != nil {
			if one.Phase = phases[e.OnSale.Phase]; one.Phase == "" {
				one.Phase = e.OnSale.Phase
			}
		}
		if e.Prices != nil {
			if one.Price = e.Prices.From.String(); e.Prices.To != e.Prices.From {
				one.Price = "from " + one.Price
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

// when is a start by the clock of the venue.
func when(at time.Time, zone string) string {
	const form = "Mon 2 January 2006, 15:04"
	location, err := time.LoadLocation(zone)
	if err != nil {
		return at.UTC().Format(form) + " UTC"
	}
	return at.In(location).Format(form)
}

// decimals of currencies that do not have two.
var decimals = map[string]int{"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0,
	"VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0, "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3}

func (m priceJSON) String() string {
	places, ok := decimals[m.Currency]
	if !ok {
		places = 2
	}
	text := fmt.Sprintf("%0*d", places+1, m.Minor)
	if places > 0 {
		text = text[:len(text)-places] + "." + text[len(text)-places:]
	}
	return text + " " + m.Currency
}

func parseList() (*template.Template, error) { return template.New("list").Parse(listText) }
