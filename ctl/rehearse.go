package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"fairgate/core/db"
	"fairgate/core/inventory/history"
	"fairgate/loadtest"

	"github.com/spf13/cobra"
)

func newRehearse(env Env) *cobra.Command {
	var file, report, record string
	cmd := &cobra.Command{
		Use:   "rehearse -f PLAN",
		Short: "Play an on-sale against a running deployment and audit it",
		Long: `rehearse plays the plan against a running deployment: buyers and bots arrive, wait, shop and pay as the plan says, and the audit
then holds the database, the payment provider's books, the draw and the buyers' own records against each other.

It needs the admin secret, a database role that may SELECT, and paysim as the payment provider. configs/rehearsal.yaml explains every
key of a plan. The event should not have sold anything yet.

With --json the whole report goes to standard output, and progress to standard error. Exit code 0 means that every check passed, 3
that one did not, any other that something failed.`,
		Example: `  # Play a plan and write the report
  ticketctl rehearse -f configs/rehearsal.yaml --report rehearsal.html

  # Keep what buyers asked and were told; with history.file set core keeps its side
  ticketctl rehearse -f configs/rehearsal.yaml --history buyers.jsonl && ticketctl prove buyers.jsonl core.jsonl

  # The whole report as JSON on standard output
  ticketctl rehearse -f configs/rehearsal.yaml --json > rehearsal.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plan, err := loadtest.LoadPlan(file)
			if err != nil {
				return inputError{err}
			}
			asJSON := false
			if flag := cmd.Flags().Lookup("json"); flag != nil { // of the root
				asJSON = flag.Value.String() == "true"
			}
			r, err := loadtest.New(plan, slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
			if err != nil {
				return inputError{err}
			}
			if record != "" {
				to, err := history.Open(history.Config{Path: record, Side: history.Client})
				if err != nil {
					return err
				}
				defer func() {
					if closed := to.Close(); closed != nil {
						fmt.Fprintf(env.Stderr, "the history is not complete: %v\n", closed)
					}
				}()
				r.Record(to)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop)
			engine, err := engineAt(ctx, plan.Targets.DatabaseURL)
			if err != nil {
				return err
			}
			if report != "" {
				if report, err = filepath.Abs(report); err != nil {
					return fmt.Errorf("find where the report goes: %w", err)
				}
			}
			return rehearse(ctx, env, r, rehearsalRun{plan: plan, engine: engine, report: report, started: time.Now(), json: asJSON})
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "plan to play")
	cmd.Flags().StringVar(&record, "history", "", "file to which the buyers' holds are appended, for ticketctl prove")
	cmd.Flags().StringVar(&report, "report", "", "where the report goes as a page; its data goes beside it as .json")
	if err := cmd.MarkFlagRequired("file"); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}

// engineAt asks a database what it is.
func engineAt(ctx context.Context, url string) (string, error) {
	d, err := db.Open(ctx, url, db.Options{Application: "ticketctl-rehearse"})
	if err != nil {
		return "", fmt.Errorf("open the database: %w", err)
	}
	defer d.Close()
	return string(d.Engine), nil
}

// rehearsalRun says what a rehearsal prints and writes.
type rehearsalRun struct {
	plan    loadtest.Plan
	engine  string
	report  string // path of the page, "" for none
	started time.Time
	json    bool
	names   []string // processes to follow, in order
	roots   map[string]int
}

// rehearse plays, audits and reports. It returns ErrVerdict when a check failed.
func rehearse(ctx context.Context, env Env, r *loadtest.Rehearsal, run rehearsalRun) error {
	out := env.Stdout
	if run.json {
		out = env.Stderr
	}
	fmt.Fprintf(out, "\n  %s\n  %d buyers and %d bots, seed %d\n\n", loadtest.Banner(run.engine), run.plan.Buyers.Count, run.plan.Bots.Count(), run.plan.Seed)
	watch := loadtest.Follow(run.names, run.roots)
	defer watch.Stop()
	if err := r.Prepare(ctx); err != nil {
		return err
	}
	p := newProgress(out)
	err := r.Run(ctx, p.show)
	p.end()
	if err != nil {
		return err
	}
	if after := run.plan.Afterwards; after.Resell+after.Transfer > 0 {
		fmt.Fprintf(out, "some sell a ticket on, some hand one to a friend\n")
	}
	if err := r.Afterwards(ctx); err != nil {
		return err
	}
	if len(run.plan.Doors.Gates) > 0 && run.plan.Targets.Gate != "" {
		fmt.Fprintf(out, "the gates open: everybody with a ticket goes in, and some try twice\n")
	}
	if err := r.Doors(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "auditing: waiting for open holds and payments to end, at most %s\n", run.plan.Limits.Settle.D())
	verdicts, err := r.Audit(ctx)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	full, err := r.Report(ctx, run.started, verdicts, watch.Stop())
	if err != nil {
		return err
	}
	if run.report != "" {
		if err := full.Save(run.report); err != nil {
			return err
		}
	}
	if run.json {
		e := json.NewEncoder(env.Stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(full); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
	}
	printReport(out, full, run.report)
	if !full.Passed {
		return ErrVerdict
	}
	return nil
}
