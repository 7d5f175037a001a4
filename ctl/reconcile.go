package ctl

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// settlementReport is what came of a day.
type settlementReport struct {
	Provider string  `json:"provider"`
	Day      string  `json:"day"`
	ReadAt   instant `json:"read_at"`
	Counts   struct {
		Rows     int64 `json:"rows"`
		New      int64 `json:"new"`
		Repeated int64 `json:"repeated"`
		Altered  int64 `json:"altered"`
		Vanished int64 `json:"vanished"`
	} `json:"counts"`
	Currencies []struct {
		Currency string `json:"currency"`
		Classes  map[string]struct {
			Count int64 `json:"count"`
			Minor int64 `json:"minor"`
		} `json:"classes"`
		Total        int64 `json:"total"`
		Unexplained  int64 `json:"unexplained"`
		ExplainedPPM int64 `json:"explained_ppm"`
	} `json:"currencies"`
	ExplainedPPM int64 `json:"explained_ppm"`
	Open         int64 `json:"open"`
	Overdue      int64 `json:"overdue"`
}

// percent writes millionths as a percentage, rounded down.
func percent(ppm int64) string { return fmt.Sprintf("%d.%04d%%", ppm/10_000, ppm%10_000) }

type settlementItem struct {
	ID        string `json:"id"`
	Day       string `json:"day"`
	Class     string `json:"class"`
	Row       string `json:"row"`
	Transfer  string `json:"transfer"`
	Amount    money  `json:"amount"`
	Why       string `json:"why"`
	Action    string `json:"action"`
	Transfers []struct {
		Debit  string `json:"debit"`
		Credit string `json:"credit"`
		Amount money  `json:"amount"`
		Code   string `json:"code"`
	} `json:"transfers"`
	Since     instant `json:"since"`
	State     string  `json:"state"`
	DecidedBy string  `json:"decided_by"`
	Reason    string  `json:"reason"`
}

func (t *tool) reconcile() *cobra.Command {
	var provider, day, file, sheet string
	var stored bool
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Compare what a provider settled with the books",
		Long: `reconcile has core read one UTC day of a provider's settlement, match it with the ledger row by row, and say how much of the money is
explained: one minus the amounts of unexplained items over the gross of all rows and of what only the books have. Reading a day again
changes nothing but what has changed. With --file the settlement comes from a CSV file, for banks and box offices.

A day of a million rows takes minutes: meanwhile it says on standard error how far core is, and core bounds the reading at half an hour.
Stopped with Ctrl-C, the pages that are read stay, and the same command reads the rest.

It exits with 3 when something is unexplained for longer than core's settlement.grace.`,
		Example: `  ticketctl reconcile --provider stripe --day 2026-11-25
  ticketctl reconcile --provider stripe --day 2026-11-25 --stored --csv items.csv
  ticketctl reconcile --provider offline --day 2026-11-25 --file bank.csv
  ticketctl reconcile items --provider stripe --day 2026-11-25
  ticketctl reconcile approve 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason "refund made by hand in the dashboard"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := time.Parse("2006-01-02", day); err != nil || provider == "" {
				return usagef("--provider and --day are needed, the day as 2026-11-25")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			where := path("settlement", provider, "days", day)
			var answer json.RawMessage
			quiet := func() {}
			if !stored {
				quiet = c.progress(cmd.Context(), cmd.ErrOrStderr(), where)
				c = c.patient()
			}
			switch {
			case stored:
				answer, err = c.get(cmd.Context(), where, nil)
			case file != "":
				answer, err = c.sendFile(cmd.Context(), where, "text/csv", file)
			default:
				answer, err = c.do(cmd.Context(), http.MethodPost, where, "application/json", []byte("{}"))
			}
			quiet()
			if err != nil {
				return err
			}
			if sheet != "" {
				if err := t.writeItems(cmd, c, where, sheet); err != nil {
					return err
				}
			}
			var r settlementReport
			if err := readInto(answer, &r); err != nil {
				return err
			}
			if err := t.show(cmd, answer, &r, func(out *table) { printSettlement(out, r) }); err != nil {
				return err
			}
			if r.Overdue > 0 {
				return errNotVerified
			}
			return nil
		},
	}
	cmd.PersistentFlags().StringVar(&provider, "provider", "", "the provider's name, such as stripe")
	cmd.PersistentFlags().StringVar(&day, "day", "", "the UTC day, such as 2026-11-25")
	cmd.Flags().StringVar(&file, "file", "", "read the settlement from this CSV file")
	cmd.Flags().StringVar(&sheet, "csv", "", "write the day's items to this file, for a spreadsheet")
	cmd.Flags().BoolVar(&stored, "stored", false, "show the day as it was read last, without reading it again")
	cmd.AddCommand(t.reconcileItems(&provider, &day), t.reconcileDecide("approve", "Record an item's proposed correction in the ledger"),
		t.reconcileDecide("reject", "Leave an item as it is, on record"))
	return cmd
}

// progressEvery is how often it is said how far a reading is; --timeout, where that is less.
const progressEvery = 5 * time.Second

// progress says how far core is with a day, until the returned function is called.
func (c *client) progress(ctx context.Context, out io.Writer, where string) (quiet func()) {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		every := progressEvery
		if c.http.Timeout > 0 {
			every = min(every, c.http.Timeout)
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			var at struct {
				Reading bool  `json:"reading"`
				Rows    int64 `json:"rows"`
			}
			answer, err := c.get(ctx, where+"/progress", nil)
			if err != nil || readInto(answer, &at) != nil || ctx.Err() != nil {
				continue // the call itself says what is wrong
			}
			if at.Reading {
				fmt.Fprintf(out, "%d rows read so far\n", at.Rows)
			} else {
				fmt.Fprintln(out, "all rows are read; core looks for what only the books have")
			}
		}
	}()
	return func() { stop(); <-ended }
}

func printSettlement(out *table, r settlementReport) {
	out.row("CURRENCY", "CLASS", "ROWS", "AMOUNT")
	for _, f := range r.Currencies {
		for _, class := range sorted(f.Classes) {
			out.row(f.Currency, class, f.Classes[class].Count, money{f.Classes[class].Minor, f.Currency})
		}
		out.row(f.Currency, "in all", "", money{f.Total, f.Currency})
		out.row(f.Currency, "unexplained", "", money{f.Unexplained, f.Currency})
	}
	out.gap()
	out.line("%s of %s: %d rows read, %d new, %d repeated, %d altered, %d gone", r.Provider, r.Day, r.Counts.Rows, r.Counts.New, r.Counts.Repeated,
		r.Counts.Altered, r.Counts.Vanished)
	out.line("explained: %s; %d items are open, %d of them for too long", percent(r.ExplainedPPM), r.Open, r.Overdue)
	if r.Open > 0 {
		out.line("see: ticketctl reconcile items --provider %s --day %s", r.Provider, r.Day)
	}
}

// mostItems bounds what items shows and --csv writes.
const mostItems = 100_000

// writeItems writes all items of a day to a file, as core makes the CSV.
func (t *tool) writeItems(cmd *cobra.Command, c *client, where, file string) error {
	found, err := c.list(cmd.Context(), where+"/items", "items", url.Values{}, mostItems)
	if err != nil {
		return err
	}
	lines := [][]string{{"item", "day", "class", "state", "row", "transfer", "minor", "currency", "why", "proposed", "decided_by", "reason"}}
	for _, raw := range found.items {
		var i settlementItem
		if err := readInto(raw, &i); err != nil {
			return err
		}
		lines = append(lines, []string{i.ID, i.Day, i.Class, i.State, i.Row, i.Transfer, fmt.Sprint(i.Amount.Minor), i.Amount.Currency, i.Why, i.Action,
			i.DecidedBy, i.Reason})
	}
	var text bytes.Buffer
	if err := csv.NewWriter(&text).WriteAll(lines); err != nil {
		return fmt.Errorf("write the items: %w", err)
	}
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the items: %w", err)
	}
	return nil
}

func (t *tool) reconcileItems(provider, day *string) *cobra.Command {
	var state string
	var limit int
	cmd := &cobra.Command{
		Use:   "items",
		Short: "List what a day's settlement leaves unexplained, with what to do",
		Long:  "items lists a day's items with a sentence why, and the transfers that approving each would record.",
		Example: `  ticketctl reconcile items --provider stripe --day 2026-11-25
  ticketctl reconcile items --provider stripe --day 2026-11-25 --state "" --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if *provider == "" || *day == "" {
				return usagef("--provider and --day are needed")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			found, err := c.list(cmd.Context(), path("settlement", *provider, "days", *day)+"/items", "items", url.Values{"state": {state}}, limit)
			if err != nil {
				return err
			}
			return showList(t, cmd, "items", found, []any{"ITEM", "CLASS", "STATE", "AMOUNT", "SINCE", "WHY", "PROPOSED"}, func(out *table, i settlementItem) {
				moves := make([]string, len(i.Transfers))
				for n, m := range i.Transfers {
					moves[n] = fmt.Sprintf("%s %s from %s to %s", m.Code, m.Amount, m.Debit, m.Credit)
				}
				proposed := i.Action
				if len(moves) > 0 {
					proposed += ": " + strings.Join(moves, ", ")
				}
				out.row(i.ID, i.Class, i.State, i.Amount, i.Since, i.Why, proposed)
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "open", `open, approved, rejected or healed; "" for all`)
	cmd.Flags().IntVar(&limit, "limit", 500, "most items to show")
	return cmd
}

func (t *tool) reconcileDecide(verb, short string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   verb + " ITEM",
		Short: short,
		Long: short + `. The item and the reason stay on record. Decided the same way twice is decided once; of two operators who
decide otherwise the second is refused.`,
		Example: fmt.Sprintf("  ticketctl reconcile %s 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason \"as agreed with the bank\"", verb),
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("settlement-items", args[0], verb), map[string]string{"reason": reason})
			if err != nil {
				return err
			}
			var i settlementItem
			return t.show(cmd, answer, &i, func(out *table) {
				out.line("item %s is %s by %s; %s recorded", i.ID, i.State, i.DecidedBy, count(len(i.Transfers), "proposed transfer"))
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever asks later")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}
