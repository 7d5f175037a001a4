package db

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// browseTimeout is how long the copy may take before the primary is asked.
	browseTimeout = 3 * time.Second
	// browsePause is for how long a copy that failed is left alone, so that not every reader waits for it.
	browsePause = 5 * time.Second
)

// Browse runs statements that only show something, never decide: they may be answered by a copy that is some seconds behind
// (Options.ReplicaURL, Options.FollowerReads). Where there is no such copy they go to Reader, and so they do, in a second run of fn,
// when the copy fails or does not have what is looked for. fn must set what it returns anew each time.
func (d *DB) Browse(ctx context.Context, fn func(ctx context.Context, copied *pgxpool.Pool) error) error {
	if !d.Copied() || time.Now().UnixNano() < d.copyDownUntil.Load() {
		return fn(ctx, d.Reader)
	}
	bounded, cancel := context.WithTimeout(ctx, browseTimeout)
	err := fn(bounded, d.browsing)
	if err != nil && (bounded.Err() != nil || IsUnavailable(err)) {
		d.copyDownUntil.Store(time.Now().Add(browsePause).UnixNano())
	}
	cancel()
	if err == nil || ctx.Err() != nil {
		return err
	}
	browseFallbacks.Inc()
	return fn(ctx, d.Reader)
}

// Copied tells whether Browse may see an older state than Reader.
func (d *DB) Copied() bool { return d.browsing != d.Reader }

// openBrowsing makes the pool of Browse. A replica that is down at the start is no reason not to start.
func openBrowsing(ctx context.Context, engine Engine, primary *pgxpool.Config, reader *pgxpool.Pool, opt Options) (*pgxpool.Pool, error) {
	params, ok := engine.browserParams(opt.FollowerReads)
	if !ok {
		return nil, fmt.Errorf("%w: follower reads need CockroachDB; leave database.follower_reads off, or name a replica in database.replica_url", ErrEngine)
	}
	if opt.ReplicaURL == "" && len(params) == 0 {
		return reader, nil
	}
	config := primary.Copy()
	if opt.ReplicaURL != "" {
		replica, err := pgxpool.ParseConfig(opt.ReplicaURL)
		if err != nil {
			return nil, fmt.Errorf("parse the replica's URL: %w", err)
		}
		replica.MaxConns, replica.MinConns, replica.AfterConnect = primary.MaxConns, 0, primary.AfterConnect
		replica.MaxConnLifetime, replica.MaxConnLifetimeJitter, replica.MaxConnIdleTime = primary.MaxConnLifetime, primary.MaxConnLifetimeJitter, primary.MaxConnIdleTime
		replica.ConnConfig.ConnectTimeout = browseTimeout
		for key, value := range engine.sessionParams(opt.Application) {
			replica.ConnConfig.RuntimeParams[key] = value
		}
		config = replica
	}
	for _, more := range []map[string]string{engine.readerParams(), params} {
		for key, value := range more {
			config.ConnConfig.RuntimeParams[key] = value
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the pool for browsing: %w", err)
	}
	return pool, nil
}
