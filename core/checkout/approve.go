package checkout

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
)

// taskApproved has a provider reserve the money of a payment that the buyer has approved on the provider's own page.
const taskApproved = "approved"

// approvals puts what buyers have approved into the outbox, one task for each webhook that says so: a buyer whose first way
// to pay was declined approves again. A webhook that is lost is made up for by looking up silent payments.
func (s *Service) approvals(ctx context.Context, events []payment.Event, states map[uuid.UUID]PaymentState) error {
	var tasks []payment.Task
	for _, e := range events {
		if state := states[e.PaymentID]; e.Outcome.State == payment.Approved && (state == PaymentCreated || state == PaymentBegun) {
			t := task(taskApproved, e.OrderID, e.PaymentID)
			t.ID = uuid.NewSHA1(e.PaymentID, []byte("task/"+taskApproved+"/"+e.Provider+"/"+e.ID))
			tasks = append(tasks, t)
		}
	}
	if len(tasks) == 0 {
		return nil
	}
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error { return s.outbox.Enqueue(ctx, tx, tasks) })
	if err != nil {
		return fmt.Errorf("enqueue %d approvals: %w", len(tasks), err)
	}
	s.outbox.Wake()
	return nil
}

// approved looks the payment up, which reserves its money. One that is not waiting for its buyer any more is left alone.
func (s *Service) approved(ctx context.Context, t payment.Task) error { return s.lookUp(ctx, t) }
