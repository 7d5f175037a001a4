package payment

import "github.com/VictoriaMetrics/metrics"

// Metrics of the outbox and the inbox of the process.
var (
	outboxDone      = metrics.NewCounter(`core_outbox_runs_total{result="done"}`)
	outboxRetried   = metrics.NewCounter(`core_outbox_runs_total{result="retried"}`)
	outboxPostponed = metrics.NewCounter(`core_outbox_runs_total{result="postponed"}`)
	outboxDead      = metrics.NewCounter(`core_outbox_runs_total{result="dead"}`)
	outboxPanics    = metrics.NewCounter(`core_outbox_panics_total`)
	outboxClaims    = metrics.NewCounter(`core_outbox_claims_total`)
	outboxClaimed   = metrics.NewCounter(`core_outbox_claimed_total`)
	outboxErrors    = metrics.NewCounter(`core_outbox_database_errors_total`)
	outboxReady     = metrics.NewGauge(`core_outbox_tasks{state="ready"}`, nil)
	outboxDeadNow   = metrics.NewGauge(`core_outbox_tasks{state="dead"}`, nil)
	outboxOldest    = metrics.NewGauge(`core_outbox_oldest_due_seconds`, nil)
	outboxLost      = metrics.NewCounter(`core_outbox_leases_lost_total`)
	outboxRunning   = metrics.NewGauge(`core_outbox_running`, nil)
	outboxSeconds   = metrics.NewHistogram(`core_outbox_run_seconds`)
	outboxLag       = metrics.NewHistogram(`core_outbox_lag_seconds`)

	webhooksStored    = metrics.NewCounter(`core_webhooks_total{result="stored"}`)
	webhooksRepeated  = metrics.NewCounter(`core_webhooks_total{result="repeated"}`)
	webhooksForged    = metrics.NewCounter(`core_webhooks_total{result="forged"}`)
	webhooksMalformed = metrics.NewCounter(`core_webhooks_total{result="malformed"}`)
	webhooksRefused   = metrics.NewCounter(`core_webhooks_total{result="not_stored"}`)
	webhooksHandled   = metrics.NewCounter(`core_webhooks_handled_total{result="done"}`)
	webhooksRetried   = metrics.NewCounter(`core_webhooks_handled_total{result="retried"}`)
	webhooksGivenUp   = metrics.NewCounter(`core_webhooks_handled_total{result="given_up"}`)
	webhooksSpilled   = metrics.NewCounter(`core_webhooks_spilled_total`)
	webhooksSeconds   = metrics.NewHistogram(`core_webhooks_handle_seconds`)
	webhooksErrors    = metrics.NewCounter(`core_webhooks_database_errors_total`)

	bucketRefused = metrics.NewCounter(`core_payment_rate_refused_total`)
	bucketWait    = metrics.NewHistogram(`core_payment_rate_wait_seconds`)
)
