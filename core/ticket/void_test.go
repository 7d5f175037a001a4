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
)

func void(t *testing.T, d *db.DB, reason string, ids ...uuid.UUID) (voided []uuid.UUID, err error) {
	t.Helper()
	err = d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) (err error) {
		voided, err = ticket.Void(ctx, tx, ids, reason)
		return err
	})
	return voided, err
}

func TestAVoidTicketKeepsItsFirstReasonAndFreesItsSeat(t *testing.T) {
	d, order := dbtest.New(t), uuid.New()
	if err := issue(t, d, items(order, "101/A/1", "101/A/2")...); err != nil {
		t.Fatal(err)
	}
	first, second := ticket.TicketID(order, 0), ticket.TicketID(order, 1)
	if voided, err := void(t, d, "refund", first, first); err != nil || len(voided) != 1 || voided[0] != first {
		t.Fatalf("voided %v, %v", voided, err)
	}
	if voided, err := void(t, d, "dispute", first, second); err != nil || len(voided) != 1 || voided[0] != second {
		t.Errorf("the second time: voided %v, %v", voided, err)
	}
	for id, reason := range map[uuid.UUID]string{first: "refund", second: "dispute"} {
		got, err := ticket.Load(t.Context(), d.Pool, id)
		if err != nil || got.State != ticket.Voided || got.VoidReason != reason || got.VoidedAt.IsZero() {
			t.Errorf("ticket is %s since %v for %q, %v; want void for %q", got.State, got.VoidedAt, got.VoidReason, err, reason)
		}
	}
	if err := issue(t, d, items(uuid.New(), "101/A/1")...); err != nil {
		t.Errorf("the seat of a void ticket cannot be given to another order: %v", err)
	}
}

func TestVoidingWhatDoesNotExistVoidsNothing(t *testing.T) {
	d, order := dbtest.New(t), uuid.New()
	if err := issue(t, d, items(order, "101/A/1")...); err != nil {
		t.Fatal(err)
	}
	known := ticket.TicketID(order, 0)
	if _, err := void(t, d, "refund", known, uuid.New()); !errors.Is(err, ticket.ErrUnknown) {
		t.Fatalf("got %v", err)
	}
	got, err := ticket.Load(t.Context(), d.Pool, known)
	if err != nil || got.State != ticket.Valid || got.VoidReason != "" || !got.VoidedAt.IsZero() {
		t.Errorf("the ticket is %+v, %v", got, err)
	}
	if voided, err := void(t, d, "refund"); err != nil || voided != nil {
		t.Errorf("no tickets: %v, %v", voided, err)
	}
}
