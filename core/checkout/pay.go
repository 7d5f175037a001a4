package checkout

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/edge/lottery"
)

// beginWait is how long Pay waits for the provider to make the intent before it answers without one.
const beginWait = 3 * time.Second

// beginLook is when it looks first for what another process may have heard; the more it looked, the longer it waits.
const beginLook = 300 * time.Millisecond

// maxAttempts is how many intents one order may have. A declined card does not use one up; only an intent that died does.
const maxAttempts = 5

// Pay readies an order for its buyer to pay: it waits a moment for the live attempt to be begun, takes a declined order
// back to pending, and opens another attempt when the last one is dead. It may be called any number of times.
// Errors: ErrOrderUnknown, ErrEventCancelled, ErrHoldExpired, ErrHoldClosed, ErrTransition (paid, or over).
func (s *Service) Pay(ctx context.Context, id uuid.UUID, entrant lottery.Entrant) (Order, error) {
	order, news, err := s.loadJoined(ctx, id, entrant)
	if err != nil {
		return Order{}, err
	}
	if err := s.unpaid(ctx, &order); err != nil {
		s.waiting.leave(id, news)
		return Order{}, err
	}
	if order.State == PaymentPending { // the usual case: there is nothing to write
		if news == nil {
			return order, nil
		}
		return s.awaitBegun(ctx, order, entrant, news)
	}
	s.waiting.leave(id, news)
	switch order.State {
	case PaymentFailed:
		answer, err := s.lane.Do(ctx, ask{retry: &retry{order: id, entrant: entrant}})
		if err == nil {
			err = answer.err
		}
		if err != nil {
			return Order{}, err
		}
	case Expired:
		return Order{}, ErrHoldExpired
	default:
		_, err := Next(order.State, CauseRetried)
		return Order{}, err
	}
	return s.awaitBegun(ctx, order, entrant, nil)
}

// retry asks for another try at an order whose payment failed.
type retry struct {
	order   uuid.UUID
	entrant lottery.Entrant
}

// again makes sure that failed orders are pending with a live attempt. Each answer's error is a buyer's outcome.
func (b *batch) again(ctx context.Context) error {
	for i := range b.asks {
		if ask := b.asks[i].retry; ask != nil {
			b.answers[i].err = b.againOne(ctx, ask)
		}
	}
	return nil
}

func (b *batch) againOne(ctx context.Context, ask *retry) error {
	r := b.records[ask.order]
	if r == nil || r.order.Entrant != ask.entrant {
		return ErrOrderUnknown
	}
	if r.order.State == PaymentPending {
		return nil // somebody asked before
	}
	terms, err := b.termsOf(ctx, r.order.Event)
	if err != nil {
		return err
	}
	if terms.Cancelled {
		return ErrEventCancelled
	}
	if err := holdOpen(b.holds[r.order.Hold]); err != nil {
		return err
	}
	if r.live() == nil && len(r.payments) >= maxAttempts {
		return fmt.Errorf("%w: %d attempts to pay have died", ErrTransition, len(r.payments))
	}
	live := r.live()
	var provider, method string
	if live == nil {
		if n := len(r.payments); n > 0 {
			method = r.payments[n-1].Method
		}
		// The attempts before are dead, so any provider may have the next one.
		if provider, err = b.service.providers.Route(terms.want(r.order.Amount, method)); err != nil {
			return err
		}
	}
	if err := r.apply(CauseRetried, "buyer", ""); err != nil {
		return err
	}
	b.keep = append(b.keep, inventory.Keeping{Hold: r.order.Hold})
	if live != nil {
		// A declined intent lives on at the provider and takes another card: no second one, so no second charge.
		live.move(live.State, "")
		return nil
	}
	p := r.attempt(provider, method)
	b.tasks = append(b.tasks, task(taskBegin, r.order.ID, p.ID))
	return nil
}

// awaitBegun waits for the provider to make the intent. Mostly it is this process that hears of it; what another one does is
// looked for now and then. news is what was joined before the order was found without its intent, nil when nobody has looked.
func (s *Service) awaitBegun(ctx context.Context, order Order, entrant lottery.Entrant, news *waiters) (Order, error) {
	var err error
	id, give := order.ID, time.Now().Add(beginWait)
	for look := beginLook; ; look *= 2 {
		if news != nil {
			if now, known, err := s.waiting.await(ctx, order, news, look); known || err != nil {
				return now, err
			}
		}
		order, news, err = s.loadJoined(ctx, id, entrant)
		if news == nil || time.Now().After(give) {
			s.waiting.leave(id, news)
			return order, err
		}
	}
}

// loadJoined is Load; news is not nil while the order's intent is still to be made, and the caller leaves.
func (s *Service) loadJoined(ctx context.Context, id uuid.UUID, entrant lottery.Entrant) (Order, *waiters, error) {
	news := s.waiting.join(id) // first, so that nothing happens in between
	order, err := s.Load(ctx, id, entrant)
	if err != nil || order.Payment.State != PaymentCreated {
		s.waiting.leave(id, news)
		return order, nil, err
	}
	return order, news, nil
}
