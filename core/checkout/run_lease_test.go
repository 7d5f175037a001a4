package checkout

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/edge/lottery"
)

// One core is in the middle of a page for longer than its lease would be; it keeps it alive. Then it is as good as dead: another core takes
// the run over, and what the first had begun it finds done.
func TestARunsLeaseIsRenewedWhileItsCoreLivesAndAnotherTakesOverWhenItDoesNot(t *testing.T) {
	t.Parallel() // it mostly waits
	s := newShop(t)
	seller := s.open(true)
	ctx := context.Background()
	var orders []Order
	for i := range 4 {
		orders = append(orders, s.sold(seller, lottery.Entrant{byte(i + 1)}, floor(1)))
	}
	stuck := make(chan struct{})
	var once sync.Once
	s.adjust = func(c *Config) {
		c.RunLease = 8 * time.Second
		c.RefundRate = func(ctx context.Context, _ uuid.UUID) float64 { // the page stands still after its first order, until the lease is lost
			once.Do(func() { close(stuck) })
			<-ctx.Done()
			return 1
		}
	}
	first := s.open(false)
	s.adjust = nil
	s.off.Store(true)
	s.keptOff = 4
	s.exec(sqlInsertRun, RunID(s.event), s.event, "storm", "operator")
	s.exec(`UPDATE refund_runs SET lease_owner = $1, lease_until = now() + INTERVAL '10 minutes'`, first.incarnation) // the other core does not begin it
	working, kill := context.WithCancel(ctx)
	defer kill()
	var wg sync.WaitGroup
	wg.Go(func() { first.workRuns(working) })
	<-stuck
	until := func() (at time.Time) {
		if err := s.db.Reader.QueryRow(ctx, `SELECT coalesce(lease_until, 'epoch') FROM refund_runs`).Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	for range 2 {
		was := until()
		s.eventually("the lease is renewed in the middle of a page", func() bool { return until().After(was) })
	}
	if made := s.count(`SELECT count(*) FROM refunds`); made != 1 {
		t.Fatalf("%d refunds while the page stands still", made)
	}
	// The first core's signs of life stop reaching the database: by its clock the lease is over.
	s.exec(`UPDATE refund_runs SET lease_owner = $1, lease_until = now()`, uuid.New())
	s.eventually("the run is done", func() bool {
		run, err := first.RunOf(ctx, s.event)
		return err == nil && run.State == "done" && run.Refunded == 4
	})
	kill()
	wg.Wait()
	for _, o := range orders {
		if n := s.provider.made(payment.PaymentID(o.ID, 1)); n != 1 {
			t.Errorf("order %s was refunded %d times", o.ID, n)
		}
	}
	s.audit()
}
