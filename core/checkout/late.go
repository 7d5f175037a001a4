package checkout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/fraud"
	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/ledger"
)

// Money is late when it was authorized or captured after its hold had died. While the event sells and its file does not say
// otherwise, the buyer gets the same kind of ticket if there still is one: a new hold, under a key that follows from the
// payment, takes the place of the one that died, and the order is sold with it. Else an authorization is voided, and captured
// money is refunded.
//
// Each step may be repeated: the new hold is found again by its key, the lane looks at the rows before it sells, and a refund's
// id follows from the payment.

// taskLate decides about money that was captured too late.
const taskLate = payment.KindLate

// voidKind is the id of a void after a sale that ended; the one before it, of the hold that died, may have been done.
const voidKind = taskVoid + "/" + string(CauseCaptureRefused)

// Again takes a new hold of the kind that an earlier one was: inventory.Service.HoldAgain.
type Again func(ctx context.Context, earlier uuid.UUID, key string) (inventory.Hold, error)

// reseats tells whether an order may have another hold instead of the one that died.
func (s *Service) reseats(ctx context.Context, o *Order) (bool, error) {
	if s.cfg.Again == nil || o.State != Expired || o.Resale() {
		return false, nil
	}
	terms, err := s.catalog(ctx, o.Event)
	if err != nil {
		return false, fmt.Errorf("terms of event %s: %w", o.Event, err)
	}
	if terms.VoidLate || terms.Cancelled {
		return false, nil
	}
	return s.cfg.Selling == nil || s.cfg.Selling(ctx, terms.Slug), nil
}

// reseat looks for an authorization that a void would end, and sells the order with another hold if there is one. done
// tells that the authorization is needed, or that the money is captured already.
func (s *Service) reseat(ctx context.Context, t payment.Task, a *attempt) (done bool, err error) {
	if p := (&Payment{Failure: a.failure}); a.state != PaymentVoiding || p.refused() {
		return false, nil
	}
	o, err := s.Find(ctx, t.OrderID)
	if err != nil {
		return false, err
	}
	may, err := s.reseats(ctx, &o)
	if err != nil || !may {
		return false, err
	}
	out, err := a.provider.Lookup(ctx, a.intent)
	switch {
	case errors.Is(err, payment.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look up a payment before it is voided: %w", err)
	case out.State == payment.Captured:
		return true, s.tell(ctx, t, out)
	case out.State != payment.Authorized:
		return false, nil
	}
	return s.sellAgain(ctx, t, &o, CauseReseated, out)
}

// sellAgain takes a new hold and has the lane sell the order with it; done tells whether that worked.
func (s *Service) sellAgain(ctx context.Context, t payment.Task, o *Order, cause Cause, out payment.Outcome) (done bool, err error) {
	if allowed, err := s.allowsLate(ctx, o.ID, t.PaymentID, out); err != nil || !allowed {
		return false, err
	}
	h, err := s.cfg.Again(ctx, o.Hold, "late/"+t.PaymentID.String())
	if inventory.Refusal(err) {
		s.log.Info("no other tickets for late money", "order_id", o.ID, "reason", err.Error())
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("hold other tickets for order %s: %w", o.ID, err)
	}
	if h.State == inventory.Active && h.Amount == o.Amount {
		err := s.Apply(ctx, Outcome{Order: o.ID, Payment: t.PaymentID, Cause: cause, Hold: h.ID, Ref: out.ProviderRef, Actor: "outbox", Source: sourceOf(t), Card: out.Card, CardAsked: true})
		if err != nil {
			return false, err
		}
	}
	now, err := s.Find(ctx, o.ID)
	if err != nil {
		return false, err
	}
	if now.Hold == h.ID {
		return true, nil
	}
	if h.State == inventory.Active { // nothing came of it: others may have it now, and not when it expires
		err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			_, err := inventory.Release(ctx, tx, []uuid.UUID{h.ID})
			return err
		})
	}
	return false, err
}

// allowsLate judges late money as any other: only what is allowed at once gets another hold.
func (s *Service) allowsLate(ctx context.Context, order, attempt uuid.UUID, out payment.Outcome) (bool, error) {
	if s.cfg.Screen == nil {
		return true, nil
	}
	u, err := s.subject(ctx, order, attempt, fraud.Authorized)
	if err != nil {
		return false, err
	}
	u.Card, u.Risk, u.Before = s.cfg.Marker.Mark("card", out.Card), out.Risk, u.screened
	return s.cfg.Screen.Judge(ctx, u.Question).Verdict == fraud.Allow, nil
}

// reseat is the lane's part: the order gets the hold, if everything still is as it was when that was taken.
func (b *batch) reseat(ctx context.Context, r *record, p *Payment, o *Outcome) error {
	h, known := b.holds[o.Hold]
	due := p.State == PaymentVoiding && o.Cause == CauseReseated || p.State == PaymentCaptured && p.Failure == lateMoney && o.Cause == CauseLateSold
	if !due || r.order.State != Expired || !known || h.State != inventory.Active || h.Entrant != r.order.Entrant || h.Amount != r.order.Amount {
		return nil
	}
	if o.Cause == CauseLateSold {
		if whole, err := lateWhole(ctx, b.service.db.Reader, r, p); err != nil || !whole {
			return err
		}
		b.lateSales = append(b.lateSales, lateSale{record: r, payment: *p})
	}
	terms, err := b.termsOf(ctx, r.order.Event)
	if err != nil {
		return err
	}
	lines, mismatch := price(h, *terms)
	if mismatch != nil {
		return nil //nolint:nilerr // the prices have changed: the buyer did not agree to these
	}
	was := *r
	r.order.Hold, r.order.Lines, r.lines, r.reseated = h.ID, lines, encodeLines(lines), true
	var over *inventory.OverLimit
	switch err := b.overCard(ctx, r, o); {
	case errors.As(err, &over):
		*r = was
		if o.Cause == CauseReseated {
			p.move(PaymentVoiding, cardOverLimit)
		}
		return nil
	case err != nil:
		*r = was
		return err
	}
	b.sell = append(b.sell, h.ID)
	b.bought = append(b.bought, r.order)
	if o.Cause == CauseLateSold {
		return b.soldLate(r, p, o, terms)
	}
	p.move(PaymentAuthorized, "")
	transfers, err := b.saleTransfers(ctx, r, p)
	if err != nil {
		return err
	}
	b.transfers = append(b.transfers, transfers...)
	b.tasks = append(b.tasks, task(taskCapture, r.order.ID, p.ID))
	return b.note(r, CauseReseated, o, "the hold was gone when the payment came; sold with another")
}

// soldLate sells an order whose money is captured already, and issues its tickets.
func (b *batch) soldLate(r *record, p *Payment, o *Outcome, terms *Terms) error {
	p.move(PaymentCaptured, "")
	face, fee, tax := sums(r.order.Lines)
	transfers, err := ledger.LateSaleTransfers(r.money(p, terms), ledger.Parts{Face: face, Fee: fee, Tax: tax})
	if err != nil {
		return err
	}
	b.transfers = append(b.transfers, transfers...)
	if err := b.note(r, CauseLateSold, o, "the hold was gone when the money came; sold with another"); err != nil {
		return err
	}
	return b.issued(r, o)
}

// money says whom an order's money concerns.
func (r *record) money(p *Payment, terms *Terms) ledger.Terms {
	return ledger.Terms{Order: r.order.ID, Organizer: terms.Organizer, Provider: p.Provider, Currency: r.order.Amount.Currency}
}

// capturedLate books money that the provider took although there is nothing to sell for it, and has the outbox decide what
// becomes of it.
func (b *batch) capturedLate(ctx context.Context, r *record, p *Payment, o *Outcome) error {
	b.service.log.Warn("the provider captured what it was not asked to", "order_id", r.order.ID, "payment_state", p.State)
	terms, err := b.termsOf(ctx, r.order.Event)
	if err != nil {
		return err
	}
	p.move(PaymentCaptured, lateMoney)
	transfers, err := ledger.LateMoneyTransfers(r.money(p, terms), r.order.Amount.Minor)
	if p.Attempt > 1 {
		transfers, err = ledger.MoreLateMoneyTransfers(r.money(p, terms), p.ID, r.order.Amount.Minor)
	}
	if err != nil {
		return err
	}
	b.transfers = append(b.transfers, transfers...)
	b.tasks = append(b.tasks, task(taskLate, r.order.ID, p.ID))
	return b.note(r, CauseLateCaptured, o, "captured with nothing to sell for it")
}

// lateDisputedLook is how often late money is looked at while it is disputed; banks take weeks.
const lateDisputedLook = time.Hour

// decideLate is the outbox's handler of late money that is captured: another hold, or all that is left of it back. It looks for
// disputes before it calls anybody; whether the money is all there to be sold for, the sale's own transaction asks.
func (s *Service) decideLate(ctx context.Context, t payment.Task) error {
	a, err := s.attempt(ctx, t)
	if err == nil && t.Payload == settledLate && a.state != PaymentCaptured {
		return s.capturedUnheard(ctx, t, &a)
	}
	if err != nil || a.state != PaymentCaptured || a.failure != lateMoney {
		return err
	}
	o, err := s.Find(ctx, t.OrderID)
	if err != nil {
		return err
	}
	var disputed int64
	if err := s.db.Reader.QueryRow(ctx, sqlUndecided, t.OrderID, t.PaymentID).Scan(&disputed); err != nil {
		return fmt.Errorf("look for disputes of late money: %w", err)
	}
	if disputed > 0 {
		return payment.Postpone(lateDisputedLook) // it is with the buyer's bank, and neither buys anything nor can be given back
	}
	if payment.Sabotaged(payment.LateMoneyRule) {
		return nil // and it stays where it is
	}
	may, err := s.reseats(ctx, &o)
	if err != nil {
		return err
	}
	if may {
		out, err := a.provider.Lookup(ctx, a.intent) // says which card it was
		if err != nil {
			return fmt.Errorf("look up late money: %w", err)
		}
		if done, err := s.sellAgain(ctx, t, &o, CauseLateSold, out); done || err != nil {
			return err
		}
	}
	return s.refundLate(ctx, t)
}

// refundLate promises late money back: as much of it as is left.
func (s *Service) refundLate(ctx context.Context, t payment.Task) error {
	return s.change(ctx, t.OrderID, func(ctx context.Context, tx pgx.Tx, r *record, refunds []Refund) error {
		p := r.payment(t.PaymentID)
		if p == nil || !p.late() {
			return nil // sold meanwhile
		}
		left, err := lateLeft(ctx, tx, r.order.ID, p.ID)
		if err != nil {
			return err
		}
		if left = min(left, r.lateOwed(p, refunds)); left <= 0 {
			return nil // promised before, made at the provider by somebody, or the buyer's by a dispute
		}
		f := Refund{ID: lateRefundID(r.order.ID, p.ID, refunds), Order: r.order.ID, Event: r.order.Event, Payment: p.ID, Provider: p.Provider, Kind: RefundOfLate, State: RefundAsked,
			Amount: ledger.Amount{Minor: left, Currency: r.order.Amount.Currency}, Reason: "paid too late", Actor: "outbox"}
		transfers, err := s.transfersOf(ctx, &f)
		if err != nil {
			return err
		}
		refunds = append(refunds, f)
		if err := r.come(refunds, CauseLateRefundRequested, CauseLateRefundRequested, origin{actor: "outbox", source: sourceOf(t)}, f.Amount.String()+" were paid too late"); err != nil {
			return err
		}
		return s.promise(ctx, tx, &f, transfers)
	})
}
