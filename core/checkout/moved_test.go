package checkout

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/ticket"
)

func TestBuyersOfAMovedEventGetEverythingBackWhateverThePolicySays(t *testing.T) {
	s := newShop(t)
	var until time.Time
	var mu sync.Mutex
	s.adjust = func(c *Config) {
		c.RefundWindow = func(context.Context, uuid.UUID, time.Time) (time.Time, error) {
			mu.Lock()
			defer mu.Unlock()
			return until, nil
		}
	}
	s.policy = RefundPolicy{KeepFee: true}
	n := s.open(true)
	ctx := context.Background()
	o := s.sold(n, buyer, floor(2))
	if _, err := n.RefundOwn(ctx, o.ID, buyer, "k", nil); !errors.Is(err, ErrRefundRefused) {
		t.Errorf("before: %v", err)
	}
	mu.Lock()
	until = time.Now().Add(time.Hour)
	mu.Unlock()
	got, err := n.RefundOwn(ctx, o.ID, buyer, "k", o.Tickets[:1])
	if err != nil || len(got.Refunds) != 1 || got.Refunds[0].Amount.Minor != 6655 || s.ticket(o.Tickets[0]).State != ticket.Voided {
		t.Fatalf("%+v, %v", got.Refunds, err)
	}
	mu.Lock()
	until = time.Time{} // it is over
	mu.Unlock()
	if again, err := n.RefundOwn(ctx, o.ID, buyer, "k", o.Tickets[:1]); err != nil || len(again.Refunds) != 1 {
		t.Errorf("asked again: %v", err)
	}
	if _, err := n.RefundOwn(ctx, o.ID, buyer, "k2", o.Tickets[1:]); !errors.Is(err, ErrRefundRefused) {
		t.Errorf("afterwards: %v", err)
	}
	s.refundState(n, got.Refunds[0].ID, RefundPaid)
	s.audit()
}
