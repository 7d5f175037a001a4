package wallet

import "github.com/VictoriaMetrics/metrics"

var (
	applePasses = metrics.NewCounter(`core_wallet_passes_total{wallet="apple"}`)
	googleLinks = metrics.NewCounter(`core_wallet_passes_total{wallet="google"}`)
	refused     = metrics.NewCounter(`core_wallet_refused_total`) // too many at once
)
