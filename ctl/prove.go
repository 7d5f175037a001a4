package ctl

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"fairgate/core/inventory/history"
	"fairgate/core/inventory/proof"
)

func (t *tool) prove() *cobra.Command {
	var o proof.Options
	cmd := &cobra.Command{
		Use:   "prove HISTORY…",
		Short: "Prove from recorded histories that nothing was sold twice",
		Long: `prove reads histories of holds, releases, expiries and sales (history.file in core's configuration, --history of rehearse, storm)
and checks that the inventory behaved as if everything had happened one after the other: commit numbers against real time and the
units they stand for, every hold's life, every answer, every refusal, and each seat with porcupine. Files of several processes of one
machine are merged; give those of all cores, and those of the clients.

What a process that was killed left without an answer may have happened or not, until something later tells. A "sold out" that a
client heard may be as old as --staleness, since core answers it from memory.

It exits with 3 when something is wrong, or when there was nothing to check.`,
		Example: `  ticketctl prove core1.jsonl core2.jsonl clients.jsonl
  ticketctl prove var/storm/*.jsonl --visualize wrong.html`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Visualize != "" {
				path, err := filepath.Abs(o.Visualize)
				if err != nil {
					return fmt.Errorf("find where the page goes: %w", err)
				}
				o.Visualize = path
			}
			began := time.Now()
			h, err := history.Read(args...)
			if err != nil {
				return inputError{err}
			}
			v, err := proof.Prove(h, o)
			if err != nil {
				return err
			}
			if t.wantsJSON(cmd) {
				err = printJSON(t.env.Stdout, v)
			} else {
				out := newTable(t.env.Stdout)
				printProof(out, h, v, time.Since(began))
				err = out.flush()
			}
			if err != nil {
				return err
			}
			if !v.Passed {
				return errNotVerified
			}
			return nil
		},
	}
	cmd.Flags().DurationVar(&o.Staleness, "staleness", proof.DefaultStaleness, "how old core's memory of \"sold out\" may be")
	cmd.Flags().StringVar(&o.Visualize, "visualize", "", "where a page goes that shows the first thing that is wrong")
	cmd.Flags().DurationVar(&o.Slices, "slices", 10*time.Second, "most time for the cross-check of slices")
	return cmd
}

func printProof(out *table, h *history.History, v *proof.Verdict, took time.Duration) {
	out.row("CHECK", "CHECKED", "WRONG", "WHAT")
	for _, c := range v.Checks {
		what := c.Asks
		if c.Undecided > 0 {
			what = fmt.Sprintf("%s; %d undecided for lack of time", what, c.Undecided)
		}
		out.row(c.Name, c.Checked, c.Wrong, what)
	}
	out.gap()
	for _, f := range v.Failures() {
		out.line("%s", f)
	}
	if v.Visualized != "" {
		out.line("shown in %s", v.Visualized)
	}
	out.gap()
	out.line("%d operations of %d processes (%d killed while they wrote): %d commits of %d stock rows, %d holds, %d seats",
		v.Operations, h.Processes, h.Torn, v.Commits, v.Rows, v.Holds, v.Seats)
	out.line("%d without an answer; of core's attempts among them %d happened, %d did not, %d may have; %d refusals were of a kind that is not judged",
		v.Unknown, v.Happened, v.Not, v.Open, v.Unjudged)
	verdict := "PROVED: the histories are those of an inventory that sells nothing twice and loses nothing it has acknowledged"
	if !v.Passed {
		verdict = "NOT PROVED: the histories are not those of a correct inventory"
		if len(v.Failures()) == 0 || v.Operations == 0 {
			verdict = "NOT PROVED: there was nothing to check"
		}
	}
	out.line("%s (%.1f s)", verdict, took.Seconds())
}
