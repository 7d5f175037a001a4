package checkout

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"fairgate/core/fraud"
	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

// Outcome is what became of a payment attempt. It may be told twice, late, or in any order: it is applied to what the rows
// say.
type Outcome struct {
	Order   uuid.UUID
	Payment uuid.UUID
	Cause   Cause // begun, authorized, declined, captured, capture_refused, voided, reseated or late_sold
	Ref     string
	Secret  string
	Failure string
	Try     string // of a decline: which one, as the provider names it; may be empty
	Actor   string // "webhook", "lookup", "outbox"
	Source  string // what told it: of a webhook "provider/webhook id", of an outbox task "kind/outbox id"; may be empty
	Digest  []byte // of a webhook: SHA-256 of its payload
	Card    string // of an authorization: the provider's fingerprint of the card, "" when it did not say
	// CardAsked says that the provider was asked for the card: without one, none was used.
	CardAsked bool
	Risk      payment.Risk  // of an authorization: what the provider tells of who paid
	Verdict   fraud.Verdict // of an authorization; Apply asks for it where it is missing
	Why       string        // of a verdict, or what an operator said
	// Amount is what was captured, where the provider says so: a part of the order's amount never counts as paid.
	Amount ledger.Amount
	// Hold, with reseated and late_sold, is the one that the order is sold with.
	Hold uuid.UUID

	judged bool // the attempt was authorized before, so it has been judged: states never go back
	again  bool // it was told before and counts once more: payment.Event.CountsAgain
}

// ErrPartialCapture means that a provider took another amount than it was asked to. Nothing is sold or issued for it.
var ErrPartialCapture = errors.New("checkout: another amount was captured than asked for")

// Apply applies an outcome. An outcome that changes nothing is no error; ErrOrderUnknown means it is none of ours.
func (s *Service) Apply(ctx context.Context, o Outcome) error {
	if err := s.screen(ctx, &o); err != nil {
		return err
	}
	answer, err := s.lane.Do(ctx, ask{outcome: &o})
	if err == nil {
		err = answer.err
	}
	if !errors.Is(err, errCardNeeded) {
		return err
	}
	if err := s.askCard(ctx, &o); err != nil {
		return err
	}
	return s.Apply(ctx, o)
}

// apply decides the batch's outcomes.
func (b *batch) apply(ctx context.Context) error {
	// Authorizations first: whatever else the batch says of such an order must find it sold.
	for pass := range 2 {
		for i := range b.asks {
			o := b.asks[i].outcome
			if o == nil {
				continue
			}
			if early := o.Cause == CauseAuthorized || o.Cause == CauseCaptured; early != (pass == 0) {
				continue
			}
			r := b.records[o.Order]
			if r == nil || (o.Payment != uuid.Nil && r.payment(o.Payment) == nil) {
				b.answers[i].err = ErrOrderUnknown
				continue
			}
			var asker *askerError
			if err := b.applyOne(ctx, r, o); errors.Is(err, errCardNeeded) || errors.Is(err, ErrPartialCapture) {
				b.answers[i].err = err
			} else if errors.As(err, &asker) {
				b.answers[i].err = asker.err
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

// authorizes reports whether the outcome is the first word of an authorization.
func authorizes(r *record, o *Outcome) bool {
	if o.Cause == CauseApproved {
		return r.order.State == PaymentReview
	}
	if o.Cause != CauseAuthorized && o.Cause != CauseCaptured {
		return false
	}
	p := r.payment(o.Payment)
	return p != nil && (p.State == PaymentCreated || p.State == PaymentBegun) &&
		(r.order.State == PaymentPending || r.order.State == PaymentFailed)
}

// applyOne decides what one outcome means for its order.
func (b *batch) applyOne(ctx context.Context, r *record, o *Outcome) error {
	p := r.payment(o.Payment)
	if p == nil {
		return nil
	}
	p.learn(o)
	switch o.Cause {
	case CauseBegun:
		if p.State == PaymentCreated {
			p.move(PaymentBegun, p.Failure)
			if r.order.State == PaymentPending {
				return b.note(r, CauseBegun, o, "")
			}
		}
	case CauseAuthorized, CauseCaptured:
		if o.Cause == CauseCaptured && o.Amount.Minor != 0 && o.Amount != r.order.Amount {
			b.service.log.Error("another amount was captured than asked for", "order_id", r.order.ID, "asked", r.order.Amount, "captured", o.Amount)
			return fmt.Errorf("order %s: %v of %v: %w: %w", r.order.ID, o.Amount, r.order.Amount, ErrPartialCapture, payment.ErrPermanent)
		}
		if err := b.authorized(ctx, r, p, o); err != nil || o.Cause == CauseAuthorized {
			return err
		}
		return b.captured(ctx, r, p, o)
	case CauseDeclined:
		// A decline that was told before says nothing of the card that the buyer is trying since.
		if (p.State == PaymentCreated || p.State == PaymentBegun) && p.news(o.Try) {
			p.move(PaymentBegun, o.Failure)
			if r.order.State == PaymentPending {
				return b.note(r, CauseDeclined, o, o.Failure)
			}
		}
	case CauseCaptureRefused:
		return b.captureRefused(ctx, r, p, o)
	case CauseVoided:
		return b.voided(r, p, o)
	case CauseApproved:
		return b.approve(ctx, r, p, o)
	case CauseDenied:
		return b.deny(r, p, o)
	case CauseReseated, CauseLateSold:
		return b.reseat(ctx, r, p, o)
	default:
		return fmt.Errorf("apply %q to order %s: not an outcome", o.Cause, r.order.ID)
	}
	return nil
}

// learn keeps what the outcome tells of the provider's object.
func (p *Payment) learn(o *Outcome) {
	if p.ProviderRef == "" && o.Ref != "" {
		p.ProviderRef, p.touched = o.Ref, true
	}
	if p.ClientSecret == "" && o.Secret != "" {
		p.ClientSecret, p.touched = o.Secret, true
	}
}

// move changes an attempt's state.
func (p *Payment) move(to PaymentState, failure string) {
	p.State, p.Failure, p.touched = to, failure, true
}

func (b *batch) authorized(ctx context.Context, r *record, p *Payment, o *Outcome) error {
	switch p.State {
	case PaymentAuthorized, PaymentCaptured, PaymentCaptureFailed:
		return nil // told before
	case PaymentVoiding, PaymentVoided:
		// The hold died first. The intent to void is durable already; note the late money once.
		if p.State == PaymentVoiding && p.Failure != lateMoney && !p.refused() {
			p.move(PaymentVoiding, lateMoney)
			return b.note(r, CauseLateMoney, o, "authorized after the hold was gone; voiding")
		}
		return nil
	}
	if h, known := b.holds[r.order.Hold]; !known || h.State != inventory.Active ||
		(r.order.State != PaymentPending && r.order.State != PaymentFailed) {
		p.move(PaymentVoiding, lateMoney)
		b.tasks = append(b.tasks, task(taskVoid, r.order.ID, p.ID))
		return b.note(r, CauseLateMoney, o, "authorized after the hold was gone; voiding")
	}
	switch o.Verdict {
	case fraud.Deny:
		return b.deny(r, p, o)
	case fraud.Review, fraud.Challenge:
		return b.review(r, p, o)
	}
	return b.sale(ctx, r, p, o, CauseAuthorized)
}

// sale sells the hold of an authorized payment, unless its card has bought enough.
func (b *batch) sale(ctx context.Context, r *record, p *Payment, o *Outcome, cause Cause) error {
	listed, gone := b.sellListed(r)
	if gone != nil {
		return b.refuseListed(r, p, o, gone)
	}
	var over *inventory.OverLimit
	switch err := b.overCard(ctx, r, o); {
	case errors.As(err, &over):
		return b.refuseCard(r, p, o, over)
	case err != nil:
		return err
	}
	if r.resale() {
		b.selling = append(b.selling, listed)
	}
	b.sell = append(b.sell, r.order.Hold)
	p.move(PaymentAuthorized, "")
	transfers, err := b.saleTransfers(ctx, r, p)
	if err != nil {
		return err
	}
	b.transfers = append(b.transfers, transfers...)
	b.tasks = append(b.tasks, task(taskCapture, r.order.ID, p.ID))
	b.bought = append(b.bought, r.order)
	return b.note(r, cause, o, o.Why)
}

func (b *batch) captured(ctx context.Context, r *record, p *Payment, o *Outcome) error {
	if p.State != PaymentAuthorized || r.order.State == PaymentReview {
		if o.again {
			return b.capturedAgain(r, p)
		}
		if p.State != PaymentCaptured && p.State != PaymentAuthorized { // what is reviewed is captured when it is approved
			return b.capturedLate(ctx, r, p, o)
		}
		return nil
	}
	transfers, err := b.saleTransfers(ctx, r, p)
	if err != nil {
		return err
	}
	if r.resale() {
		split, handed, err := b.handOver(ctx, r, p)
		if err != nil {
			return err
		}
		if !handed {
			return b.capturedInVain(ctx, r, p, o, transfers)
		}
		return b.handedOver(r, p, o, append(ledger.PostAll(transfers), split...))
	}
	p.move(PaymentCaptured, p.Failure)
	b.transfers = append(b.transfers, ledger.PostAll(transfers)...)
	if err := b.note(r, CauseCaptured, o, ""); err != nil {
		return err
	}
	return b.issued(r, o)
}

func (b *batch) captureRefused(ctx context.Context, r *record, p *Payment, o *Outcome) error {
	if p.State != PaymentAuthorized {
		return nil
	}
	p.move(PaymentCaptureFailed, o.Failure)
	transfers, err := b.saleTransfers(ctx, r, p)
	if err != nil {
		return err
	}
	b.transfers = append(b.transfers, ledger.VoidAll(transfers)...)
	b.unsell = append(b.unsell, r.order.Hold)
	b.relist(r)
	void := task(taskVoid, r.order.ID, p.ID)
	void.ID = payment.TaskID(p.ID, voidKind)
	b.tasks = append(b.tasks, void)
	return b.note(r, CauseCaptureRefused, o, o.Failure)
}

func (b *batch) voided(r *record, p *Payment, o *Outcome) error {
	switch p.State {
	case PaymentCreated, PaymentBegun, PaymentVoiding:
		said := failure(o.Failure, p.Failure)
		if p.refused() {
			said = p.Failure // the reason for it, which the buyer should see
		}
		p.move(PaymentVoided, said)
		return b.note(r, CauseVoided, o, o.Failure)
	case PaymentAuthorized:
		if r.order.State == PaymentReview { // the bank let go of it before anybody decided
			p.move(PaymentVoided, failure(o.Failure, "voided"))
			b.closeReview(r, p, "voided", o)
			return b.note(r, CauseVoided, o, o.Failure)
		}
	case PaymentCaptureFailed:
		if p.Failure != voidedAfterwards {
			p.move(PaymentCaptureFailed, voidedAfterwards)
			return b.note(r, CauseVoided, o, "")
		}
	}
	return nil // an authorized attempt finds out when it is captured
}

// issued gives the buyer what was paid for, in the transaction that records the money: there is no moment at which one
// is known and the other not.
func (b *batch) issued(r *record, o *Outcome) error {
	for i, line := range r.order.Lines {
		b.issue = append(b.issue, ticket.Item{
			Event: r.order.Event, Order: r.order.ID, Item: i, Tier: line.Tier, Seat: line.Seat, Owner: r.order.Entrant,
		})
	}
	b.mails = append(b.mails, ticketsMail(&r.order)...)
	return b.note(r, CauseIssued, o, "")
}

func (b *batch) note(r *record, cause Cause, o *Outcome, reason string) error {
	b.causes = append(b.causes, cause)
	if err := r.applyFrom(cause, origin{actor: o.Actor, source: o.Source, digest: o.Digest}, reason); err != nil {
		return fmt.Errorf("order %s: %w", r.order.ID, err)
	}
	return nil
}

// saleTransfers are the pending transfers of a sale. They follow from the order alone, so that the same ones are found
// again when it is captured; an event's organizer cannot change once something is sold.
func (b *batch) saleTransfers(ctx context.Context, r *record, p *Payment) ([]ledger.Transfer, error) {
	terms, err := b.termsOf(ctx, r.order.Event)
	if err != nil {
		return nil, err
	}
	if err := r.decode(); err != nil {
		return nil, fmt.Errorf("order %s: %w", r.order.ID, err)
	}
	face, fee, tax := sums(r.order.Lines)
	if r.order.Resale() {
		return ledger.ResaleTransfers(r.money(p, terms), ledger.Parts{Face: face, Fee: fee, Tax: tax})
	}
	in := func(minor int64) ledger.Amount {
		return ledger.Amount{Minor: minor, Currency: r.order.Amount.Currency}
	}
	return ledger.SaleTransfers(r.order.ID, terms.Organizer, p.Provider, in(face), in(fee), in(tax))
}
