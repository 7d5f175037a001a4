package fraud

import (
	"context"
	"fmt"
	"time"
)

// sweepRows is how many observations one statement deletes, and sweepEvery how long to rest when none is left.
const (
	sweepRows  = 1000
	sweepEvery = time.Minute
)

// Run deletes observations of the days before yesterday until ctx ends. Several cores may do so at once.
func (s *Screen) Run(ctx context.Context) error {
	for {
		n, err := s.Sweep(ctx)
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("sweep what was seen of payments", "error", err.Error())
		}
		rest := sweepEvery
		if n == sweepRows {
			rest = 10 * time.Millisecond
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rest):
		}
	}
}

// Sweep deletes some old observations and tells how many.
func (s *Screen) Sweep(ctx context.Context) (int64, error) {
	tag, err := s.db.Exec(ctx, sqlSweepObservations, sweepRows)
	if err != nil {
		return 0, fmt.Errorf("delete old observations: %w", err)
	}
	swept.Add(int(tag.RowsAffected()))
	return tag.RowsAffected(), nil
}
