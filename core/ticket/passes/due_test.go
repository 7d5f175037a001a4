package passes

import (
	"strings"
	"testing"

	"fairgate/core/db"
)

func TestALookForWhatIsDueReadsNoOtherWalletsBacklog(t *testing.T) {
	w := newWorld(t)
	if w.d.Engine == db.CockroachDB {
		t.Skip("the plan is PostgreSQL's")
	}
	if _, err := w.d.Pool.Exec(t.Context(), `INSERT INTO wallet_passes (ticket_id, owner, wallet, name_epoch, order_id, version, changed_at, due_at, attempts, last_error, saved_at)
		SELECT gen_random_uuid(), 'x', CASE WHEN n = 1 THEN 'apple' ELSE 'google' END, 1, gen_random_uuid(), 1, now(), now(), 0, '', now() FROM generate_series(1, 5000) AS n`); err != nil {
		t.Fatal(err)
	}
	if _, err := w.d.Pool.Exec(t.Context(), `ANALYZE wallet_passes`); err != nil {
		t.Fatal(err)
	}
	rows, err := w.d.Pool.Query(t.Context(), `EXPLAIN `+sqlDue, "apple", claimAtOnce)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil || !strings.Contains(plan.String(), "wallet_passes_due_by_wallet") {
		t.Errorf("%v, the plan is\n%s", err, plan.String())
	}
}
