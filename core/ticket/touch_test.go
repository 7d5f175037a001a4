package ticket_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/ticket"
	"fairgate/edge/lottery"
)

func TestWhateverChangesWhatATicketShowsMarksItsPassesAndNoOthers(t *testing.T) {
	d, order := dbtest.New(t), uuid.New()
	if err := issue(t, d, items(order, "101/A/1", "101/A/2")...); err != nil {
		t.Fatal(err)
	}
	id, other := ticket.TicketID(order, 0), ticket.TicketID(order, 1)
	for _, of := range []uuid.UUID{id, other} {
		if _, err := d.Pool.Exec(t.Context(), `INSERT INTO wallet_passes (ticket_id, owner, wallet, name_epoch, order_id, version, changed_at, due_at, attempts, last_error, saved_at)
			VALUES ($1, '\x01', 'apple', 1, $2, 0, now(), NULL, 0, '', now())`, of, order); err != nil {
			t.Fatal(err)
		}
	}
	version := func(of uuid.UUID) (n int64, due bool) {
		t.Helper()
		if err := d.Pool.QueryRow(t.Context(), `SELECT version, due_at IS NOT NULL FROM wallet_passes WHERE ticket_id = $1`, of).Scan(&n, &due); err != nil {
			t.Fatal(err)
		}
		return n, due
	}
	want := int64(0)
	for _, step := range []struct {
		what  string
		marks bool
		do    func(ctx context.Context, tx pgx.Tx, x ticket.Ticket) error
	}{
		{"offered", false, func(ctx context.Context, tx pgx.Tx, x ticket.Ticket) error {
			return ticket.SetAside(ctx, tx, x, ticket.Offered)
		}},
		{"handed on", true, func(ctx context.Context, tx pgx.Tx, x ticket.Ticket) error {
			return issuer().Reissue(ctx, tx, []ticket.Reissue{{Ticket: x, Owner: lottery.Entrant{9}}})
		}},
		{"listed", true, func(ctx context.Context, tx pgx.Tx, x ticket.Ticket) error {
			return ticket.SetAside(ctx, tx, x, ticket.Listed)
		}},
		{"withdrawn", true, func(ctx context.Context, tx pgx.Tx, x ticket.Ticket) error { return issuer().PutBack(ctx, tx, x) }},
		{"moved", true, func(ctx context.Context, tx pgx.Tx, x ticket.Ticket) error {
			return issuer().Reissue(ctx, tx, []ticket.Reissue{{Ticket: x, Tier: "lower", Seat: "101/A/9"}})
		}},
		{"void", true, func(ctx context.Context, tx pgx.Tx, x ticket.Ticket) error {
			_, err := ticket.Void(ctx, tx, []uuid.UUID{x.ID}, "refunded")
			return err
		}},
		{"void again", false, func(ctx context.Context, tx pgx.Tx, x ticket.Ticket) error {
			_, err := ticket.Void(ctx, tx, []uuid.UUID{x.ID}, "refunded")
			return err
		}},
		{"reinstated", true, func(ctx context.Context, tx pgx.Tx, x ticket.Ticket) error {
			return issuer().Reinstate(ctx, tx, []ticket.Ticket{x})
		}},
	} {
		x := load(t, d, id)
		if err := inTx(t, d, func(ctx context.Context, tx pgx.Tx) error { return step.do(ctx, tx, x) }); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if step.marks {
			want++
		}
		if got, due := version(id); got != want || due != (want > 0) {
			t.Errorf("%s: version %d, due %v; want %d", step.what, got, due, want)
		}
	}
	if got, due := version(other); got != 0 || due {
		t.Errorf("another ticket's pass: version %d, due %v", got, due)
	}
}
