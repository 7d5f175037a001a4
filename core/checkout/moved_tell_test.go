package checkout

import (
	"context"
	"sync"
	"testing"
	"time"

	"fairgate/edge/lottery"
)

// moves writes that the shop's event was moved.
func (s *shop) moves(revision int) {
	s.exec(`INSERT INTO event_changes (event_id, revision, name, time_zone, was_starts, starts_at, was_venue, venue, changed_at, refund_until, after_at, after_order, told_at)
		VALUES ($1, $2, 'Gig', 'UTC', now(), now() + INTERVAL '1 day', 'Club, Graz', 'Hall, Graz', now(), now() + INTERVAL '14 days', '0001-01-01T00:00:00Z', '00000000-0000-0000-0000-000000000000', NULL)`, s.event, revision)
}

// exists makes the row of the shop's event, which checkout does not need else.
func (s *shop) exists(state string) {
	s.exec(`INSERT INTO events (event_id, slug, name, state, organizer, currency, time_zone, starts_at, spec, spec_hash, revision, pseudonym_key)
		VALUES ($1, 'gig', 'Gig', $2, '', 'EUR', 'UTC', now(), '', $3, 1, $3)`, s.event, state, []byte{})
}

func (s *shop) mails() int64 {
	return s.count(`SELECT count(*) FROM mails WHERE kind = 'event_changed'`)
}

func TestEveryBuyerOfAMovedEventIsToldOnceWhoeverTells(t *testing.T) {
	s := newShop(t)
	n, other := s.open(true), s.open(false)
	s.exists("active")
	ctx := context.Background()
	bought := s.sold(n, buyer, floor(1))
	back := s.sold(n, lottery.Entrant{2}, floor(1))
	if _, err := n.Refund(ctx, RefundRequest{Order: back.ID, Key: "r", Reason: "ill", Actor: "operator:ann"}); err != nil {
		t.Fatal(err)
	}
	// A stadium of orders, of which this test needs no more than the rows.
	s.exec(`INSERT INTO orders (order_id, event_id, hold_id, entrant, state, amount_minor, currency, lines, email, body_hash, key_id, events, head, address, created_at, updated_at)
		SELECT gen_random_uuid(), event_id, gen_random_uuid(), entrant, 'ticket_issued', 1, 'EUR', '[{}]', CASE WHEN k.n = 7 THEN 'no address' ELSE 'b' || k.n::TEXT || '@example.org' END, body_hash, gen_random_uuid(), 1, head, address,
			created_at - k.n * INTERVAL '1 second', updated_at
		FROM orders, generate_series(1, 250) AS k (n) WHERE order_id = $1`, bought.ID)
	s.moves(2)
	if told, err := n.tellAll(ctx, time.Hour); err != nil || told != 0 || s.mails() != 0 {
		t.Errorf("at once: %d, %v", told, err)
	}
	for pages := 1; s.count(`SELECT count(*) FROM event_changes WHERE told_at IS NULL`) > 0; pages++ {
		var wg sync.WaitGroup
		for _, core := range []*node{n, other} {
			wg.Go(func() {
				if _, err := core.tellAll(ctx, 0); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if most := int64(2 * pages * tellPage); s.mails() > most || pages > 10 {
			t.Fatalf("%d mails after %d pages of both", s.mails(), pages)
		}
	}
	if got := s.mails(); got != 250 { // 249 with an address, and who still has a ticket
		t.Errorf("%d mails", got)
	}
	if to := s.count(`SELECT count(*) FROM mails WHERE kind = 'event_changed' AND subject_id = $1`, bought.ID); to != 1 {
		t.Errorf("%d mails to one order", to)
	}
	if told, err := n.tellAll(ctx, 0); err != nil || told != 0 {
		t.Errorf("again: %d, %v", told, err)
	}
}

func TestALaterChangeOrACancellationTakesTheMailsPlace(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	s.exists("active")
	s.sold(n, buyer, floor(1))
	s.moves(2)
	s.moves(3)
	if told, err := n.tellAll(context.Background(), 0); err != nil || told != 2 || s.mails() != 1 {
		t.Errorf("%d changes told, %d mails, %v", told, s.mails(), err)
	}
	s.moves(4)
	s.exec(`UPDATE events SET state = 'cancelled'`)
	if told, err := n.tellAll(context.Background(), 0); err != nil || told != 1 || s.mails() != 1 {
		t.Errorf("%d changes told, %d mails, %v", told, s.mails(), err)
	}
}

func TestWalletsAreToldThatAnEventWasMoved(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	s.exists("active")
	bought := s.sold(n, buyer, floor(1))
	s.exec(`INSERT INTO wallet_passes (ticket_id, owner, wallet, name_epoch, order_id, version, changed_at, due_at, attempts, last_error, saved_at)
		SELECT ticket_id, owner, 'apple', epoch, order_id, 0, now(), NULL, 0, '', now() FROM tickets WHERE order_id = $1`, bought.ID)
	due := func() int64 {
		return s.count(`SELECT count(*) FROM wallet_passes WHERE due_at IS NOT NULL AND version = 1`)
	}
	if due() != 0 {
		t.Error("something is due before")
	}
	s.moves(2)
	if _, err := n.tellAll(context.Background(), 0); err != nil || due() != 1 {
		t.Errorf("%d passes are to be told, %v", due(), err)
	}
}
