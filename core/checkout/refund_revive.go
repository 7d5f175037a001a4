package checkout

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// A refund whose task an operator discards has failed for us, and nobody knows whether the provider has made it: its answer may be what
// was lost. So before anything else is given back of its order the provider is asked, and a refund that it turns out to have made is
// revived: the same row, which succeeded or is under way, and in the books another promise in the place of the one that was given up.
//
// What if …
//
//   - the provider does not answer: nothing is given back until it does. The buyer waits rather than that it is paid twice.
//   - its webhook says first that the refund was made: that revives it as well.
//   - the process dies after it was asked: asking again finds the same.
//   - two operators at once: the row is guarded as it was read, so one revives it and the other finds it revived, or settles it and the
//     other finds that.
//   - it is given up after it was asked about, and before what is to be done is: the transaction sees a refund of which nobody has asked,
//     does nothing, and it is asked about first.
//   - it is given up once more after it was revived: it is asked about as the first time, and revived again under another name.
//   - the money was given back once more already, before anybody asked: the books refuse, and it is told as a contradiction.

// errUnasked means that a refund was given up about which the provider was not asked. It is an ErrRefundUnclear.
var errUnasked = fmt.Errorf("%w: it was given up meanwhile", ErrRefundUnclear)

// revivable tells whether the refund was given up without the provider having said that it failed.
func (f *Refund) revivable() bool { return f.unsettled() && f.Failure == refundDiscarded }

// booked is the id under which the books have the refund.
func (f *Refund) booked() uuid.UUID {
	if f.revived {
		return payment.RevivedRefundIDs(f.ID)[f.again]
	}
	return f.ID
}

// answers are the refunds that were given up of which a provider has said that it made none, as the books have them: one that is given up
// once more has to be asked about once more.
type answers map[uuid.UUID]bool

// cover is errUnasked unless all of the refunds that were given up are among the answers.
func (a answers) cover(refunds ...Refund) error {
	for i := range refunds {
		if f := &refunds[i]; f.revivable() && !a[f.booked()] {
			return fmt.Errorf("refund %s: %w", f.ID, errUnasked)
		}
	}
	return nil
}

// asking asks the provider about refunds of an order that were given up, of one alone or with uuid.Nil of all, and does something that has
// to know; once more if another one was given up in between, which do finds out by the answers.
func (s *Service) asking(ctx context.Context, order, only uuid.UUID, do func(answers) error) error {
	for reading := 1; ; reading++ {
		known, err := s.askGivenUp(ctx, order, only)
		if err != nil {
			return err
		}
		if err = do(known); !errors.Is(err, errUnasked) || reading == maxReadings || ctx.Err() != nil {
			return err
		}
	}
}

// askGivenUp asks the provider about refunds of an order that were given up, of one alone or with uuid.Nil of all.
func (s *Service) askGivenUp(ctx context.Context, order, only uuid.UUID) (answers, error) {
	refunds, err := refundsOf(ctx, s.db.Reader, order)
	if err != nil {
		return nil, err
	}
	known := answers{}
	var errs []error
	for i := range refunds {
		if f := &refunds[i]; f.revivable() && (only == uuid.Nil || only == f.ID) {
			errs = append(errs, s.askMade(ctx, f))
			known[f.booked()] = true
		}
	}
	return known, errors.Join(errs...)
}

// askMade asks the provider whether it has made a refund, and applies what it says.
func (s *Service) askMade(ctx context.Context, f *Refund) error {
	a, err := s.attempt(ctx, payment.Task{OrderID: f.Order, PaymentID: f.Payment})
	if err != nil {
		return err
	}
	refunder, err := s.providers.Refunder(f.Provider)
	if errors.Is(err, payment.ErrUnsupported) {
		return nil // it can have made none
	}
	if err != nil {
		return err
	}
	out, err := refunder.LookupRefund(ctx, a.intent, payment.Refund{ID: f.ID, Amount: f.Amount, ProviderRef: f.ProviderRef, Found: f.found()})
	if err == nil && out.State == "" {
		err = payment.ErrUnknown
	}
	switch {
	case errors.Is(err, payment.ErrNoRefund):
		return nil
	case err != nil: // that the payment is not known says nothing of the refund
		return fmt.Errorf("ask %s about refund %s: %w: %w", f.Provider, f.ID, ErrRefundUnclear, err)
	case out.State == payment.RefundFailed:
		return nil
	}
	return s.settleRefund(ctx, f.ID, out, origin{actor: "lookup"})
}

// revive takes a refund back that was given up, as the provider says that it has made it or taken it on.
func (s *Service) revive(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund, f *Refund, out payment.RefundOutcome, by origin) error {
	other := *f
	if other.revived {
		other.again++
	}
	if other.revived = true; other.again >= payment.MaxRevivals {
		return fmt.Errorf("revive refund %s once more: %w", f.ID, ErrRefundUnclear)
	}
	other.ID = other.booked()
	transfers, _, err := s.renewed(ctx, tx, &other, true)
	if errors.Is(err, ledger.ErrOverRefund) { // it has gone back once more since
		s.metrics.refundContradicted.Inc()
		s.log.Error("a refund that was given up has been made, and its money is no longer there; reconciliation shows it", "refund_id", f.ID, "order_id", f.Order, "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	to, moves, stays := RefundPaid, CauseRefunded, CausePartRefunded
	if f.late() {
		stays = CauseLateRefunded
	}
	if out.State == payment.RefundPending {
		to, stays = RefundTaken, CausePartRefundRequested
		if f.late() {
			stays = CauseLateRefundRequested
		}
		again := refundTask(f)
		again.ID = payment.TaskID(other.ID, taskRefund)
		if err := s.outbox.Enqueue(ctx, tx, []payment.Task{again}); err != nil {
			return err
		}
	} else {
		transfers = append(transfers, ledger.PostAll(transfers)...)
		s.metrics.refunded(to)
	}
	if err := s.ledger.Record(ctx, tx, transfers); err != nil {
		return err
	}
	if err := f.come(ctx, tx, to, other.again, out.ProviderRef); err != nil {
		return err
	}
	if standing(r, refunds) == RefundPending {
		moves = CauseRefundResumed
	}
	return r.come(refunds, moves, stays, by, f.Amount.String()+" for "+purpose(f)+": given up, but the provider has made it")
}

const sqlReviveRefund = `
UPDATE refunds SET state = $2, revived = true, revived_again = $4, failure = '', updated_at = now(), provider_ref = CASE WHEN $3 = '' THEN provider_ref ELSE $3 END,
    done_at = CASE WHEN $2 = 'succeeded' THEN now() ELSE NULL END
WHERE refund_id = $1 AND state = 'failed' AND resolution = '' AND revived = $5 AND revived_again = $6`

// come writes that a refund which was given up is there after all.
func (f *Refund) come(ctx context.Context, tx pgx.Tx, to RefundState, again int, ref string) error {
	tag, err := tx.Exec(ctx, sqlReviveRefund, f.ID, to, ref, again, f.revived, f.again)
	if err != nil {
		return fmt.Errorf("revive refund %s: %w", f.ID, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("revive refund %s: %w", f.ID, errOutdated)
	}
	f.State, f.Failure, f.revived, f.again = to, "", true, again
	if ref != "" {
		f.ProviderRef = ref
	}
	return nil
}
