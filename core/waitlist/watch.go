package waitlist

import (
	"context"
	"fmt"
	"time"
)

// watchEvery is how often the metrics are told how the lists stand.
const watchEvery = 15 * time.Second

const sqlLengths = `
SELECT (SELECT count(*) FROM waitlist_entries AS e WHERE e.state = 'waiting'),
    (SELECT COALESCE(extract(EPOCH FROM now() - min(e.asked_at)), 0)::FLOAT8 FROM waitlist_entries AS e WHERE e.state = 'waiting'),
    (SELECT count(*) FROM waitlist_offers AS o WHERE o.closed_at IS NULL)`

// watch tells the metrics how long the lists are, which offers are out and who has waited longest. Entries of lists that have closed are
// closed too, a page at a time.
func (s *Service) watch(ctx context.Context) error {
	err := s.db.Reading(ctx, func() error {
		var waiting, out int64
		var oldest float64
		if err := s.db.Reader.QueryRow(ctx, sqlLengths).Scan(&waiting, &oldest, &out); err != nil {
			return err
		}
		waitingGauge.Set(float64(waiting))
		oldestGauge.Set(oldest)
		outGauge.Set(float64(out))
		return nil
	})
	if err != nil {
		return fmt.Errorf("see how the waiting lists stand: %w", err)
	}
	return nil
}
