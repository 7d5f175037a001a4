package ctl

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"fairgate/loadtest/soak"

	"github.com/spf13/cobra"
)

func (t *tool) soak() *cobra.Command {
	var o soak.Options
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "Buy and refund while provider, cores and database misbehave, then count the money",
		Long: `soak starts a private PostgreSQL, two cores and paysim, and has buyers order and pay while the provider misbehaves in every way,
cores are killed with SIGKILL, and the database is restarted. When everything is over it holds the provider's own books against ours,
and prints for each question how much it looked at. The programs must lie beside ticketctl, as make build leaves them.

It exits with 3 when anything is wrong, when a check had nothing to look at, or when a kind of trouble did not occur.`,
		Example: `  ticketctl soak --orders 3000 --seed 7
  ticketctl soak --orders 300 --misbehave 0.3 --kill-core 2s --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Orders < 1 || o.Buyers < 1 || o.Misbehave > 1 || o.Trouble > 1 {
				return usagef("--orders and --buyers must be 1 or more, --misbehave and --trouble at most 1")
			}
			self, err := os.Executable()
			if err == nil {
				self, err = filepath.EvalSymlinks(self)
			}
			if err == nil {
				o.Logs, err = filepath.Abs(o.Logs)
			}
			if err != nil {
				return fmt.Errorf("find the programs and the folder of the logs: %w", err)
			}
			if o.Programs == "" {
				o.Programs = filepath.Dir(self)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop)
			last := time.Now()
			o.Progress = func(p soak.Progress) {
				if time.Since(last) < 10*time.Second {
					return
				}
				last = time.Now()
				fmt.Fprintf(t.env.Stderr, "%6.0f s  %d of %d orders, %d cores killed, %d database restarts\n", p.Seconds, p.Done, p.Orders, p.CoreKills, p.DatabaseStops)
			}
			r, err := soak.Run(ctx, o)
			if err != nil {
				return err
			}
			if t.wantsJSON(cmd) {
				err = printJSON(t.env.Stdout, r)
			} else {
				out := newTable(t.env.Stdout)
				printSoak(out, r)
				err = out.flush()
			}
			if err != nil {
				return err
			}
			if !r.Passed {
				return errNotVerified
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Orders, "orders", 3000, "how many buyers order")
	f.Uint64Var(&o.Seed, "seed", 1, "of everything that is drawn")
	f.StringVar(&o.Logs, "logs", "var/soak", "folder for the logs of the programs")
	f.StringVar(&o.Programs, "programs", "", "folder with fairgate-core and paysim; default that of ticketctl")
	f.IntVar(&o.Buyers, "buyers", 48, "buyers at once")
	f.Float64Var(&o.Misbehave, "misbehave", 0.1, "probability of each misbehaviour of the provider; below 0: none")
	f.Float64Var(&o.Trouble, "trouble", 0.005, "share of COMMITs that go wrong; below 0: none")
	f.DurationVar(&o.KillCore, "kill-core", 5*time.Second, "time between two SIGKILLs of a core")
	f.IntVar(&o.Restarts, "restarts", 2, "restarts of the database; below 0: none")
	f.StringVar(&o.Sabotage, "sabotage", "", "a safeguard that the cores do without, to see that the soak notices; needs --programs of a build with the tag sabotage")
	f.DurationVar(&o.Patience, "patience", 0, "how long everything may take to come to rest at the end; 0: 4m, or of many orders 30 ms each")
	return cmd
}

func printSoak(out *table, r soak.Report) {
	counts := func(title string, n map[string]int64) {
		out.row(title, "")
		for _, name := range slices.Sorted(maps.Keys(n)) {
			out.row("  "+name, n[name])
		}
	}
	counts("ORDERS, AS THEIR BUYERS SAW THEM END", r.Outcomes)
	counts("WHAT WAS DONE", r.Operations)
	counts("STEPS OF ORDERS", r.Causes)
	counts("MISBEHAVIOUR OF THE PROVIDER", r.Provider)
	counts("COMMITS TROUBLED", r.Troubles)
	out.row("CORES KILLED", r.CoreKills)
	out.row("DATABASE RESTARTED", r.DatabaseStops)
	if len(r.Complaints) > 0 {
		out.row("ERRORS THAT CORES LOGGED", "")
		for _, message := range slices.Sorted(maps.Keys(r.Complaints)) {
			out.row("  "+message, r.Complaints[message])
		}
	}
	out.gap()
	for _, v := range r.Verdicts {
		out.line("%s", v)
		for _, failure := range v.Failures {
			out.line("      %s", failure)
		}
	}
	out.gap()
	verdict := "CLEAN: nobody was charged twice or for nothing, and every cent is explained"
	if !r.Passed {
		verdict = "NOT CLEAN"
	}
	out.line("%s (seed %d, %d orders, %.0f s)", verdict, r.Seed, r.Orders, r.Seconds)
}
