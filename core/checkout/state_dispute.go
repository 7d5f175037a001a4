package checkout

import "time"

// The causes of what buyers' banks dispute.
const (
	CauseDisputeOpened       Cause = "dispute_opened"
	CauseDisputeWon          Cause = "dispute_won"           // tickets are valid again
	CauseDisputeWonNoPlaces  Cause = "dispute_won_no_places" // the money is ours, and the places are somebody else's: an operator refunds it
	CauseDisputeWonRefunded  Cause = "dispute_won_refunded"  // no ticket is left: all of them have been refunded
	CauseDisputeWonRefunding Cause = "dispute_won_refunding" // and one of the refunds is not over
	CauseDisputeWonPart      Cause = "dispute_won_part"      // another dispute decides about the order, or has
	CauseDisputeLost         Cause = "dispute_lost"
	CauseLateDisputed        Cause = "late_disputed" // of money that bought nothing: opened, won or lost
)

// maxDispute is the longest that banks take to decide, as the ledger's clearing has it.
const maxDispute = 90 * 24 * time.Hour

const evidenceRetry = "outbox repeats evidence"

// disputeTransitions are the part of the table in which a bank takes the money back. Of several disputes the first that is lost decides.
var disputeTransitions = []Transition{
	{From: TicketIssued, Cause: CauseDisputeOpened, To: Disputed, Limit: maxDispute, Retry: evidenceRetry},
	{From: RefundPending, Cause: CauseDisputeOpened, To: Disputed, Limit: maxDispute, Retry: evidenceRetry},
	{From: Refunded, Cause: CauseDisputeOpened, To: Disputed, Limit: maxDispute, Retry: evidenceRetry},
	{From: RefundFailed, Cause: CauseDisputeOpened, To: Disputed, Limit: maxDispute, Retry: evidenceRetry},
	{From: Disputed, Cause: CauseDisputeOpened, To: Disputed, Limit: maxDispute, Retry: evidenceRetry},
	{From: DisputeLost, Cause: CauseDisputeOpened, To: DisputeLost, Limit: maxDispute, Retry: evidenceRetry},
	{From: Disputed, Cause: CauseDisputeWon, To: TicketIssued},
	{From: Disputed, Cause: CauseDisputeWonNoPlaces, To: TicketIssued, Retry: operatorRetry},
	{From: Disputed, Cause: CauseDisputeWonRefunded, To: Refunded},
	{From: Disputed, Cause: CauseDisputeWonRefunding, To: RefundPending, Limit: maxRefund, Retry: refundRetry},
	{From: Disputed, Cause: CauseDisputeWonPart, To: Disputed, Limit: maxDispute, Retry: evidenceRetry},
	{From: DisputeLost, Cause: CauseDisputeWonPart, To: DisputeLost},
	{From: Disputed, Cause: CauseDisputeLost, To: DisputeLost},
	{From: DisputeLost, Cause: CauseDisputeLost, To: DisputeLost},
}

// lateDisputeTransitions are disputes of money that came too late. It never had to do with what the order sold, which goes on.
func lateDisputeTransitions() []Transition {
	var list []Transition
	for _, s := range []State{PaymentPending, PaymentFailed, PaymentReview, TicketIssued, CaptureFailed, Expired, Cancelled, Disputed, DisputeLost,
		RefundPending, Refunded, RefundFailed} {
		list = append(list, Transition{From: s, Cause: CauseLateDisputed, To: s, UntilHold: true, Retry: beforeRetry})
	}
	return list
}
