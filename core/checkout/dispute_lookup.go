package checkout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
)

// disputeBatch is how many silent disputes one round asks about.
const disputeBatch = 25

const sqlSilentDisputes = `
SELECT ref, provider, order_id, payment_id FROM disputes
WHERE state IN ('inquiry', 'open', 'review') AND updated_at < now() - $1::INT8 * INTERVAL '1 millisecond'
ORDER BY updated_at, ref LIMIT $2`

// Whoever touches a silent dispute asks about it: of two cores one.
const sqlTouchDispute = `
UPDATE disputes SET updated_at = now()
WHERE ref = $1 AND provider = $2 AND updated_at < now() - $3::INT8 * INTERVAL '1 millisecond'`

// silentDispute names a dispute that nothing was heard of.
type silentDispute struct {
	Ref, Provider  string
	Order, Payment uuid.UUID
}

// LookUpDisputes asks providers about undecided disputes that were silent for Config.DisputesEvery, until ctx ends: a webhook
// may be lost, and then nobody else would tell that a dispute was decided.
func (s *Service) LookUpDisputes(ctx context.Context) error {
	tick := time.NewTicker(min(s.cfg.DisputesEvery, time.Minute))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.lookUpDisputes(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("look up silent disputes", "error", err.Error())
		}
	}
}

func (s *Service) lookUpDisputes(ctx context.Context) error {
	rows, err := s.db.Reader.Query(ctx, sqlSilentDisputes, s.cfg.DisputesEvery.Milliseconds(), disputeBatch)
	if err != nil {
		return fmt.Errorf("find silent disputes: %w", err)
	}
	silent, err := pgx.CollectRows(rows, pgx.RowToStructByPos[silentDispute])
	if err != nil {
		return fmt.Errorf("find silent disputes: %w", err)
	}
	var errs []error
	for _, d := range silent {
		// One that cannot be looked up must not keep the others from it.
		if err := s.lookUpDispute(ctx, d); err != nil {
			errs = append(errs, fmt.Errorf("look up dispute %s: %w", d.Ref, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Service) lookUpDispute(ctx context.Context, d silentDispute) error {
	disputer, err := s.providers.Disputer(d.Provider)
	if errors.Is(err, payment.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	tag, err := s.db.Exec(ctx, sqlTouchDispute, d.Ref, d.Provider, s.cfg.DisputesEvery.Milliseconds())
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	news, err := disputer.LookupDispute(ctx, d.Ref)
	if err != nil {
		return err
	}
	_, err = s.applyDispute(ctx, d.Provider, d.Order, d.Payment, news, origin{actor: "lookup"})
	return err
}
