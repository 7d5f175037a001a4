package checkout

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// What the catalog says of an event may be some seconds old. Of a cancelled one nothing is to be ordered or paid from the moment on that it
// is cancelled, so the event's row decides: in the transaction that opens an order or another try, and when there is nothing to write, before
// a buyer is sent to pay. Whoever was just before is found by the run that gives everything back (refund_run.go), and money that comes
// all the same is refunded by it too.

const sqlCancelledAmong = `SELECT event_id FROM events WHERE event_id = ANY($1::UUID[]) AND state = 'cancelled'`

// maxOff bounds how many cancelled events are remembered; a core that has forgotten one finds it again.
const maxOff = 10_000

// off are events that were found cancelled, which never ends. The zero value is ready for use by many goroutines.
type off struct {
	mu     sync.Mutex
	events map[uuid.UUID]struct{}
}

func (o *off) has(event uuid.UUID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.events[event]
	return ok
}

func (o *off) add(events []uuid.UUID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.events == nil || len(o.events) >= maxOff {
		o.events = make(map[uuid.UUID]struct{})
	}
	for _, id := range events {
		o.events[id] = struct{}{}
	}
}

// querier is the reading half of a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// cancelled tells whether one of some events is cancelled, and remembers which.
func (s *Service) cancelled(ctx context.Context, q querier, events []uuid.UUID) (bool, error) {
	rows, err := q.Query(ctx, sqlCancelledAmong, events)
	if err != nil {
		return false, fmt.Errorf("ask whether events are cancelled: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return false, fmt.Errorf("ask whether events are cancelled: %w", err)
	}
	if len(found) > 0 {
		s.off.add(found)
	}
	return len(found) > 0, nil
}

// stillOn refuses, in the batch's transaction, to open an order of an event that is cancelled, or another try at one; then the batch is
// decided again, and the event is known to be.
func (b *batch) stillOn(ctx context.Context, tx pgx.Tx) error {
	events := b.opens()
	if len(events) == 0 {
		return nil
	}
	over, err := b.service.cancelled(ctx, tx, events)
	if err == nil && over {
		err = fmt.Errorf("an event is cancelled: %w", errOutdated)
	}
	return err
}

// opens are the events of which the batch opens orders or tries.
func (b *batch) opens() []uuid.UUID {
	var events []uuid.UUID
	for i := range b.asks {
		var r *record
		switch a := &b.asks[i]; {
		case a.opening != nil && b.answers[i].created:
			r = b.records[OrderID(a.opening.Hold)]
		case a.retry != nil && b.answers[i].err == nil:
			r = b.records[a.retry.order]
		}
		if r != nil {
			events = append(events, r.order.Event)
		}
	}
	return once(events)
}

// unpaid refuses to have an order paid whose event is cancelled. One that is paid or over is told apart from that by its state.
func (s *Service) unpaid(ctx context.Context, o *Order) error {
	if o.State != PaymentPending && o.State != PaymentFailed {
		return nil
	}
	over := s.off.has(o.Event)
	if !over {
		err := s.db.Reading(ctx, func() (err error) {
			over, err = s.cancelled(ctx, s.db.Reader, []uuid.UUID{o.Event})
			return err
		})
		if err != nil {
			return err
		}
	}
	if over {
		return ErrEventCancelled
	}
	return nil
}
