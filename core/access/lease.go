package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// lease is a core's right to drive one on-sale. The right is only as good as the row says inside the transaction that
// uses it, see fence; valid spares attempts that would fail there.
type lease struct {
	epoch int64
	until time.Time // by the local clock, from before the row was asked: never later than the database's own
	tried time.Time // when it was last asked for
}

const (
	// A holder keeps its epoch when it renews, even late, as long as nobody took over: whoever takes over adds one.
	sqlTakeLease = `INSERT INTO leases (name, holder, epoch, expires_at) VALUES ($1, $2, 1, now() + $3::INT8 * INTERVAL '1 millisecond')
	ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at,
		epoch = CASE WHEN leases.holder = excluded.holder THEN leases.epoch ELSE leases.epoch + 1 END
	WHERE leases.holder = excluded.holder OR leases.expires_at <= now()
	RETURNING epoch`
	sqlFence        = `SELECT epoch FROM leases WHERE name = $1 AND holder = $2 AND epoch = $3 AND expires_at > now()`
	sqlReleaseLease = `UPDATE leases SET expires_at = now() WHERE name = $1 AND holder = $2 AND epoch = $3`
)

func leaseName(event uuid.UUID) string { return "draw/" + event.String() }

// hold takes or renews the lease of an on-sale when it is time to, and tells whether this core holds it and whether it
// has just been taken.
func (r *Room) hold(ctx context.Context, event uuid.UUID, l *lease) (held, taken bool, err error) {
	now := time.Now()
	renewEvery := r.cfg.LeaseTTL / 4
	if now.Sub(l.tried) < renewEvery {
		return now.Before(l.until), false, nil
	}
	l.tried = now
	var epoch int64
	err = r.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, sqlTakeLease, leaseName(event), r.id, r.cfg.LeaseTTL.Milliseconds()).Scan(&epoch)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows): // somebody else's
		if l.epoch != 0 {
			leasesLost.Inc()
		}
		l.epoch, l.until = 0, time.Time{}
		return false, false, nil
	case err != nil:
		return now.Before(l.until), false, fmt.Errorf("renew the lease: %w", err)
	}
	taken = epoch != l.epoch
	if taken {
		leasesTaken.Inc()
	}
	l.epoch, l.until = epoch, now.Add(r.cfg.LeaseTTL)
	return true, taken, nil
}

// release lets another core take over at once.
func (r *Room) release(event uuid.UUID, l *lease) {
	if l.epoch == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := r.db.Exec(ctx, sqlReleaseLease, leaseName(event), r.id, l.epoch); err != nil {
		r.cfg.Log.Info("a lease was left to expire", "event", event, "error", err)
	}
	l.epoch, l.until = 0, time.Time{}
}

// fence fails with errFenced unless the lease still is this core's. Reading the row inside the transaction that writes
// makes a take-over and the write conflict, so a core that was replaced writes nothing more.
func (r *Room) fence(ctx context.Context, tx pgx.Tx, event uuid.UUID, l *lease) error {
	var epoch int64
	err := tx.QueryRow(ctx, sqlFence, leaseName(event), r.id, l.epoch).Scan(&epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return errFenced
	}
	if err != nil {
		return fmt.Errorf("check the lease: %w", err)
	}
	return nil
}
