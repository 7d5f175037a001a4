package checkout

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/edge/lottery"
)

// beginWait is how long Pay waits for the provider to make the intent before it answers without one.
const beginWait = 3 * time.Second

// Pay readies an order for its buyer to pay: it waits a moment for the live attempt to be begun, takes a declined order
// back to pending, and opens another attempt when the last one is dead. It may be called any number of times.
// Errors: ErrOrderUnknown, ErrHoldExpired, ErrHoldClosed, ErrTransition (paid, or over).
func (s *Service) Pay(ctx context.Context, id uuid.UUID, entrant lottery.Entrant) (Order, error) {
	order, err := s.Load(ctx, id, entrant)
	if err != nil || order.State == PaymentPending && order.Payment.State != PaymentCreated {
		return order, err // nothing to write: the usual case
	}
	var started bool
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		started, err = s.retry(ctx, tx, id, entrant)
		return err
	})
	if err != nil {
		return Order{}, err
	}
	if started {
		s.outbox.Wake()
	}
	return s.awaitBegun(ctx, id, entrant)
}

// retry makes sure that an unpaid order is pending with a live attempt.
func (s *Service) retry(ctx context.Context, tx pgx.Tx, id uuid.UUID, entrant lottery.Entrant) (started bool, err error) {
	records, err := loadRecords(ctx, tx, []uuid.UUID{id})
	if err != nil {
		return false, err
	}
	r := records[id]
	if r == nil || r.order.Entrant != entrant {
		return false, ErrOrderUnknown
	}
	switch r.order.State {
	case PaymentPending:
		return false, nil
	case PaymentFailed:
	case Expired:
		return false, ErrHoldExpired
	default:
		_, err := Next(r.order.State, CauseRetried)
		return false, err
	}
	holds, err := inventory.Read(ctx, tx, []uuid.UUID{r.order.Hold})
	if err != nil {
		return false, err
	}
	if err := holdOpen(holds[r.order.Hold]); err != nil {
		return false, err
	}
	if err := r.apply(CauseRetried, "buyer", ""); err != nil {
		return false, err
	}
	if p := r.live(); p != nil {
		// A declined intent lives on at the provider and takes another card: no second one, so no second charge.
		p.Failure = ""
		r.touch(p)
		return false, flush(ctx, tx, records)
	}
	p := s.attempt(r)
	if err := flush(ctx, tx, records); err != nil {
		return false, err
	}
	return true, s.outbox.Enqueue(ctx, tx, []payment.Task{task(taskBegin, id, p.ID)})
}

func (s *Service) awaitBegun(ctx context.Context, id uuid.UUID, entrant lottery.Entrant) (Order, error) {
	give := time.Now().Add(beginWait)
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		order, err := s.Load(ctx, id, entrant)
		if err != nil || order.Payment.State != PaymentCreated || time.Now().After(give) {
			return order, err
		}
		select {
		case <-ctx.Done():
			return Order{}, ctx.Err()
		case <-time.After(wait):
		}
	}
}
