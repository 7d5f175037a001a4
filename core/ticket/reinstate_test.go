package ticket_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/ticket"
	"fairgate/core/ticket/code"
)

func TestAReinstatedTicketIsValidInItsNextEpochAndOnlyOnce(t *testing.T) {
	d, order := dbtest.New(t), uuid.New()
	if err := issue(t, d, items(order, "101/A/1", "")...); err != nil {
		t.Fatal(err)
	}
	id := ticket.TicketID(order, 0)
	again := func(tickets ...ticket.Ticket) error {
		return d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error { return issuer().Reinstate(ctx, tx, tickets) })
	}
	load := func() ticket.Ticket {
		t.Helper()
		got, err := ticket.Load(t.Context(), d.Pool, id)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	before := load()
	if err := again(before); err != nil || load().Epoch != before.Epoch {
		t.Errorf("a valid ticket: %v, epoch %d", err, load().Epoch)
	}
	if _, err := void(t, d, "dispute", id); err != nil {
		t.Fatal(err)
	}
	gone := load()
	if err := again(gone); err != nil {
		t.Fatal(err)
	}
	now := load()
	code, err := code.Parse(now.Code)
	if err != nil || now.State != ticket.Valid || now.VoidReason != "" || !now.VoidedAt.IsZero() || now.Epoch != before.Epoch+1 || code.Epoch != now.Epoch || now.Code == before.Code {
		t.Errorf("%+v, code of epoch %d, %v", now, code.Epoch, err)
	}
	if err := again(gone); !errors.Is(err, ticket.ErrMismatch) {
		t.Errorf("as it was read before somebody else made it valid: %v", err)
	}
	if _, err := void(t, d, "dispute", id); err != nil {
		t.Fatal(err)
	}
	gone = load()
	if err := issue(t, d, items(uuid.New(), "101/A/1")...); err != nil {
		t.Fatal(err)
	}
	if err := again(gone); err == nil || load().State != ticket.Voided {
		t.Errorf("a seat with two valid tickets: %v", err)
	}
}
