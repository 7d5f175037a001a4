package fraud

import "github.com/VictoriaMetrics/metrics"

// Metrics of the judging in this process.
var (
	failures = metrics.NewCounter(`core_fraud_failures_total`) // judged or noted without the store
	swept    = metrics.NewCounter(`core_fraud_observations_swept_total`)
	verdicts = map[counted]*metrics.Counter{
		{Begin, Allow}:          metrics.NewCounter(`core_fraud_verdicts_total{stage="begin",verdict="allow"}`),
		{Begin, Challenge}:      metrics.NewCounter(`core_fraud_verdicts_total{stage="begin",verdict="challenge"}`),
		{Begin, Review}:         metrics.NewCounter(`core_fraud_verdicts_total{stage="begin",verdict="review"}`),
		{Begin, Deny}:           metrics.NewCounter(`core_fraud_verdicts_total{stage="begin",verdict="deny"}`),
		{Authorized, Allow}:     metrics.NewCounter(`core_fraud_verdicts_total{stage="authorized",verdict="allow"}`),
		{Authorized, Challenge}: metrics.NewCounter(`core_fraud_verdicts_total{stage="authorized",verdict="challenge"}`),
		{Authorized, Review}:    metrics.NewCounter(`core_fraud_verdicts_total{stage="authorized",verdict="review"}`),
		{Authorized, Deny}:      metrics.NewCounter(`core_fraud_verdicts_total{stage="authorized",verdict="deny"}`),
	}
)

// counted names a verdict counter.
type counted struct {
	stage   Stage
	verdict Verdict
}

func verdictCounter(stage Stage, verdict Verdict) *metrics.Counter {
	return verdicts[counted{stage, verdict}]
}
