package main

import (
	"time"

	"fairgate/core/payment"
	"fairgate/core/payout"
)

// payoutRules are payout.Rules as the configuration has them.
type payoutRules struct {
	After          time.Duration
	ReservePercent int64         `mapstructure:"reserve_percent"`
	ReserveFor     time.Duration `mapstructure:"reserve_for"`
	MinimumMinor   int64         `mapstructure:"minimum_minor"`
}

func (r payoutRules) rules() payout.Rules {
	return payout.Rules{After: r.After, ReservePercent: r.ReservePercent, ReserveFor: r.ReserveFor, MinimumMinor: r.MinimumMinor}
}

// organizerRules are the rules of organizers who have their own, whole: what one does not name is 0.
func (c config) organizerRules() map[string]payout.Rules {
	rules := make(map[string]payout.Rules, len(c.Payouts.Organizers))
	for name, r := range c.Payouts.Organizers {
		rules[name] = r.rules()
	}
	return rules
}

// settlementReaders are the providers whose settlement can be read, by name.
func settlementReaders(providers *payment.Providers) map[string]payment.SettlementReader {
	readers := map[string]payment.SettlementReader{}
	for _, name := range providers.Names() {
		if reader, err := providers.SettlementReader(name); err == nil {
			readers[name] = reader
		}
	}
	return readers
}
