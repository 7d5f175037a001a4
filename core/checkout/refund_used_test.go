package checkout

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/ticket"
)

func TestABuyerDoesNotRefundATicketThatHasBeenScannedInAndAnOperatorDoes(t *testing.T) {
	s := newShop(t)
	s.policy = RefundPolicy{Buyers: true}
	n := s.open(true)
	ctx := context.Background()
	o := s.sold(n, buyer, floor(2))
	s.exec(`INSERT INTO entries (ticket_id, zone, event_id, ins, outs, inside, first_id, first_gate, first_at, last_id, last_gate, last_at)
		VALUES ($1, '', $2, 1, 1, false, $1, 'north', now(), $1, 'north', now())`, o.Tickets[0], s.event)
	for name, tickets := range map[string][]uuid.UUID{"all": nil, "that one": o.Tickets[:1]} {
		if _, err := n.RefundOwn(ctx, o.ID, buyer, name, tickets); !errors.Is(err, ErrRefundEntered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.count(`SELECT count(*) FROM refunds`) != 0 || s.ticket(o.Tickets[0]).State != ticket.Valid {
		t.Error("something was given back")
	}
	got, err := n.RefundOwn(ctx, o.ID, buyer, "the other", o.Tickets[1:])
	if err != nil || len(got.Refunds) != 1 {
		t.Fatalf("the other one: %+v, %v", got.Refunds, err)
	}
	s.refundState(n, got.Refunds[0].ID, RefundPaid)
	f, err := n.Refund(ctx, RefundRequest{Order: o.ID, Key: "k", Reason: "the show was broken off", Actor: "operator"})
	if err != nil {
		t.Fatalf("by an operator: %v", err)
	}
	s.refundState(n, f.ID, RefundPaid)
	s.audit()
}

func TestAMovedEventIsNotGivenBackOnceItHasBegun(t *testing.T) {
	s := newShop(t)
	var begins atomic.Int64
	begins.Store(time.Now().Add(time.Hour).Unix())
	s.adjust = func(c *Config) {
		c.RefundWindow = func(context.Context, uuid.UUID, time.Time) (time.Time, error) {
			return time.Now().Add(24 * time.Hour), nil
		}
		catalog := c.Catalog
		c.Catalog = func(ctx context.Context, id uuid.UUID) (Terms, error) {
			terms, err := catalog(ctx, id)
			terms.StartsAt = time.Unix(begins.Load(), 0)
			return terms, err
		}
	}
	n := s.open(true)
	ctx := context.Background()
	o := s.sold(n, buyer, floor(2))
	if _, err := n.RefundOwn(ctx, o.ID, buyer, "before", o.Tickets[:1]); err != nil {
		t.Errorf("before it begins: %v", err)
	}
	begins.Store(time.Now().Add(-time.Minute).Unix())
	if _, err := n.RefundOwn(ctx, o.ID, buyer, "after", o.Tickets[1:]); !errors.Is(err, ErrRefundRefused) {
		t.Errorf("after it has begun: %v", err)
	}
}
