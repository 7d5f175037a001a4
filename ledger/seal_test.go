package ledger_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/ledger"
)

func seal(t *testing.T, d *db.DB, w *ledger.Writer) int {
	t.Helper()
	var n int
	if err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) (err error) {
		n, err = w.Seal(ctx, tx)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func check(t *testing.T, r ledger.Report, name string) ledger.Check {
	t.Helper()
	for _, c := range r.Checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("there is no check %s in %+v", name, r.Checks)
	return ledger.Check{}
}

func TestSealsChainWhatWasWrittenBetweenThem(t *testing.T) {
	d := dbtest.New(t)
	w, other := ledger.NewWriter(d.Reader), ledger.NewWriter(d.Reader)
	if n := seal(t, d, w); n != 0 {
		t.Errorf("sealed %d transfers of nothing", n)
	}
	mustRecord(t, d, w, sale(t, 1000)...)
	mustRecord(t, d, other, sale(t, 1000)...)
	if n := seal(t, d, w); n != 4 {
		t.Errorf("sealed %d transfers, want 4", n)
	}
	mustRecord(t, d, w, sale(t, 1000)...)
	if c := check(t, mustVerify(t, d, 12), "chains_intact"); c.Checked != 1 || c.Detail != "8 transfers not sealed yet" {
		t.Errorf("with one seal: %+v", c)
	}
	if n := seal(t, d, w) + seal(t, d, other); n != 8 {
		t.Errorf("sealed %d transfers, want 8", n)
	}
	if c := check(t, mustVerify(t, d, 12), "chains_intact"); c.Checked != 3 || c.Detail != "" {
		t.Errorf("with all sealed: %+v", c)
	}
}

func TestALongBacklogGetsSeveralSeals(t *testing.T) {
	d := dbtest.New(t)
	w := ledger.NewWriter(d.Reader)
	var all []ledger.Transfer
	for range 300 {
		all = append(all, sale(t, 1000)...)
	}
	mustRecord(t, d, w, append(all, ledger.PostAll(all)...)...)
	if n := seal(t, d, w); n != 2400 {
		t.Errorf("sealed %d transfers", n)
	}
	if n := seal(t, d, w); n != 0 {
		t.Errorf("sealed %d transfers again", n)
	}
	if c := check(t, mustVerify(t, d, 2400), "chains_intact"); c.Checked != 3 || c.Detail != "" {
		t.Errorf("got %+v", c)
	}
}

func TestWhatADeadProcessLeftUnsealedCanBeSealed(t *testing.T) {
	d := dbtest.New(t)
	dead, idle := ledger.NewWriter(d.Reader), ledger.NewWriter(d.Reader)
	mustRecord(t, d, dead, sale(t, 1000)...)
	writers, err := ledger.Writers(t.Context(), d.Pool)
	if err != nil || len(writers) != 1 || writers[0] != dead.Incarnation() || idle.Incarnation() == dead.Incarnation() {
		t.Fatalf("writers are %v, %v", writers, err)
	}
	if err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := ledger.SealOrphan(ctx, tx, writers[0])
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if c := check(t, mustVerify(t, d, 4), "chains_intact"); c.Checked != 1 {
		t.Errorf("got %+v", c)
	}
}

func TestSealersAtTheSameTimeMakeOneChain(t *testing.T) {
	d := dbtest.New(t)
	w := ledger.NewWriter(d.Reader)
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			for range 15 {
				s, err := ledger.SaleTransfers(uuid.New(), "lumen-live", "stripe", euros(1000), euros(0), euros(0))
				if err == nil {
					err = record(t, d, w, s...)
				}
				if err != nil {
					t.Error(err)
				}
				if err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
					_, err := w.Seal(ctx, tx)
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if c := check(t, mustVerify(t, d, 90), "chains_intact"); c.Detail != "" || c.Checked == 0 {
		t.Errorf("got %+v", c)
	}
}

func TestAGapIsNeverSealedOver(t *testing.T) {
	d := dbtest.New(t)
	w := ledger.NewWriter(d.Reader)
	mustRecord(t, d, w, sale(t, 1000)...)
	tamper(t, d, `DELETE FROM ledger_transfers WHERE sequence = 2`)
	err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := w.Seal(ctx, tx)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "transfer 2 is missing") {
		t.Errorf("got %v", err)
	}
}
