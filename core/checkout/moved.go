package checkout

import "context"

// movedReason is why a refund was made that a buyer may ask for because the event was moved.
const movedReason = "asked for by the buyer, since the event was moved"

// movedSince tells whether an order's event was moved after it was bought, and may be given back for that.
func (s *Service) movedSince(ctx context.Context, o *Order) (bool, error) {
	if s.cfg.RefundWindow == nil {
		return false, nil
	}
	until, err := s.cfg.RefundWindow(ctx, o.Event, o.CreatedAt)
	return !until.IsZero(), err
}
