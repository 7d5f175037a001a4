package checkout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/notify"
	"fairgate/core/payment"
	"fairgate/ledger"
)

// A refund that the provider has taken on is asked about after a quarter of the time it has been under way, within these
// bounds; providers take up to ten days, and say so by webhook when it is over.
const (
	refundLookMin = 2 * time.Second
	refundLookMax = time.Hour
)

// refundLook is when a pending refund is asked about again.
func refundLook(f *Refund, now time.Time) time.Duration {
	return min(max(now.Sub(f.CreatedAt)/4, refundLookMin), refundLookMax)
}

// giveRefund is the outbox's handler of refunds: it has the provider make one, with the same key whenever it runs, and asks
// about it until it has ended.
func (s *Service) giveRefund(ctx context.Context, t payment.Task) error {
	id, err := uuid.Parse(t.Payload)
	if err != nil {
		return fmt.Errorf("refund task %s names %q: %w", t.ID, t.Payload, payment.ErrPermanent)
	}
	f, err := readRefund(ctx, s.db.Reader, id)
	if err != nil || !f.State.Open() {
		return err
	}
	out, err := s.callRefund(ctx, &f)
	if err == nil && out.State == "" {
		err = fmt.Errorf("refund %s: %w: the provider does not say where it stands", f.ID, payment.ErrUnknown)
	}
	if err != nil {
		return err
	}
	if err := s.settleRefund(ctx, f.ID, out, origin{actor: "outbox", source: sourceOf(t)}); err != nil {
		return err
	}
	if out.State == payment.RefundPending {
		return payment.Postpone(refundLook(&f, time.Now()))
	}
	return nil
}

// callRefund makes the provider's refund, or asks about one that it has taken on. A refusal is believed only when the
// provider knows of no such refund: the answer that it was made may be lost.
func (s *Service) callRefund(ctx context.Context, f *Refund) (payment.RefundOutcome, error) {
	a, err := s.attempt(ctx, payment.Task{OrderID: f.Order, PaymentID: f.Payment})
	if err != nil {
		return payment.RefundOutcome{}, err
	}
	refunder, err := s.providers.Refunder(f.Provider)
	if errors.Is(err, payment.ErrUnsupported) {
		return payment.RefundOutcome{State: payment.RefundFailed, Failure: "provider_cannot_refund"}, nil
	}
	if err != nil {
		return payment.RefundOutcome{}, err
	}
	r := payment.Refund{ID: f.ID, Amount: f.Amount, ProviderRef: f.ProviderRef, Found: f.found()}
	if f.State == RefundTaken {
		return refunder.LookupRefund(ctx, a.intent, r)
	}
	out, err := refunder.Refund(ctx, a.intent, r)
	if !errors.Is(err, payment.ErrDeclined) && !errors.Is(err, payment.ErrRejected) {
		return out, err
	}
	refusal := failure(out.Failure, "provider_refused")
	found, lookErr := refunder.LookupRefund(ctx, a.intent, r)
	switch {
	case errors.Is(lookErr, payment.ErrNoRefund):
		s.log.Warn("the provider refuses a refund", "order_id", f.Order, "refund_id", f.ID, "error", err)
		return payment.RefundOutcome{State: payment.RefundFailed, Failure: refusal}, nil
	case lookErr != nil:
		return payment.RefundOutcome{}, fmt.Errorf("look up a refused refund: %w", lookErr)
	}
	return found, nil
}

// settleRefund applies what a provider says about a refund of ours. It may be told twice, late and in any order: success and
// failure are kept once they are known, but that a refund which succeeded may still fail when the buyer's bank sends it
// back. ErrRefundUnknown means that it is none of ours.
func (s *Service) settleRefund(ctx context.Context, id uuid.UUID, out payment.RefundOutcome, by origin) error {
	f, err := readRefund(ctx, s.db.Reader, id)
	if err != nil {
		return err
	}
	if out.Amount.Minor != 0 && out.Amount != f.Amount {
		return fmt.Errorf("refund %s is of %v and the provider gave %v: %w", id, f.Amount, out.Amount, payment.ErrPermanent)
	}
	return s.change(ctx, f.Order, func(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund) error {
		for i := range refunds {
			if refunds[i].ID == id {
				return s.applyRefund(ctx, tx, r, refunds, &refunds[i], out, by)
			}
		}
		return ErrRefundUnknown
	})
}

func (s *Service) applyRefund(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund, f *Refund, out payment.RefundOutcome, by origin) error {
	was := f.State
	var to RefundState
	switch {
	case was.Open() && out.State == payment.RefundSucceeded:
		to = RefundPaid
	case (was.Open() || was == RefundPaid) && out.State == payment.RefundFailed:
		to = RefundRefused
	case was == RefundAsked && out.State == payment.RefundPending:
		return f.move(ctx, tx, RefundTaken, f.Resolution, f.Failure, out.ProviderRef)
	case f.revivable() && (out.State == payment.RefundSucceeded || out.State == payment.RefundPending):
		return s.revive(ctx, tx, r, refunds, f, out, by)
	case was == RefundRefused && out.State == payment.RefundSucceeded:
		s.metrics.refundContradicted.Inc()
		s.log.Error("a refund that failed is told to have succeeded; reconciliation will show which is true", "refund_id", f.ID, "order_id", f.Order)
		return nil
	default:
		if f.ProviderRef == "" && out.ProviderRef != "" {
			return f.move(ctx, tx, f.State, f.Resolution, f.Failure, out.ProviderRef)
		}
		return nil // told before
	}
	transfers, err := s.transfersOf(ctx, f)
	if err != nil {
		return err
	}
	if err := f.move(ctx, tx, to, f.Resolution, out.Failure, out.ProviderRef); err != nil {
		return err
	}
	switch {
	case to == RefundPaid:
		transfers = ledger.PostAll(transfers)
	case was == RefundPaid:
		transfers = ledger.ReverseAll(ledger.PostAll(transfers))
	default:
		transfers = ledger.VoidAll(transfers)
	}
	if err := s.ledger.Record(ctx, tx, transfers); err != nil {
		return err
	}
	s.metrics.refunded(to)
	if to == RefundPaid {
		stays := CausePartRefunded
		if f.late() {
			stays = CauseLateRefunded
		}
		if err := notify.QueueAll(ctx, tx, refundedMail(&r.order, f)); err != nil {
			return err
		}
		return r.come(refunds, CauseRefunded, stays, by, f.Amount.String()+" for "+purpose(f))
	}
	why := failure(out.Failure, "refused")
	if was == RefundPaid {
		why = "sent back by the buyer's bank: " + why
	}
	settled, err := s.disputedAway(ctx, tx, f)
	if err != nil {
		return err
	}
	if settled {
		why += "; the buyer has it by a dispute that was lost"
	}
	if settled && f.late() {
		return s.settledLate(ctx, tx, r, refunds, f, by, why)
	}
	return r.come(refunds, CauseRefundFailed, CausePartRefundFailed, by, why)
}

// settledLate is what follows when a refund of late money has failed that a lost dispute settles: what that has left of the money goes
// back by another refund.
func (s *Service) settledLate(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund, f *Refund, by origin, why string) error {
	moves := CauseRefunded
	if standing(r, refunds) == RefundPending {
		moves = CauseLateRefundRequested
	}
	if err := r.come(refunds, moves, CauseLateRefunded, by, why); err != nil {
		return err
	}
	return s.outbox.Enqueue(ctx, tx, []payment.Task{lateTask(f.ID, f.Order, f.Payment)})
}

// refundNews applies what a webhook says of a refund: one of ours, or one that somebody made in the provider's pages.
func (s *Service) refundNews(ctx context.Context, e payment.Event) error {
	news := e.Refund
	id := news.RefundID
	if id == uuid.Nil && news.Outcome.ProviderRef != "" {
		var order uuid.UUID
		err := s.db.Reader.QueryRow(ctx, sqlRefundByRef, e.Provider, news.Outcome.ProviderRef).Scan(&id, &order)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("find refund %s: %w", news.Outcome.ProviderRef, err)
		}
	}
	if id != uuid.Nil {
		err := s.settleRefund(ctx, id, news.Outcome, webhook(e))
		if !errors.Is(err, ErrRefundUnknown) {
			return err
		}
		s.log.Warn("webhook about a refund that is not ours", "webhook_id", e.ID, "refund_id", id)
		return nil
	}
	return s.foundRefund(ctx, e)
}

// webhook is the origin of what an event causes.
func webhook(e payment.Event) origin {
	return origin{actor: "webhook", source: e.Source(), digest: e.Digest}
}
