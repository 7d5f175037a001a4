package checkout

import (
	"context"
	"time"
)

// movedReason is why a refund was made that a buyer may ask for because the event was moved.
const movedReason = "asked for by the buyer, since the event was moved"

// movedSince tells whether an order's event was moved after it was bought, and may be given back for that: not once it has begun.
func (s *Service) movedSince(ctx context.Context, o *Order, begins time.Time) (bool, error) {
	if s.cfg.RefundWindow == nil || !begins.IsZero() && !o.ServerTime.Before(begins) {
		return false, nil
	}
	until, err := s.cfg.RefundWindow(ctx, o.Event, o.CreatedAt)
	return !until.IsZero(), err
}
