package payment

import (
	"errors"
	"fmt"
)

// ErrUnsupported means that a provider cannot do that at all: it has no disputes, gives no settlement, or the like.
var ErrUnsupported = errors.New("the payment provider has no such thing")

// Names are the providers' names, the preferred first.
func (p *Providers) Names() []string { return append([]string(nil), p.order...) }

// Refunder is the provider of a name as one that gives money back, behind its breaker; ErrUnknownProvider or ErrUnsupported.
func (p *Providers) Refunder(name string) (Refunder, error) {
	r, m, err := able[Refunder](p, name)
	if err != nil {
		return nil, err
	}
	return guardedRefunder{r, m.breaker}, nil
}

// Disputer is the provider of a name as one whose disputes can be answered and listed, behind its breaker; ErrUnknownProvider or
// ErrUnsupported.
func (p *Providers) Disputer(name string) (Disputer, error) {
	d, m, err := able[Disputer](p, name)
	if err != nil {
		return nil, err
	}
	return guardedDisputer{d, m.breaker}, nil
}

// Identifier is the provider of a name as one that tells whose an object is, behind its breaker; ErrUnknownProvider or
// ErrUnsupported.
func (p *Providers) Identifier(name string) (Identifier, error) {
	i, m, err := able[Identifier](p, name)
	if err != nil {
		return nil, err
	}
	return guardedIdentifier{i, m.breaker}, nil
}

// SettlementReader is the provider of a name as one whose settlement can be read; ErrUnknownProvider or ErrUnsupported. It
// stands beside the breaker: a day's report that fails says little of payments.
func (p *Providers) SettlementReader(name string) (SettlementReader, error) {
	r, _, err := able[SettlementReader](p, name)
	return r, err
}

// SignalsApart tells whether the provider of a name says the card and the risk of an authorization in an event of their own, beside
// one that says only that there is money.
func (p *Providers) SignalsApart(name string) bool {
	s, _, err := able[interface{ SignalsApart() bool }](p, name)
	return err == nil && s.SignalsApart()
}

// WebhookReaders are the providers that report by webhook, by name.
func (p *Providers) WebhookReaders() map[string]WebhookReader {
	readers := make(map[string]WebhookReader, len(p.byName))
	for name, m := range p.byName {
		if reader, ok := m.raw.(WebhookReader); ok {
			readers[name] = reader
		}
	}
	return readers
}

// able is the provider of a name as a T.
func able[T any](p *Providers, name string) (T, *member, error) {
	var none T
	m := p.byName[name]
	if m == nil {
		return none, nil, fmt.Errorf("%w %q", ErrUnknownProvider, name)
	}
	if t, ok := m.raw.(T); ok {
		return t, m, nil
	}
	return none, nil, fmt.Errorf("%w: %s", ErrUnsupported, name)
}
