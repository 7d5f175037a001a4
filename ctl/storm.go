package ctl

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"fairgate/loadtest/storm"

	"github.com/spf13/cobra"
)

func (t *tool) storm() *cobra.Command {
	var o storm.Options
	cmd := &cobra.Command{
		Use:   "storm --history DIR",
		Short: "Play a sale while cores, database and connections die, and keep its histories",
		Long: `storm starts a private PostgreSQL and two cores, and has clients hold, repeat, release and count while cores are killed with SIGKILL,
the database crashes, connections are cut at COMMIT, and COMMITs are answered with 40001 and 40003. The programs must lie beside
ticketctl, as make build leaves them.

Each core and the clients keep a history in the folder, which prove then judges. What an earlier storm left there is removed.`,
		Example: `  ticketctl storm --ops 200000 --history var/storm && ticketctl prove var/storm/*.jsonl
  ticketctl storm --ops 20000 --seed 7 --history /tmp/storm --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Ops < 1 || o.Clients < 1 {
				return usagef("--ops and --clients must be 1 or more")
			}
			self, err := os.Executable()
			if err == nil {
				self, err = filepath.EvalSymlinks(self)
			}
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			o.Programs = filepath.Dir(self)
			if o.History, err = filepath.Abs(o.History); err != nil {
				return fmt.Errorf("find the folder of the histories: %w", err)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop)
			began := time.Now()
			o.Progress = func(r storm.Report) {
				if int(time.Since(began).Seconds())%10 == 0 {
					fmt.Fprintf(t.env.Stderr, "%6.0f s  %7d operations, %d cores killed, %d database crashes\n",
						r.Seconds, r.Operations, r.CoreKills, r.DatabaseStops+r.BackendKills)
				}
			}
			r, err := storm.Run(ctx, o)
			if err != nil {
				return err
			}
			if t.wantsJSON(cmd) {
				err = printJSON(t.env.Stdout, r)
			} else {
				out := newTable(t.env.Stdout)
				printStorm(out, r)
				err = out.flush()
			}
			if err != nil {
				return err
			}
			if calm := r.Calm(); len(calm) > 0 {
				return errors.New("the storm was too short: there were no " + strings.Join(calm, ", no "))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.Int64Var(&o.Ops, "ops", 200_000, "operations of the clients, at least: the storm goes on until each kind of trouble has come once")
	f.Uint64Var(&o.Seed, "seed", 1, "of everything that is drawn")
	f.StringVar(&o.History, "history", "", "folder for the histories")
	f.IntVar(&o.Clients, "clients", 24, "clients at once, each with several buyers")
	f.DurationVar(&o.AtMost, "at-most", 15*time.Minute, "longest duration")
	f.DurationVar(&o.KillCore, "kill-core", 4*time.Second, "time between two SIGKILLs of a core")
	f.DurationVar(&o.CrashDB, "crash-database", 15*time.Second, "time between two crashes of the database")
	f.Float64Var(&o.Trouble, "trouble", 0.03, "share of COMMITs that go wrong")
	if err := cmd.MarkFlagRequired("history"); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}

func printStorm(out *table, r storm.Report) {
	out.row("OPERATIONS OF THE CLIENTS", r.Operations)
	for _, name := range slices.Sorted(maps.Keys(r.Outcomes)) {
		out.row("  "+name, r.Outcomes[name])
	}
	out.row("COMMITS OF THE CORES", r.Commits)
	for _, name := range slices.Sorted(maps.Keys(r.Troubles)) {
		out.row("  "+name, r.Troubles[name])
	}
	out.row("CORES KILLED", r.CoreKills)
	out.row("DATABASE STOPPED AT ONCE", r.DatabaseStops)
	out.row("DATABASE PROCESSES KILLED", r.BackendKills)
	out.gap()
	out.line("%.0f s, %.0f operations a second; histories: %s", r.Seconds, float64(r.Operations)/r.Seconds, strings.Join(r.Histories, " "))
}
