package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"fairgate/edge/lottery"
	"fairgate/loadtest"
	"fairgate/loadtest/crowd"

	"github.com/spf13/cobra"
)

// roomFlags are the options of `rehearse-room`.
type roomFlags struct {
	buyers, connections int
	joinOver, open      time.Duration
	p99                 time.Duration
}

func newRehearseRoom(env Env) *cobra.Command {
	var f roomFlags
	cmd := &cobra.Command{
		Use:   "rehearse-room",
		Short: "Have half a million people join, wait and poll, on this machine",
		Long: `rehearse-room starts a database, one core and two edges as separate processes on loopback, and sends a crowd that joins, waits and
polls as the page does, over kept connections as a load balancer's. Near the start a tenth of it, 50,000 at most, comes as a storm: a hundred
times the rate of before within five seconds. The pool is sealed and drawn, the first are called and claim.

It ends with a verdict for each question: has everybody a signed receipt of their own, is everybody in the sealed pool where the receipt
says, does everybody know their place, does the draw verify from the transcript with every receipt, was every answer what was asked
for or an honest wait, with the storm too, and was the 99th percentile of polls below --p99, from the instant they were due. Then what it took:
processor time and memory of each process. The last line is one JSON object.

Exit code 0 means that every check passed, 3 that one did not, any other that something failed.`,
		Example: `  # The whole crowd: about seven minutes on two processors
  ticketctl rehearse-room

  # A small one
  ticketctl rehearse-room --buyers 20000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.buyers < 1000 || f.buyers > crowd.MaxBuyers {
				return usagef("--buyers must be 1000 to %d", crowd.MaxBuyers)
			}
			return runRehearseRoom(cmd.Context(), env, f)
		},
	}
	fs := cmd.Flags()
	fs.IntVar(&f.buyers, "buyers", 500_000, "how many people come, the storm among them")
	fs.IntVar(&f.connections, "connections", 1000, "over how many connections; at most 20,000")
	fs.DurationVar(&f.joinOver, "join-over", 0, "in which they arrive, without the storm; default 2,000 a second, 10s at least")
	fs.DurationVar(&f.open, "open", time.Minute, "how long they are watched after the sale opens")
	fs.DurationVar(&f.p99, "p99", 100*time.Millisecond, "what the 99th percentile of polls may be")
	return cmd
}

// roomBound is what everything besides the crowd's own time may take: starting, sealing, the transcript, and verifying half a million
// receipts.
const roomBound = 10 * time.Minute

func runRehearseRoom(ctx context.Context, env Env, f roomFlags) (err error) {
	plan := crowd.DefaultPlan(f.buyers)
	plan.Event, plan.Connections, plan.Open, plan.P99 = crowd.Slug, f.connections, f.open, f.p99
	if f.joinOver > 0 {
		plan.JoinOver = f.joinOver
	}
	ctx, stopListening := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stopListening()
	context.AfterFunc(ctx, stopListening)
	bound := plan.OpensIn() + plan.Open + roomBound
	ctx, cancel := context.WithTimeoutCause(ctx, bound, fmt.Errorf("the rehearsal did not end within %s", bound))
	defer cancel()
	say := func(format string, args ...any) { fmt.Fprintf(env.Stdout, format, args...) }
	s, err := newStage(false, say)
	if err != nil {
		return err
	}
	ctx, unwatch := s.nursery.watched(ctx)
	defer func() {
		unwatch()
		err = errors.Join(err, s.strike())
	}()
	if err := s.set(ctx); err != nil {
		return cause(ctx, err)
	}
	for _, e := range s.Edges {
		plan.Edges = append(plan.Edges, "http://"+e)
	}
	result, err := s.playRoom(ctx, say, plan)
	if err != nil {
		return cause(ctx, err)
	}
	return printRoom(env.Stdout, result)
}

// roomResult is the last line.
type roomResult struct {
	crowd.Result
	Processors int                `json:"processors"`
	Seconds    float64            `json:"seconds"`
	Processes  []loadtest.Process `json:"processes"`
}

// playRoom puts the event on sale, sends the crowd, and judges.
func (s *stage) playRoom(ctx context.Context, say func(string, ...any), plan crowd.Plan) (roomResult, error) {
	admin, err := loadtest.NewAdmin("http://"+s.CoreAdmin, s.SecretFile)
	if err != nil {
		return roomResult{}, err
	}
	if err := admin.Apply(ctx, []byte(crowd.Event)); err != nil {
		return roomResult{}, fmt.Errorf("apply the event: %w", err)
	}
	c, err := crowd.New(plan)
	if err != nil {
		return roomResult{}, err
	}
	names, roots := s.roots()
	watch := loadtest.Follow(names, roots)
	defer watch.Stop()
	const lead = 3 * time.Second // until both edges know the event
	began := time.Now().Add(lead)
	opens := began.Add(plan.OpensIn())
	if err := admin.Schedule(ctx, plan.Event, time.Now(), opens); err != nil {
		return roomResult{}, fmt.Errorf("schedule the on-sale: %w", err)
	}
	say("\n%d people over %d connections; the storm after %s; the sale opens after %s\n\n", plan.All(), plan.Connections,
		plan.NormalFor, plan.OpensIn().Round(time.Second))
	if err := sleepUntil(ctx, began); err != nil {
		return roomResult{}, err
	}
	ended := make(chan struct{})
	telling := make(chan struct{})
	go func() {
		defer close(telling)
		tellRoom(say, c, ended)
	}()
	err = c.Run(ctx, began)
	close(ended)
	<-telling
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return roomResult{}, err
	}
	processes := watch.Stop()
	say("\njudging: the transcript, and every receipt against it\n")
	var text json.RawMessage
	if err := admin.Get(ctx, "/admin/v1/events/"+plan.Event+"/lottery", &text); err != nil {
		return roomResult{}, fmt.Errorf("fetch the transcript: %w", err)
	}
	transcript, err := lottery.ParseTranscript(text)
	if err != nil {
		return roomResult{}, err
	}
	return roomResult{c.Judge(transcript), runtime.NumCPU(), time.Since(began).Seconds(), processes}, nil
}

func sleepUntil(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// tellRoom prints how the crowd stands every ten seconds.
func tellRoom(say func(string, ...any), c *crowd.Crowd, ended <-chan struct{}) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	var calls int64
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		p := c.Progress()
		say("%6.0f s  %-8s %7d arrived  %7d receipts  %7d know their place  %6d let in  %6d calls a second, polls p99 %7.1f ms\n",
			p.At.Seconds(), p.Phase, p.Arrived, p.Receipted, p.Drawn, p.Admitted, (p.Calls-calls)/10, p.Polls.P99)
		calls = p.Calls
	}
}

// printRoom prints the figures, the verdicts and the JSON line.
func printRoom(out io.Writer, r roomResult) error {
	fmt.Fprintf(out, "\n%-14s %9s %9s %9s %9s %9s\n", "", "calls", "p50 ms", "p99 ms", "p99.9 ms", "worst ms")
	for _, row := range []struct {
		name string
		crowd.Latency
	}{{"join", r.Join}, {"receipt", r.Receipt}, {"poll", r.Poll}, {"claim", r.Claim}, {"storm: join", r.StormJoin}, {"storm: receipt", r.StormReceipt}} {
		fmt.Fprintf(out, "%-14s %9d %9.1f %9.1f %9.1f %9.1f\n", row.name, row.Count, row.P50, row.P99, row.P999, row.Max)
	}
	fmt.Fprintf(out, "\nstorm: %s; %d answers were a wait\n\n", r.Storm, r.StormWaits)
	fmt.Fprintf(out, "%-14s %12s %14s\n", "", "CPU seconds", "memory, most")
	for _, p := range r.Processes {
		fmt.Fprintf(out, "%-14s %12.1f %11.0f MB\n", p.Name, p.Seconds, float64(p.Peak)/(1<<20))
	}
	fmt.Fprintf(out, "%d processors for %.0f s, the crowd's own work among it\n\n", r.Processors, r.Seconds)
	for _, p := range r.Problems {
		fmt.Fprintf(out, "  %d × %s answered %d: %s\n", p.Count, p.Call, p.Status, oneLine(p.Said))
	}
	for _, v := range r.Verdicts {
		mark := "PASS"
		if !v.Passed {
			mark = "FAIL"
		}
		fmt.Fprintf(out, "%s  %-16s %s\n", mark, v.Name, v.Detail)
	}
	word := "PASSED"
	if !r.Passed {
		word = "FAILED"
	}
	fmt.Fprintf(out, "\nVERDICT: %s: %d people, %d receipts, %d drawn, polls p99 %.1f ms\n", word, r.Buyers, r.Receipted, r.Drawn, r.Poll.P99)
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	fmt.Fprintf(out, "%s\n", line)
	if !r.Passed {
		return ErrVerdict
	}
	return nil
}
