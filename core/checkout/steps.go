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

// lookThrough is how many live payments one round looks through for them.
const lookThrough = 1000

func task(kind string, order, attempt uuid.UUID) payment.Task {
	return payment.Task{ID: payment.TaskID(attempt, kind), Kind: kind, OrderID: order, PaymentID: attempt}
}

func (s *Service) handlers() map[string]payment.Handler {
	return map[string]payment.Handler{
		taskBegin:    s.begin,
		taskCapture:  s.capture,
		taskVoid:     s.void,
		taskEvidence: s.sendEvidence,
		taskDispute:  s.askDispute,
		taskApproved: s.approved,
		taskLate:     s.decideLate,
		taskRefund:   s.giveRefund,
		taskFound:    s.settledFound,

		payment.KindRecorded: s.recorded,
	}
}

// begin has the provider make the intent. An order that died meanwhile is left to its void task.
func (s *Service) begin(ctx context.Context, t payment.Task) error {
	a, err := s.attempt(ctx, t)
	if err != nil || a.state != PaymentCreated {
		return err
	}
	if denied, err := s.screenBegin(ctx, t, &a.intent); err != nil || denied {
		return err
	}
	out, err := s.beginSomewhere(ctx, t, a)
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
	a, err := s.attempt(ctx, t)
	if err != nil || a.state != PaymentAuthorized {
		return err
	}
	out, err := a.provider.Capture(ctx, a.intent)
	if errors.Is(err, payment.ErrRejected) || errors.Is(err, payment.ErrDeclined) {
		// Before seats go back on sale: is it perhaps captured, and only the answer lost?
		now, lookupErr := a.provider.Lookup(ctx, a.intent)
		if lookupErr != nil {
			return fmt.Errorf("look up a refused capture: %w", lookupErr)
		}
		if now.State != payment.Captured {
			s.log.Warn("the provider refuses to capture a payment", "order_id", t.OrderID, "error", err)
			return s.Apply(ctx, Outcome{Order: t.OrderID, Payment: t.PaymentID, Cause: CauseCaptureRefused,
				Ref: now.ProviderRef, Failure: failure(now.Failure, "capture_refused"), Actor: "outbox", Source: sourceOf(t)})
		}
		out, err = now, nil
	}
	if err != nil {
		return err
	}
	if out.Amount != a.intent.Amount {
		return fmt.Errorf("capture of order %s took %v instead of %v: %w", t.OrderID, out.Amount, a.intent.Amount, payment.ErrRejected)
	}
	return s.tellOf(ctx, t, out, true)
}

// void makes sure that a dead order takes no money.
func (s *Service) void(ctx context.Context, t payment.Task) error {
	a, err := s.attempt(ctx, t)
	if err != nil || (a.state != PaymentVoiding && a.state != PaymentCaptureFailed) {
		return err
	}
	if forgotten, err := s.forgetsLate(ctx, t, &a); forgotten || err != nil {
		return err
	}
	if done, err := s.reseat(ctx, t, &a); done || err != nil {
		return err
	}
	out, err := a.provider.Void(ctx, a.intent)
	switch {
	case errors.Is(err, payment.ErrDeclined) && out.State == payment.Captured: // it took the money before
	case errors.Is(err, payment.ErrNotFound):
		out = payment.Outcome{State: payment.Voided}
	case err != nil:
		return err
	}
	return s.tell(ctx, t, out)
}

// sourceOf names an outbox task in the audit trail.
func sourceOf(t payment.Task) string { return t.Kind + "/" + t.ID.String() }

// recorded learns of money that came in outside any provider.
func (s *Service) recorded(ctx context.Context, t payment.Task) error {
	a, err := s.attempt(ctx, t)
	if err != nil {
		return err
	}
	out, err := a.provider.Lookup(ctx, a.intent)
	if err != nil {
		return err
	}
	return s.tell(ctx, t, out)
}

// tell applies what the provider answered to a task.
func (s *Service) tell(ctx context.Context, t payment.Task, out payment.Outcome) error {
	return s.tellOf(ctx, t, out, false)
}

// tellOf is tell, for an attempt that was judged or not.
func (s *Service) tellOf(ctx context.Context, t payment.Task, out payment.Outcome, judged bool) error {
	cause, ok := causeOf(out.State)
	if !ok {
		return nil
	}
	return s.Apply(ctx, Outcome{Order: t.OrderID, Payment: t.PaymentID, Cause: cause,
		Ref: out.ProviderRef, Secret: out.ClientSecret, Failure: out.Failure, Try: out.Try, Actor: "outbox", Source: sourceOf(t),
		Card: out.Card, Risk: out.Risk, Amount: out.Amount, judged: judged})
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

// attempt is one attempt to pay on its way to its provider.
type attempt struct {
	intent   payment.Intent
	provider payment.Provider
	state    PaymentState
	want     payment.Want
	failure  string
}

// attempt reads one attempt as its provider is told about it.
func (s *Service) attempt(ctx context.Context, t payment.Task) (attempt, error) {
	a, err := alone(ctx, s.attemptReads, s.readAttempts, t)
	if err == nil {
		err = a.err
	}
	if err != nil {
		return attempt{}, err
	}
	return a.attempt, nil
}

const sqlPaymentStates = `SELECT payment_id, state FROM payments WHERE order_id = ANY($1::UUID[])`

// Webhooks applies what the provider reported. An event that is none of ours, or that says what is known already, is
// skipped; an error means that the events should be handed over again.
func (s *Service) Webhooks(ctx context.Context, events []payment.Event) error {
	ids := make([]uuid.UUID, 0, len(events))
	for _, e := range events {
		ids = append(ids, e.OrderID)
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
	if err := s.approvals(ctx, events, states); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(events))
	for i, e := range events {
		if e.Dispute != nil {
			wg.Go(func() { errs[i] = s.disputed(ctx, e) })
			continue
		}
		if e.Refund != nil {
			wg.Go(func() { errs[i] = s.refundNews(ctx, e) })
			continue
		}
		cause, ok := causeOf(e.Outcome.State)
		if s.bare(e) || !ok || !e.Relevant() || states[e.PaymentID].knows(cause) && !e.CountsAgain() {
			continue
		}
		wg.Go(func() {
			err := s.Apply(ctx, Outcome{Order: e.OrderID, Payment: e.PaymentID, Cause: cause,
				Ref: e.Outcome.ProviderRef, Secret: e.Outcome.ClientSecret, Failure: e.Outcome.Failure, Try: e.Outcome.Try, Actor: "webhook",
				Source: e.Source(), Digest: e.Digest, Card: e.Outcome.Card, Risk: e.Outcome.Risk, Amount: e.Outcome.Amount,
				judged: states[e.PaymentID] == PaymentAuthorized, again: e.CountsAgain()})
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

// Money that comes outside any provider is told by those who record it, so nobody is asked about it.
//
// Live payments are looked through in the order of their ids, so many at a time, and then from the beginning again: what
// would find the silent ones at once is an index that every step of every payment writes.
const sqlSilentPayments = `
SELECT l.order_id, l.payment_id, (l.state = 'begun' AND l.provider <> 'offline' AND l.updated_at < now() - $2::INT8 * INTERVAL '1 millisecond') AS silent
FROM (SELECT p.order_id, p.payment_id, p.state, p.provider, p.updated_at FROM payments AS p WHERE p.live AND p.order_id > $1 ORDER BY p.order_id LIMIT $3) AS l
ORDER BY l.order_id`

const sqlTouchPayments = `UPDATE payments SET updated_at = now() WHERE order_id = ANY($1::UUID[]) AND state = 'begun'`

// lookUpSilent asks the provider about payments it has said nothing of for a while: a webhook may be lost.
func (s *Service) lookUpSilent(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.LookupEvery)
	defer ticker.Stop()
	var after uuid.UUID // where the last look ended
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var err error
		if after, err = s.lookUpBatch(ctx, after); err != nil && ctx.Err() == nil {
			s.log.Warn("looking up silent payments", "error", err)
		}
	}
}

// lookUpBatch asks about the silent payments after an order, and answers where to go on.
func (s *Service) lookUpBatch(ctx context.Context, after uuid.UUID) (next uuid.UUID, err error) {
	tasks, next, err := s.silent(ctx, after)
	if err != nil || len(tasks) == 0 {
		return next, err
	}
	orders := make([]uuid.UUID, len(tasks))
	for i, t := range tasks {
		orders[i] = t.OrderID
	}
	// Touched first, so that a provider that does not answer is not asked about the same ones for ever.
	if _, err := s.db.Exec(ctx, sqlTouchPayments, orders); err != nil {
		return next, fmt.Errorf("touch silent payments: %w", err)
	}
	var errs []error
	for _, t := range tasks {
		// One that cannot be looked up must not keep the others from it.
		if err := s.lookUp(ctx, t); err != nil {
			errs = append(errs, fmt.Errorf("look up payment %s: %w", t.PaymentID, err))
		}
	}
	return next, errors.Join(errs...)
}

// silent looks through the live payments after an order for those to ask about.
func (s *Service) silent(ctx context.Context, after uuid.UUID) (tasks []payment.Task, next uuid.UUID, err error) {
	rows, err := s.db.Reader.Query(ctx, sqlSilentPayments, after, s.cfg.LookupAfter.Milliseconds(), lookThrough)
	if err != nil {
		return nil, after, fmt.Errorf("find silent payments: %w", err)
	}
	defer rows.Close()
	seen, next := 0, after
	for len(tasks) < lookupBatch && rows.Next() {
		var t payment.Task
		var silent bool
		if err := rows.Scan(&t.OrderID, &t.PaymentID, &silent); err != nil {
			return nil, after, fmt.Errorf("find silent payments: %w", err)
		}
		seen, next = seen+1, t.OrderID
		if silent {
			tasks = append(tasks, t)
		}
	}
	if seen < lookThrough && len(tasks) < lookupBatch {
		next = uuid.Nil // that was the last of them
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, after, fmt.Errorf("find silent payments: %w", err)
	}
	return tasks, next, nil
}

// lookUp asks the provider about one payment and applies what it says.
func (s *Service) lookUp(ctx context.Context, t payment.Task) error {
	a, err := s.attempt(ctx, t)
	if err != nil || a.state != PaymentBegun {
		return err
	}
	out, err := a.provider.Lookup(ctx, a.intent)
	if err != nil {
		return err
	}
	cause, ok := causeOf(out.State)
	if !ok || cause == CauseBegun {
		return nil
	}
	return s.Apply(ctx, Outcome{Order: t.OrderID, Payment: t.PaymentID, Cause: cause,
		Ref: out.ProviderRef, Secret: out.ClientSecret, Failure: out.Failure, Try: out.Try, Actor: "lookup",
		Card: out.Card, Risk: out.Risk, CardAsked: true, Amount: out.Amount})
}
