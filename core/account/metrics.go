package account

import "github.com/VictoriaMetrics/metrics"

// Metrics of every Service of the process.
var (
	codesSent    = metrics.NewCounter(`core_account_codes_total{result="sent"}`)
	codesRefused = metrics.NewCounter(`core_account_codes_total{result="too_many"}`)

	signedIn     = metrics.NewCounter(`core_account_sign_ins_total{result="signed_in"}`)
	repeated     = metrics.NewCounter(`core_account_sign_ins_total{result="repeated"}`)
	wrongCodes   = metrics.NewCounter(`core_account_sign_ins_total{result="wrong"}`)
	noCodes      = metrics.NewCounter(`core_account_sign_ins_total{result="no_code"}`)
	accountsMade = metrics.NewCounter(`core_accounts_total`)
	codesSwept   = metrics.NewCounter(`core_account_codes_swept_total`)
)
