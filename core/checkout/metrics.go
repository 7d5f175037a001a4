package checkout

import (
	"github.com/VictoriaMetrics/metrics"
)

// metricSet counts what happens to orders.
type metricSet struct {
	opened, refused, failed *metrics.Counter
	outdated                *metrics.Counter

	refundsPaid, refundsFailed      *metrics.Counter
	refundFound, refundContradicted *metrics.Counter
	runs                            *metrics.Counter
	disputeExcess, disputeCurrency  *metrics.Counter
	runGivenUp                      *metrics.Counter
	causes                          map[Cause]*metrics.Counter
}

func newMetrics() metricSet {
	m := metricSet{
		opened:  metrics.GetOrCreateCounter(`core_orders_opened_total{result="ok"}`),
		refused: metrics.GetOrCreateCounter(`core_orders_opened_total{result="refused"}`),
		failed:  metrics.GetOrCreateCounter(`core_orders_opened_total{result="error"}`),
		causes:  map[Cause]*metrics.Counter{},

		refundsPaid:        metrics.GetOrCreateCounter(`core_refunds_total{result="succeeded"}`),
		refundsFailed:      metrics.GetOrCreateCounter(`core_refunds_total{result="failed"}`),
		refundFound:        metrics.GetOrCreateCounter(`core_refunds_found_total`),        // made in the provider's own pages
		refundContradicted: metrics.GetOrCreateCounter(`core_refunds_contradicted_total`), // failed, and told to have succeeded
		runs:               metrics.GetOrCreateCounter(`core_refund_run_orders_total`),    // orders that runs have been through
		disputeExcess:      metrics.GetOrCreateCounter(`core_disputes_lost_twice_total`),  // over money that the buyer has back already
		disputeCurrency:    metrics.GetOrCreateCounter(`core_disputes_foreign_total`),     // in another currency than their orders: not booked
		runGivenUp:         metrics.GetOrCreateCounter(`core_refund_run_failures_total`),  // orders that a run has given up

		outdated: metrics.GetOrCreateCounter(`core_order_batches_outdated_total`), // batches read again because somebody was quicker
	}
	for name, cause := range map[string]Cause{
		`core_order_events_total{cause="begun"}`:                 CauseBegun,
		`core_order_events_total{cause="authorized"}`:            CauseAuthorized,
		`core_order_events_total{cause="declined"}`:              CauseDeclined,
		`core_order_events_total{cause="captured"}`:              CauseCaptured,
		`core_order_events_total{cause="capture_refused"}`:       CauseCaptureRefused,
		`core_order_events_total{cause="issued"}`:                CauseIssued,
		`core_order_events_total{cause="late_money"}`:            CauseLateMoney,
		`core_order_events_total{cause="voided"}`:                CauseVoided,
		`core_order_events_total{cause="card_over_limit"}`:       CauseCardOverLimit,
		`core_order_events_total{cause="reseated"}`:              CauseReseated,
		`core_order_events_total{cause="late_captured"}`:         CauseLateCaptured,
		`core_order_events_total{cause="late_sold"}`:             CauseLateSold,
		`core_order_events_total{cause="late_refund_requested"}`: CauseLateRefundRequested,
		`core_order_events_total{cause="refund_requested"}`:      CauseRefundRequested,
		`core_order_events_total{cause="part_refund_requested"}`: CausePartRefundRequested,
		`core_order_events_total{cause="refunded"}`:              CauseRefunded,
		`core_order_events_total{cause="part_refunded"}`:         CausePartRefunded,
		`core_order_events_total{cause="refund_failed"}`:         CauseRefundFailed,
		`core_order_events_total{cause="part_refund_failed"}`:    CausePartRefundFailed,
		`core_order_events_total{cause="refund_found"}`:          CauseRefundFound,
		`core_order_events_total{cause="event_cancelled"}`:       CauseEventCancelled,
		`core_order_events_total{cause="rerouted"}`:              CauseRerouted,
		`core_order_events_total{cause="review"}`:                CauseReview,
		`core_order_events_total{cause="approved"}`:              CauseApproved,
		`core_order_events_total{cause="denied"}`:                CauseDenied,
		`core_order_events_total{cause="dispute_opened"}`:        CauseDisputeOpened,
		`core_order_events_total{cause="dispute_won"}`:           CauseDisputeWon,
		`core_order_events_total{cause="dispute_lost"}`:          CauseDisputeLost,
		`core_order_events_total{cause="late_disputed"}`:         CauseLateDisputed,
	} {
		m.causes[cause] = metrics.GetOrCreateCounter(name)
	}
	return m
}

func (m metricSet) openedWith(err error) {
	switch {
	case err == nil:
		m.opened.Inc()
	case refusal(err):
		m.refused.Inc()
	default:
		m.failed.Inc()
	}
}

func (m metricSet) applied(cause Cause) {
	if c := m.causes[cause]; c != nil {
		c.Inc()
	}
}

// refunded counts a refund that has ended.
func (m metricSet) refunded(to RefundState) {
	if to == RefundPaid {
		m.refundsPaid.Inc()
		return
	}
	m.refundsFailed.Inc()
}
