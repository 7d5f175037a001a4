package checkout

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

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
	Cause   Cause // begun, authorized, declined, captured, capture_refused or voided
	Ref     string
	Secret  string
	Failure string
	Try     string // of a decline: which one, as the provider names it; may be empty
	Actor   string // "webhook", "lookup", "outbox"
}

// Apply applies an outcome. An outcome that changes nothing is no error; ErrOrderUnknown means it is none of ours.
func (s *Service) Apply(ctx context.Context, o Outcome) error {
	answer, err := s.lane.Do(ctx, ask{outcome: &o})
	if err == nil {
		err = answer.err
	}
	return err
}

// outcomes is one transaction's worth of outcomes.
type outcomes struct {
	service   *Service
	tx        pgx.Tx
	answers   []answer
	records   map[uuid.UUID]*record
	sold      map[uuid.UUID]error // by order: nil when the hold was sold in this transaction
	tasks     []payment.Task
	transfers []ledger.Transfer
	unsell    []uuid.UUID
	issue     []ticket.Item
	bought    []Order
	causes    []Cause
}

func (b *outcomes) run(ctx context.Context, batch []*Outcome) error {
	ids := make([]uuid.UUID, len(batch))
	for i, o := range batch {
		ids[i] = o.Order
	}
	var err error
	if b.records, err = loadRecords(ctx, b.tx, ids); err != nil {
		return err
	}
	if err := b.sell(ctx, batch); err != nil {
		return err
	}
	// Authorizations first: whatever else the batch says of such an order must find it sold.
	for pass := range 2 {
		for i, o := range batch {
			if early := o.Cause == CauseAuthorized || o.Cause == CauseCaptured; early != (pass == 0) {
				continue
			}
			r := b.records[o.Order]
			if r == nil || (o.Payment != uuid.Nil && r.payment(o.Payment) == nil) {
				b.answers[i].err = ErrOrderUnknown
				continue
			}
			if err := b.apply(ctx, r, o); err != nil {
				return err
			}
		}
	}
	return b.write(ctx)
}

// sell marks the holds of the newly authorized orders as sold, in one statement.
func (b *outcomes) sell(ctx context.Context, batch []*Outcome) error {
	b.sold = map[uuid.UUID]error{}
	byHold := map[uuid.UUID]uuid.UUID{}
	var holds []uuid.UUID
	for _, o := range batch {
		r := b.records[o.Order]
		if r == nil || !authorizes(r, o) {
			continue
		}
		if _, twice := byHold[r.order.Hold]; twice {
			continue
		}
		byHold[r.order.Hold] = r.order.ID
		holds = append(holds, r.order.Hold)
	}
	if len(holds) == 0 {
		return nil
	}
	refused, err := inventory.Sell(ctx, b.tx, holds)
	if err != nil {
		return err
	}
	for hold, order := range byHold {
		b.sold[order] = refused[hold]
	}
	return nil
}

// authorizes reports whether the outcome is the first word of an authorization.
func authorizes(r *record, o *Outcome) bool {
	if o.Cause != CauseAuthorized && o.Cause != CauseCaptured {
		return false
	}
	p := r.payment(o.Payment)
	return p != nil && (p.State == PaymentCreated || p.State == PaymentBegun) &&
		(r.order.State == PaymentPending || r.order.State == PaymentFailed)
}

// apply decides what one outcome means for its order.
func (b *outcomes) apply(ctx context.Context, r *record, o *Outcome) error {
	p := r.payment(o.Payment)
	if p == nil {
		return nil
	}
	b.learn(r, p, o)
	switch o.Cause {
	case CauseBegun:
		if p.State == PaymentCreated {
			p.State = PaymentBegun
			if r.order.State == PaymentPending {
				return b.note(r, CauseBegun, o, "")
			}
		}
	case CauseAuthorized, CauseCaptured:
		if err := b.authorized(ctx, r, p, o); err != nil || o.Cause == CauseAuthorized {
			return err
		}
		return b.captured(ctx, r, p, o)
	case CauseDeclined:
		// A decline that was told before says nothing of the card that the buyer is trying since.
		if (p.State == PaymentCreated || p.State == PaymentBegun) && p.news(o.Try) {
			p.State, p.Failure = PaymentBegun, o.Failure
			if r.order.State == PaymentPending {
				return b.note(r, CauseDeclined, o, o.Failure)
			}
		}
	case CauseCaptureRefused:
		return b.captureRefused(ctx, r, p, o)
	case CauseVoided:
		return b.voided(r, p, o)
	default:
		return fmt.Errorf("apply %q to order %s: not an outcome", o.Cause, r.order.ID)
	}
	return nil
}

// learn keeps what the outcome tells of the provider's object.
func (b *outcomes) learn(r *record, p *Payment, o *Outcome) {
	if p.ProviderRef == "" && o.Ref != "" {
		p.ProviderRef = o.Ref
	}
	if p.ClientSecret == "" && o.Secret != "" {
		p.ClientSecret = o.Secret
	}
	r.touch(p)
}

func (b *outcomes) authorized(ctx context.Context, r *record, p *Payment, o *Outcome) error {
	switch p.State {
	case PaymentAuthorized, PaymentCaptured, PaymentCaptureFailed:
		return nil // told before
	case PaymentVoiding, PaymentVoided:
		// The hold died first. The intent to void is durable already; note the late money once.
		if p.State == PaymentVoiding && p.Failure != lateMoney {
			p.Failure = lateMoney
			return b.note(r, CauseLateMoney, o, "authorized after the hold was gone; voiding")
		}
		return nil
	}
	if refused, tried := b.sold[r.order.ID]; !tried || refused != nil {
		p.State, p.Failure = PaymentVoiding, lateMoney
		b.tasks = append(b.tasks, task(taskVoid, r.order.ID, p.ID))
		return b.note(r, CauseLateMoney, o, "authorized after the hold was gone; voiding")
	}
	p.State, p.Failure = PaymentAuthorized, ""
	transfers, err := b.saleTransfers(ctx, r, p)
	if err != nil {
		return err
	}
	b.transfers = append(b.transfers, transfers...)
	b.tasks = append(b.tasks, task(taskCapture, r.order.ID, p.ID))
	b.bought = append(b.bought, r.order)
	return b.note(r, CauseAuthorized, o, "")
}

func (b *outcomes) captured(ctx context.Context, r *record, p *Payment, o *Outcome) error {
	if p.State != PaymentAuthorized {
		if p.State != PaymentCaptured {
			b.service.log.Error("the provider captured what it was not asked to", "order_id", r.order.ID, "payment_state", p.State)
		}
		return nil
	}
	p.State = PaymentCaptured
	transfers, err := b.saleTransfers(ctx, r, p)
	if err != nil {
		return err
	}
	b.transfers = append(b.transfers, ledger.PostAll(transfers)...)
	if err := b.note(r, CauseCaptured, o, ""); err != nil {
		return err
	}
	return b.issued(r, o)
}

func (b *outcomes) captureRefused(ctx context.Context, r *record, p *Payment, o *Outcome) error {
	if p.State != PaymentAuthorized {
		return nil
	}
	p.State, p.Failure = PaymentCaptureFailed, o.Failure
	transfers, err := b.saleTransfers(ctx, r, p)
	if err != nil {
		return err
	}
	b.transfers = append(b.transfers, ledger.VoidAll(transfers)...)
	b.unsell = append(b.unsell, r.order.Hold)
	b.tasks = append(b.tasks, task(taskVoid, r.order.ID, p.ID))
	return b.note(r, CauseCaptureRefused, o, o.Failure)
}

func (b *outcomes) voided(r *record, p *Payment, o *Outcome) error {
	switch p.State {
	case PaymentCreated, PaymentBegun, PaymentVoiding:
		p.State = PaymentVoided
		if o.Failure != "" {
			p.Failure = o.Failure
		}
		return b.note(r, CauseVoided, o, o.Failure)
	case PaymentCaptureFailed:
		if p.Failure != voidedAfterwards {
			p.Failure = voidedAfterwards
			return b.note(r, CauseVoided, o, "")
		}
	}
	return nil // an authorized attempt finds out when it is captured
}

// issued gives the buyer what was paid for, in the transaction that records the money: there is no moment at which one
// is known and the other not.
func (b *outcomes) issued(r *record, o *Outcome) error {
	for i, line := range r.order.Lines {
		b.issue = append(b.issue, ticket.Item{
			Event: r.order.Event, Order: r.order.ID, Item: i, Tier: line.Tier, Seat: line.Seat, Owner: r.order.Entrant,
		})
	}
	return b.note(r, CauseIssued, o, "")
}

func (b *outcomes) note(r *record, cause Cause, o *Outcome, reason string) error {
	b.causes = append(b.causes, cause)
	if err := r.apply(cause, o.Actor, reason); err != nil {
		return fmt.Errorf("order %s: %w", r.order.ID, err)
	}
	return nil
}

func (b *outcomes) write(ctx context.Context) error {
	if err := flush(ctx, b.tx, b.records); err != nil {
		return err
	}
	if len(b.unsell) > 0 {
		refused, err := inventory.Unsell(ctx, b.tx, b.unsell)
		if err != nil {
			return err
		}
		for hold, err := range refused {
			return fmt.Errorf("put hold %s back on sale: %w", hold, err)
		}
	}
	if len(b.transfers) > 0 {
		if err := b.service.ledger.Record(ctx, b.tx, b.transfers); err != nil {
			return err
		}
	}
	if len(b.issue) > 0 {
		if err := b.service.issuer.Issue(ctx, b.tx, b.issue); err != nil {
			return err
		}
	}
	return b.service.outbox.Enqueue(ctx, b.tx, b.tasks)
}

// saleTransfers are the pending transfers of a sale. They follow from the order alone, so that the same ones are found
// again when it is captured; an event's organizer cannot change once something is sold.
func (b *outcomes) saleTransfers(ctx context.Context, r *record, p *Payment) ([]ledger.Transfer, error) {
	terms, err := b.service.catalog(ctx, r.order.Event)
	if err != nil {
		return nil, fmt.Errorf("terms of event %s: %w", r.order.Event, err)
	}
	face, fee, tax := sums(r.order.Lines)
	in := func(minor int64) ledger.Amount {
		return ledger.Amount{Minor: minor, Currency: r.order.Amount.Currency}
	}
	return ledger.SaleTransfers(r.order.ID, terms.Organizer, p.Provider, in(face), in(fee), in(tax))
}
