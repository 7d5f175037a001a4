package main

import "fairgate/core/payment"

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
