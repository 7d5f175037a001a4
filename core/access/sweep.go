package access

import (
	"context"
	"fmt"
	"time"
)

// What the waiting room keeps of people and machines is not kept for ever: verdicts of the filter for Config.KeepVerdicts, since they are
// about people; signing keys of edges for a week after their end; revocations of sessions for as long as the row says. Lifts and bans
// are an operator's word and stay. Challenges were never written down.
const (
	sqlSweepVerdicts = `DELETE FROM guard_verdicts AS v
	USING (SELECT entrant, at, verdict_id FROM guard_verdicts WHERE at < now() - $1::INT8 * INTERVAL '1 millisecond' ORDER BY at LIMIT $2) AS old
	WHERE v.entrant = old.entrant AND v.at = old.at AND v.verdict_id = old.verdict_id`
	sqlSweepEdgeKeys = `DELETE FROM edge_keys AS k
	USING (SELECT key_id FROM edge_keys WHERE valid_until < now() - $1::INT8 * INTERVAL '1 millisecond' ORDER BY valid_until LIMIT $2) AS old
	WHERE k.key_id = old.key_id`
	sqlSweepRevoked = `DELETE FROM revoked_sessions AS r
	USING (SELECT session_id FROM revoked_sessions WHERE keep_until < now() - $1::INT8 * INTERVAL '1 millisecond' LIMIT $2) AS old
	WHERE r.session_id = old.session_id`
)

const (
	// sweepEvery is how often each core sweeps, and sweepPage how many rows go in one transaction.
	sweepEvery = 10 * time.Minute
	sweepPage  = 1000
	// sweepPages bounds one sweep: what is left is for the next.
	sweepPages = 100
	// keepEdgeKeys is for how long the keys of edges are kept after their end.
	keepEdgeKeys = 7 * 24 * time.Hour
)

// sweep deletes what has been kept for long enough, and says how many rows that were. Several cores may do it at once.
func (r *Room) sweep(ctx context.Context) (int, error) {
	total := 0
	for _, table := range []struct {
		name, sql string
		keep      time.Duration
	}{{"verdicts", sqlSweepVerdicts, r.cfg.KeepVerdicts}, {"keys of edges", sqlSweepEdgeKeys, keepEdgeKeys}, {"revoked sessions", sqlSweepRevoked, 0}} {
		for range sweepPages {
			tag, err := r.db.Exec(ctx, table.sql, table.keep.Milliseconds(), int64(sweepPage))
			if err != nil {
				return total, fmt.Errorf("sweep old %s: %w", table.name, err)
			}
			n := int(tag.RowsAffected())
			total += n
			if n < sweepPage {
				break
			}
		}
	}
	rowsSwept.Add(total)
	return total, nil
}

// sweeps runs sweep now and then until ctx ends.
func (r *Room) sweeps(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if _, err := r.sweep(ctx); err != nil {
			r.complain(ctx, "sweep", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
