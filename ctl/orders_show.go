package ctl

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// Widths of the story's columns: time, kind, who, and the text behind them, so that a line fits a terminal of 100 columns.
const (
	storyKind = 9
	storyWho  = 12
	storyText = 62
)

func (t *tool) ordersShow() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:   "show ORDER",
		Short: "Show the whole story of an order",
		Long: `show tells what an order is and everything that happened to it, oldest first: the hold, how its buyer was let in, each
attempt to pay, each step with who caused it and by what, what the provider reported and was told, the ledger, the tickets.
The times are UTC. With --raw it prints what the provider sent, too, without secrets and personal data. The last line says
whether the order's audit trail is as it was written; see ticketctl orders verify.`,
		Example: `  ticketctl orders show 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11
  ticketctl orders show 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --raw
  ticketctl orders show 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			query := url.Values{}
			if raw {
				query.Set("raw", "true")
			}
			answer, err := c.get(cmd.Context(), path("orders", args[0]), query)
			if err != nil {
				return err
			}
			var o orderView
			return t.show(cmd, answer, &o, func(out *table) { printOrder(out, o) })
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "also print what the provider sent")
	return cmd
}

func printOrder(out *table, o orderView) {
	out.row("order", o.ID)
	out.row("event", o.Event)
	out.row("state", o.State)
	out.row("amount", o.Amount)
	out.row("buyer", dash(o.Email))
	out.row("entrant", dash(o.Entrant))
	out.row("hold", o.HoldID)
	out.row("deadline", o.Deadline)
	out.row("payment", dash(o.Payment.State))
	if o.Payment.Attempt > 0 {
		out.row("  attempt", o.Payment.Attempt)
		out.row("  provider", o.Payment.Provider)
		out.row("  reference", dash(o.Payment.ProviderRef))
	}
	if o.Payment.Failure != "" {
		out.row("  failure", o.Payment.Failure)
	}
	for _, id := range o.Tickets {
		out.row("ticket", id)
	}
	out.gap()
	out.row("TIER", "SEAT", "FACE", "FEE", "TAX")
	for _, l := range o.Lines {
		out.row(l.Tier, dash(l.Seat), l.Face, l.Fee, l.Tax)
	}
	out.gap()
	printStory(out, o)
	printAudit(out, o.Audit)
}

// printStory writes the story in columns of fixed width; the day stands on a line of its own where a new one begins.
func printStory(out *table, o orderView) {
	day := ""
	for _, e := range o.Story {
		at := e.At.UTC()
		if d := at.Format("2006-01-02"); d != day {
			day = d
			out.line("%s", day)
		}
		who := oneLine(e.Who)
		for i, text := range wrap(oneLine(e.Text), storyText) {
			if i == 0 {
				out.line("%s", strings.TrimRight(at.Format("15:04:05.000")+"  "+pad(e.Kind, storyKind)+"  "+pad(who, storyWho)+"  "+text, " "))
				continue
			}
			out.line("%s%s", strings.Repeat(" ", 12+2+storyKind+2+storyWho+2), text)
		}
		for _, line := range e.Lines {
			for i, text := range wrap(oneLine(line), storyText-2) {
				indent := strings.Repeat(" ", 12+2+storyKind+2+storyWho+2)
				if i == 0 {
					out.line("%s· %s", indent, text)
				} else {
					out.line("%s  %s", indent, text)
				}
			}
		}
		printRaw(out, e.Raw)
	}
	out.gap()
}

// printRaw writes a provider's event, indented.
func printRaw(out *table, raw json.RawMessage) {
	if len(raw) == 0 {
		return
	}
	var indented bytes.Buffer
	if json.Indent(&indented, raw, "", "  ") != nil {
		return
	}
	for line := range strings.Lines(indented.String()) {
		out.line("    %s", oneLine(strings.TrimRight(line, "\n")))
	}
}

// pad fills up to a width counted in characters; what is longer stays, with the next column behind it.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-len([]rune(s))))
}

// wrap breaks a text at spaces so that no line is longer than width characters, save for words that are.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	if line != "" || lines == nil {
		lines = append(lines, line)
	}
	return lines
}
