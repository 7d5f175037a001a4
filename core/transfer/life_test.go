package transfer_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket"
	"fairgate/core/ticket/gate"
	"fairgate/core/ticket/title"
	"fairgate/core/transfer"
	"fairgate/edge/lottery"
)

// errNothing means that there was nothing to do.
var errNothing = errors.New("nothing to do")

// life does to tickets what may be done, at random.
type life struct {
	*world
	random  *rand.Rand
	people  []person
	tickets []uuid.UUID
	seen    map[uuid.UUID]gate.State
}

func (l *life) owner(e lottery.Entrant) person {
	for _, p := range l.people {
		if p.entrant == e {
			return p
		}
	}
	l.t.Fatalf("a ticket of %x, who is nobody", e)
	return person{}
}

// step does one thing to one ticket, and says what. What is refused is a step as well, as long as it is refused for a reason.
func (l *life) step() string {
	x := l.load(l.tickets[l.random.IntN(len(l.tickets))])
	acts := []struct {
		name string
		do   func(x ticket.Ticket) error
	}{
		{"issue", func(ticket.Ticket) error {
			if len(l.tickets) < 6 {
				l.tickets = append(l.tickets, l.sell(l.people[l.random.IntN(len(l.people))], 1)[0].ID)
			}
			return nil
		}},
		{"offer", l.offer}, {"offer", l.offer}, {"accept", l.accept}, {"accept", l.accept}, {"cancel", l.cancel}, {"list", l.list}, {"withdraw", l.withdraw},
		{"void", l.void}, {"reinstate", l.reinstate}, {"reinstate", l.reinstate}, {"another seat", l.reseat}, {"scan", l.scan}, {"sweep", func(ticket.Ticket) error {
			_, err := l.s.Sweep(l.t.Context())
			return err
		}},
	}
	act := acts[l.random.IntN(len(acts))]
	if err := act.do(x); errors.Is(err, errNothing) {
		return "nothing"
	} else if err != nil {
		if !refused(err) && !errors.Is(err, transfer.ErrSelf) && !errors.Is(err, transfer.ErrTooMany) {
			l.t.Errorf("%s: %v", act.name, err)
		}
		return act.name + " (refused)"
	}
	return act.name
}

func (l *life) offer(x ticket.Ticket) error {
	_, err := l.s.Offer(l.t.Context(), offers(x, l.owner(x.Owner), l.people[l.random.IntN(len(l.people))]))
	return err
}

// open is the ticket's open offer; uuid.Nil for none.
func (l *life) open(x ticket.Ticket) (t transfer.Transfer) {
	all, err := l.s.OfTicket(l.t.Context(), x.ID)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, t := range all {
		if t.State == transfer.Offered {
			return t
		}
	}
	return t
}

func (l *life) accept(x ticket.Ticket) error {
	t := l.open(x)
	for _, p := range l.people {
		if p.email() == t.To {
			_, err := l.s.Accept(l.t.Context(), t.ID, p.receiver())
			return err
		}
	}
	return errNothing
}

func (l *life) cancel(x ticket.Ticket) error {
	t := l.open(x)
	if t.ID == uuid.Nil {
		return errNothing
	}
	_, err := l.s.Cancel(l.t.Context(), t.ID, t.Giver)
	return err
}

func (l *life) list(x ticket.Ticket) error {
	return l.tx(func(ctx context.Context, tx pgx.Tx) error { return ticket.SetAside(ctx, tx, x, ticket.Listed) })
}

func (l *life) withdraw(x ticket.Ticket) error {
	if x.Hold != ticket.Listed {
		return errNothing
	}
	return l.tx(func(ctx context.Context, tx pgx.Tx) error { return l.issuer().PutBack(ctx, tx, x) })
}

// void is what an open dispute does: the place stays the order's.
func (l *life) void(x ticket.Ticket) error {
	if x.State != ticket.Valid {
		return errNothing
	}
	return l.tx(func(ctx context.Context, tx pgx.Tx) error {
		_, err := ticket.Void(ctx, tx, []uuid.UUID{x.ID}, "dispute")
		return err
	})
}

func (l *life) reinstate(x ticket.Ticket) error {
	if x.State == ticket.Valid {
		return errNothing
	}
	return l.tx(func(ctx context.Context, tx pgx.Tx) error { return l.issuer().Reinstate(ctx, tx, []ticket.Ticket{x}) })
}

// reseat gives a ticket another seat, as far as tickets and titles are concerned; the seat is sold to its hold.
func (l *life) reseat(x ticket.Ticket) error {
	if x.Usable() != nil {
		return errNothing
	}
	l.seats++
	seat := fmt.Sprintf("A/1/%d", l.seats)
	return l.tx(func(ctx context.Context, tx pgx.Tx) error {
		for _, sql := range []string{
			`INSERT INTO seats (event_id, seat, section, row_label, number, tier, allocation, state, hold_id)
				SELECT event_id, $2, section, row_label, $3::INT8, tier, allocation, state, hold_id FROM seats WHERE seat = $1`,
			`UPDATE holds SET items = replace(items, '"' || $1 || '"', '"' || $2 || '"') WHERE hold_id = (SELECT hold_id FROM seats WHERE seat = $1) AND $3::INT8 > 0`,
			`DELETE FROM seats WHERE seat = $1 AND $2::TEXT <> '' AND $3::INT8 > 0`,
		} {
			if _, err := tx.Exec(ctx, sql, x.Seat, seat, l.seats); err != nil {
				return err
			}
		}
		if err := l.issuer().Reissue(ctx, tx, []ticket.Reissue{{Ticket: x, Tier: x.Tier, Seat: seat}}); err != nil {
			return err
		}
		_, err := title.Append(ctx, tx, title.Step{Ticket: x.ID, Epoch: x.Epoch + 1, From: x.Owner, To: x.Owner, How: title.Reseat, Note: x.Seat + " → " + seat})
		return err
	})
}

func (l *life) scan(x ticket.Ticket) error {
	if l.random.IntN(4) > 0 { // else all of them have soon entered
		return errNothing
	}
	return l.enter(x)
}

// grow checks that no state is less than it was, in the table and in the pack that gates have.
func (l *life) grow(after string) {
	l.t.Helper()
	sealed, err := l.gates.Pack(l.t.Context(), arena, time.Time{})
	if err != nil {
		l.t.Fatal(err)
	}
	pack, err := gate.Open(sealed, packKey.Public().(ed25519.PublicKey))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, id := range l.tickets {
		x := l.load(id)
		state := gate.StateOf(x.Epoch, x.State == ticket.Voided || x.Hold == ticket.Listed)
		if state < l.seen[id] || pack.State(id) != state {
			l.t.Errorf("after %s ticket %s is in state %d, was %d, gates have %d", after, id, state, l.seen[id], pack.State(id))
		}
		l.seen[id] = state
	}
}
