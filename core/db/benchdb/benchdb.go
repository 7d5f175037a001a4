// Package benchdb gives benchmarks their database: the one of DATABASE_URL, or a private one in a temporary folder. A figure
// means little without what it was measured on, so it prints the engine and whether commits are durable.
package benchdb

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"fairgate/core/db"
)

// durability is what decides in PostgreSQL whether a commit survives a crash.
var durability = []string{"fsync", "synchronous_commit", "full_page_writes", "wal_sync_method"}

// Open starts or finds the database, brings its schema up to date and describes it on w. The caller calls done.
func Open(ctx context.Context, w io.Writer, opt db.Options) (d *db.DB, done func(), err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	server, err := db.Start(ctx, db.ServerConfig{URL: os.Getenv("DATABASE_URL"), Log: log})
	if err != nil {
		return nil, nil, err
	}
	stop := func() { server.Stop(context.WithoutCancel(ctx)) }
	if d, err = db.Open(ctx, server.URL, opt); err != nil {
		stop()
		return nil, nil, err
	}
	done = func() {
		d.Close()
		stop()
	}
	if _, err = d.Migrate(ctx); err == nil {
		err = describe(ctx, w, d)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return d, done, nil
}

func describe(ctx context.Context, w io.Writer, d *db.DB) error {
	fmt.Fprintln(w, d.Version)
	if d.Engine != db.PostgreSQL {
		return nil
	}
	for _, setting := range durability {
		var value string
		if err := d.Pool.QueryRow(ctx, "SHOW "+setting).Scan(&value); err != nil {
			return fmt.Errorf("ask for %s: %w", setting, err)
		}
		fmt.Fprintf(w, "%s = %s\n", setting, value)
	}
	return nil
}
