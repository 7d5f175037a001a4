package ticket_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/ticket"
	"fairgate/core/ticket/code"
	"fairgate/edge/lottery"
)

func load(t *testing.T, d *db.DB, id uuid.UUID) ticket.Ticket {
	t.Helper()
	got, err := ticket.Load(t.Context(), d.Pool, id)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func inTx(t *testing.T, d *db.DB, do func(ctx context.Context, tx pgx.Tx) error) error {
	t.Helper()
	return d.InTx(t.Context(), do)
}

func TestATicketIsSetAsideForOneThingAtATime(t *testing.T) {
	d, order := dbtest.New(t), uuid.New()
	if err := issue(t, d, items(order, "101/A/1")...); err != nil {
		t.Fatal(err)
	}
	id := ticket.TicketID(order, 0)
	aside := func(x ticket.Ticket, what ticket.Hold) error {
		return inTx(t, d, func(ctx context.Context, tx pgx.Tx) error { return ticket.SetAside(ctx, tx, x, what) })
	}
	back := func(x ticket.Ticket) error {
		return inTx(t, d, func(ctx context.Context, tx pgx.Tx) error { return issuer().PutBack(ctx, tx, x) })
	}
	fresh := load(t, d, id)
	for what, refusal := range map[ticket.Hold]error{ticket.Offered: ticket.ErrOffered, ticket.Listed: ticket.ErrListed} {
		before := load(t, d, id)
		if err := aside(before, what); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err := aside(before, what); !errors.Is(err, ticket.ErrMismatch) {
			t.Errorf("%s as it was read before: %v", what, err)
		}
		held := load(t, d, id)
		for _, other := range []ticket.Hold{ticket.Offered, ticket.Listed} {
			if err := aside(held, other); !errors.Is(err, refusal) {
				t.Errorf("%s while it is %s: %v", other, what, err)
			}
		}
		if held.Code != before.Code || held.Epoch != before.Epoch {
			t.Errorf("setting it aside as %s changed its code", what)
		}
		if err := back(held); err != nil {
			t.Fatal(err)
		}
		after, rises := load(t, d, id), uint32(0)
		if what == ticket.Listed {
			rises = 1
		}
		if after.Hold != ticket.Free || after.Epoch != before.Epoch+rises || (after.Code != before.Code) != (rises == 1) || after.Owner != fresh.Owner {
			t.Errorf("after %s it is %+v, was %+v", what, after, before)
		}
		if err := back(held); !errors.Is(err, ticket.ErrMismatch) {
			t.Errorf("put back twice: %v", err)
		}
		if err := back(after); err != nil || load(t, d, id) != after {
			t.Errorf("one that is free: %v", err)
		}
	}
	if _, err := d.Pool.Exec(t.Context(), `INSERT INTO entries (ticket_id, zone, event_id, ins, outs, inside, first_id, first_gate, first_at, last_id, last_gate, last_at)
		VALUES ($1, '', $2, 1, 1, false, $1, 'n', now(), $1, 'n', now())`, id, testEvent); err != nil {
		t.Fatal(err)
	}
	if err := aside(load(t, d, id), ticket.Listed); !errors.Is(err, ticket.ErrEntered) {
		t.Errorf("after it has entered: %v", err)
	}
}

func TestAVoidTicketIsSetAsideForNothing(t *testing.T) {
	d, order := dbtest.New(t), uuid.New()
	if err := issue(t, d, items(order, "101/A/1")...); err != nil {
		t.Fatal(err)
	}
	id := ticket.TicketID(order, 0)
	if err := inTx(t, d, func(ctx context.Context, tx pgx.Tx) error {
		return ticket.SetAside(ctx, tx, load(t, d, id), ticket.Listed)
	}); err != nil {
		t.Fatal(err)
	}
	listed := load(t, d, id)
	if voided, err := void(t, d, "refund", id); err != nil || len(voided) != 1 {
		t.Fatalf("voided %v, %v", voided, err)
	}
	gone := load(t, d, id)
	if gone.Hold != ticket.Free {
		t.Errorf("it is void and %s", gone.Hold)
	}
	for name, do := range map[string]func(ctx context.Context, tx pgx.Tx) error{
		"set aside": func(ctx context.Context, tx pgx.Tx) error { return ticket.SetAside(ctx, tx, gone, ticket.Offered) },
	} {
		if err := inTx(t, d, do); !errors.Is(err, ticket.ErrVoid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, x := range map[string]ticket.Ticket{"as it is": gone, "as it was": listed} {
		err := inTx(t, d, func(ctx context.Context, tx pgx.Tx) error {
			return issuer().Reissue(ctx, tx, []ticket.Reissue{{Ticket: x}})
		})
		if !errors.Is(err, ticket.ErrMismatch) || load(t, d, id) != gone {
			t.Errorf("reissued %s: %v", name, err)
		}
	}
	if err := inTx(t, d, func(ctx context.Context, tx pgx.Tx) error { return issuer().PutBack(ctx, tx, gone) }); err != nil || load(t, d, id) != gone {
		t.Errorf("put back: %v", err)
	}
}

func TestAReissuedTicketHasItsNextCodeAndItsNewOwnerAndPlace(t *testing.T) {
	d, order := dbtest.New(t), uuid.New()
	all := items(order, "101/A/1", "101/A/2")
	if err := issue(t, d, all...); err != nil {
		t.Fatal(err)
	}
	reissue := func(all ...ticket.Reissue) error {
		return inTx(t, d, func(ctx context.Context, tx pgx.Tx) error { return issuer().Reissue(ctx, tx, all) })
	}
	id, receiver := ticket.TicketID(order, 0), lottery.Entrant{9}
	before := load(t, d, id)
	if err := reissue(ticket.Reissue{Ticket: before, Owner: receiver}); err != nil {
		t.Fatal(err)
	}
	now := load(t, d, id)
	_, public := testKey(3)
	c, err := code.Verify(now.Code, testEvent, lottery.PublicKeys{public})
	if err != nil || now.Owner != receiver || now.Epoch != before.Epoch+1 || c.Epoch != now.Epoch || c.Place != "101/A/1" || now.Seat != before.Seat {
		t.Errorf("%+v, code %+v, %v", now, c, err)
	}
	if err := reissue(ticket.Reissue{Ticket: before, Owner: receiver}); !errors.Is(err, ticket.ErrMismatch) {
		t.Errorf("twice: %v", err)
	}
	if err := reissue(ticket.Reissue{Ticket: now, Tier: "lower", Seat: "101/A/2"}); !errors.Is(err, ticket.ErrSeatTaken) || load(t, d, id) != now {
		t.Errorf("to a seat that has a ticket: %v", err)
	}
	if err := reissue(ticket.Reissue{Ticket: now, Tier: "upper", Seat: "201/A/1"}); err != nil {
		t.Fatal(err)
	}
	if moved := load(t, d, id); moved.Seat != "201/A/1" || moved.Tier != "upper" || moved.Owner != receiver || moved.Epoch != 3 {
		t.Errorf("moved: %+v", moved)
	}
	if err := issue(t, d, all...); err != nil || load(t, d, id).Owner != receiver {
		t.Errorf("issued again after it was handed on: %v", err)
	}
}
