package ticket

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"fairgate/core/ticket/code"
	"fairgate/edge/lottery"
)

var (
	// ErrMismatch means that the item of this order was issued before with another tier, seat or owner, or that a ticket is not as it was
	// read any more.
	ErrMismatch = errors.New("ticket: item was issued differently")
	// ErrSeatTaken means that the seat has a valid ticket of another order. It is the last line behind inventory: it never
	// happens unless a seat was sold twice.
	ErrSeatTaken = errors.New("ticket: seat has a valid ticket")
)

// issueRows is how many tickets one statement carries.
const issueRows = 1000

// seatConstraint is the unique index behind ErrSeatTaken.
const seatConstraint = "tickets_one_per_seat"

const sqlIssued = `
SELECT ticket_id, event_id, order_id, item, tier, seat, owner, epoch
FROM tickets
WHERE ticket_id = ANY($1::UUID[])`

const sqlInsertTickets = `
INSERT INTO tickets (ticket_id, event_id, order_id, item, tier, seat, owner, epoch, key_no, code, state, issued_at)
SELECT u.ticket_id, u.event_id, u.order_id, u.item, u.tier, u.seat, u.owner, u.epoch, u.key_no, u.code, 'valid', now()
FROM unnest($1::UUID[], $2::UUID[], $3::UUID[], $4::INT8[], $5::TEXT[], $6::TEXT[], $7::BYTEA[], $8::INT8[], $9::INT8[], $10::TEXT[])
     AS u(ticket_id, event_id, order_id, item, tier, seat, owner, epoch, key_no, code)`

// Item is one place of an order that is due a ticket.
type Item struct {
	Event uuid.UUID
	Order uuid.UUID
	Item  int // counts the order's places from 0
	Tier  string
	Seat  string // "section/row/number", empty for general admission
	Owner lottery.Entrant
}

// TicketID is the UUIDv5 of order and item.
func (i Item) TicketID() uuid.UUID { return TicketID(i.Order, i.Item) }

// TicketID names the ticket for an item of an order, whether it has been issued or not.
func TicketID(order uuid.UUID, item int) uuid.UUID {
	return uuid.NewSHA1(order, []byte("ticket/"+strconv.Itoa(item)))
}

// SigningKey is the key an event signs its codes with.
type SigningKey struct {
	No      uint32
	Private ed25519.PrivateKey
}

// Issuer makes tickets. It may be used from many goroutines.
type Issuer struct {
	keys func(ctx context.Context, event uuid.UUID) (SigningKey, error)
}

// NewIssuer makes an issuer that asks keys for the key an event signs with. keys is called inside transactions, once per event of a
// batch, so it must answer from memory nearly always and must not need the connection the transaction holds.
func NewIssuer(keys func(ctx context.Context, event uuid.UUID) (SigningKey, error)) *Issuer {
	return &Issuer{keys: keys}
}

// Issue writes the tickets of items, valid and in their first epoch, as part of tx. Items issued before stay as they are.
func (s *Issuer) Issue(ctx context.Context, tx pgx.Tx, items []Item) error {
	for part := range slices.Chunk(items, issueRows) {
		fresh, err := unissued(ctx, tx, part)
		if err != nil {
			return err
		}
		signed, err := s.Sign(ctx, fresh)
		if err != nil {
			return err
		}
		if err := s.Insert(ctx, tx, signed); err != nil {
			return err
		}
	}
	return nil
}

// unissued leaves out the items that have their ticket, and repetitions.
func unissued(ctx context.Context, tx pgx.Tx, items []Item) ([]Item, error) {
	known := make(map[uuid.UUID]Item, len(items))
	reissued := make(map[uuid.UUID]bool)
	ids := make([]uuid.UUID, len(items))
	for i, item := range items {
		ids[i] = item.TicketID()
	}
	rows, err := tx.Query(ctx, sqlIssued, ids)
	if err != nil {
		return nil, fmt.Errorf("read issued tickets: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		var item Item
		var owner []byte
		var epoch uint32
		if err := rows.Scan(&id, &item.Event, &item.Order, &item.Item, &item.Tier, &item.Seat, &owner, &epoch); err != nil {
			return nil, fmt.Errorf("read issued tickets: %w", err)
		}
		copy(item.Owner[:], owner)
		known[id], reissued[id] = item, epoch > firstEpoch
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read issued tickets: %w", err)
	}
	fresh := make([]Item, 0, len(items))
	for i, item := range items {
		if before, ok := known[ids[i]]; ok {
			if before != item && !reissued[ids[i]] { // one that was handed on or given another seat is what it has become
				return nil, fmt.Errorf("%w: item %d of order %s", ErrMismatch, item.Item, item.Order)
			}
			continue
		}
		known[ids[i]] = item
		fresh = append(fresh, item)
	}
	return fresh, nil
}

// Signed is a ticket that is ready to be written.
type Signed struct {
	item  Item
	id    uuid.UUID
	keyNo uint32
	code  string
}

// firstEpoch is that of every code when its ticket is issued.
const firstEpoch = 1

// signAlone is how many codes one goroutine signs before another helps: each takes some 20 µs.
const signAlone = 32

// Sign makes the tickets of items. It asks the database nothing, so whoever issues many signs them before the transaction.
func (s *Issuer) Sign(ctx context.Context, items []Item) ([]Signed, error) {
	keys := make(map[uuid.UUID]SigningKey)
	for _, item := range items {
		if _, ok := keys[item.Event]; ok {
			continue
		}
		key, err := s.keys(ctx, item.Event)
		if err != nil {
			return nil, fmt.Errorf("find the ticket key of event %s: %w", item.Event, err)
		}
		keys[item.Event] = key
	}
	signed := make([]Signed, len(items))
	part := max(signAlone, (len(items)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	var helpers errgroup.Group
	for from := 0; from < len(items); from += part {
		helpers.Go(func() error {
			for i := from; i < min(from+part, len(items)); i++ {
				if err := signed[i].sign(items[i], keys[items[i].Event]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return signed, helpers.Wait()
}

func (t *Signed) sign(item Item, key SigningKey) (err error) {
	t.item, t.id, t.keyNo = item, item.TicketID(), key.No
	t.code, err = code.Code{
		KeyNo: key.No, TicketID: t.id, EventID: item.Event, Epoch: firstEpoch, Place: code.Place(item.Tier, item.Seat),
	}.Sign(key.Private)
	if err != nil {
		return fmt.Errorf("sign ticket %s: %w", t.id, err)
	}
	return nil
}

// Insert writes signed tickets as part of tx. One that was written before violates tickets_pkey.
func (s *Issuer) Insert(ctx context.Context, tx pgx.Tx, tickets []Signed) error {
	for part := range slices.Chunk(tickets, issueRows) {
		if err := insert(ctx, tx, part); err != nil {
			return err
		}
	}
	return nil
}

func insert(ctx context.Context, tx pgx.Tx, tickets []Signed) error {
	n := len(tickets)
	ids, events, orders := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n)
	numbers, epochs, keyNos := make([]int64, n), make([]int64, n), make([]int64, n)
	tiers, seats, codes := make([]string, n), make([]string, n), make([]string, n)
	owners := make([][]byte, n)
	for i := range tickets {
		t := &tickets[i]
		ids[i], events[i], orders[i] = t.id, t.item.Event, t.item.Order
		numbers[i], epochs[i], keyNos[i] = int64(t.item.Item), firstEpoch, int64(t.keyNo)
		tiers[i], seats[i], codes[i] = t.item.Tier, t.item.Seat, t.code
		owners[i] = t.item.Owner[:]
	}
	if _, err := tx.Exec(ctx, sqlInsertTickets, ids, events, orders, numbers, tiers, seats, owners, epochs, keyNos, codes); err != nil {
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) && pgErr.ConstraintName == seatConstraint {
			return fmt.Errorf("%w: %w", ErrSeatTaken, err)
		}
		return fmt.Errorf("insert tickets: %w", err)
	}
	return nil
}
