package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/cockroachdb/cockroach-go/v2/crdb"
	crdbpgx "github.com/cockroachdb/cockroach-go/v2/crdb/crdbpgxv5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// retryPolicy bounds how often and how fast a transaction is run again.
type retryPolicy struct {
	retries  int           // after the first attempt
	base     time.Duration // mean of the first wait; doubles
	ceiling  time.Duration // longest wait
	acquire  time.Duration // longest wait for a free connection
	rollback time.Duration // longest wait for the answer to a ROLLBACK
}

// wait sleeps before retry n (from 0): anything between nothing and twice the mean, so that rivals spread out.
func (p retryPolicy) wait(ctx context.Context, n int) error {
	mean := min(p.base<<min(n, 16), p.ceiling)
	timer := time.NewTimer(rand.N(2*mean + 1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// InTx runs fn in one SERIALIZABLE transaction and commits it, again and again while the engine asks for that and the
// bound allows. fn may therefore run many times: it must set what it returns anew each time and must do nothing outside
// the transaction, no provider call, mail, channel send or log line that stands for an event. fn must return the errors
// of its statements, wrapped with %w.
//
// nil means committed. ErrAmbiguous and ErrUnavailable say what else happened; any other error is fn's own or the
// server's, and nothing was committed.
func (d *DB) InTx(ctx context.Context, fn func(context.Context, pgx.Tx) error) error {
	err := d.Engine.runTx(ctx, d.Pool, pgx.Serializable, d.policy, fn)
	countTx(err)
	return err
}

// InBookkeeping runs fn like InTx, except that PostgreSQL runs it at READ COMMITTED. It is for the bookkeeping of queues,
// where each write is one statement that repeats its guard, so that two writers of a row decide by the row's lock. There
// SERIALIZABLE would add nothing but false conflicts: its locks on index pages, held by whoever claims a task, make the
// transactions abort that add tasks together with money and seats. Never use it for anything that moves those.
func (d *DB) InBookkeeping(ctx context.Context, fn func(context.Context, pgx.Tx) error) error {
	err := d.Engine.runTx(ctx, d.Pool, pgx.ReadCommitted, d.policy, fn)
	countTx(err)
	return err
}

// acquire takes a connection from the pool; failing to is always an outage unless the caller gave up.
func acquire(ctx context.Context, pool *pgxpool.Pool, policy retryPolicy) (*pgxpool.Conn, error) {
	bounded, cancel := context.WithTimeout(ctx, policy.acquire)
	defer cancel()
	conn, err := pool.Acquire(bounded)
	if err == nil {
		return conn, nil
	}
	if pg := pgErrorOf(err); pg != nil && !outageCode(pg.Code) {
		return nil, fmt.Errorf("connect to the database: %w", err) // wrong password, no such database
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, fmt.Errorf("take a connection: %w", err) // the caller went away
	}
	return nil, fmt.Errorf("%w: take a connection: %w", ErrUnavailable, err)
}

// runPostgres retries the whole transaction, since PostgreSQL reports serialization failures at COMMIT too.
func runPostgres(ctx context.Context, pool *pgxpool.Pool, level pgx.TxIsoLevel, policy retryPolicy, fn func(context.Context, pgx.Tx) error) error {
	for n := 0; ; n++ {
		err := attemptPostgres(ctx, pool, level, policy, fn)
		switch {
		case err == nil:
			return nil
		case !isRetryable(err) || errors.Is(err, ErrAmbiguous):
			return err
		case n >= policy.retries:
			return fmt.Errorf("%w: %w after %d attempts: %w", ErrUnavailable, ErrConflict, n+1, err)
		}
		txRetries.Inc()
		if waitErr := policy.wait(ctx, n); waitErr != nil {
			return fmt.Errorf("wait to run the transaction again: %w", waitErr)
		}
	}
}

// attemptPostgres runs BEGIN, fn and COMMIT once on one connection.
func attemptPostgres(ctx context.Context, pool *pgxpool.Pool, level pgx.TxIsoLevel, policy retryPolicy, fn func(context.Context, pgx.Tx) error) (err error) {
	conn, err := acquire(ctx, pool, policy)
	if err != nil {
		return err
	}
	defer conn.Release() // destroys the connection if it is not idle by then
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: level})
	if err != nil {
		return undone(ctx, conn, fmt.Errorf("begin: %w", err))
	}
	finished := false
	defer func() {
		if !finished { // fn failed or panicked
			rollback(ctx, tx, policy)
		}
	}()
	if err := fn(ctx, tx); err != nil {
		return undone(ctx, conn, err)
	}
	if err := readyToCommit(ctx, conn); err != nil {
		return err
	}
	finished = true
	return committed(tx.Commit(ctx))
}

// readyToCommit refuses to send a COMMIT that is known to be in vain, which would make the outcome look open.
func readyToCommit(ctx context.Context, conn *pgxpool.Conn) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("before the commit: %w", err)
	}
	if conn.Conn().IsClosed() {
		return fmt.Errorf("%w: the connection was lost before the commit", ErrUnavailable)
	}
	return nil
}

// rollback gives the connection back clean even when the caller's context is over; a connection that cannot be rolled
// back is destroyed by the pool.
func rollback(ctx context.Context, tx pgx.Tx, policy retryPolicy) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), policy.rollback)
	defer cancel()
	_ = tx.Rollback(bounded)
}

// committed says what an answer to COMMIT means.
func committed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrTxCommitRollback):
		// The server rolled back: fn went on after a failed statement and hid its error.
		return fmt.Errorf("commit a transaction in which a statement had failed: %w", err)
	case commitIsUndone(err):
		return outageOf(fmt.Errorf("commit: %w", err))
	default:
		return fmt.Errorf("%w: commit: %w", ErrAmbiguous, err)
	}
}

// outageOf adds ErrUnavailable to an error that an outage caused. Before COMMIT was sent nothing can be committed.
func outageOf(err error) error {
	if isOutage(err) && !errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// undone classifies an error met before COMMIT was sent: nothing is committed, and a connection that broke although the
// caller still waits is an outage, whatever the driver calls it.
func undone(ctx context.Context, conn *pgxpool.Conn, err error) error {
	if conn.Conn().IsClosed() && ctx.Err() == nil && !errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return outageOf(err)
}

// isClosed recognises the ways in which a connection reports that its peer is gone.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// runCockroach leaves the retry to cockroach-go's savepoint protocol. It must never run against PostgreSQL, where the
// RELEASE it takes for the commit is not one, and the real COMMIT's error would be dropped.
func runCockroach(ctx context.Context, pool *pgxpool.Pool, policy retryPolicy, fn func(context.Context, pgx.Tx) error) error {
	conn, err := acquire(ctx, pool, policy)
	if err != nil {
		return err
	}
	defer conn.Release()
	ctx = crdb.WithMaxRetries(ctx, policy.retries)
	attempt := 0
	err = crdbpgx.ExecuteTx(ctx, conn, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(tx pgx.Tx) error {
		if attempt > 0 {
			txRetries.Inc()
			if err := policy.wait(ctx, attempt-1); err != nil {
				return fmt.Errorf("wait to run the transaction again: %w", err)
			}
		}
		attempt++
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return readyToCommit(ctx, conn)
	})
	var ambiguous *crdb.AmbiguousCommitError
	var exhausted *crdb.MaxRetriesExceededError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ambiguous):
		return committed(ambiguous.Unwrap())
	case errors.As(err, &exhausted):
		return fmt.Errorf("%w: %w after %d attempts: %w", ErrUnavailable, ErrConflict, attempt, exhausted.Unwrap())
	default:
		return undone(ctx, conn, err)
	}
}
