package ctl

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"fairgate/edge/lottery"
)

// receiptView says where the transcript has the owner of a receipt.
type receiptView struct {
	Entrant lottery.Entrant `json:"entrant"`
	Window  uint32          `json:"window"`
	Band    lottery.Band    `json:"band"`
	Sealed  bool            `json:"sealed"` // otherwise nothing can be said yet
	Place   int             `json:"place"`  // in the window's order, from 1; 0 if the pool does not have them
	Of      int             `json:"of"`
	Called  bool            `json:"called"`
	// CalledAt and AdmittedAt are when the cursor reached the place and when a session was given; null if not.
	CalledAt   *time.Time `json:"called_at"`
	AdmittedAt *time.Time `json:"admitted_at"`
}

type drawView struct {
	OK         bool            `json:"ok"`
	Event      string          `json:"event"`
	Generation uint32          `json:"generation"`
	Commitment string          `json:"commitment"`
	Beacon     string          `json:"beacon,omitempty"` // where its value is to be read
	Checks     []lottery.Check `json:"checks"`
	Receipts   []receiptView   `json:"receipts,omitempty"`
}

func (t *tool) lottery() *cobra.Command {
	return group("lottery", "Publish and check the draw", `  ticketctl lottery publish arena --output transcript.json
  ticketctl lottery verify transcript.json --receipt receipt.txt`, t.lotteryVerify(), t.lotteryPublish(), t.lotteryBeacon())
}

func (t *tool) lotteryVerify() *cobra.Command {
	var f lotteryFlags
	cmd := &cobra.Command{
		Use:   "verify [TRANSCRIPT | --event EVENT]",
		Short: "Draw again and compare",
		Long: `verify does the draw again, here, from what was published, and compares: that every secret belongs to the commitment, every
root to its pool, every seed and every place to what it is made of, that nobody is in twice, that the cursor only went forward,
and that nobody got in before their place was called. It exits with 3 when anything does not agree, or when nothing is drawn.

It needs a transcript: a file, - for standard input, or --event, which fetches it from core. A file needs no core at all.

A transcript can be consistent and still be of another draw than the one people saw. What somebody kept tells: --receipt, a
file or the text itself, says that its owner is in the pool as promised; --state, an answer of /q/EVENT/state saved at any time,
that commitment, roots, seeds and the cursor were already then as they are told now; --commitment is the one seen before joining
opened; --beacon is the public value read where the transcript says it is to be read; --earlier is the transcript of another
sale, whose secrets must not come again.`,
		Example: `  # An operator, from core, and keeping the transcript for others
  ticketctl lottery verify --event arena --save transcript.json

  # Anybody, from a published transcript, with a receipt of their own
  ticketctl lottery verify transcript.json --receipt receipt.txt --state state.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (f.event != "") {
				return usagef("name either a transcript or an --event")
			}
			evidence, err := f.evidence()
			if err != nil {
				return err
			}
			text, err := t.transcript(cmd, f, args)
			if err != nil {
				return err
			}
			transcript, err := lottery.ParseTranscript(text)
			if err != nil {
				return inputError{err}
			}
			if f.save != "" {
				if err := os.WriteFile(f.save, text, 0o644); err != nil {
					return fmt.Errorf("save the transcript: %w", err)
				}
			}
			return t.verdict(cmd, transcript, evidence...)
		},
	}
	cmd.Flags().StringVar(&f.event, "event", "", "fetch the transcript of this event's sale from core")
	cmd.Flags().StringArrayVar(&f.receipts, "receipt", nil, "a receipt, as a file or as its text (repeatable)")
	cmd.Flags().StringVar(&f.commitment, "commitment", "", "the commitment as it was published before joining opened, in hex")
	cmd.Flags().StringArrayVar(&f.states, "state", nil, "a file with a state object that was kept (repeatable)")
	cmd.Flags().StringVar(&f.beacon, "beacon", "", "the value of the beacon as it is to be read in public")
	cmd.Flags().StringArrayVar(&f.earlier, "earlier", nil, "the transcript of another sale (repeatable)")
	cmd.Flags().StringVar(&f.save, "save", "", "also write the transcript to this file")
	if err := cmd.RegisterFlagCompletionFunc("event", t.completeEvents); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}

// transcript reads the transcript's JSON from where the command line says.
func (t *tool) transcript(cmd *cobra.Command, f lotteryFlags, args []string) ([]byte, error) {
	if len(args) == 1 {
		return t.read(args[0])
	}
	c, err := t.client(cmd)
	if err != nil {
		return nil, err
	}
	return c.get(cmd.Context(), path("events", f.event, "lottery"), nil)
}

// verdict verifies and prints.
func (t *tool) verdict(cmd *cobra.Command, transcript lottery.Transcript, kept ...lottery.Evidence) error {
	verdict := transcript.Verify(kept...)
	view := drawView{
		OK: verdict.OK(), Event: transcript.Event, Generation: transcript.Generation,
		Commitment: transcript.Commitment.String(), Beacon: transcript.BeaconName, Checks: verdict.Checks,
	}
	for _, evidence := range kept {
		for _, receipt := range evidence.Receipts {
			found := locate(transcript, receipt)
			view.Receipts = append(view.Receipts, found)
			view.OK = view.OK && found.Sealed
		}
	}
	answer, err := json.Marshal(view)
	if err != nil {
		return fmt.Errorf("encode the verdict: %w", err)
	}
	if err := t.show(cmd, answer, &drawView{}, func(out *table) { printDraw(out, view) }); err != nil {
		return err
	}
	if !view.OK {
		return errNotVerified
	}
	return nil
}

// locate finds the place that the transcript gives a receipt's owner.
func locate(t lottery.Transcript, receipt []byte) receiptView {
	r, err := lottery.ParseReceipt(receipt)
	if err != nil {
		return receiptView{}
	}
	found := receiptView{Entrant: r.Entrant, Window: r.Window, Band: r.Band}
	for _, w := range t.Windows {
		if w.Window != r.Window {
			continue
		}
		found.Sealed, found.Of = true, len(w.Leaves)
		for i, drawn := range lottery.Order(w.Seed, w.Window, w.Leaves) {
			if drawn.Entrant != r.Entrant {
				continue
			}
			found.Place = i + 1
			for _, move := range t.Cursors {
				if drawn.Place().Compare(move.Place()) <= 0 {
					found.Called, found.CalledAt = true, &move.At
					break
				}
			}
		}
	}
	for i := range t.Sessions {
		if t.Sessions[i].Entrant == r.Entrant {
			found.AdmittedAt = &t.Sessions[i].IssuedAt
		}
	}
	return found
}

func printDraw(out *table, d drawView) {
	out.row("event", fmt.Sprintf("%s, sale %d", d.Event, d.Generation))
	out.row("commitment", d.Commitment)
	if d.Beacon != "" {
		out.row("beacon", d.Beacon)
	}
	out.gap()
	out.row("CHECK", "CHECKED", "FAILED")
	for _, c := range d.Checks {
		out.row(c.Name, c.Checked, c.Failed)
	}
	for _, c := range d.Checks {
		for _, detail := range c.Details {
			out.line("%s: %s", c.Name, oneLine(detail))
		}
	}
	for _, r := range d.Receipts {
		out.gap()
		switch {
		case !r.Sealed:
			out.line("receipt of %s: window %d is not sealed yet, so there is nothing to compare", r.Entrant, r.Window)
		case r.Place == 0:
			out.line("receipt of %s: NOT IN THE POOL of window %d", r.Entrant, r.Window)
		default:
			turn := "not called so far"
			switch {
			case r.AdmittedAt != nil && r.CalledAt != nil:
				turn = fmt.Sprintf("called %s, admitted %s", instant{*r.CalledAt}, instant{*r.AdmittedAt})
			case r.Called:
				turn = fmt.Sprintf("called %s, did not come so far", instant{*r.CalledAt})
			}
			out.line("receipt of %s: window %d, place %d of %d, %s", r.Entrant, r.Window, r.Place, r.Of, turn)
		}
	}
	out.gap()
	if d.OK {
		out.line("the draw verifies")
	} else {
		out.line("THE DRAW DOES NOT VERIFY")
	}
}
