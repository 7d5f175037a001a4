package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket"
)

const (
	issueBatch   = 500 // tickets of one commit, of orders with two each: what checkout commits together
	issueWriters = 2
	naiveClients = 16
)

const sqlCountTickets = `SELECT count(*) FROM tickets WHERE event_id = $1 AND state = 'valid'`

const sqlSomeTickets = `SELECT ticket_id, code FROM tickets WHERE event_id = $1 ORDER BY ticket_id LIMIT 200`

// items are tickets of a general tier, two of each order.
func items(event uuid.UUID, n int) []ticket.Item {
	all := make([]ticket.Item, n)
	var order uuid.UUID
	for i := range all {
		if i%2 == 0 {
			order = uuid.New()
		}
		all[i] = ticket.Item{Event: event, Order: order, Item: i % 2, Tier: "floor"}
	}
	return all
}

// issue writes tickets as checkout does, many orders' in one commit, and then as a shop usually does: one transaction for a ticket.
func (b *bench) issue(ctx context.Context) error {
	ours, err := b.issueFor(ctx, issueWriters, issueBatch)
	if err != nil {
		return err
	}
	row(fmt.Sprintf("issued, signature and row, %d in a commit", issueBatch), "%10.0f a second", ours)
	naive, err := b.issueFor(ctx, naiveClients, 1)
	if err != nil {
		return err
	}
	row(fmt.Sprintf("  the same, one insert a ticket, %d clients", naiveClients), "%10.0f a second, ratio %.1f", naive, ours/naive)
	b.result.Issued = round(ours)
	return nil
}

// issueFor has writers commit batches of tickets of an event of its own, and compares the table with what was answered.
func (b *bench) issueFor(ctx context.Context, writers, batch int) (perSecond float64, err error) {
	event, s := uuid.New(), issuer()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var issued atomic.Int64
	var failed error
	var once sync.Once
	var running sync.WaitGroup
	began := time.Now()
	for range writers {
		running.Go(func() {
			for time.Since(began) < b.seconds && ctx.Err() == nil {
				due := items(event, batch)
				if err := b.d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error { return s.Issue(ctx, tx, due) }); err != nil {
					once.Do(func() { failed = err; cancel() })
					return
				}
				issued.Add(int64(batch))
			}
		})
	}
	running.Wait()
	took := time.Since(began)
	if failed != nil {
		return 0, failed
	}
	var found int64
	if err := b.d.Pool.QueryRow(ctx, sqlCountTickets, event).Scan(&found); err != nil {
		return 0, err
	}
	if found != issued.Load() || found == 0 {
		return 0, fmt.Errorf("%d tickets were issued, %d are there", issued.Load(), found)
	}
	return float64(found) / took.Seconds(), b.checkCodes(ctx, event)
}

// checkCodes verifies some of an event's codes.
func (b *bench) checkCodes(ctx context.Context, event uuid.UUID) error {
	rows, err := b.d.Pool.Query(ctx, sqlSomeTickets, event)
	if err != nil {
		return err
	}
	r := b.reader(false)
	r.Event = event
	var id uuid.UUID
	var text string
	n := 0
	if _, err := pgx.ForEachRow(rows, []any{&id, &text}, func() error {
		c, err := r.Read(text, time.Now())
		if err == nil && c.TicketID != id {
			err = fmt.Errorf("the code of ticket %s is of ticket %s", id, c.TicketID)
		}
		n++
		return err
	}); err != nil {
		return err
	}
	if n == 0 {
		return errors.New("no code was looked at")
	}
	return nil
}
