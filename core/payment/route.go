package payment

import (
	"errors"
	"fmt"
	"math/bits"
	"regexp"
	"slices"
	"strings"
)

// Methods by which buyers pay.
const (
	MethodCard         = "card"
	MethodPayPal       = "paypal"
	MethodBankTransfer = "bank_transfer"
	MethodBoxOffice    = "box_office"
)

// Outcomes of choosing a provider that callers branch on.
var (
	// ErrRoutes means that the rules by which providers are chosen make no sense.
	ErrRoutes = errors.New("wrong payment routes")
	// ErrNoRoute means that no provider takes such a payment. It is an ErrUnknownProvider.
	ErrNoRoute = fmt.Errorf("%w: no route leads to one", ErrUnknownProvider)
)

// Routing says how providers are chosen and when they are taken for down.
type Routing struct {
	// Routes are asked in their order: the first whose currencies, countries and methods fit, and one of whose providers
	// takes the method, decides. Without any, every provider takes everything, the first in the list of members preferred.
	Routes  []Route
	Breaker BreakerConfig
}

// Route is one rule. An empty list fits everything.
type Route struct {
	Currencies []string // ISO 4217
	Countries  []string // of the venue, ISO 3166-1
	Methods    []string
	// Providers are the choice, in the order of preference. Where they have costs the cheapest for the amount comes first,
	// and the order decides between equals.
	Providers []Choice
}

// Choice is a provider of a route, and what a payment there costs: Percent, in millionths of the amount (1.5% is 15,000),
// and FixedMinor in minor units of the payment's currency. Either all choices of a route have a cost or none has.
type Choice struct {
	Provider   string
	HasCost    bool
	Percent    int64
	FixedMinor int64
}

// route is a Route whose providers are known.
type route struct {
	Route
	members []*member
}

var (
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
	countryForm  = regexp.MustCompile(`^[A-Z]{2}$`)
	methodForm   = regexp.MustCompile(`^[a-z][a-z_]{0,31}$`)
)

// compile checks routes against the providers there are.
func (p *Providers) compile(routes []Route) ([]route, error) {
	if len(routes) == 0 {
		all := route{}
		for _, name := range p.order {
			all.Providers = append(all.Providers, Choice{Provider: name})
			all.members = append(all.members, p.byName[name])
		}
		return []route{all}, nil
	}
	var problems []error
	compiled := make([]route, len(routes))
	for i, r := range routes {
		bad := func(format string, args ...any) {
			problems = append(problems, fmt.Errorf("%w: route %d: "+format, append([]any{ErrRoutes, i + 1}, args...)...))
		}
		compiled[i].Route = r
		for _, list := range []struct {
			values []string
			form   *regexp.Regexp
			what   string
		}{{r.Currencies, currencyForm, "currency such as EUR"}, {r.Countries, countryForm, "country such as ES"}, {r.Methods, methodForm, "method such as card"}} {
			for _, value := range list.values {
				if !list.form.MatchString(value) {
					bad("%q is no %s", value, list.what)
				}
			}
		}
		if len(r.Providers) == 0 {
			bad("it has no providers")
		}
		seen := map[string]bool{}
		for _, c := range r.Providers {
			m := p.byName[c.Provider]
			switch {
			case m == nil:
				bad("no provider %q is configured; there are %s", c.Provider, strings.Join(p.order, ", "))
			case seen[c.Provider]:
				bad("provider %q stands there twice", c.Provider)
			case len(r.Methods) > 0 && !slices.ContainsFunc(r.Methods, m.takes):
				bad("provider %q takes none of the methods %s", c.Provider, strings.Join(r.Methods, ", "))
			}
			if c.Percent < 0 || c.Percent > 1_000_000 || c.FixedMinor < 0 {
				bad("the cost of %q is not from 0 to 100 percent and 0 or more minor units", c.Provider)
			}
			if c.HasCost != r.Providers[0].HasCost {
				bad("provider %q: either all providers of a route have a cost or none has", c.Provider)
			}
			seen[c.Provider] = true
			compiled[i].members = append(compiled[i].members, m)
		}
	}
	return compiled, errors.Join(problems...)
}

// takes tells whether buyers can pay by a method there.
func (m *member) takes(method string) bool { return slices.Contains(m.methods, method) }

// fits tells whether the rule is for such payments, whatever their method.
func (r *route) fits(currency, country string) bool {
	return (len(r.Currencies) == 0 || slices.Contains(r.Currencies, currency)) &&
		(len(r.Countries) == 0 || slices.Contains(r.Countries, country))
}

// atOnce tells whether a payment by a method is done while the buyer is there.
func atOnce(method string) bool { return method != MethodBankTransfer && method != MethodBoxOffice }

// offers tells whether the rule's i-th provider is there for a method; "" is any that is paid at once: nobody who chose
// nothing is sent to a bank.
func (r *route) offers(i int, method string) bool {
	if method == "" {
		return slices.ContainsFunc(r.members[i].methods, func(m string) bool { return atOnce(m) && r.offers(i, m) })
	}
	return (len(r.Methods) == 0 || slices.Contains(r.Methods, method)) && r.members[i].takes(method)
}

// cost of a payment of minor units. It compares, and is never charged, so what has no room is simply the most.
func (c Choice) cost(minor int64) uint64 {
	high, low := bits.Mul64(uint64(max(minor, 0)), uint64(c.Percent)) //nolint:gosec // neither is negative
	if high >= 1_000_000 {
		return ^uint64(0)
	}
	share, _ := bits.Div64(high, low, 1_000_000)
	if sum, carry := bits.Add64(share, uint64(c.FixedMinor), 0); carry == 0 { //nolint:gosec // not negative
		return sum
	}
	return ^uint64(0)
}

// candidates are the providers that may take the payment, the one to prefer first. The same payment has the same ones, in
// the same order, on every core with the same configuration.
func (p *Providers) candidates(w Want) []string {
	for i := range p.routes {
		r := &p.routes[i]
		if !r.fits(w.Currency, w.Country) {
			continue
		}
		var fitting []Choice
		for n, c := range r.Providers {
			if r.offers(n, w.Method) {
				fitting = append(fitting, c)
			}
		}
		if len(fitting) == 0 {
			continue
		}
		slices.SortStableFunc(fitting, func(a, b Choice) int {
			switch x, y := a.cost(w.Minor), b.cost(w.Minor); {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		})
		names := make([]string, len(fitting))
		for n, c := range fitting {
			names[n] = c.Provider
		}
		return names
	}
	return nil
}

// Route chooses the provider of a new payment: of those that may take it the first that is up, or the first if none is;
// ErrNoRoute when none takes it. It answers from memory.
func (p *Providers) Route(w Want) (string, error) {
	names := p.candidates(w)
	if len(names) == 0 {
		return "", fmt.Errorf("%w for %s %s %s", ErrNoRoute, w.Currency, w.Country, w.Method)
	}
	for _, name := range names {
		if p.Up(name) {
			return name, nil
		}
	}
	return names[0], nil
}

// FailOver chooses another provider for a payment that was never sent to from: one that may take it and is up. ok is false
// when there is none.
func (p *Providers) FailOver(w Want, from string) (name string, ok bool) {
	for _, name := range p.candidates(w) {
		if name != from && p.Up(name) {
			return name, true
		}
	}
	return "", false
}

// Methods are the methods by which buyers can pay in a currency at venues of a country, in the order of the rules. Empty
// means that nobody could pay at all.
func (p *Providers) Methods(currency, country string) []string {
	var methods []string
	for i := range p.routes {
		r := &p.routes[i]
		if !r.fits(currency, country) {
			continue
		}
		for n := range r.members {
			for _, method := range r.members[n].methods {
				if r.offers(n, method) && !slices.Contains(methods, method) {
					methods = append(methods, method)
				}
			}
		}
	}
	return methods
}

// SpareRate is how many more payments a second could be made, in a currency at venues of a country, than were made in the
// last second: by the provider that a buyer who chooses nothing would be sent to now. A provider that is down has nothing to
// spare, but the one that takes over for it has; one that is only probed has as much as its probes.
func (p *Providers) SpareRate(currency, country string) float64 {
	name, err := p.Route(Want{Currency: currency, Country: country})
	if err != nil {
		return 0
	}
	m := p.byName[name]
	spare := unlimited
	if s, ok := m.raw.(interface{ SpareRate() float64 }); ok {
		spare = s.SpareRate()
	}
	switch {
	case !m.breaker.up():
		return 0
	case m.breaker.probing():
		return min(spare, float64(m.breaker.probes))
	}
	return spare
}

// SpareRefundRate is how many more refunds a second could be made of what was paid in a currency at venues of a country. A refund goes
// to the provider that took the payment, so it is what the least of those that are up has to spare; 0 when none is. A provider that
// does not say what it has to spare for refunds has as much as for payments.
func (p *Providers) SpareRefundRate(currency, country string) float64 {
	spare, up := unlimited, false
	for i := range p.routes {
		if !p.routes[i].fits(currency, country) {
			continue
		}
		for _, m := range p.routes[i].members {
			if !m.breaker.up() || m.breaker.probing() {
				continue // its refunds wait in the outbox; the others' need not
			}
			up = true
			switch s := m.raw.(type) {
			case interface{ SpareRefundRate() float64 }:
				spare = min(spare, s.SpareRefundRate())
			case interface{ SpareRate() float64 }:
				spare = min(spare, s.SpareRate())
			}
		}
	}
	if !up {
		return 0
	}
	return spare
}

// unlimited is the spare rate of what has no limit.
const unlimited = 1e9
