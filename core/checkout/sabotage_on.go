//go:build sabotage

package checkout

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/core/ticket"
)

// forgetsLate ends the attempt of a dead order whose money came all the same, and leaves the money where it is, where the rule of
// late money is switched off. What is not paid goes on to be cancelled.
func (s *Service) forgetsLate(ctx context.Context, t payment.Task, a *attempt) (bool, error) {
	if p := (&Payment{Failure: a.failure}); !payment.Sabotaged(payment.LateMoneyRule) || a.state != PaymentVoiding || p.refused() {
		return false, nil
	}
	out, err := a.provider.Lookup(ctx, a.intent)
	switch {
	case errors.Is(err, payment.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for late money: %w", err)
	case out.State != payment.Authorized && out.State != payment.Captured:
		return false, nil
	}
	return true, s.tell(ctx, t, payment.Outcome{State: payment.Voided})
}

// capturedAgain is a capture that is told twice, where nothing knows of the first time: tickets are issued for the order's lines, with
// ids of their own. The ledger ends its pending transfers once all the same, and the database has one ticket for a seat: those are
// other rules, and stay.
func (b *batch) capturedAgain(r *record, p *Payment) error {
	if p.State != PaymentCaptured || p.late() {
		return nil
	}
	if err := r.decode(); err != nil {
		return fmt.Errorf("order %s: %w", r.order.ID, err)
	}
	for i, line := range r.order.Lines {
		if line.Seat == "" {
			another := len(r.order.Lines) + i + rand.IntN(1<<20) //nolint:gosec // no secret
			b.issue = append(b.issue, ticket.Item{Event: r.order.Event, Order: r.order.ID, Item: another, Tier: line.Tier, Owner: r.order.Entrant})
		}
	}
	p.move(PaymentCaptured, p.Failure) // so that there is something to write
	return nil
}

// forget takes news of a dispute that was told before for the first: nothing is known of it, and it gets an id of its own.
func (d *dispute) forget() {
	d.known, d.counted = false, false
	d.row = Dispute{Ref: d.row.Ref, Provider: d.row.Provider, ID: uuid.New(), Order: d.row.Order, Payment: d.row.Payment, Event: d.row.Event,
		Amount: d.row.Amount, Reason: d.news.Reason, RespondBy: d.news.RespondBy}
}
