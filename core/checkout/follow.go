package checkout

import (
	"context"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

// MostFollowed is how long Follow waits at most.
const MostFollowed = 3 * time.Second

// followLook is when Follow looks first for what another process may have done; the more it looked, the longer it waits.
const followLook = 1500 * time.Millisecond

// Follow is Load for a buyer who has just paid: it answers when the order has its tickets, when it has ended otherwise, when its
// payment has failed, or after wait, whichever is first. Whoever asks after that, or while the payment has a failure that they may
// know of, is answered at once. Mostly it is this process that moves the order, and then nobody polls for it.
// Errors: ErrOrderUnknown, and that of ctx.
func (s *Service) Follow(ctx context.Context, id uuid.UUID, entrant lottery.Entrant, wait time.Duration) (Order, error) {
	give := time.Now().Add(min(wait, MostFollowed))
	for look := followLook; ; look *= 2 {
		news := s.following.join(id) // first, so that nothing happens in between
		order, err := s.Load(ctx, id, entrant)
		left := time.Until(give)
		if err != nil || left <= 0 || !underWay(order.State, &order.Payment) {
			s.following.leave(id, news)
			return order, err
		}
		if now, known, err := s.following.await(ctx, order, news, min(look, left)); known || err != nil {
			return now, err
		}
	}
}

// underWay tells whether an order with this latest attempt is being paid, with nothing to tell its buyer yet.
func underWay(state State, p *Payment) bool {
	return (state == PaymentPending || state == PaymentComplete) && p.Failure == "" && p.State != PaymentVoiding && p.State != PaymentVoided
}

// tellFollowers wakes those who follow the orders that this batch has brought to a point.
func (b *batch) tellFollowers() {
	for id, r := range b.records {
		if n := len(r.payments); n > 0 && r.dirty() && !underWay(r.order.State, &r.payments[n-1]) {
			b.service.following.wake(id, r.tidings)
		}
	}
}
