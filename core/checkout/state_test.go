package checkout

import (
	"errors"
	"testing"
)

// Every pair of state and cause is either in the table or refused, and nothing leads out of where an order is over.
func TestTheTableDecidesEveryPair(t *testing.T) {
	states := []State{Reserved, PaymentPending, PaymentFailed, PaymentComplete, TicketIssued, CaptureFailed, Expired, Cancelled,
		RefundPending, Refunded, RefundFailed, PaymentReview, Disputed, DisputeLost}
	causes := []Cause{CauseOpened, CauseBegun, CauseAuthorized, CauseDeclined, CauseRetried, CauseCaptured, CauseCaptureRefused,
		CauseIssued, CauseHoldExpired, CauseHoldReleased, CauseLateMoney, CauseVoided, CauseCardOverLimit, CauseEventCancelled,
		CauseReseated, CauseLateCaptured, CauseLateSold, CauseLateRefundRequested, CauseLateRefunded,
		CauseRefundRequested, CausePartRefundRequested, CauseRefunded, CausePartRefunded, CauseRefundFailed, CausePartRefundFailed,
		CauseRefundRetried, CauseRefundResumed, CausePaidOtherwise, CausePartPaidOtherwise, CauseRefundFound, CauseFoundReviewed, CauseRerouted,
		CauseReview, CauseApproved, CauseDenied, CauseTaskRetried, CauseTaskDiscarded, CauseSeatMoved, CauseResoldSeatMoved, CauseListingGone,
		CauseDisputeOpened, CauseDisputeWon, CauseDisputeWonNoPlaces, CauseDisputeWonRefunded, CauseDisputeWonRefunding, CauseDisputeWonPart,
		CauseDisputeLost, CauseLateDisputed}
	legal := map[move]State{}
	for _, tr := range Transitions() {
		if _, twice := legal[move{tr.From, tr.Cause}]; twice {
			t.Errorf("%s while %s stands twice in the table", tr.Cause, tr.From)
		}
		legal[move{tr.From, tr.Cause}] = tr.To
	}
	seen := 0
	for _, from := range states {
		for _, cause := range causes {
			to, err := Next(from, cause)
			want, listed := legal[move{from, cause}]
			switch {
			case listed && (err != nil || to != want):
				t.Errorf("%s while %s: %s, %v; the table says %s", cause, from, to, err, want)
			case !listed && !errors.Is(err, ErrTransition):
				t.Errorf("%s while %s is not in the table and was not refused", cause, from)
			case !listed && to != from:
				t.Errorf("%s while %s was refused and still led to %s", cause, from, to)
			}
			if listed {
				seen++
			}
		}
	}
	if seen != len(legal) {
		t.Errorf("%d transitions are reachable of %d: a state or a cause is missing from this test", seen, len(legal))
	}
	// Where an order is over only money moves it: back to its buyer, taken back by the buyer's bank, or late and to a sale.
	back := map[State]bool{RefundPending: true, Refunded: true, RefundFailed: true}
	final := map[State]bool{DisputeLost: true, CaptureFailed: true, Expired: true, Cancelled: true, RefundPending: true, Refunded: true, RefundFailed: true}
	taken := map[move]State{{RefundPending, CauseDisputeOpened}: Disputed, {Refunded, CauseDisputeOpened}: Disputed, {RefundFailed, CauseDisputeOpened}: Disputed}
	late := map[move]State{{Expired, CauseReseated}: PaymentPending, {Expired, CauseLateSold}: PaymentComplete}
	for m, to := range legal {
		if final[m.from] && to != m.from && !back[to] && late[m] != to && taken[m] != to {
			t.Errorf("%s leads from %s, where an order is over, to %s", m.cause, m.from, to)
		}
	}
}

// A state in which somebody waits has somebody who ends the waiting.
func TestEveryWaitingStateHasALimit(t *testing.T) {
	for _, tr := range Transitions() {
		waiting := tr.To == PaymentPending || tr.To == PaymentFailed || tr.To == PaymentComplete || tr.To == PaymentReview || tr.To == RefundPending || tr.To == Disputed
		if waiting && tr.Limit == 0 && !tr.UntilHold {
			t.Errorf("%s by %s may stay for ever", tr.To, tr.Cause)
		}
		if waiting && tr.Retry == "" {
			t.Errorf("%s by %s: nobody tries again", tr.To, tr.Cause)
		}
	}
}
