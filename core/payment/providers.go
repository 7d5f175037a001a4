package payment

import (
	"context"
	"fmt"

	"github.com/google/uuid"
)

// Want is what is known of a payment when a provider is chosen for it.
type Want struct {
	Currency string // ISO 4217, upper case
	Country  string // of the event's venue, ISO 3166-1; may be empty
	Method   string // what the buyer chose, such as card, paypal or bank_transfer; empty: any
	Minor    int64  // the amount, in minor units of Currency
}

// Providers are the payment providers a core has, by name. They never change once made, and are safe for concurrent use.
type Providers struct {
	byName map[string]Provider
	order  []string
}

// NewProviders makes Providers of a list whose first is preferred. Names must differ.
func NewProviders(list ...Provider) *Providers {
	p := &Providers{byName: make(map[string]Provider, len(list))}
	for _, provider := range list {
		if _, twice := p.byName[provider.Name()]; twice {
			panic("payment: two providers of the name " + provider.Name())
		}
		p.byName[provider.Name()] = provider
		p.order = append(p.order, provider.Name())
	}
	return p
}

// Of returns the provider of a name; ErrUnknownProvider when this core has none.
func (p *Providers) Of(name string) (Provider, error) {
	if provider := p.byName[name]; provider != nil {
		return provider, nil
	}
	return nil, fmt.Errorf("%w %q", ErrUnknownProvider, name)
}

// Route chooses the provider of a new payment; ErrUnknownProvider when none takes it. It answers from memory.
func (p *Providers) Route(Want) (string, error) {
	if len(p.order) == 0 {
		return "", fmt.Errorf("%w: none is configured", ErrUnknownProvider)
	}
	return p.order[0], nil
}

// Form is how a buyer pays a begun payment of a provider; empty where the provider has no way of its own.
func (p *Providers) Form(provider, ref, clientSecret string) Form {
	former, ok := p.byName[provider].(interface {
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
