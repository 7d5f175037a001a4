package checkout

import (
	"context"
	"sync"
	"testing"
	"time"

	"fairgate/core/payment"
	"fairgate/core/ticket"
)

// forgetful is a bank whose webhooks are lost: what it has decided it says only when it is asked.
type forgetful struct {
	*bank
	mu      sync.Mutex
	decided payment.DisputeNews
	lookups int
}

func (f *forgetful) LookupDispute(context.Context, string) (payment.DisputeNews, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lookups++
	return f.decided, nil
}

func TestADisputeWhoseDecisionWasNeverToldIsAskedForByOneOfTwoCores(t *testing.T) {
	s, n, b, o := disputable(t)
	f := &forgetful{bank: b, decided: claim(o, payment.DisputeWon)}
	s.says(n, claim(o, payment.DisputeOpen))
	s.await(n, o.ID, Disputed)
	s.adjust = func(c *Config) { c.Providers, c.DisputesEvery = payment.NewProviders(f), time.Hour }
	first, second := s.open(false), s.open(false)
	ask := func() {
		t.Helper()
		var both sync.WaitGroup
		for _, core := range []*node{first, second} {
			both.Go(func() {
				if err := core.lookUpDisputes(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
	ask()
	if f.lookups != 0 {
		t.Fatalf("a dispute of which was just heard was looked up %d times", f.lookups)
	}
	s.exec(`UPDATE disputes SET updated_at = now() - INTERVAL '2 hours'`)
	ask()
	if f.lookups != 1 {
		t.Errorf("two cores looked it up %d times", f.lookups)
	}
	s.await(n, o.ID, TicketIssued)
	s.expectTickets(o, ticket.Valid, 2)
	s.exec(`UPDATE disputes SET updated_at = now() - INTERVAL '2 hours'`)
	ask()
	if f.lookups != 1 {
		t.Error("a dispute that is decided was looked up")
	}
}
