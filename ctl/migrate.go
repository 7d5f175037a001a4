package ctl

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"fairgate/core/db"
)

func (t *tool) migrate() *cobra.Command {
	var role, passwordFile string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database schema up to date",
		Long: `migrate applies the migrations that a database does not have yet, each statement by itself. A schema that is up to date is
left alone; a run that was interrupted is simply run again; several may run at once. Old and new cores both work on the new
schema, so it is run before core is replaced. Core does the same at its start unless database.migrate is off.

The database is named by --database, FAIRGATE_CTL_DATABASE, database in the settings file, or FAIRGATE_DATABASE_URL, which
core reads too.

Core should not own its database. With --service-role, migrate makes that role if it is missing and grants it what core needs, which
is to change and delete nothing of what is only ever inserted: the ledger's transfers and seals. Run it so after every upgrade, as
the owner, and give core the role's URL. A password is set with --service-password-file; otherwise the role keeps the one it has.`,
		Example: `  ticketctl migrate --database postgres://fairgate@db.example.org:26257/fairgate
  ticketctl migrate --database postgres://owner@db.example.org:26257/fairgate --service-role fairgate_service
  FAIRGATE_CTL_DATABASE=postgres://… ticketctl migrate --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := t.load(cmd); err != nil {
				return err
			}
			url := t.settings.GetString(keyDatabase)
			if url == "" {
				url = os.Getenv("FAIRGATE_DATABASE_URL")
			}
			if url == "" {
				return usagef("name the database: --database postgres://…")
			}
			return t.runMigrate(cmd, url, role, passwordFile)
		},
	}
	cmd.Flags().String("database", "", "postgres://… of CockroachDB or PostgreSQL 14 or later")
	cmd.Flags().StringVar(&role, "service-role", "", "role that core connects as, to be made and granted its privileges")
	cmd.Flags().StringVar(&passwordFile, "service-password-file", "", "file with a password to set for it")
	if err := t.settings.BindPFlag(keyDatabase, cmd.Flags().Lookup("database")); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}

// migrationView is one migration that was applied.
type migrationView struct {
	Version    int64   `json:"version"`
	Name       string  `json:"name"`
	Statements int     `json:"statements"`
	Seconds    float64 `json:"seconds"`
}

func (t *tool) runMigrate(cmd *cobra.Command, url, role, passwordFile string) error {
	password := ""
	if passwordFile != "" {
		if role == "" {
			return usagef("--service-password-file needs --service-role")
		}
		text, err := os.ReadFile(passwordFile)
		if password = strings.TrimSpace(string(text)); err != nil || password == "" {
			return usagef("--service-password-file: %s holds no password: %v", passwordFile, err)
		}
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	d, err := db.Open(ctx, url, db.Options{
		Application: "ticketctl-migrate", MaxConns: 2, ConnectTimeout: min(t.settings.GetDuration(keyTimeout), 10*time.Second),
		Log: slog.New(slog.DiscardHandler),
	})
	if errors.Is(err, db.ErrUnavailable) {
		return fmt.Errorf("%w: %w", errDatabaseAway, err)
	}
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer d.Close()
	applied, err := d.Migrate(ctx)
	if errors.Is(err, db.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", errDatabaseAway, err)
	}
	if err != nil {
		return fmt.Errorf("migrate, after %s: %w", count(len(applied), "applied migration"), err)
	}
	if role != "" {
		if err := d.EnsureServiceRole(ctx, role, password); err != nil {
			return err
		}
		if err := d.GrantService(ctx, role); err != nil {
			return err
		}
	}
	return t.showMigrations(cmd, d.Engine, applied)
}

func (t *tool) showMigrations(cmd *cobra.Command, engine db.Engine, applied []db.Applied) error {
	views := make([]migrationView, len(applied))
	for i, a := range applied {
		views[i] = migrationView{a.Version, a.Name, a.Statements, a.Took.Seconds()}
	}
	if t.wantsJSON(cmd) {
		return printJSON(t.env.Stdout, map[string]any{"engine": engine, "applied": views})
	}
	if len(views) == 0 {
		fmt.Fprintf(t.env.Stdout, "the schema is up to date (%s)\n", engine)
		return nil
	}
	out := newTable(t.env.Stdout)
	out.row("VERSION", "MIGRATION", "STATEMENTS", "SECONDS")
	for _, v := range views {
		out.row(fmt.Sprintf("%04d", v.Version), v.Name, v.Statements, fmt.Sprintf("%.2f", v.Seconds))
	}
	out.gap()
	out.line("%s applied (%s)", count(len(views), "migration"), engine)
	return out.flush()
}
