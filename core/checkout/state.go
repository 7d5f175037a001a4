package checkout

import (
	"fmt"
	"slices"
	"time"
)

// State is where an order stands.
type State string

// The states of an order.
const (
	Reserved        State = "reserved"         // a hold without an order; no row has it
	PaymentPending  State = "payment_pending"  // the provider is asked, or the buyer is paying
	PaymentFailed   State = "payment_failed"   // declined; the hold lives and the buyer may try again
	PaymentComplete State = "payment_complete" // the money is captured
	TicketIssued    State = "ticket_issued"    // the buyer has what was paid for
	CaptureFailed   State = "capture_failed"   // the provider refused to capture what it had authorized
	Expired         State = "expired"          // the hold ran out before the payment was authorized
	Cancelled       State = "cancelled"        // the buyer gave the hold back, the card has bought enough, the payment is refused, or the event is off
	Disputed        State = "disputed"         // the buyer's bank has taken the money back; tickets are void until it is decided
	DisputeLost     State = "dispute_lost"     // and it stays with the buyer
	PaymentReview   State = "payment_review"   // authorized, nothing sold: an operator decides while the hold lives
	RefundPending   State = "refund_pending"   // no ticket is left, and the money is on its way back
	Refunded        State = "refunded"         // the buyer has the money back
	RefundFailed    State = "refund_failed"    // no ticket is left, and the money could not be given back: an operator has to see to it
)

// Cause is what makes an order change its state, or do something without changing it.
type Cause string

// The causes.
const (
	CauseOpened         Cause = "opened"
	CauseBegun          Cause = "begun"
	CauseAuthorized     Cause = "authorized"
	CauseDeclined       Cause = "declined"
	CauseRetried        Cause = "retried"
	CauseCaptured       Cause = "captured"
	CauseCaptureRefused Cause = "capture_refused"
	CauseIssued         Cause = "issued"
	CauseHoldExpired    Cause = "hold_expired"
	CauseHoldReleased   Cause = "hold_released"
	CauseLateMoney      Cause = "late_money" // authorized after the hold died
	CauseVoided         Cause = "voided"     // the provider confirms that the intent is dead
	CauseCardOverLimit  Cause = "card_over_limit"
	CauseRerouted       Cause = "rerouted"       // to another provider, before any was called
	CauseReview         Cause = "review"         // authorized, and for an operator to decide
	CauseApproved       Cause = "approved"       // by the operator
	CauseDenied         Cause = "denied"         // by the operator, or by what is known of account, address and card
	CauseListingGone    Cause = "listing_gone"   // the ticket that its owner listed cannot be handed over any more
	CauseTaskRetried    Cause = "task_retried"   // an operator has a dead outbox task run again
	CauseTaskDiscarded  Cause = "task_discarded" // an operator ends a dead outbox task
)

// Transition is one legal move of an order.
type Transition struct {
	From  State
	Cause Cause
	To    State
	// Limit is how long an order may stay in To before somebody ends it; zero means for ever, "hold" is said by UntilHold.
	Limit time.Duration
	// UntilHold says that the hold's deadline ends the stay.
	UntilHold bool
	// Retry says what is repeated while the order is in To, and by whom.
	Retry string
}

// maxCapture is how long the outbox tries to capture before the task is dead and an operator is asked: card
// authorizations live 5 to 7 days, and a provider's outage is a matter of hours.
const maxCapture = 24 * time.Hour

// Transitions is every legal move, and the only place that decides.
var transitions = withOperators(slices.Concat([]Transition{
	{From: Reserved, Cause: CauseOpened, To: PaymentPending, UntilHold: true, Retry: "outbox repeats begin with the same key"},
	{From: PaymentPending, Cause: CauseBegun, To: PaymentPending, UntilHold: true, Retry: "lookup every few seconds until the provider knows more"},
	{From: PaymentPending, Cause: CauseRerouted, To: PaymentPending, UntilHold: true, Retry: "outbox repeats begin with the same key"},
	{From: PaymentPending, Cause: CauseAuthorized, To: PaymentPending, Limit: maxCapture, Retry: "outbox repeats capture with the same key"},
	{From: PaymentPending, Cause: CauseDeclined, To: PaymentFailed, UntilHold: true, Retry: "the buyer tries another card"},
	{From: PaymentPending, Cause: CauseVoided, To: PaymentFailed, UntilHold: true, Retry: "the buyer asks for a new attempt"},
	{From: PaymentPending, Cause: CauseCaptured, To: PaymentComplete, Limit: time.Second, Retry: "issued in the same transaction"},
	{From: PaymentPending, Cause: CauseCaptureRefused, To: CaptureFailed, Retry: "outbox repeats void"},
	{From: PaymentPending, Cause: CauseHoldExpired, To: Expired, Retry: "outbox repeats void"},
	{From: PaymentPending, Cause: CauseHoldReleased, To: Cancelled, Retry: "outbox repeats void"},
	{From: PaymentPending, Cause: CauseLateMoney, To: Expired, Retry: "outbox repeats void"},
	{From: PaymentPending, Cause: CauseCardOverLimit, To: Cancelled, Retry: "outbox repeats void"},
	{From: PaymentPending, Cause: CauseListingGone, To: Cancelled, Retry: "outbox repeats void, or late_money"},
	{From: PaymentFailed, Cause: CauseListingGone, To: Cancelled, Retry: "outbox repeats void"},
	{From: PaymentReview, Cause: CauseListingGone, To: Cancelled, Retry: "outbox repeats void"},
	{From: PaymentPending, Cause: CauseReview, To: PaymentReview, UntilHold: true, Retry: "an operator approves or denies"},
	{From: PaymentPending, Cause: CauseDenied, To: Cancelled, Retry: "outbox repeats void"},
	{From: PaymentReview, Cause: CauseApproved, To: PaymentPending, Limit: maxCapture, Retry: "outbox repeats capture with the same key"},
	{From: PaymentReview, Cause: CauseDenied, To: Cancelled, Retry: "outbox repeats void"},
	{From: PaymentReview, Cause: CauseVoided, To: PaymentFailed, UntilHold: true, Retry: "the buyer asks for a new attempt"},
	{From: PaymentReview, Cause: CauseHoldExpired, To: Expired, Retry: "outbox repeats void"},
	{From: PaymentReview, Cause: CauseHoldReleased, To: Cancelled, Retry: "outbox repeats void"},
	{From: PaymentReview, Cause: CauseCardOverLimit, To: Cancelled, Retry: "outbox repeats void"},
	{From: PaymentFailed, Cause: CauseReview, To: PaymentReview, UntilHold: true, Retry: "an operator approves or denies"},
	{From: PaymentFailed, Cause: CauseDenied, To: Cancelled, Retry: "outbox repeats void"},
	{From: PaymentFailed, Cause: CauseRetried, To: PaymentPending, UntilHold: true, Retry: "outbox repeats begin with the same key"},
	{From: PaymentFailed, Cause: CauseAuthorized, To: PaymentPending, Limit: maxCapture, Retry: "outbox repeats capture with the same key"},
	{From: PaymentFailed, Cause: CauseDeclined, To: PaymentFailed, UntilHold: true, Retry: "the buyer tries another card"},
	{From: PaymentFailed, Cause: CauseVoided, To: PaymentFailed, UntilHold: true, Retry: "the buyer asks for a new attempt"},
	{From: PaymentFailed, Cause: CauseHoldExpired, To: Expired, Retry: "outbox repeats void"},
	{From: PaymentFailed, Cause: CauseHoldReleased, To: Cancelled, Retry: "outbox repeats void"},
	{From: PaymentFailed, Cause: CauseLateMoney, To: Expired, Retry: "outbox repeats void"},
	{From: PaymentFailed, Cause: CauseCardOverLimit, To: Cancelled, Retry: "outbox repeats void"},
	{From: PaymentComplete, Cause: CauseIssued, To: TicketIssued},
	{From: TicketIssued, Cause: CauseSeatMoved, To: TicketIssued},
	{From: Expired, Cause: CauseLateMoney, To: Expired, Retry: "outbox repeats void"},
	{From: Expired, Cause: CauseVoided, To: Expired},
	{From: Cancelled, Cause: CauseLateMoney, To: Cancelled, Retry: "outbox repeats void"},
	{From: Cancelled, Cause: CauseVoided, To: Cancelled},
	{From: CaptureFailed, Cause: CauseVoided, To: CaptureFailed},
}, refundTransitions, disputeTransitions, lateDisputeTransitions()))

// withOperators adds what operators may do with the outbox tasks of an order, or with a seat that it has sold on, which changes no state, in
// every state.
func withOperators(list []Transition) []Transition {
	seen := map[State]bool{}
	for _, t := range list {
		if seen[t.To] {
			continue
		}
		seen[t.To] = true
		for _, cause := range []Cause{CauseTaskRetried, CauseTaskDiscarded, CauseResoldSeatMoved} {
			list = append(list, Transition{From: t.To, Cause: cause, To: t.To, UntilHold: true, Retry: "the outbox, or nobody"})
		}
	}
	return list
}

// Transitions returns every legal move of an order, for documentation and tests.
func Transitions() []Transition {
	return append([]Transition(nil), transitions...)
}

type move struct {
	from  State
	cause Cause
}

// table is transitions by what happened to what.
var table = func() map[move]State {
	m := make(map[move]State, len(transitions))
	for _, t := range transitions {
		m[move{t.From, t.Cause}] = t.To
	}
	return m
}()

// Next returns the state an order in from is in after cause, or ErrTransition.
func Next(from State, cause Cause) (State, error) {
	to, ok := table[move{from, cause}]
	if !ok {
		return from, fmt.Errorf("%w: %s while %s", ErrTransition, cause, from)
	}
	return to, nil
}
