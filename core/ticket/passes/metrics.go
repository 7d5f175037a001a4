package passes

import "github.com/VictoriaMetrics/metrics"

// Metrics of every Service of the process.
//
//	core_wallet_updates_total{wallet,result}  result: told, or never saved; failed, and tried again; dropped after a day
//	core_wallet_pushes_total{result}          pushes to phones: sent; gone: the phone has the pass no more; or refused: not a token of this service
//	core_wallet_registrations_total           phones that have registered for a pass
//	core_wallet_registrations_swept_total     phones that were forgotten because the event is long over
//	core_wallet_updates_due                   passes that are to be told of
//	core_wallet_updates_oldest_seconds        how long the oldest of them has been
var (
	registeredTotal = metrics.NewCounter(`core_wallet_registrations_total`)
	sweptTotal      = metrics.NewCounter(`core_wallet_registrations_swept_total`)
	pushedTotal     = metrics.NewCounter(`core_wallet_pushes_total{result="sent"}`)
	goneTotal       = metrics.NewCounter(`core_wallet_pushes_total{result="gone"}`)
	refusedTotal    = metrics.NewCounter(`core_wallet_pushes_total{result="refused"}`)
	dueGauge        = metrics.NewGauge(`core_wallet_updates_due`, nil)
	oldestGauge     = metrics.NewGauge(`core_wallet_updates_oldest_seconds`, nil)
	updates         = map[Wallet]struct{ told, failed, dropped *metrics.Counter }{
		Apple: {metrics.NewCounter(`core_wallet_updates_total{wallet="apple",result="told"}`),
			metrics.NewCounter(`core_wallet_updates_total{wallet="apple",result="failed"}`),
			metrics.NewCounter(`core_wallet_updates_total{wallet="apple",result="dropped"}`)},
		Google: {metrics.NewCounter(`core_wallet_updates_total{wallet="google",result="told"}`),
			metrics.NewCounter(`core_wallet_updates_total{wallet="google",result="failed"}`),
			metrics.NewCounter(`core_wallet_updates_total{wallet="google",result="dropped"}`)},
	}
)

var reportsTotal = metrics.NewCounter(`core_wallet_phone_reports_total`)

// CountReports counts what phones report: lines of what is wrong with our answers, as core_wallet_phone_reports_total.
func CountReports(n int) { reportsTotal.Add(n) }
