package checkout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/notify"
	"fairgate/edge/lottery"
)

// Who has begun an order and not paid it finds it again: in the browser, in the account, and by a mail with a link. The mail is queued once
// per order, by whichever core looks first, since its key follows from the order; it is composed when it is sent, and not sent when there is
// nothing to pay any more. Orders are found among the live payments, which are few, so that an order that is paid at once costs nothing.

// maxUnfinished is how many unfinished orders of one buyer are told of.
const maxUnfinished = 10

// leastLeft is how much time to pay must be left for a mail to be of any use.
const leastLeft = 45 * time.Second

// The shortest and the longest time between two looks for unpaid orders.
const (
	minUnpaidEvery = 200 * time.Millisecond
	maxUnpaidEvery = 10 * time.Second
)

// Unfinished is an order that can still be paid. Deadline is its hold's, by the database clock at ServerTime.
type Unfinished struct {
	OwnOrder
	Hold       uuid.UUID
	Deadline   time.Time
	ServerTime time.Time
}

const sqlUnfinished = `
SELECT o.order_id, o.event_id, o.entrant, o.state, o.amount_minor, o.currency, o.lines, o.email, o.created_at, o.hold_id
FROM (
    SELECT e.order_id
    FROM unnest($1::UUID[], $2::BYTEA[]) AS k (event_id, entrant)
    JOIN orders AS e ON e.event_id = k.event_id AND e.entrant = k.entrant
    UNION
    SELECT m.order_id FROM orders AS m WHERE $3::TEXT <> '' AND m.email <> '' AND lower(m.email) = $3::TEXT
    UNION
    SELECT l.order_id FROM unnest($4::UUID[]) AS l (order_id)
) AS own
JOIN orders AS o ON o.order_id = own.order_id
WHERE o.state IN ('payment_pending', 'payment_failed')
ORDER BY o.created_at DESC, o.order_id DESC
LIMIT $5::INT8`

// Unfinished returns the orders of an owner, and those that are named besides, which wait for their payment and whose hold lives: the
// newest first, no more than ten.
func (s *Service) Unfinished(ctx context.Context, owner Owner, named []uuid.UUID) (list []Unfinished, err error) {
	err = s.db.Reading(ctx, func() error {
		if list, err = s.readUnfinished(ctx, owner, named); err != nil || len(list) == 0 {
			return err
		}
		return s.keepHeld(ctx, &list)
	})
	if err != nil {
		return nil, fmt.Errorf("find a buyer's unfinished orders: %w", err)
	}
	return list, nil
}

func (s *Service) readUnfinished(ctx context.Context, owner Owner, named []uuid.UUID) ([]Unfinished, error) {
	entrants := make([][]byte, len(owner.Entrants))
	own := make(map[ownEntry]bool, len(owner.Entrants))
	for i := range owner.Entrants {
		entrants[i], own[ownEntry{owner.Events[i], owner.Entrants[i]}] = owner.Entrants[i][:], true
	}
	rows, err := s.db.Reader.Query(ctx, sqlUnfinished, owner.Events, entrants, owner.Email, named, int64(2*maxUnfinished))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Unfinished
	for rows.Next() {
		var one Unfinished
		var entrant []byte
		var text, email string
		if err := rows.Scan(&one.ID, &one.Event, &entrant, &one.State, &one.Minor, &one.Currency, &text, &email, &one.CreatedAt, &one.Hold); err != nil {
			return nil, err
		}
		if len(entrant) != len(one.Entrant) {
			return nil, fmt.Errorf("order %s has an entrant of %d bytes", one.ID, len(entrant))
		}
		one.Entrant = lottery.Entrant(entrant)
		lines, err := decodeLines(text)
		if err != nil {
			return nil, err
		}
		one.Tickets = len(lines)
		if own[ownEntry{one.Event, one.Entrant}] || slices.Contains(named, one.ID) || owner.Owns != nil && owner.Owns(email) { // the database folds more letters than are one
			list = append(list, one)
		}
	}
	return list[:min(len(list), maxUnfinished)], rows.Err()
}

// ownEntry is an entrant of an event.
type ownEntry struct {
	event   uuid.UUID
	entrant lottery.Entrant
}

// keepHeld leaves the orders in the list whose holds live, and says until when.
func (s *Service) keepHeld(ctx context.Context, list *[]Unfinished) error {
	ids := make([]uuid.UUID, len(*list))
	for i := range *list {
		ids[i] = (*list)[i].Hold
	}
	holds, err := inventory.Read(ctx, s.db.Reader, once(ids))
	if err != nil {
		return err
	}
	held := (*list)[:0]
	for _, one := range *list {
		h, known := holds[one.Hold]
		if !known || h.State != inventory.Active || !h.Deadline.After(h.AsOf) {
			continue
		}
		one.Deadline, one.ServerTime = h.Deadline, h.AsOf
		held = append(held, one)
	}
	*list = held
	return nil
}

// mailUnpaid looks for orders that have waited for their payment for a while until ctx ends, and queues their mails.
func (s *Service) mailUnpaid(ctx context.Context) {
	if s.cfg.UnpaidMail <= 0 {
		return
	}
	ticker := time.NewTicker(min(max(s.cfg.UnpaidMail/10, minUnpaidEvery), maxUnpaidEvery))
	defer ticker.Stop()
	var after uuid.UUID // where the last look ended
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var err error
		if after, err = s.mailUnpaidPage(ctx, after); err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			s.log.Warn("looking for unpaid orders; they are looked for again", "error", err.Error())
		}
	}
}

// Live payments are looked through in the order of their ids, as sqlSilentPayments does.
const sqlUnpaid = `
SELECT l.order_id, o.hold_id, o.email, o.language,
    (l.state IN ('created', 'begun') AND o.state IN ('payment_pending', 'payment_failed') AND o.email <> ''
        AND o.created_at < now() - $2::INT8 * INTERVAL '1 millisecond') AS due
FROM (SELECT p.order_id, p.state FROM payments AS p WHERE p.live AND p.order_id > $1 ORDER BY p.order_id LIMIT $3) AS l
JOIN orders AS o ON o.order_id = l.order_id
ORDER BY l.order_id`

const sqlKnownMails = `SELECT m.mail_id FROM mails AS m WHERE m.mail_id = ANY($1::UUID[])`

// unpaid is an order that may want a mail.
type unpaid struct {
	order Order // its id, hold, address and language
	mail  uuid.UUID
}

// mailUnpaidPage queues the mails of unpaid orders after one, and answers where to go on.
func (s *Service) mailUnpaidPage(ctx context.Context, after uuid.UUID) (next uuid.UUID, err error) {
	due, next, err := s.unpaidAfter(ctx, after)
	if err == nil {
		due, err = s.notMailed(ctx, due)
	}
	if err != nil || len(due) == 0 {
		return next, err
	}
	ids := make([]uuid.UUID, len(due))
	for i := range due {
		ids[i] = due[i].order.Hold
	}
	holds, err := inventory.Read(ctx, s.db.Reader, once(ids))
	if err != nil {
		return next, err
	}
	var mails []notify.Message
	for _, one := range due {
		h, known := holds[one.order.Hold]
		left := h.Deadline.Sub(h.AsOf).Truncate(time.Microsecond)
		if !known || h.State != inventory.Active || left < leastLeft {
			continue
		}
		for _, m := range mail(&one.order, notify.KindUnpaidOrder, one.order.ID, nil) {
			m.Within = left
			mails = append(mails, m)
		}
	}
	if len(mails) == 0 {
		return next, nil
	}
	return next, s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error { return notify.QueueAll(ctx, tx, mails) })
}

// unpaidAfter looks through the live payments after an order for those that have waited long enough.
func (s *Service) unpaidAfter(ctx context.Context, after uuid.UUID) (due []unpaid, next uuid.UUID, err error) {
	rows, err := s.db.Reader.Query(ctx, sqlUnpaid, after, s.cfg.UnpaidMail.Milliseconds(), lookThrough)
	if err != nil {
		return nil, after, fmt.Errorf("find unpaid orders: %w", err)
	}
	seen, next := 0, after
	var one unpaid
	var is bool
	_, err = pgx.ForEachRow(rows, []any{&one.order.ID, &one.order.Hold, &one.order.Email, &one.order.Language, &is}, func() error {
		seen, next = seen+1, one.order.ID
		if is {
			one.mail = notify.ID(unpaidKey(one.order.ID))
			due = append(due, one)
		}
		return nil
	})
	if err != nil {
		return nil, after, fmt.Errorf("find unpaid orders: %w", err)
	}
	if seen < lookThrough {
		next = uuid.Nil // that was the last of them
	}
	return due, next, nil
}

// notMailed leaves those whose mail was not queued before.
func (s *Service) notMailed(ctx context.Context, due []unpaid) ([]unpaid, error) {
	if len(due) == 0 {
		return nil, nil
	}
	ids := make([]uuid.UUID, len(due))
	for i := range due {
		ids[i] = due[i].mail
	}
	rows, err := s.db.Reader.Query(ctx, sqlKnownMails, ids)
	if err != nil {
		return nil, fmt.Errorf("find the mails of unpaid orders: %w", err)
	}
	known, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("find the mails of unpaid orders: %w", err)
	}
	slices.SortFunc(known, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return slices.DeleteFunc(due, func(one unpaid) bool {
		_, found := slices.BinarySearchFunc(known, one.mail, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
		return found
	}), nil
}

// unpaidKey is the key of the one mail about an order that is not paid.
func unpaidKey(order uuid.UUID) string { return string(notify.KindUnpaidOrder) + "/" + order.String() }
