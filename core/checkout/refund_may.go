package checkout

import (
	"context"
	"fmt"
	"time"
)

// RefundTerms are on which terms a buyer may give tickets of an order back by themselves.
type RefundTerms struct {
	KeepsFee bool      // the fee is kept
	Until    time.Time // until when, as far as the event's file says; zero: until the event begins
}

// MayRefund tells on which terms a buyer may ask for a refund (RefundOwn) of an order as it was read; nil when they may not. It looks at no
// single ticket: one that was handed on, sold or used is refused all the same.
func (s *Service) MayRefund(ctx context.Context, o *Order) (*RefundTerms, error) {
	if o.State != TicketIssued {
		return nil, nil
	}
	terms, err := s.catalog(ctx, o.Event)
	if err != nil {
		return nil, fmt.Errorf("terms of event %s: %w", o.Event, err)
	}
	if terms.Cancelled {
		return nil, nil // it comes back by itself
	}
	moved, err := s.movedSince(ctx, o, terms.StartsAt)
	switch p := terms.Refunds; {
	case err != nil:
		return nil, err
	case moved:
		return &RefundTerms{}, nil
	case !p.Buyers || !p.Until.IsZero() && !o.ServerTime.Before(p.Until):
		return nil, nil
	default:
		return &RefundTerms{KeepsFee: p.KeepFee, Until: p.Until}, nil
	}
}
