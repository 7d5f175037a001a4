package main

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/uuid"

	"fairgate/core/checkout"
	"fairgate/core/db"
	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/ticket"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

const (
	price    = 6655 // all in, of one ticket
	holdTTL  = 10 * time.Minute
	share    = 500 // holds taken in one call while preparing
	patience = 5 * time.Minute
)

// shop is one event with one tier, and what sells it.
type shop struct {
	db     *db.DB
	event  uuid.UUID
	stock  *inventory.Service
	orders *checkout.Service
}

func newShop(d *db.DB, o options) *shop {
	s := &shop{db: d, event: uuid.New()}
	terms := checkout.Terms{
		Slug: "gig", Organizer: "promoter", Currency: "EUR", PaymentExtension: 5 * time.Minute,
		Prices: map[string]checkout.Price{"floor": {Face: 5000, Fee: 500, Tax: 1155}},
	}
	key := ticket.SigningKey{No: 1, Private: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s.orders = checkout.New(checkout.Config{
		DB: d, Providers: payment.NewProviders(provider{}), Outbox: payment.NewOutbox(d, payment.OutboxConfig{Workers: 256, Claim: 512, Log: log}), Ledger: ledger.NewWriter(d.Reader),
		Catalog:  func(context.Context, uuid.UUID) (checkout.Terms, error) { return terms, nil },
		Issuer:   ticket.NewIssuer(func(context.Context, uuid.UUID) (ticket.SigningKey, error) { return key, nil }),
		MaxBatch: o.batch, MaxQueue: 2*o.callers + 1024, Log: log,
	})
	offer := inventory.Offer{
		Currency: "EUR", Limit: o.tickets, HoldTTL: holdTTL,
		Tiers: map[string]inventory.TierOffer{"floor": {Kind: inventory.General, PriceMinor: price, Allocation: "general"}},
	}
	s.stock = inventory.New(d, inventory.Config{
		Offers: func(context.Context, uuid.UUID) (inventory.Offer, error) { return offer, nil }, Log: log,
	}, s.orders.Hooks())
	return s
}

func (s *shop) close() {
	s.stock.Close()
	s.orders.Close()
}

// newBuyer is a buyer nobody was before. Real ones are HMACs, so the bytes are spread out.
func newBuyer(n int) lottery.Entrant {
	var e lottery.Entrant
	binary.BigEndian.PutUint64(e[:8], uint64(n)*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(e[8:], uint64(n))
	return e
}

// prepare takes the holds, one for each buyer.
func (s *shop) prepare(ctx context.Context, o options) ([]inventory.Hold, error) {
	n := o.orders + o.warmUp
	if _, err := s.db.Pool.Exec(ctx, `INSERT INTO stock (event_id, tier, allocation, capacity, taken, version)
		VALUES ($1, 'floor', 'general', $2, 0, 0)`, s.event, n*o.tickets); err != nil {
		return nil, err
	}
	holds := make([]inventory.Hold, 0, n)
	items := []inventory.Item{{Tier: "floor", Quantity: o.tickets}}
	requests := make([]inventory.Request, 0, share)
	for at := range n {
		requests = append(requests, inventory.Request{Event: s.event, Entrant: newBuyer(at), Key: "hold", Items: items})
		if len(requests) < share && at < n-1 {
			continue
		}
		for _, r := range s.stock.HoldBatch(ctx, requests) {
			if r.Err != nil {
				return nil, r.Err
			}
			holds = append(holds, r.Hold)
		}
		requests = requests[:0]
	}
	return holds, s.analyze(ctx)
}

// analyze has PostgreSQL count its rows, as it does by itself every minute: until then it plans for tables that are empty.
func (s *shop) analyze(ctx context.Context) error {
	if s.db.Engine != db.PostgreSQL {
		return nil
	}
	_, err := s.db.Pool.Exec(ctx, `ANALYZE`)
	return err
}

// measure opens an order on every hold.
func (s *shop) measure(ctx context.Context, holds []inventory.Hold, o options) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	got := figures{orders: o.orders, latency: hdrhistogram.New(1, time.Hour.Microseconds(), 3)}
	if o.purchases {
		var running sync.WaitGroup
		working, stop := context.WithCancel(ctx)
		running.Go(func() { _ = s.orders.Run(working) })
		defer running.Wait()
		defer stop()
	}
	if err := s.openAll(ctx, holds[:o.warmUp], o, hdrhistogram.New(1, time.Hour.Microseconds(), 3)); err != nil {
		return got, fmt.Errorf("warm up: %w", err)
	}
	if err := s.analyze(ctx); err != nil {
		return got, err
	}
	stopProfile, err := profiled(o.profile)
	if err != nil {
		return got, err
	}
	own := ownTime()
	database, counted := databaseTime(ctx, s.db)
	began := time.Now()
	if err := s.openAll(ctx, holds[o.warmUp:], o, got.latency); err != nil {
		return got, err
	}
	got.took, got.own = time.Since(began), ownTime()-own
	after, _ := databaseTime(ctx, s.db)
	got.database, got.databaseCounted = after-database, counted
	stopProfile()
	if o.purchases {
		got.latency.Reset()
		err = s.purchaseTimes(ctx, holds[o.warmUp:], got.latency)
	}
	return got, err
}

// openAll shares the holds out to the callers and returns when every order is open, or bought.
func (s *shop) openAll(ctx context.Context, holds []inventory.Hold, o options, latency *hdrhistogram.Histogram) error {
	var next atomic.Int64
	var mu sync.Mutex // guards latency and failed
	var failed error
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range min(o.callers, len(holds)) {
		running.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= len(holds) {
					return
				}
				began := time.Now()
				order, created, err := s.orders.Open(ctx, checkout.Opening{
					Hold: holds[n].ID, Event: s.event, Entrant: holds[n].Entrant, Email: "buyer@example.org", Key: "order",
				})
				if err == nil && (!created || order.Hold != holds[n].ID || order.Amount.Minor != int64(o.tickets)*price || order.Payment.ID == uuid.Nil) {
					err = fmt.Errorf("order %s (created %t) of %s does not fit hold %s", order.ID, created, order.Amount, holds[n].ID)
				}
				mu.Lock()
				if err == nil {
					err = latency.RecordValue(time.Since(began).Microseconds())
				}
				if err != nil {
					failed = errors.Join(failed, err)
					cancel()
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	running.Wait()
	if failed != nil || !o.purchases {
		return failed
	}
	for {
		states, err := s.orders.States(ctx, s.event)
		if err != nil {
			return err
		}
		all := int64(0)
		for _, n := range states {
			all += n
		}
		if states[checkout.TicketIssued] == all {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("orders are stuck: %v: %w", states, ctx.Err())
		case <-time.After(250 * time.Millisecond):
		}
	}
}

const sqlPurchaseTimes = `
SELECT o.hold_id, (extract(epoch FROM o.updated_at - o.created_at) * 1000000)::INT8
FROM orders AS o WHERE o.event_id = $1 AND o.state = 'ticket_issued'`

// purchaseTimes are the times from the order to its tickets, by the database's clock.
func (s *shop) purchaseTimes(ctx context.Context, holds []inventory.Hold, latency *hdrhistogram.Histogram) error {
	measured := make(map[uuid.UUID]bool, len(holds))
	for _, h := range holds {
		measured[h.ID] = true
	}
	rows, err := s.db.Reader.Query(ctx, sqlPurchaseTimes, s.event)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var hold uuid.UUID
		var micros int64
		if err := rows.Scan(&hold, &micros); err != nil {
			return err
		}
		if measured[hold] {
			if err := latency.RecordValue(max(micros, 1)); err != nil {
				return err
			}
		}
	}
	return rows.Err()
}

const sqlCheck = `
SELECT (SELECT count(*) FROM orders WHERE event_id = $1),
    (SELECT count(*) FROM orders AS o JOIN payments AS p ON p.order_id = o.order_id AND p.attempt = 1 AND p.amount_minor = o.amount_minor
        WHERE o.event_id = $1),
    (SELECT count(*) FROM orders AS o JOIN order_events AS e ON e.order_id = o.order_id AND e.seq = 0 AND e.cause = 'opened' WHERE o.event_id = $1),
    (SELECT count(*) FROM orders AS o JOIN outbox AS t ON t.order_id = o.order_id AND t.kind = 'begin' WHERE o.event_id = $1),
    (SELECT count(*) FROM orders AS o JOIN holds AS h ON h.hold_id = o.hold_id AND h.entrant = o.entrant AND h.deadline > o.created_at
        AND h.state IN ('active', 'sold') WHERE o.event_id = $1),
    (SELECT sum(o.events)::INT8 - (SELECT count(*) FROM order_events AS e JOIN orders AS w ON w.order_id = e.order_id WHERE w.event_id = $1)
        FROM orders AS o WHERE o.event_id = $1),
    (SELECT count(*) FROM tickets WHERE event_id = $1 AND state = 'valid')`

// check counts what every order must have, and with purchases the books as well.
func (s *shop) check(ctx context.Context, o options) error {
	var n, payments, opened, tasks, holds, missing, tickets int64
	if err := s.db.Reader.QueryRow(ctx, sqlCheck, s.event).Scan(&n, &payments, &opened, &tasks, &holds, &missing, &tickets); err != nil {
		return err
	}
	want := int64(o.orders + o.warmUp)
	if !slices.Equal([]int64{n, payments, opened, tasks, holds, missing}, []int64{want, want, want, want, want, 0}) {
		return fmt.Errorf("%d orders instead of %d; %d of them with their payment, %d with their opening, %d with their task, %d with their hold; %d happenings missing",
			n, want, payments, opened, tasks, holds, missing)
	}
	if !o.purchases {
		return nil
	}
	if tickets != want*int64(o.tickets) {
		return fmt.Errorf("%d tickets for %d orders of %d", tickets, want, o.tickets)
	}
	report, err := ledger.Verify(ctx, s.db.Reader)
	if err != nil {
		return err
	}
	if !report.OK {
		return fmt.Errorf("the ledger does not verify: %+v", report.Checks)
	}
	return nil
}

// provider is a payment provider whose buyers have paid by the time it answers.
type provider struct{}

func (provider) Name() string { return "stripe" }

func (provider) outcome(i payment.Intent, state payment.OutcomeState) (payment.Outcome, error) {
	return payment.Outcome{State: state, ProviderRef: "pi_" + i.PaymentID.String(), ClientSecret: "secret_" + i.PaymentID.String(), Amount: i.Amount}, nil
}

func (p provider) Begin(_ context.Context, i payment.Intent) (payment.Outcome, error) {
	return p.outcome(i, payment.Authorized)
}

func (p provider) Lookup(_ context.Context, i payment.Intent) (payment.Outcome, error) {
	return p.outcome(i, payment.Authorized)
}

func (p provider) Capture(_ context.Context, i payment.Intent) (payment.Outcome, error) {
	return p.outcome(i, payment.Captured)
}

func (p provider) Void(_ context.Context, i payment.Intent) (payment.Outcome, error) {
	return p.outcome(i, payment.Voided)
}
