package checkout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/ledger"
)

// payable says what provider an opening wants, or ErrMethod: a method must be one that somebody takes and the event allows.
// Who names none gets any of the first one's providers.
func (s *Service) payable(terms *Terms, amount ledger.Amount, method string, now time.Time) (payment.Want, error) {
	want := terms.want(amount, method)
	if method == "" && len(terms.Methods) == 0 {
		return want, nil
	}
	offered := s.methodsAt(*terms, now)
	if method == "" {
		if len(offered) == 0 {
			return want, fmt.Errorf("%w: no method of the event is taken by a provider", ErrMethod)
		}
		want.Method = offered[0]
		return want, nil
	}
	for _, m := range offered {
		if m == method {
			return want, nil
		}
	}
	return want, fmt.Errorf("%w: %q", ErrMethod, method)
}

// minTransfer is how long before an event starts bank transfers are taken at the latest: banks settle within a working day.
const minTransfer = 24 * time.Hour

// transferable tells whether there is time for a bank transfer before the event.
func (t *Terms) transferable(now time.Time) bool {
	return t.StartsAt.IsZero() || t.StartsAt.Sub(now) >= minTransfer
}

// keeping is how far a payment by a method may push its hold's deadline. A bank takes days: as many as the event gives it, but no longer
// than it sells, since what comes free afterwards nobody can buy. A working day it has in any case, and never longer than until the start.
// A zero saleEnds is an end that nobody knows.
func (t *Terms) keeping(hold uuid.UUID, method string, now, saleEnds time.Time) inventory.Keeping {
	if within := t.TransferWithin; method == payment.MethodBankTransfer && within > 0 {
		if !saleEnds.IsZero() {
			within = min(within, max(saleEnds.Sub(now), minTransfer))
		}
		if !t.StartsAt.IsZero() {
			within = max(min(within, t.StartsAt.Sub(now)), time.Minute)
		}
		return inventory.Keeping{Hold: hold, For: within, Most: within}
	}
	return inventory.Keeping{Hold: hold, For: t.PaymentExtension}
}

// saleEnds is when an event stops selling, asked only where it matters.
func (s *Service) saleEnds(ctx context.Context, t *Terms, method string) time.Time {
	if s.cfg.SaleEnds == nil || method != payment.MethodBankTransfer {
		return time.Time{}
	}
	return s.cfg.SaleEnds(ctx, t.Slug)
}

// maxReroutes is how many other providers one run tries to begin a payment at.
const maxReroutes = 3

// beginSomewhere has the payment's provider begin it, or another one of its route while nobody was called yet: the breaker
// of the first is open, and no run of the task before can have called it.
//
// What if …
//
//   - the process dies after it has noted the other provider: the next run begins it there.
//   - it dies after a call: the next run is not the first, and stays with the provider that was called.
//   - its lease ends meanwhile and another core runs the task: that run has claimed the task, so payment.NeverRun answers
//     false here, or it claims it after the commit and reads the new provider. Neither begins it at the old one.
func (s *Service) beginSomewhere(ctx context.Context, t payment.Task, a attempt) (payment.Outcome, error) {
	for range maxReroutes {
		out, err := a.provider.Begin(ctx, a.intent)
		if !errors.Is(err, payment.ErrUnavailable) || t.Attempt != 1 {
			return out, err
		}
		to, ok := s.providers.FailOver(a.want, a.provider.Name())
		if !ok {
			return out, err
		}
		moved, failed := s.reroute(ctx, t, a.provider.Name(), to)
		if failed != nil {
			return out, failed
		}
		if !moved {
			return out, err
		}
		if a.provider, failed = s.providers.Of(to); failed != nil {
			return out, failed
		}
	}
	return a.provider.Begin(ctx, a.intent)
}

const sqlReroute = `UPDATE payments SET provider = $4, updated_at = now()
WHERE order_id = $1 AND payment_id = $2 AND provider = $3 AND state = 'created' AND provider_ref = ''`

// errStays undoes a transaction that was about to give a payment to another provider.
var errStays = errors.New("checkout: the payment has moved on")

// reroute gives a payment that was never sent to its provider to another one, in one transaction and before the other is
// called. False means that it must stay: somebody else runs the task, or the payment has moved on.
func (s *Service) reroute(ctx context.Context, t payment.Task, from, to string) (moved bool, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		moved = false
		records, err := loadRecords(ctx, tx, []uuid.UUID{t.OrderID})
		if err != nil {
			return err
		}
		r := records[t.OrderID]
		if r == nil || r.order.State != PaymentPending {
			return nil
		}
		never, err := s.outbox.NeverRun(ctx, tx, t, "rerouted: "+to)
		if err != nil || !never {
			return err
		}
		tag, err := tx.Exec(ctx, sqlReroute, t.OrderID, t.PaymentID, from, to)
		if err != nil {
			return fmt.Errorf("give payment %s to another provider: %w", t.PaymentID, err)
		}
		if tag.RowsAffected() != 1 {
			return errStays
		}
		if err := r.apply(CauseRerouted, "outbox", from+" is down: "+to); err != nil {
			return err
		}
		moved = true
		return s.flush(ctx, tx, records)
	})
	if errors.Is(err, errStays) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if moved {
		s.metrics.applied(CauseRerouted)
		s.log.Warn("a payment goes to another provider", "order_id", t.OrderID, "from", from, "to", to)
	}
	return moved, nil
}
