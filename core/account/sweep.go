package account

import (
	"context"
	"fmt"
	"time"
)

// sweepRows is how many codes one statement deletes, and sweepEvery how long to rest when none is left.
const (
	sweepRows  = 1000
	sweepEvery = 10 * time.Minute
)

const sqlSweepCodes = `DELETE FROM account_codes WHERE code_id IN (
	SELECT code_id FROM account_codes WHERE created_at < now() - INTERVAL '1 day' ORDER BY created_at LIMIT $1::INT8)`

// Run deletes codes that no limit counts any more until ctx ends. Several cores may do so at once.
func (s *Service) Run(ctx context.Context) error {
	for {
		n, err := s.Sweep(ctx)
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("sweep old sign-in codes", "error", err.Error())
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

// Sweep deletes some old codes and tells how many.
func (s *Service) Sweep(ctx context.Context) (int64, error) {
	tag, err := s.db.Exec(ctx, sqlSweepCodes, int64(sweepRows))
	if err != nil {
		return 0, fmt.Errorf("delete old codes: %w", err)
	}
	codesSwept.Add(int(tag.RowsAffected()))
	return tag.RowsAffected(), nil
}
