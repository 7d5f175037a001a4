package checkout

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// beatsPerRunLease is how often in the time of a lease its core shows signs of life: with a lease of 10 s each 2.5 s. So a lease may be
// short, and another core soon go on with what a dead one was doing, however long a page takes.
const beatsPerRunLease = 4

const sqlRenewRun = `
UPDATE refund_runs SET lease_until = now() + $3::INT8 * INTERVAL '1 millisecond'
WHERE run_id = $1 AND lease_owner = $2 AND lease_until > now()`

const sqlRenewListing = `
UPDATE dispute_listings SET lease_until = now() + $3::INT8 * INTERVAL '1 millisecond'
WHERE provider = $1 AND lease_owner = $2 AND lease_until > now()`

// renewRun renews the lease of a run; false when this core has it no more.
func (s *Service) renewRun(ctx context.Context, id uuid.UUID) (bool, error) {
	tag, err := s.db.Exec(ctx, sqlRenewRun, id, s.incarnation, s.cfg.RunLease.Milliseconds())
	if err != nil {
		return false, fmt.Errorf("renew the lease of run %s: %w", id, err)
	}
	return tag.RowsAffected() == 1, nil
}

// renewListing renews the lease of a provider's list; false when this core has it no more.
func (s *Service) renewListing(ctx context.Context, provider string) (bool, error) {
	tag, err := s.db.Exec(ctx, sqlRenewListing, provider, s.incarnation, s.cfg.RunLease.Milliseconds())
	if err != nil {
		return false, fmt.Errorf("renew the lease of %s's list: %w", provider, err)
	}
	return tag.RowsAffected() == 1, nil
}

// keepLease renews a lease that was taken not before taken until done is called, which waits for the last renewal. The context that it
// returns ends when the lease is lost, or could not be renewed for so long that another core may soon take it. Expiry is judged by the
// database's clock; this machine's says only when to stop waiting for the database.
func (s *Service) keepLease(ctx context.Context, taken time.Time, renew func(context.Context) (bool, error)) (held context.Context, done func()) {
	held, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		beat := s.cfg.RunLease / beatsPerRunLease
		ticker := time.NewTicker(beat)
		defer ticker.Stop()
		until := taken.Add(s.cfg.RunLease - beat)
		for {
			select {
			case <-held.Done():
				return
			case <-ticker.C:
			}
			asked := time.Now()
			bounded, stop := context.WithTimeout(held, beat)
			kept, err := renew(bounded)
			stop()
			switch {
			case err == nil && kept:
				until = asked.Add(s.cfg.RunLease - beat)
				continue
			case err == nil:
				s.log.Warn("a lease is lost: it has expired, or another core has it")
				cancel()
				return
			case held.Err() != nil:
				return
			}
			s.log.Warn("a lease cannot be renewed", "error", err.Error())
			if time.Now().After(until) {
				cancel()
				return
			}
		}
	}()
	return held, func() {
		cancel()
		<-over
	}
}
