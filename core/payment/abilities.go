package payment

import (
	"errors"
	"fmt"
)

// ErrUnsupported means that a provider cannot do that at all: it has no disputes, gives no settlement, or the like.
var ErrUnsupported = errors.New("the payment provider has no such thing")

// Names are the providers' names, the preferred first.
func (p *Providers) Names() []string { return append([]string(nil), p.order...) }

// Refunder is the provider of a name as one that gives money back; ErrUnknownProvider or ErrUnsupported.
func (p *Providers) Refunder(name string) (Refunder, error) { return able[Refunder](p, name) }

// Disputer is the provider of a name as one whose disputes can be answered; ErrUnknownProvider or ErrUnsupported.
func (p *Providers) Disputer(name string) (Disputer, error) { return able[Disputer](p, name) }

// Identifier is the provider of a name as one that tells whose an object is; ErrUnknownProvider or ErrUnsupported.
func (p *Providers) Identifier(name string) (Identifier, error) { return able[Identifier](p, name) }

// SettlementReader is the provider of a name as one whose settlement can be read; ErrUnknownProvider or ErrUnsupported.
func (p *Providers) SettlementReader(name string) (SettlementReader, error) {
	return able[SettlementReader](p, name)
}

// WebhookReaders are the providers that report by webhook, by name.
func (p *Providers) WebhookReaders() map[string]WebhookReader {
	readers := make(map[string]WebhookReader, len(p.byName))
	for name, provider := range p.byName {
		if reader, ok := provider.(WebhookReader); ok {
			readers[name] = reader
		}
	}
	return readers
}

// able is the provider of a name as a T.
func able[T any](p *Providers, name string) (T, error) {
	var none T
	provider, err := p.Of(name)
	if err != nil {
		return none, err
	}
	if t, ok := provider.(T); ok {
		return t, nil
	}
	return none, fmt.Errorf("%w: %s", ErrUnsupported, name)
}
