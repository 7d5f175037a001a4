package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"fairgate/loadtest"

	"github.com/spf13/cobra"
)

// ErrVerdict means that the rehearsal went through and its audit found something wrong.
var ErrVerdict = errors.New("the audit found something wrong")

// demoBound ends a demo that does not end by itself.
const demoBound = 2 * time.Minute

// So many tickets are sold on in the demo, and so many handed on.
const demoResold, demoTransferred = 20, 20

// demoFlags are the options of `demo`.
type demoFlags struct {
	buyers, bots int
	event        string
	report       string
	seed         uint64
	keep, stop   bool
	adversaries  bool
}

func newDemo(env Env) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play a whole on-sale on this machine and audit it",
		Long: `demo starts a database, a payment provider that moves no money, one core and two edges as separate processes on loopback,
applies an event, and sends thousands of buyers and bots within ten seconds on both sides of the instant the sale opens. Some
tickets are sold on and some handed to friends. Then the gates open: everybody with a ticket goes in, and some try twice, at two gates
at once, or with an altered code. It audits what happened, prints a verdict for each question, and writes a report with charts. It ends
by itself within two minutes.

The database is CockroachDB where a cockroach binary is found (COCKROACH_BINARY or the PATH), else PostgreSQL; the banner says which.
The event file is applied with shorter times than a real sale has (a hold lives 20 s, a window 5 s).

Everything lives in one temporary folder and is gone afterwards, also after Ctrl-C. With --keep it goes on running, and the command
prints the addresses, what to try, and where you can join the next on-sale yourself: the same event another night, opening a minute
later, with some rehearsed buyers for company. --stop ends that.

Exit code 0 means that every check passed, 3 that one did not, any other that something failed.`,
		Example: `  # The full demo: 20,000 buyers and 1,000 bots
  ticketctl demo

  # What bots get out of it: a farm, cookie-droppers, fast pollers, replayers, thieves, hoarders
  ticketctl demo --adversaries --report bots-report.html

  # A smaller one that is left running for a look around, and its end
  ticketctl demo --buyers 2000 --bots 100 --keep
  ticketctl demo --stop`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.stop {
				return stopDemo(env.Stdout)
			}
			if f.adversaries && !cmd.Flags().Changed("buyers") {
				f.buyers = 8000
			}
			return runDemo(cmd.Context(), env, f)
		},
	}
	fs := cmd.Flags()
	fs.IntVar(&f.buyers, "buyers", 20_000, "how many honest buyers come")
	fs.IntVar(&f.bots, "bots", 1_000, "how many bots come")
	fs.StringVar(&f.event, "event", "configs/events/arena.yaml", "event file to put on sale")
	fs.StringVar(&f.report, "report", "demo-report.html", "where the report goes; its data goes beside it as .json")
	fs.Uint64Var(&f.seed, "seed", 1, "decides what every buyer and bot does")
	fs.BoolVar(&f.adversaries, "adversaries", false, "seven kinds of bots in earnest, people of every sort among them, and how each kind fared; --buyers is 8000 then, --bots is not looked at")
	fs.BoolVar(&f.keep, "keep", false, "leave everything running afterwards")
	fs.BoolVar(&f.stop, "stop", false, "stop what --keep left running")
	cmd.MarkFlagsMutuallyExclusive("keep", "stop")
	return cmd
}

// stopDemo ends what --keep left running.
func stopDemo(out io.Writer) error {
	k, err := recall()
	if errors.Is(err, errNothingKept) {
		fmt.Fprintln(out, "No demo is running.")
		return nil
	}
	if err != nil {
		return err
	}
	n := len(k.alive())
	if err := k.stop(); err != nil {
		return err
	}
	fmt.Fprintf(out, "Stopped %d processes and removed %s.\n", n, k.Dir)
	return nil
}

// runDemo is the whole demo.
func runDemo(ctx context.Context, env Env, f demoFlags) (err error) {
	started := time.Now()
	if f.buyers < 1 || f.buyers > 500_000 || f.bots < 0 || f.bots > 100_000 {
		return usagef("%d buyers and %d bots: there must be 1 to 500000 buyers and at most 100000 bots", f.buyers, f.bots)
	}
	if f.keep {
		if k, err := recall(); err == nil && len(k.alive()) > 0 {
			return fmt.Errorf("a demo is running already in %s; stop it first with: ticketctl demo --stop", k.Dir)
		}
	}
	event, slug, err := demoEvent(f.event)
	if err != nil {
		return inputError{err}
	}
	report, err := filepath.Abs(f.report)
	if err != nil {
		return fmt.Errorf("find where the report goes: %w", err)
	}
	// A second signal ends the demo at once; the kernel and the janitor clean up then.
	ctx, stopListening := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stopListening()
	context.AfterFunc(ctx, stopListening)
	ctx, cancel := context.WithTimeoutCause(ctx, demoBound-10*time.Second, fmt.Errorf("the demo did not end within %s", demoBound))
	defer cancel()

	say := func(format string, args ...any) { fmt.Fprintf(env.Stdout, format, args...) }
	s, err := newStage(f.keep, say)
	if err != nil {
		return err
	}
	ctx, unwatch := s.nursery.watched(ctx)
	defer unwatch()
	keep := false
	defer func() {
		if keep {
			return
		}
		unwatch()
		err = errors.Join(err, s.strike())
	}()
	if err := s.set(ctx); err != nil {
		return cause(ctx, err)
	}
	if f.keep {
		if err := s.remember(slug); err != nil {
			return err
		}
	}
	verdict := s.play(ctx, env, f, event, slug, report, started)
	if verdict != nil && !errors.Is(verdict, ErrVerdict) {
		if f.keep {
			verdict = errors.Join(verdict, os.RemoveAll(filepath.Dir(keptFile())))
		}
		return cause(ctx, verdict)
	}
	if f.keep {
		next, opens, err := s.encore(ctx, f)
		if err == nil {
			err = s.remember(slug)
		}
		if err != nil {
			return errors.Join(verdict, err, os.RemoveAll(filepath.Dir(keptFile())))
		}
		keep = true
		s.invite(say, slug, report)
		s.welcome(say, next, opens)
	}
	return verdict
}

// cause tells why a context ended where that explains an error better than the error itself.
func cause(ctx context.Context, err error) error {
	why := context.Cause(ctx)
	switch {
	case why == nil:
		return err
	case errors.Is(why, context.Canceled):
		return errors.New("interrupted")
	}
	return why
}

// play puts the event on sale, sends everybody, and audits.
func (s *stage) play(ctx context.Context, env Env, f demoFlags, event []byte, slug, report string, started time.Time) error {
	done := s.step("event")
	admin, err := loadtest.NewAdmin("http://"+s.CoreAdmin, s.SecretFile)
	if err != nil {
		return err
	}
	if err := admin.Apply(ctx, event); err != nil {
		return fmt.Errorf("apply %s: %w", f.event, err)
	}
	done(slug)
	plan := demoPlan(f, slug, s.addresses)
	if plan.Doors.Gates, err = demoGates(event); err != nil {
		return inputError{fmt.Errorf("read the gates of %s: %w", f.event, err)}
	}
	r, err := loadtest.New(plan, slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	names, roots := s.roots()
	return rehearse(ctx, env, r, rehearsalRun{
		plan: plan, engine: string(s.database.Engine), report: report, started: started, names: names, roots: roots,
	})
}

// demoPlan is the demo's plan: the crowd arrives within ten seconds on both sides of the opening.
func demoPlan(f demoFlags, slug string, a addresses) loadtest.Plan {
	p := loadtest.DefaultPlan()
	p.Name, p.Event, p.Seed = "Fairgate demo", slug, f.seed
	p.Targets = loadtest.Targets{
		Core: "http://" + a.CoreAdmin, AdminSecretFile: a.SecretFile, Paysim: "http://" + a.Paysim, DatabaseURL: a.Database,
		Gate: "http://" + a.CoreGate,
	}
	for _, e := range a.Edges {
		p.Targets.Edges = append(p.Targets.Edges, "http://"+e)
	}
	p.Opening.In = loadtest.Duration(15 * time.Second)
	p.Buyers.Count = f.buyers
	share := func(part int) int { return f.bots * part / 100 }
	p.Bots.Tabs, p.Bots.Fresh, p.Bots.Hammer, p.Bots.Skipper = share(10), share(5), share(15), share(35)
	p.Bots.Thief = f.bots - p.Bots.Count()
	p.Bots.Addresses.Count = 64
	if f.adversaries {
		p.Name = "Fairgate against bots"
		p.Buyers.Mixed = true
		// A hundred devices of a farm join 32,000 times; twenty cookie-droppers come as 1,000 browsers each fifty.
		p.Bots.Tabs, p.Bots.TabJoins, p.Bots.Fresh, p.Bots.FreshEach = 100, 320, 20, 50
		p.Bots.Hammer, p.Bots.Skipper, p.Bots.Thief, p.Bots.Replayer, p.Bots.Hoarder = 50, 100, 100, 50, 50
		p.Bots.FairShare = true
	}
	p.Afterwards = loadtest.AfterwardsPlan{Resell: demoResold, Transfer: demoTransferred}
	p.Limits.Duration = loadtest.Duration(45 * time.Second)
	p.Limits.Settle = loadtest.Duration(45 * time.Second)
	p.Limits.MaxConnections = 3000
	return p
}

// invite prints what is running and what to try.
func (s *stage) invite(say func(string, ...any), slug, report string) {
	ctl := fmt.Sprintf("--core http://%s --secret-file %s", s.CoreAdmin, s.SecretFile)
	say("\nEverything is still running.\n\n")
	say("  edges      http://%s\n", strings.Join(s.Edges, "  http://"))
	say("  core       http://%s (admin)  http://%s (metrics, pprof)\n", s.CoreAdmin, s.CorePrivate)
	say("  paysim     http://%s/_paysim/books\n", s.Paysim)
	say("  database   %s\n", s.Database)
	say("  logs       %s\n  report     %s\n\nTry:\n\n", s.dir, report)
	for _, line := range []string{
		fmt.Sprintf("curl -s http://%s/v1/events/%s", s.Edges[0], slug),
		fmt.Sprintf("curl -s http://%s/q/%s/state", s.Edges[0], slug),
		"ticketctl onsale status " + slug + " " + ctl,
		"ticketctl orders list " + slug + " " + ctl,
		"ticketctl lottery verify --event " + slug + " " + ctl,
		"ticketctl ledger verify " + ctl,
		"ticketctl demo --stop",
	} {
		say("  %s\n", line)
	}
}

// welcome prints where a person can join the encore.
func (s *stage) welcome(say func(string, ...any), slug string, opens time.Time) {
	say("\nJoin the next on-sale yourself: it opens at %s, in %d seconds, and %d rehearsed buyers are there too.\n\n",
		opens.Format("15:04:05"), int(time.Until(opens).Round(time.Second).Seconds()), encoreCompany)
	say("  http://%s/e/%s\n\n", s.Edges[0], slug)
	say("Pay with any name, any date to come, any three digits and the card 4242 4242 4242 4242; 4000 0000 0000 0002 is declined. No money moves.\n")
}
