package checkout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// The outbox's tasks.
const (
	taskBegin   = "begin"   // make the provider's intent
	taskCapture = "capture" // take the authorized money
	taskVoid    = "void"    // make sure the intent can never take money
)

// lateMoney is the failure of an attempt that was authorized after its hold was gone.
const lateMoney = "late"

// voidedAfterwards is the failure of an attempt whose capture was refused and whose authorization is gone by now.
const voidedAfterwards = "capture_refused, voided"

// lookupBatch is how many silent payments one round asks about: a second's worth of a provider's smallest rate limit.
const lookupBatch = 25

func task(kind string, order, attempt uuid.UUID) payment.Task {
	return payment.Task{ID: payment.TaskID(attempt, kind), Kind: kind, OrderID: order, PaymentID: attempt}
}

func (s *Service) handlers() map[string]payment.Handler {
	return map[string]payment.Handler{
		taskBegin:   s.begin,
		taskCapture: s.capture,
		taskVoid:    s.void,
	}
}

// begin has the provider make the intent. An order that died meanwhile is left to its void task.
func (s *Service) begin(ctx context.Context, t payment.Task) error {
	intent, state, err := s.intent(ctx, t.PaymentID)
	if err != nil || state != PaymentCreated {
		return err
	}
	out, err := s.provider.Begin(ctx, intent)
	if errors.Is(err, payment.ErrRejected) || errors.Is(err, payment.ErrDeclined) {
		s.log.Error("the provider refuses to begin a payment", "order_id", t.OrderID, "error", err)
		return s.tell(ctx, t, payment.Outcome{State: payment.Voided, ProviderRef: out.ProviderRef, Failure: "provider_refused"})
	}
	if err != nil {
		return err
	}
	if out.State != payment.Begun {
		// The same key may replay an intent that the buyer has confirmed meanwhile: the object is known either way.
		begun := out
		begun.State = payment.Begun
		if err := s.tell(ctx, t, begun); err != nil {
			return err
		}
	}
	return s.tell(ctx, t, out)
}

// capture takes the money of a sold order.
func (s *Service) capture(ctx context.Context, t payment.Task) error {
	intent, state, err := s.intent(ctx, t.PaymentID)
	if err != nil || state != PaymentAuthorized {
		return err
	}
	out, err := s.provider.Capture(ctx, intent)
	if errors.Is(err, payment.ErrRejected) || errors.Is(err, payment.ErrDeclined) {
		// Before seats go back on sale: is it perhaps captured, and only the answer lost?
		now, lookupErr := s.provider.Lookup(ctx, intent)
		if lookupErr != nil {
			return fmt.Errorf("look up a refused capture: %w", lookupErr)
		}
		if now.State != payment.Captured {
			s.log.Warn("the provider refuses to capture a payment", "order_id", t.OrderID, "error", err)
			return s.Apply(ctx, Outcome{Order: t.OrderID, Payment: t.PaymentID, Cause: CauseCaptureRefused,
				Ref: now.ProviderRef, Failure: failure(now.Failure, "capture_refused"), Actor: "outbox"})
		}
		out, err = now, nil
	}
	if err != nil {
		return err
	}
	if out.Amount != intent.Amount {
		return fmt.Errorf("capture of order %s took %v instead of %v: %w", t.OrderID, out.Amount, intent.Amount, payment.ErrRejected)
	}
	return s.tell(ctx, t, out)
}

// void makes sure that a dead order takes no money.
func (s *Service) void(ctx context.Context, t payment.Task) error {
	intent, state, err := s.intent(ctx, t.PaymentID)
	if err != nil || (state != PaymentVoiding && state != PaymentCaptureFailed) {
		return err
	}
	out, err := s.provider.Void(ctx, intent)
	switch {
	case errors.Is(err, payment.ErrNotFound):
		out = payment.Outcome{State: payment.Voided}
	case err != nil:
		return err
	}
	return s.tell(ctx, t, out)
}

func (s *Service) tell(ctx context.Context, t payment.Task, out payment.Outcome) error {
	cause, ok := causeOf(out.State)
	if !ok {
		return nil
	}
	return s.Apply(ctx, Outcome{Order: t.OrderID, Payment: t.PaymentID, Cause: cause,
		Ref: out.ProviderRef, Secret: out.ClientSecret, Failure: out.Failure, Try: out.Try, Actor: "outbox"})
}

// causeOf translates what a provider says; ok is false when it says nothing that moves an order.
func causeOf(state payment.OutcomeState) (cause Cause, ok bool) {
	switch state {
	case payment.Begun:
		return CauseBegun, true
	case payment.Authorized:
		return CauseAuthorized, true
	case payment.Captured:
		return CauseCaptured, true
	case payment.Failed:
		return CauseDeclined, true
	case payment.Voided:
		return CauseVoided, true
	}
	return "", false
}

func failure(said, otherwise string) string {
	if said != "" {
		return said
	}
	return otherwise
}

const sqlPaymentIntent = `
SELECT p.order_id, p.attempt, p.amount_minor, p.currency, p.provider_ref, p.state, o.event_id, o.email
FROM payments p JOIN orders o ON o.order_id = p.order_id WHERE p.payment_id = $1`

// intent reads one attempt as its provider is told about it.
func (s *Service) intent(ctx context.Context, id uuid.UUID) (payment.Intent, PaymentState, error) {
	intent := payment.Intent{PaymentID: id}
	var state PaymentState
	var event uuid.UUID
	var amount ledger.Amount
	err := s.db.Reader.QueryRow(ctx, sqlPaymentIntent, id).Scan(&intent.OrderID, &intent.Attempt, &amount.Minor, &amount.Currency,
		&intent.ProviderRef, &state, &event, &intent.Email)
	if err != nil {
		return payment.Intent{}, "", fmt.Errorf("read payment %s: %w", id, err)
	}
	terms, err := s.catalog(ctx, event)
	if err != nil {
		return payment.Intent{}, "", fmt.Errorf("terms of event %s: %w", event, err)
	}
	intent.Amount, intent.EventSlug = amount, terms.Slug
	intent.Description = "Tickets for " + terms.Slug
	return intent, state, nil
}

const sqlPaymentStates = `SELECT payment_id, state FROM payments WHERE payment_id = ANY($1::UUID[])`

// Webhooks applies what the provider reported. An event that is none of ours, or that says what is known already, is
// skipped; an error means that the events should be handed over again.
func (s *Service) Webhooks(ctx context.Context, events []payment.Event) error {
	ids := make([]uuid.UUID, 0, len(events))
	for _, e := range events {
		ids = append(ids, e.PaymentID)
	}
	rows, err := s.db.Reader.Query(ctx, sqlPaymentStates, ids)
	if err != nil {
		return fmt.Errorf("read the payments of %d webhooks: %w", len(events), err)
	}
	states := make(map[uuid.UUID]PaymentState, len(ids))
	var id uuid.UUID
	var state PaymentState
	if _, err := pgx.ForEachRow(rows, []any{&id, &state}, func() error { states[id] = state; return nil }); err != nil {
		return fmt.Errorf("read the payments of %d webhooks: %w", len(events), err)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(events))
	for i, e := range events {
		cause, ok := causeOf(e.Outcome.State)
		if !ok || !e.Relevant() || states[e.PaymentID].knows(cause) {
			continue
		}
		wg.Go(func() {
			err := s.Apply(ctx, Outcome{Order: e.OrderID, Payment: e.PaymentID, Cause: cause,
				Ref: e.Outcome.ProviderRef, Secret: e.Outcome.ClientSecret, Failure: e.Outcome.Failure, Try: e.Outcome.Try, Actor: "webhook"})
			if errors.Is(err, ErrOrderUnknown) {
				s.log.Warn("webhook about an order that is not ours", "webhook_id", e.ID, "type", e.Type)
				err = nil
			}
			errs[i] = err
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// knows reports whether cause can tell an attempt in this state nothing new. States never go back, so what is true of a
// snapshot stays true.
func (p PaymentState) knows(cause Cause) bool {
	switch p {
	case PaymentBegun:
		return cause == CauseBegun
	case PaymentAuthorized:
		return cause == CauseBegun || cause == CauseAuthorized || cause == CauseDeclined
	case PaymentCaptured:
		return true
	}
	return false
}

const sqlSilentPayments = `
SELECT payment_id, order_id FROM payments
WHERE state = 'begun' AND updated_at < now() - $1::INT8 * INTERVAL '1 millisecond' ORDER BY updated_at LIMIT $2`

const sqlTouchPayments = `UPDATE payments SET updated_at = now() WHERE payment_id = ANY($1::UUID[]) AND state = 'begun'`

// lookUpSilent asks the provider about payments it has said nothing of for a while: a webhook may be lost.
func (s *Service) lookUpSilent(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.LookupEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.lookUpBatch(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("looking up silent payments", "error", err)
		}
	}
}

func (s *Service) lookUpBatch(ctx context.Context) error {
	rows, err := s.db.Reader.Query(ctx, sqlSilentPayments, s.cfg.LookupAfter.Milliseconds(), lookupBatch)
	if err != nil {
		return fmt.Errorf("find silent payments: %w", err)
	}
	defer rows.Close()
	var tasks []payment.Task
	var ids []uuid.UUID
	for rows.Next() {
		var t payment.Task
		if err := rows.Scan(&t.PaymentID, &t.OrderID); err != nil {
			return fmt.Errorf("find silent payments: %w", err)
		}
		tasks, ids = append(tasks, t), append(ids, t.PaymentID)
	}
	if err := rows.Err(); err != nil || len(tasks) == 0 {
		return err
	}
	// Touched first, so that a provider that does not answer is not asked about the same ones for ever.
	if _, err := s.db.Exec(ctx, sqlTouchPayments, ids); err != nil {
		return fmt.Errorf("touch silent payments: %w", err)
	}
	var errs []error
	for _, t := range tasks {
		// One that cannot be looked up must not keep the others from it.
		if err := s.lookUp(ctx, t); err != nil {
			errs = append(errs, fmt.Errorf("look up payment %s: %w", t.PaymentID, err))
		}
	}
	return errors.Join(errs...)
}

// lookUp asks the provider about one payment and applies what it says.
func (s *Service) lookUp(ctx context.Context, t payment.Task) error {
	intent, state, err := s.intent(ctx, t.PaymentID)
	if err != nil || state != PaymentBegun {
		return err
	}
	out, err := s.provider.Lookup(ctx, intent)
	if err != nil {
		return err
	}
	cause, ok := causeOf(out.State)
	if !ok || cause == CauseBegun {
		return nil
	}
	return s.Apply(ctx, Outcome{Order: t.OrderID, Payment: t.PaymentID, Cause: cause,
		Ref: out.ProviderRef, Secret: out.ClientSecret, Failure: out.Failure, Actor: "lookup"})
}
