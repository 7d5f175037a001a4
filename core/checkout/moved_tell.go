package checkout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/notify"
	"fairgate/core/ticket"
)

// An event that is moved to another time or venue keeps its tickets valid. Everybody who had bought before is told by mail, once for each
// change, and may give the tickets back while that is offered (RefundOwn); who was handed a ticket is told as well (holders.go), and so are the wallets of whoever
// has a ticket in one. Telling is
// a run over the event's orders in pages. Each page is one transaction that queues its mails and moves the cursor, so a core that dies
// leaves a page done or not begun, and several at once take turns. A later change, or that the event is cancelled, ends the run: there is
// something else to be told then.

const (
	// tellPage is how many orders one transaction goes through.
	tellPage = 100
	// tellEvery is the pause between two pages, so that telling a stadium leaves the database to those who buy.
	tellEvery = time.Second
	// tellAfter is how long after a change its run begins: orders that were being written then have been by that time.
	tellAfter = 30 * time.Second
	// boughtUnseen is how long after a change somebody may have bought what they saw before it.
	boughtUnseen = 10 * time.Second
)

const sqlUntold = `
SELECT event_id, revision FROM event_changes WHERE told_at IS NULL AND changed_at <= now() - $1::INTERVAL ORDER BY changed_at LIMIT 20`

const sqlUntoldForUpdate = `
SELECT c.was_starts, c.was_venue, c.changed_at, c.refund_until, c.after_at, c.after_order,
    e.state = 'cancelled' OR EXISTS (SELECT 1 FROM event_changes AS n WHERE n.event_id = c.event_id AND n.revision > c.revision)
FROM event_changes AS c
JOIN events AS e ON e.event_id = c.event_id
WHERE c.event_id = $1 AND c.revision = $2 AND c.told_at IS NULL
FOR UPDATE OF c`

// Whoever is paying is told as well as who has tickets.
const sqlToBeTold = `
SELECT order_id, created_at, email, language,
    state NOT IN ('payment_failed', 'capture_failed', 'expired', 'cancelled', 'refund_pending', 'refunded', 'refund_failed', 'disputed', 'dispute_lost')
FROM orders
WHERE event_id = $1 AND (created_at, order_id) > ($2::TIMESTAMPTZ, $3::UUID) AND created_at <= $4::TIMESTAMPTZ
ORDER BY created_at, order_id
LIMIT $5`

const sqlMoveTelling = `
UPDATE event_changes SET after_at = $3, after_order = $4, told_at = CASE WHEN $5::BOOL THEN now() ELSE NULL END
WHERE event_id = $1 AND revision = $2 AND told_at IS NULL`

// tellMoved tells buyers of moved events until ctx ends.
func (s *Service) tellMoved(ctx context.Context) {
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	for {
		if _, err := s.tellAll(ctx, tellAfter); err != nil && ctx.Err() == nil {
			s.log.Warn("tell the buyers of moved events", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// untold is a change of which not everybody is told.
type untold struct {
	event    uuid.UUID
	revision int64
}

// tellAll does one page of every change that was made so long ago, and tells how many it was.
func (s *Service) tellAll(ctx context.Context, after time.Duration) (int, error) {
	rows, err := s.db.Reader.Query(ctx, sqlUntold, after)
	if err != nil {
		return 0, fmt.Errorf("look for moved events: %w", err)
	}
	changes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (u untold, err error) { return u, row.Scan(&u.event, &u.revision) })
	if err != nil {
		return 0, fmt.Errorf("look for moved events: %w", err)
	}
	var errs []error
	for _, u := range changes {
		if err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error { return u.page(ctx, tx) }); err != nil {
			errs = append(errs, fmt.Errorf("event %s: %w", u.event, err))
		}
	}
	return len(changes), errors.Join(errs...)
}

// page queues the mails of the next page of orders and moves the cursor behind them.
func (u untold) page(ctx context.Context, tx pgx.Tx) error {
	var wasStarts, changed, refundUntil, afterAt time.Time
	var wasVenue string
	var afterOrder uuid.UUID
	var moot bool
	err := tx.QueryRow(ctx, sqlUntoldForUpdate, u.event, u.revision).Scan(&wasStarts, &wasVenue, &changed, &refundUntil, &afterAt, &afterOrder, &moot)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // another core was quicker
	}
	if err != nil {
		return fmt.Errorf("read the change: %w", err)
	}
	var messages []notify.Message
	orders := 0
	if !moot {
		rows, err := tx.Query(ctx, sqlToBeTold, u.event, afterAt, afterOrder, changed.Add(boughtUnseen), tellPage)
		if err != nil {
			return fmt.Errorf("read orders: %w", err)
		}
		data := map[string]string{"event": u.event.String(), "was_starts": wasStarts.UTC().Format(time.RFC3339), "was_venue": wasVenue, "refund_until": refundUntil.UTC().Format(time.RFC3339)}
		var email, language string
		var live bool
		var told, all []uuid.UUID
		if _, err := pgx.ForEachRow(rows, []any{&afterOrder, &afterAt, &email, &language, &live}, func() error {
			orders++
			all = append(all, afterOrder)
			if live {
				told = append(told, afterOrder)
			}
			if live && notify.Addressable(email) {
				messages = append(messages, notify.Message{Key: fmt.Sprintf("event_changed/%s/%d/%s", u.event, u.revision, afterOrder), Kind: notify.KindEventChanged,
					To: email, Language: language, Subject: afterOrder, Data: data})
			}
			return nil
		}); err != nil {
			return fmt.Errorf("read orders: %w", err)
		}
		if len(all) > 0 {
			if err := ticket.TouchOrders(ctx, tx, all); err != nil {
				return err
			}
		}
		if len(told) > 0 {
			holders, err := readHolders(ctx, tx, sqlGivenHolders, u.event, told)
			if err != nil {
				return err
			}
			messages = append(messages, tellHolders(holders, newsChanged, fmt.Sprint(u.revision), data)...)
		}
	}
	if err := notify.QueueAll(ctx, tx, messages); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlMoveTelling, u.event, u.revision, afterAt, afterOrder, orders < tellPage); err != nil {
		return fmt.Errorf("note who is told: %w", err)
	}
	return nil
}
