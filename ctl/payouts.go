package ctl

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

type payoutView struct {
	ID        string  `json:"id"`
	Organizer string  `json:"organizer"`
	Amount    money   `json:"amount"`
	State     string  `json:"state"`
	CreatedAt instant `json:"created_at"`
	UpdatedAt instant `json:"updated_at"`
}

func (t *tool) payouts() *cobra.Command {
	return group("payouts", "Pay organizers what they have earned", `  ticketctl payouts run
  ticketctl payouts list --state proposed
  ticketctl payouts approve 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason "as agreed"
  ticketctl payouts list --state approved --csv bank.csv
  ticketctl payouts sent 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason "bank order 4711"`,
		t.payoutsRun(), t.payoutsList(), t.payoutsMove("approve", "Allow a proposed payout to be sent"), t.payoutsMove("reject", "Refuse a payout that was not sent"),
		t.payoutsMove("sent", "Note that the bank was told to pay"), t.payoutsMove("arrived", "Note that the bank has paid"),
		t.payoutsMove("returned", "Note that the money came back"))
}

func (t *tool) payoutsRun() *cobra.Command {
	var run string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Release earnings of events that are over, and propose payouts",
		Long: `run releases what organizers have earned with events that ended long enough ago, holds the reserve back, frees reserves whose time
is over, and proposes a payout of what is available. Core's payouts section has the rules. A day has one run: a second does what the
first left undone and says the same. Another --run is another run.`,
		Example: `  ticketctl payouts run
  ticketctl payouts run --run 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			body := map[string]string{}
			if run != "" {
				body["run_id"] = run
			}
			answer, err := c.patient().post(cmd.Context(), path("payouts:run"), body)
			if err != nil {
				return err
			}
			var view struct {
				RunID string `json:"run_id"`
				Lines []struct {
					Organizer  string `json:"organizer"`
					Released   money  `json:"released"`
					Reserved   money  `json:"reserved"`
					Unreserved money  `json:"unreserved"`
					Covered    money  `json:"covered"`
					Used       money  `json:"used"`
					PayoutID   string `json:"payout_id"`
					Note       string `json:"note"`
				} `json:"lines"`
			}
			return t.show(cmd, answer, &view, func(out *table) {
				if len(view.Lines) == 0 {
					out.line("nothing is to be released")
					return
				}
				out.row("ORGANIZER", "RELEASED", "RESERVED", "OUT OF RESERVE", "COVERED", "OUT OF AVAILABLE", "PAYOUT", "NOTE")
				for _, l := range view.Lines {
					payout := l.PayoutID
					if strings.Trim(payout, "0-") == "" {
						payout = "-"
					}
					out.row(l.Organizer, l.Released, l.Reserved, l.Unreserved, l.Covered, l.Used, payout, dash(l.Note))
				}
			})
		},
	}
	cmd.Flags().StringVar(&run, "run", "", "id of the run; default: that of the day")
	return cmd
}

func (t *tool) payoutsList() *cobra.Command {
	var state, organizer, sheet string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List payouts, or export them for the bank",
		Long: `list shows payouts. With --csv it writes them to a file for the bank's upload: organizer, amount, currency and the payout's id as the
text of the transfer. Bank accounts of organizers are kept where you keep them; Fairgate has none.`,
		Example: `  ticketctl payouts list --state proposed
  ticketctl payouts list --state approved --csv bank.csv
  ticketctl payouts list --organizer lumen-live --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef("--limit must be 1 or more")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			found, err := c.list(cmd.Context(), path("payouts"), "payouts", url.Values{"state": {state}, "organizer": {organizer}}, limit)
			if err != nil {
				return err
			}
			if sheet != "" {
				if err := writePayouts(sheet, found.items); err != nil {
					return err
				}
			}
			return showList(t, cmd, "payouts", found, []any{"PAYOUT", "ORGANIZER", "AMOUNT", "STATE", "SINCE"}, func(out *table, p payoutView) {
				out.row(p.ID, p.Organizer, p.Amount, p.State, p.UpdatedAt)
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "proposed, approved, rejected, sent, arrived or returned; default all")
	cmd.Flags().StringVar(&organizer, "organizer", "", "of one organizer")
	cmd.Flags().StringVar(&sheet, "csv", "", "write them to this file")
	cmd.Flags().IntVar(&limit, "limit", 500, "most payouts to show")
	return cmd
}

// writePayouts writes payouts as CSV.
func writePayouts(file string, items []json.RawMessage) error {
	lines := [][]string{{"payout_id", "organizer", "amount", "currency", "text", "state"}}
	for _, raw := range items {
		var p payoutView
		if err := readInto(raw, &p); err != nil {
			return err
		}
		lines = append(lines, []string{p.ID, p.Organizer, strings.TrimSuffix(p.Amount.String(), " "+p.Amount.Currency), p.Amount.Currency, "payout " + p.ID, p.State})
	}
	var text bytes.Buffer
	if err := csv.NewWriter(&text).WriteAll(lines); err != nil {
		return fmt.Errorf("write the payouts: %w", err)
	}
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the payouts: %w", err)
	}
	return nil
}

func (t *tool) payoutsMove(verb, short string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   verb + " PAYOUT",
		Short: short,
		Long: short + `. sent, arrived and returned are booked in the ledger at once; more than is available is refused. The reason
stays on record. A step that was taken is answered as it was then.`,
		Example: fmt.Sprintf("  ticketctl payouts %s 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason \"bank order 4711\"", verb),
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("payouts", args[0], verb), map[string]string{"reason": reason})
			if err != nil {
				return err
			}
			var p payoutView
			return t.show(cmd, answer, &p, func(out *table) { out.line("payout %s of %s to %s is %s", p.ID, p.Amount, p.Organizer, p.State) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, or the bank's reference, for whoever asks later")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}
