package checkout

import "time"

// The causes of money that comes late or goes back.
const (
	CauseEventCancelled Cause = "event_cancelled"

	CauseReseated            Cause = "reseated"      // authorized late, and sold with another hold
	CauseLateCaptured        Cause = "late_captured" // captured with nothing to sell for it
	CauseLateSold            Cause = "late_sold"     // and sold with another hold
	CauseLateRefundRequested Cause = "late_refund_requested"
	CauseLateRefunded        Cause = "late_refunded" // while something else decides about the order

	// The part_ causes leave the order where it is: tickets are left, or another refund decides about it.
	CauseRefundRequested     Cause = "refund_requested"
	CausePartRefundRequested Cause = "part_refund_requested"
	CauseRefunded            Cause = "refunded"
	CausePartRefunded        Cause = "part_refunded"
	CauseRefundFailed        Cause = "refund_failed"
	CausePartRefundFailed    Cause = "part_refund_failed"
	CauseRefundRetried       Cause = "refund_retried"
	CauseRefundResumed       Cause = "refund_resumed" // what failed is settled, another is still under way
	CausePaidOtherwise       Cause = "paid_otherwise"
	CausePartPaidOtherwise   Cause = "part_paid_otherwise"
	CauseRefundFound         Cause = "refund_found"    // somebody made it at the provider
	CauseFoundReviewed       Cause = "refund_reviewed" // an operator said what such a refund means for the tickets
)

// maxRefund is how long a refund may be under way: providers and banks take up to ten days, and the buyer is told by then.
const maxRefund = 10 * 24 * time.Hour

// What is repeated while money goes back.
const (
	refundRetry   = "outbox repeats refund with the same key, and looks it up while it is pending"
	operatorRetry = "an operator refunds again under a new id, or records that it was paid otherwise"
	lateRetry     = "outbox repeats late_money"
	beforeRetry   = "whatever was repeated before"
)

// refundTransitions are the part of the table in which money comes late or goes back.
var refundTransitions = []Transition{
	{From: PaymentPending, Cause: CauseEventCancelled, To: Cancelled, Retry: "outbox repeats void"},
	{From: PaymentFailed, Cause: CauseEventCancelled, To: Cancelled, Retry: "outbox repeats void"},
	{From: PaymentReview, Cause: CauseEventCancelled, To: Cancelled, Retry: "outbox repeats void"},

	// Money that came too late. An attempt that was given up may still be captured, whatever has become of the order since.
	{From: Expired, Cause: CauseReseated, To: PaymentPending, Limit: maxCapture, Retry: "outbox repeats capture with the same key"},
	{From: Expired, Cause: CauseLateSold, To: PaymentComplete, Limit: time.Second, Retry: "issued in the same transaction"},
	{From: Expired, Cause: CauseLateCaptured, To: Expired, Retry: lateRetry},
	{From: Cancelled, Cause: CauseLateCaptured, To: Cancelled, Retry: lateRetry},
	{From: CaptureFailed, Cause: CauseLateCaptured, To: CaptureFailed, Retry: lateRetry},
	{From: PaymentPending, Cause: CauseLateCaptured, To: PaymentPending, UntilHold: true, Retry: lateRetry},
	{From: PaymentFailed, Cause: CauseLateCaptured, To: PaymentFailed, UntilHold: true, Retry: lateRetry},
	{From: PaymentReview, Cause: CauseLateCaptured, To: PaymentReview, UntilHold: true, Retry: lateRetry},
	{From: TicketIssued, Cause: CauseLateCaptured, To: TicketIssued, Retry: lateRetry},
	{From: RefundPending, Cause: CauseLateCaptured, To: RefundPending, Limit: maxRefund, Retry: lateRetry},
	{From: Refunded, Cause: CauseLateCaptured, To: Refunded, Retry: lateRetry},
	{From: RefundFailed, Cause: CauseLateCaptured, To: RefundFailed, Retry: lateRetry},
	{From: Expired, Cause: CauseLateRefundRequested, To: RefundPending, Limit: maxRefund, Retry: refundRetry},
	{From: Cancelled, Cause: CauseLateRefundRequested, To: RefundPending, Limit: maxRefund, Retry: refundRetry},
	{From: CaptureFailed, Cause: CauseLateRefundRequested, To: RefundPending, Limit: maxRefund, Retry: refundRetry},
	{From: Refunded, Cause: CauseLateRefundRequested, To: RefundPending, Limit: maxRefund, Retry: refundRetry},
	{From: RefundPending, Cause: CauseLateRefundRequested, To: RefundPending, Limit: maxRefund, Retry: refundRetry},
	{From: RefundFailed, Cause: CauseLateRefundRequested, To: RefundFailed, Retry: operatorRetry},
	{From: TicketIssued, Cause: CauseLateRefundRequested, To: TicketIssued, Retry: refundRetry},
	{From: PaymentPending, Cause: CauseLateRefundRequested, To: PaymentPending, UntilHold: true, Retry: refundRetry},
	{From: PaymentFailed, Cause: CauseLateRefundRequested, To: PaymentFailed, UntilHold: true, Retry: refundRetry},
	{From: PaymentReview, Cause: CauseLateRefundRequested, To: PaymentReview, UntilHold: true, Retry: refundRetry},
	{From: TicketIssued, Cause: CauseLateRefunded, To: TicketIssued},
	{From: PaymentPending, Cause: CauseLateRefunded, To: PaymentPending, UntilHold: true, Retry: beforeRetry},
	{From: PaymentFailed, Cause: CauseLateRefunded, To: PaymentFailed, UntilHold: true, Retry: "the buyer tries another card"},
	{From: PaymentReview, Cause: CauseLateRefunded, To: PaymentReview, UntilHold: true, Retry: beforeRetry},
	{From: RefundPending, Cause: CauseLateRefunded, To: RefundPending, Limit: maxRefund, Retry: refundRetry},
	{From: RefundFailed, Cause: CauseLateRefunded, To: RefundFailed, Retry: operatorRetry},
	{From: Refunded, Cause: CauseLateRefunded, To: Refunded},
	{From: PaymentPending, Cause: CausePartRefundFailed, To: PaymentPending, UntilHold: true, Retry: operatorRetry},
	{From: PaymentFailed, Cause: CausePartRefundFailed, To: PaymentFailed, UntilHold: true, Retry: operatorRetry},
	{From: PaymentReview, Cause: CausePartRefundFailed, To: PaymentReview, UntilHold: true, Retry: operatorRetry},
	{From: PaymentPending, Cause: CausePartRefundRequested, To: PaymentPending, UntilHold: true, Retry: refundRetry},
	{From: PaymentFailed, Cause: CausePartRefundRequested, To: PaymentFailed, UntilHold: true, Retry: refundRetry},
	{From: PaymentReview, Cause: CausePartRefundRequested, To: PaymentReview, UntilHold: true, Retry: refundRetry},
	{From: PaymentPending, Cause: CausePartPaidOtherwise, To: PaymentPending, UntilHold: true, Retry: beforeRetry},
	{From: PaymentFailed, Cause: CausePartPaidOtherwise, To: PaymentFailed, UntilHold: true, Retry: "the buyer tries another card"},
	{From: PaymentReview, Cause: CausePartPaidOtherwise, To: PaymentReview, UntilHold: true, Retry: beforeRetry},

	// Refunds. One that failed and is not settled decides about the order, then one that is under way.
	{From: TicketIssued, Cause: CausePartRefundRequested, To: TicketIssued, Retry: refundRetry},
	{From: TicketIssued, Cause: CausePartRefunded, To: TicketIssued},
	{From: TicketIssued, Cause: CausePartRefundFailed, To: TicketIssued, Retry: operatorRetry},
	{From: TicketIssued, Cause: CausePartPaidOtherwise, To: TicketIssued},
	{From: TicketIssued, Cause: CauseRefundFound, To: TicketIssued, Retry: operatorRetry},
	{From: TicketIssued, Cause: CauseFoundReviewed, To: TicketIssued},
	{From: TicketIssued, Cause: CauseRefundRequested, To: RefundPending, Limit: maxRefund, Retry: refundRetry},
	{From: RefundPending, Cause: CausePartRefundRequested, To: RefundPending, Limit: maxRefund, Retry: refundRetry},
	{From: RefundPending, Cause: CausePartRefunded, To: RefundPending, Limit: maxRefund, Retry: refundRetry},
	{From: RefundPending, Cause: CauseRefundFound, To: RefundPending, Limit: maxRefund, Retry: refundRetry},
	{From: RefundPending, Cause: CauseRefunded, To: Refunded},
	{From: RefundPending, Cause: CauseRefundFailed, To: RefundFailed, Retry: operatorRetry},
	{From: Refunded, Cause: CauseRefundFailed, To: RefundFailed, Retry: operatorRetry},
	{From: Refunded, Cause: CauseRefundFound, To: RefundPending, Limit: maxRefund, Retry: refundRetry},
	{From: RefundFailed, Cause: CausePartRefundRequested, To: RefundFailed, Retry: operatorRetry},
	{From: RefundFailed, Cause: CausePartRefunded, To: RefundFailed, Retry: operatorRetry},
	{From: RefundFailed, Cause: CausePartRefundFailed, To: RefundFailed, Retry: operatorRetry},
	{From: RefundFailed, Cause: CausePartPaidOtherwise, To: RefundFailed, Retry: operatorRetry},
	{From: RefundFailed, Cause: CauseRefundFound, To: RefundFailed, Retry: operatorRetry},
	{From: RefundFailed, Cause: CauseRefundRetried, To: RefundPending, Limit: maxRefund, Retry: refundRetry},
	{From: RefundFailed, Cause: CauseRefundResumed, To: RefundPending, Limit: maxRefund, Retry: refundRetry},
	{From: RefundFailed, Cause: CausePaidOtherwise, To: Refunded},
	{From: RefundFailed, Cause: CauseRefunded, To: Refunded}, // by one that had been given up, and was made

	// While a dispute decides about the order.
	{From: Disputed, Cause: CauseLateCaptured, To: Disputed, Limit: maxDispute, Retry: lateRetry},
	{From: Disputed, Cause: CauseLateRefundRequested, To: Disputed, Limit: maxDispute, Retry: refundRetry},
	{From: Disputed, Cause: CauseLateRefunded, To: Disputed, Limit: maxDispute, Retry: beforeRetry},
	{From: Disputed, Cause: CausePartRefundRequested, To: Disputed, Limit: maxDispute, Retry: refundRetry},
	{From: Disputed, Cause: CausePartRefunded, To: Disputed, Limit: maxDispute, Retry: beforeRetry},
	{From: Disputed, Cause: CausePartRefundFailed, To: Disputed, Limit: maxDispute, Retry: operatorRetry},
	{From: Disputed, Cause: CausePartPaidOtherwise, To: Disputed, Limit: maxDispute, Retry: beforeRetry},
	{From: Disputed, Cause: CauseRefundFound, To: Disputed, Limit: maxDispute, Retry: operatorRetry},
	{From: DisputeLost, Cause: CauseLateCaptured, To: DisputeLost, Retry: lateRetry},
	{From: DisputeLost, Cause: CauseLateRefundRequested, To: DisputeLost, Retry: refundRetry},
	{From: DisputeLost, Cause: CauseLateRefunded, To: DisputeLost, Retry: beforeRetry},
	{From: DisputeLost, Cause: CausePartRefundRequested, To: DisputeLost, Retry: refundRetry},
	{From: DisputeLost, Cause: CausePartRefunded, To: DisputeLost, Retry: beforeRetry},
	{From: DisputeLost, Cause: CausePartRefundFailed, To: DisputeLost, Retry: operatorRetry},
	{From: DisputeLost, Cause: CausePartPaidOtherwise, To: DisputeLost, Retry: beforeRetry},
	{From: DisputeLost, Cause: CauseRefundFound, To: DisputeLost, Retry: operatorRetry},
}
