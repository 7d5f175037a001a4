package payment

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// Want is what is known of a payment when a provider is chosen for it.
type Want struct {
	Currency string // ISO 4217, upper case
	Country  string // of the event's venue, ISO 3166-1; may be empty
	Method   string // what the buyer chose, such as card, paypal or bank_transfer; empty: any
	Minor    int64  // the amount, in minor units of Currency
}

// Member is a provider with the methods by which buyers pay there.
type Member struct {
	Provider Provider
	Methods  []string // the first is what a buyer who chose nothing pays with; none: card
}

// member is a Member at work.
type member struct {
	raw     Provider
	guarded Provider
	breaker *breaker
	methods []string
}

// Providers are the payment providers a core has, by name, each behind a circuit breaker, and the rules by which one is
// chosen. They never change once made, and are safe for concurrent use.
type Providers struct {
	byName map[string]*member
	order  []string
	routes []route
}

// NewProviders makes Providers of a list whose first is preferred whatever is to be paid. Names must differ.
func NewProviders(list ...Provider) *Providers {
	members := make([]Member, len(list))
	for i, provider := range list {
		members[i] = Member{Provider: provider}
	}
	p, err := NewRouted(Routing{}, members...)
	if err != nil {
		panic("payment: " + err.Error())
	}
	return p
}

// NewRouted makes Providers that are chosen by rules. Its error names everything that is wrong with the rules at once.
func NewRouted(routing Routing, members ...Member) (*Providers, error) {
	p := &Providers{byName: make(map[string]*member, len(members))}
	for _, m := range members {
		name := m.Provider.Name()
		if _, twice := p.byName[name]; twice {
			return nil, fmt.Errorf("%w: two providers of the name %s", ErrRoutes, name)
		}
		b := newBreaker(name, routing.Breaker)
		methods := slices.Clone(m.Methods)
		if len(methods) == 0 {
			methods = []string{MethodCard}
		}
		p.byName[name] = &member{raw: m.Provider, guarded: guarded{m.Provider, b}, breaker: b, methods: methods}
		p.order = append(p.order, name)
	}
	var err error
	p.routes, err = p.compile(routing.Routes)
	return p, err
}

// Of returns the provider of a name, behind its breaker; ErrUnknownProvider when this core has none.
func (p *Providers) Of(name string) (Provider, error) {
	if m := p.byName[name]; m != nil {
		return m.guarded, nil
	}
	return nil, fmt.Errorf("%w %q", ErrUnknownProvider, name)
}

// Up tells whether the provider of a name is there and its breaker lets calls through.
func (p *Providers) Up(name string) bool {
	m := p.byName[name]
	return m != nil && m.breaker.up()
}

// Form is how a buyer pays a begun payment of a provider; empty where the provider has no way of its own.
func (p *Providers) Form(provider, ref, clientSecret string) Form {
	m := p.byName[provider]
	if m == nil {
		return Form{}
	}
	former, ok := m.raw.(interface {
		Form(ref, clientSecret string) Form
	})
	if !ok {
		return Form{}
	}
	return former.Form(ref, clientSecret)
}

// Identifier is a Provider that finds out whose payment an object of its own is. Events about disputes name only that.
type Identifier interface {
	// Identify returns order, payment and attempt of the object that ref names; ErrNotFound for one that is not ours.
	Identify(ctx context.Context, ref string) (order, payment uuid.UUID, attempt int, err error)
}
