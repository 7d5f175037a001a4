package inventory

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
)

func TestWhoHasAnAccessibleSeatIsFoundWithoutReadingEveryTicket(t *testing.T) {
	d := dbtest.New(t)
	if d.Engine == db.CockroachDB {
		t.Skip("the plan is PostgreSQL's")
	}
	var plan strings.Builder
	err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		plan.Reset()
		if _, err := tx.Exec(ctx, `SET LOCAL enable_seqscan = off`); err != nil { // the table is empty, so reading it all would be cheap
			return err
		}
		rows, err := tx.Query(ctx, `EXPLAIN `+sqlReadOwners, [][16]byte{uuid.New()}, []string{"A/1/1"})
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		plan.WriteString(strings.Join(lines, "\n"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plan.String(), "Seq Scan") || !strings.Contains(plan.String(), "tickets_one_per_seat") {
		t.Error(plan.String())
	}
}
