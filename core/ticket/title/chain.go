package title

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// maxLinks bounds over how many resold tickets a chain is followed.
const maxLinks = 1000

// Link is one ticket of a chain: its issue, as its row and its order have it, and the steps after it.
type Link struct {
	Ticket   uuid.UUID
	Event    uuid.UUID
	Order    uuid.UUID
	Item     int64
	Buyer    lottery.Entrant // to whom it was issued
	IssuedAt time.Time

	Owner lottery.Entrant // whose it is, or was when it became void
	Epoch uint32
	State string // "valid" or "void"

	Steps []Step
	// Sold, of the last link of a chain that Verify has read, are the first steps of the tickets that follow it: it was sold on. They are more
	// than one when a sale was undone.
	Sold []Step
}

// Chain is a ticket's title, from the first issue on: the last link is the ticket itself, each other one is what the next follows.
type Chain []Link

const sqlLink = `
SELECT t.ticket_id, t.event_id, t.order_id, t.item, o.entrant, t.issued_at, t.owner, t.epoch, t.state
FROM tickets AS t
JOIN orders AS o ON o.order_id = t.order_id
WHERE t.ticket_id = $1::UUID`

const sqlSteps = `
SELECT ticket_id, seq, epoch, from_owner, to_owner, how, price_minor, currency, previous_id, note, at, hash
FROM title_steps
WHERE ticket_id = $1::UUID
ORDER BY seq`

const sqlSoldOn = `
SELECT ticket_id, seq, epoch, from_owner, to_owner, how, price_minor, currency, previous_id, note, at, hash
FROM title_steps
WHERE previous_id = $1::UUID
ORDER BY at, ticket_id
LIMIT $2::INT8`

// Of is the whole title of a ticket. It does not say whether it is in order: see Verify. Errors: ErrUnknown, ErrLong; ErrBroken when a
// ticket that another follows is not there.
func Of(ctx context.Context, q Querier, ticket uuid.UUID) (Chain, error) {
	var chain Chain
	for seen := map[uuid.UUID]bool{}; ; {
		link, err := read(ctx, q, ticket)
		switch {
		case err != nil && len(chain) > 0:
			return nil, fmt.Errorf("read the title behind ticket %s: %w: %w", chain[len(chain)-1].Ticket, ErrBroken, err)
		case err != nil:
			return nil, fmt.Errorf("read the title of ticket %s: %w", ticket, err)
		case seen[ticket]:
			return nil, fmt.Errorf("%w: ticket %s follows itself", ErrBroken, ticket)
		case len(chain) == maxLinks:
			return nil, fmt.Errorf("%w: more than %d tickets", ErrLong, maxLinks)
		}
		chain, seen[ticket] = append(chain, link[0]), true
		if len(link[0].Steps) == 0 || link[0].Steps[0].Previous == uuid.Nil {
			slices.Reverse(chain)
			return chain, nil
		}
		ticket = link[0].Steps[0].Previous
	}
}

// soldOn are the first steps of the tickets that follow one.
func soldOn(ctx context.Context, q Querier, ticket uuid.UUID) ([]Step, error) {
	rows, err := q.Query(ctx, sqlSoldOn, ticket, maxLinks)
	if err != nil {
		return nil, fmt.Errorf("read sales: %w", err)
	}
	steps, err := pgx.CollectRows(rows, scanStep)
	if err != nil {
		return nil, fmt.Errorf("read sales: %w", err)
	}
	return steps, nil
}

// read is the chain of one ticket alone.
func read(ctx context.Context, q Querier, ticket uuid.UUID) (Chain, error) {
	rows, err := q.Query(ctx, sqlLink, ticket)
	if err != nil {
		return nil, fmt.Errorf("read the ticket: %w", err)
	}
	links, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l Link, err error) {
		var buyer, owner []byte
		err = row.Scan(&l.Ticket, &l.Event, &l.Order, &l.Item, &buyer, &l.IssuedAt, &owner, &l.Epoch, &l.State)
		l.Buyer, l.Owner = entrant(buyer), entrant(owner)
		l.IssuedAt = l.IssuedAt.UTC()
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the ticket: %w", err)
	}
	if len(links) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrUnknown, ticket)
	}
	if rows, err = q.Query(ctx, sqlSteps, ticket); err != nil {
		return nil, fmt.Errorf("read steps: %w", err)
	}
	links[0].Steps, err = pgx.CollectRows(rows, scanStep)
	if err != nil {
		return nil, fmt.Errorf("read steps: %w", err)
	}
	return links, nil
}

func scanStep(row pgx.CollectableRow) (s Step, err error) {
	var from, to []byte
	var previous *uuid.UUID
	err = row.Scan(&s.Ticket, &s.Seq, &s.Epoch, &from, &to, &s.How, &s.Price.Minor, &s.Price.Currency, &previous, &s.Note, &s.At, &s.Hash)
	s.From, s.To, s.At = entrant(from), entrant(to), s.At.UTC()
	if previous != nil {
		s.Previous = *previous
	}
	return s, err
}

// entrant is the bytes of a column. Those of another length are nobody's, and the chain does not verify.
func entrant(b []byte) (e lottery.Entrant) {
	if len(b) == len(e) {
		copy(e[:], b)
	}
	return e
}

// issue is the hash of a ticket as it was issued.
func (l *Link) issue() []byte {
	b := make([]byte, 0, 128)
	b = append(b, "fairgate-title-issue-v1"...)
	b = append(append(append(b, l.Ticket[:]...), l.Event[:]...), l.Order[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(l.Item))
	b = append(b, l.Buyer[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(l.IssuedAt.UnixMicro()))
	h := sha256.Sum256(b)
	return h[:]
}

// head is the hash of the last step, or of the issue.
func (l *Link) head() []byte {
	if n := len(l.Steps); n > 0 {
		return l.Steps[n-1].Hash
	}
	return l.issue()
}

// sold finds where in a link's steps it was sold on: the hash that the first step of the ticket that follows is chained to, and who had it
// then. last says that nothing happened to it afterwards.
func (l *Link) sold(next *Step) (before []byte, owner lottery.Entrant, last, found bool) {
	before, owner = l.issue(), l.Buyer
	for n := 0; ; n++ {
		if bytes.Equal(next.sum(before), next.Hash) {
			return before, owner, n == len(l.Steps), true
		}
		if n == len(l.Steps) {
			return nil, owner, false, false
		}
		before, owner = l.Steps[n].Hash, l.Steps[n].To
	}
}

// Verify recomputes every hash of a chain and compares what it comes to with the tickets. ErrBroken says where it is broken, and how.
//
// A sale may have been undone: then the ticket that was sold is valid again and has gone on, and the one that followed it is void. So only
// the tickets before a valid one have to be void, and sold at their end.
func (c Chain) Verify() error {
	stands := len(c) > 0 && c[len(c)-1].State == "valid"
	for i := range c {
		l := &c[i]
		before, owner, epoch := l.issue(), l.Buyer, uint32(0)
		for n := range l.Steps {
			s := &l.Steps[n]
			switch {
			case s.Ticket != l.Ticket || s.Seq != int64(n):
				return broken(l, n, "a step is missing before it")
			case s.How == Resale && (n > 0 || i == 0 || s.Previous != c[i-1].Ticket):
				return broken(l, n, "it follows a ticket that is not before it")
			case s.How != Resale && (s.Previous != uuid.Nil || i > 0 && n == 0):
				return broken(l, n, "it does not follow the ticket before it")
			case s.How == Resale:
				var last, found bool
				switch before, owner, last, found = c[i-1].sold(s); {
				case !found:
					return broken(l, n, "its hash is another, or the ticket it follows was altered")
				case s.To != l.Buyer:
					return broken(l, n, "its buyer is another")
				case stands && (c[i-1].State == "valid" || !last):
					return broken(l, n, "the ticket it follows is still valid, or has gone on since")
				}
			}
			switch {
			case s.From != owner:
				return broken(l, n, "it is not from who had the ticket")
			case s.Epoch <= epoch && n > 0 || s.Epoch > l.Epoch:
				return broken(l, n, "its epoch is not between the one before and the ticket's")
			case !bytes.Equal(s.sum(before), s.Hash):
				return broken(l, n, "its hash is another")
			}
			before, owner, epoch = s.Hash, s.To, s.Epoch
		}
		switch {
		case i > 0 && len(l.Steps) == 0:
			return fmt.Errorf("%w: ticket %s has lost the step that says what it follows", ErrBroken, l.Ticket)
		case owner != l.Owner:
			return fmt.Errorf("%w: ticket %s is of another owner than its title says", ErrBroken, l.Ticket)
		}
		if err := l.verifySold(); err != nil {
			return err
		}
	}
	return nil
}

// verifySold checks that the tickets that follow a link follow it as it is.
func (l *Link) verifySold() error {
	for n := range l.Sold {
		s := &l.Sold[n]
		switch _, owner, _, found := l.sold(s); {
		case s.How != Resale || s.Previous != l.Ticket || s.Seq != 0:
			return fmt.Errorf("%w: ticket %s follows ticket %s and is no sale of it", ErrBroken, s.Ticket, l.Ticket)
		case !found || s.From != owner:
			return fmt.Errorf("%w: ticket %s was sold as %s, and one of the two was altered", ErrBroken, l.Ticket, s.Ticket)
		}
	}
	return nil
}

func broken(l *Link, step int, how string) error {
	return fmt.Errorf("%w: ticket %s, step %d: %s", ErrBroken, l.Ticket, step, how)
}

// Verify reads a ticket's title, and as what it was sold on, and verifies it. Errors: those of Of, ErrBroken.
func Verify(ctx context.Context, q Querier, ticket uuid.UUID) (Chain, error) {
	chain, err := Of(ctx, q, ticket)
	if err != nil {
		return nil, err
	}
	if chain[len(chain)-1].Sold, err = soldOn(ctx, q, ticket); err != nil {
		return nil, fmt.Errorf("read the title of ticket %s: %w", ticket, err)
	}
	return chain, chain.Verify()
}
