package checkout

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/notify"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

// Whoever has a ticket that somebody else paid for, or whose order has no address, is written to at the address of their account. They are
// told what becomes of the ticket, and nothing of who paid, how much, or where money goes.

// What a mail to a ticket's holder is about, in the data of notify.KindTicketNews.
const (
	newsCancelled = "cancelled" // the event will not take place
	newsRefunded  = "refunded"  // the ticket is void, as it was refunded to who paid
	newsDisputed  = "disputed"  // it is void while a bank decides about its payment
	newsLost      = "lost"      // it stays so, as the bank has decided
	newsRestored  = "restored"  // it is valid again, as the bank has decided
	newsMoved     = "moved"     // it has another seat
	newsChanged   = "changed"   // the event takes place at another time or venue
)

// holder is who has a ticket, as their account says.
type holder struct {
	ticket          uuid.UUID
	epoch           int64
	email, language string
}

// The order's buyer is written to at the address of the order, where it has one ($3).
const sqlHolders = `
SELECT t.ticket_id, t.epoch, a.email_written, a.language
FROM unnest($1::UUID[]) AS k (ticket_id)
JOIN tickets AS t ON t.ticket_id = k.ticket_id AND t.state = 'valid' AND (t.owner <> $2::BYTEA OR NOT $3::BOOL)
JOIN account_entrants AS e ON e.event_id = t.event_id AND e.entrant = t.owner
JOIN accounts AS a ON a.account_id = e.account_id AND a.forgotten_at IS NULL
ORDER BY t.ticket_id`

// As sqlHolders, of tickets that a dispute has made void ($4).
const sqlDisputedHolders = `
SELECT t.ticket_id, t.epoch, a.email_written, a.language
FROM unnest($1::UUID[]) AS k (ticket_id)
JOIN tickets AS t ON t.ticket_id = k.ticket_id AND t.state = 'void' AND t.void_reason = $4::TEXT AND (t.owner <> $2::BYTEA OR NOT $3::BOOL)
JOIN account_entrants AS e ON e.event_id = t.event_id AND e.entrant = t.owner
JOIN accounts AS a ON a.account_id = e.account_id AND a.forgotten_at IS NULL
ORDER BY t.ticket_id`

// Tickets that were handed on, of a page of orders: they are few among an event's, and each page looks through all of them.
const sqlGivenHolders = `
SELECT DISTINCT t.ticket_id, t.epoch, a.email_written, a.language
FROM transfers AS x
JOIN tickets AS t ON t.ticket_id = x.ticket_id AND t.state = 'valid' AND t.owner = x.owner
JOIN account_entrants AS e ON e.event_id = t.event_id AND e.entrant = t.owner
JOIN accounts AS a ON a.account_id = e.account_id AND a.forgotten_at IS NULL
JOIN orders AS o ON o.order_id = t.order_id AND o.entrant <> t.owner
WHERE x.event_id = $1::UUID AND x.state = 'accepted' AND t.order_id = ANY($2::UUID[])
ORDER BY t.ticket_id`

func readHolders(ctx context.Context, q ledger.Querier, sql string, args ...any) ([]holder, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("find who has tickets: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h holder, err error) {
		return h, row.Scan(&h.ticket, &h.epoch, &h.email, &h.language)
	})
	if err != nil {
		return nil, fmt.Errorf("find who has tickets: %w", err)
	}
	return found, nil
}

// holdersOf are those who have valid tickets of an order and are not reached by its address.
func holdersOf(ctx context.Context, q ledger.Querier, o *Order, tickets []uuid.UUID) ([]holder, error) {
	return readHolders(ctx, q, sqlHolders, tickets, o.Entrant[:], notify.Addressable(o.Email))
}

// tellHolders are the mails about news of tickets; version tells one piece of news about a ticket from the next of its kind.
func tellHolders(holders []holder, news, version string, data map[string]string) []notify.Message {
	all := map[string]string{"what": news}
	for key, value := range data {
		all[key] = value
	}
	messages := make([]notify.Message, 0, len(holders))
	for _, h := range holders {
		if notify.Addressable(h.email) {
			messages = append(messages, notify.Message{Key: fmt.Sprintf("ticket_news/%s/%s/%s", news, h.ticket, version), Kind: notify.KindTicketNews,
				To: h.email, Language: h.language, Subject: h.ticket, Data: all})
		}
	}
	return messages
}

// tellGone tells holders of an order's tickets that are about to become void why, in the transaction that does it; or those of tickets that
// have just become valid again that they have.
func tellGone(ctx context.Context, tx pgx.Tx, r *record, items []int, news string) error {
	if len(items) == 0 {
		return nil
	}
	holders, err := holdersOf(ctx, tx, &r.order, ticketsOf(&r.order, items))
	if err != nil {
		return err
	}
	return tellEach(ctx, tx, holders, news)
}

// tellLost tells holders of an order's tickets that a dispute has made void that they stay so, in the transaction that decides it.
func tellLost(ctx context.Context, tx pgx.Tx, r *record) error {
	o := &r.order
	holders, err := readHolders(ctx, tx, sqlDisputedHolders, ticketsOf(o, unrefunded(len(o.Lines), nil)), o.Entrant[:], notify.Addressable(o.Email), voidedByDispute)
	if err != nil {
		return err
	}
	return tellEach(ctx, tx, holders, newsLost)
}

// ticketsOf are the tickets of lines of an order.
func ticketsOf(o *Order, items []int) []uuid.UUID {
	ids := make([]uuid.UUID, len(items))
	for n, i := range items {
		ids[n] = ticket.TicketID(o.ID, i)
	}
	return ids
}

// tellEach tells each holder once in the epoch of their ticket.
func tellEach(ctx context.Context, tx pgx.Tx, holders []holder, news string) error {
	var messages []notify.Message
	for _, h := range holders {
		messages = append(messages, tellHolders([]holder{h}, news, fmt.Sprint(h.epoch), nil)...)
	}
	return notify.QueueAll(ctx, tx, messages)
}
