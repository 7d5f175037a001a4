package catalog

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"fairgate/core/event"
	"fairgate/ledger"
)

// Bounds of a query.
const (
	defaultLimit = 50
	maxLimit     = 200
	maxText      = 200 // characters
	maxName      = 200 // characters of a city or venue
	maxWords     = 10
	maxPrice     = 1_000_000_000_000
)

// underWay is for how long after its start an event is still listed when the query names no date.
const underWay = 6 * time.Hour

// Query is what a buyer looks for. ParseQuery makes it.
type Query struct {
	After  event.Cursor
	Limit  int
	Facets bool

	words                          []string // folded; the last may be the beginning of one
	city, country, venue, category string   // folded
	from, to                       time.Time
	dated                          bool // fromDay and toDay count, which are dates at the venue
	fromDay, toDay                 int32
	priced                         bool
	currency                       string
	priceMin, priceMax             int64
}

// BadQuery is everything wrong with the parameters of a query, one sentence each.
type BadQuery []string

func (b BadQuery) Error() string { return strings.Join(b, " ") }

var (
	countryForm  = regexp.MustCompile(`^[A-Za-z]{2}$`)
	categoryForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	currencyForm = regexp.MustCompile(`^[A-Za-z]{3}$`)
)

// ParseQuery reads the parameters of a search. Those that are empty are as if they were not there. The error is BadQuery.
//
//	q          words, all of which an event must have in its name, performers, venue, city, category, tags or summary; the last may be
//	           the beginning of a word. Case and accents do not count
//	city, country, venue, category
//	           the whole name; case and accents do not count. country is ISO 3166-1 alpha-2
//	from, to   dates such as 2027-06-12, both included, by the calendar of the venue; or instants such as 2027-06-12T18:00:00Z, to excluded.
//	           Without from: what began at most six hours ago
//	currency   ISO 4217; needed with the next two
//	price_min, price_max
//	           all-in prices such as 25 or 25.50: events of that currency with a ticket in between, as far as the cheapest and the
//	           dearest tell
//	after      the next of an earlier page
//	limit      1 to 200, default 50
//	facets     1 to count categories and cities
func ParseQuery(values url.Values, now time.Time) (*Query, error) {
	p := queryParser{values: values}
	q := &Query{Limit: defaultLimit, priceMax: math.MaxInt64}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch name {
		case "q", "city", "country", "venue", "category", "from", "to", "currency", "price_min", "price_max", "after", "limit", "facets":
			if len(values[name]) > 1 {
				p.refuse("%s is given more than once.", name)
			}
		default:
			p.refuse("There is no parameter %s; there are q, city, country, venue, category, from, to, currency, price_min, price_max, after, limit and facets.", clip(name))
		}
	}
	p.text(q)
	p.dates(q, now)
	p.prices(q)
	p.page(q)
	if len(p.bad) > 0 {
		return nil, p.bad
	}
	return q, nil
}

type queryParser struct {
	values url.Values
	bad    BadQuery
}

func (p *queryParser) refuse(format string, args ...any) {
	p.bad = append(p.bad, fmt.Sprintf(format, args...))
}

// value is a parameter without the space around it.
func (p *queryParser) value(name string, maxRunes int) string {
	v := strings.TrimSpace(p.values.Get(name))
	switch {
	case !utf8.ValidString(v):
		p.refuse("%s is not UTF-8.", name)
		return ""
	case utf8.RuneCountInString(v) > maxRunes:
		p.refuse("%s is longer than %d characters.", name, maxRunes)
		return ""
	}
	return v
}

func (p *queryParser) formed(name string, form *regexp.Regexp, rule string) string {
	v := p.value(name, maxName)
	if v != "" && !form.MatchString(v) {
		p.refuse("%s must be %s, is %s.", name, rule, clip(v))
		return ""
	}
	return v
}

func (p *queryParser) text(q *Query) {
	text := p.value("q", maxText)
	q.words = words(text)
	if text != "" && len(q.words) == 0 {
		q.words = []string{noWord}
	}
	if len(q.words) > maxWords {
		p.refuse("q has more than %d words.", maxWords)
	}
	for _, name := range []struct {
		param string
		into  *string
	}{{"city", &q.city}, {"venue", &q.venue}} {
		given := p.value(name.param, maxName)
		if *name.into = foldName(given); given != "" && *name.into == "" {
			*name.into = noWord
		}
	}
	q.country = fold(p.formed("country", countryForm, "two letters such as ES"))
	q.category = foldName(p.formed("category", categoryForm, "a word of small letters, digits and hyphens, such as concert"))
}

// noWord is what nothing is called: it stands for a text without a letter.
const noWord = "\x00"

// dates reads from and to.
func (p *queryParser) dates(q *Query, now time.Time) {
	q.fromDay, q.toDay = math.MinInt32, math.MaxInt32
	from, fromDay, isDay := p.instant("from")
	switch {
	case isDay:
		q.dated, q.fromDay, q.from = true, fromDay, from.Add(-14*time.Hour)
	case !from.IsZero():
		q.from = from
	default:
		q.from = now.Add(-underWay)
	}
	to, toDay, isDay := p.instant("to")
	switch {
	case isDay:
		q.dated, q.toDay, q.to = true, toDay, to.Add((24+12)*time.Hour)
	case !to.IsZero():
		q.to = to
	}
	if !from.IsZero() && !to.IsZero() && to.Before(from) {
		p.refuse("to is before from.")
	}
}

func (p *queryParser) instant(name string) (at time.Time, day int32, isDay bool) {
	v := p.value(name, 40)
	if v == "" {
		return at, 0, false
	}
	at, err := time.Parse("2006-01-02", v)
	isDay = err == nil
	if !isDay {
		if at, err = time.Parse(time.RFC3339, strings.Replace(v, " ", "+", 1)); err != nil { // a plus in a query is a space unless escaped
			p.refuse("%s must be a date such as 2027-06-12 or an instant such as 2027-06-12T18:00:00Z, is %s.", name, clip(v))
			return time.Time{}, 0, false
		}
	}
	if at.Year() < 1970 || at.Year() > 2200 {
		p.refuse("%s must be between the years 1970 and 2200.", name)
		return time.Time{}, 0, false
	}
	return at, civilDay(at.Date()), isDay
}

func (p *queryParser) prices(q *Query) {
	q.currency = strings.ToUpper(p.formed("currency", currencyForm, "three letters such as EUR"))
	exponent, known := ledger.Exponent(q.currency)
	if q.currency != "" && !known {
		p.refuse("currency: %s is not a currency in use.", q.currency)
		return
	}
	for _, bound := range []struct {
		param string
		into  *int64
	}{{"price_min", &q.priceMin}, {"price_max", &q.priceMax}} {
		v := p.value(bound.param, 30)
		if v == "" {
			continue
		}
		if q.currency == "" {
			p.refuse("%s needs a currency.", bound.param)
			continue
		}
		amount, err := ledger.ParseAmount(v, q.currency)
		if err != nil || amount.Minor < 0 || amount.Minor > maxPrice {
			p.refuse("%s must be an amount such as 25, with up to %d decimals, is %s.", bound.param, exponent, clip(v))
			continue
		}
		*bound.into = amount.Minor
	}
	q.priced = q.currency != ""
	if q.priceMin > q.priceMax {
		p.refuse("price_min is more than price_max.")
	}
}

func (p *queryParser) page(q *Query) {
	after, err := event.ParseCursor(p.value("after", 200))
	if errors.Is(err, event.ErrCursor) {
		p.refuse("after must be the next of an earlier page.")
	}
	q.After = after
	if v := p.value("limit", 10); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxLimit {
			p.refuse("limit must be from 1 to %d.", maxLimit)
		}
		q.Limit = n
	}
	switch v := p.value("facets", 5); v {
	case "", "0":
	case "1":
		q.Facets = true
	default:
		p.refuse("facets must be 1 or left out.")
	}
}

// clip shortens what is shown of a wrong value, and quotes it.
func clip(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return strconv.Quote(s)
}
