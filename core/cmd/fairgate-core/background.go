package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/access"
	"fairgate/core/checkout"
	"fairgate/core/db"
	"fairgate/core/inventory"
	"fairgate/core/inventory/history"
	"fairgate/ledger"
)

// openDatabase starts the database where none is configured, connects and brings the schema up to date.
func openDatabase(ctx context.Context, cfg config, log *slog.Logger, c *core) (*db.DB, error) {
	server, err := db.Start(ctx, db.ServerConfig{URL: cfg.Database.URL, DataDir: cfg.Database.DataDir, Log: log})
	if err != nil {
		return nil, fmt.Errorf("start the database: %w", err)
	}
	if server.Private {
		c.opened(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := server.Stop(ctx); err != nil {
				log.Warn("stop the database", "error", err)
			}
		})
	}
	d, applied, err := server.OpenService(ctx, db.Options{Application: "fairgate-core", MaxConns: cfg.Database.MaxConns, Log: log})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	c.opened(d.Close)
	log.Info("database", "engine", d.Engine, "version", d.Version)
	if cfg.Database.Migrate && !server.Private {
		if applied, err = d.Migrate(ctx); err != nil {
			return nil, fmt.Errorf("bring the schema up to date: %w", err)
		}
	}
	if cfg.Database.Migrate || server.Private {
		log.Info("schema is up to date", "migrations_applied", len(applied))
	}
	rewritable, err := d.MayRewrite(ctx)
	if err != nil {
		return nil, err
	}
	if len(rewritable) > 0 {
		log.Warn("the database's role could rewrite what is only ever inserted; give core a role of its own with ticketctl migrate --service-role", "tables", rewritable)
	}
	return d, nil
}

// openHistory starts the recording of what is done to the inventory, if it is wanted.
func openHistory(cfg config, log *slog.Logger, c *core) (inventory.Recorder, error) {
	if cfg.History.File == "" {
		return nil, nil
	}
	r, err := history.Open(history.Config{Path: cfg.History.File, Side: history.Core, MaxBytes: cfg.History.MaxBytes, Log: log})
	if err != nil {
		return nil, err
	}
	c.opened(func() {
		if err := r.Close(); err != nil {
			log.Error("the history is not complete", "file", cfg.History.File, "error", err)
		}
	})
	return r, nil
}

// sealEvery is how often a core extends its part of the ledger's hash chain.
const sealEvery = 2 * time.Second

// orphanRounds is how many rounds of sealing pass between two looks for what dead cores left.
const orphanRounds = 30

// sealer extends the ledger's hash chain now and then, away from the hot path: its own part often, and now and then what
// cores that died left unsealed. What it misses it does the next time.
func sealer(d *db.DB, writer *ledger.Writer, log *slog.Logger) func(context.Context) error {
	seal := func(ctx context.Context, id uuid.UUID) error {
		for {
			var sealed int
			err := d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
				sealed, err = ledger.SealOrphan(ctx, tx, id)
				return err
			})
			if err != nil || sealed == 0 {
				return err
			}
		}
	}
	orphans := func(ctx context.Context) error {
		writers, err := ledger.Writers(ctx, d.Reader)
		if err != nil {
			return err
		}
		for _, id := range writers {
			if id == writer.Incarnation() {
				continue
			}
			if err := seal(ctx, id); err != nil {
				return err
			}
		}
		return nil
	}
	return func(ctx context.Context) error {
		tick := time.NewTicker(sealEvery)
		defer tick.Stop()
		for round := 0; ; round++ {
			err := seal(ctx, writer.Incarnation())
			if err == nil && round%orphanRounds == 0 {
				err = orphans(ctx)
			}
			if err != nil && ctx.Err() == nil {
				log.Warn("seal the ledger", "error", err)
			}
			select {
			case <-ctx.Done():
				// What was recorded last shall not wait for the next start.
				last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				return seal(last, writer.Incarnation())
			case <-tick.C:
			}
		}
	}
}

// finish frees the places of buyers who have bought, so that others are called. It is not part of the sale's transaction,
// which would conflict with everybody who is being let in meanwhile; should it fail, the places are free when the
// sessions end.
func finish(d *db.DB, log *slog.Logger) func(context.Context, []checkout.Order) {
	return func(ctx context.Context, orders []checkout.Order) {
		buyers := make([]access.Buyer, len(orders))
		for i, o := range orders {
			buyers[i] = access.Buyer{Event: o.Event, Entrant: o.Entrant}
		}
		err := d.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error { return access.Finish(ctx, tx, buyers) })
		if err != nil {
			log.Warn("free the places of buyers", "buyers", len(buyers), "error", err)
		}
	}
}
