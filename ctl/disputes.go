package ctl

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// disputeView is what a buyer's bank disputes.
type disputeView struct {
	Ref         string  `json:"ref"`
	Provider    string  `json:"provider"`
	Order       string  `json:"order_id"`
	Amount      money   `json:"amount"`
	Fee         money   `json:"fee"`
	Reason      string  `json:"reason"`
	State       string  `json:"state"`
	RespondBy   instant `json:"respond_by"`
	DraftedAt   instant `json:"drafted_at"`
	SubmittedAt instant `json:"submitted_at"`
	SubmittedBy string  `json:"submitted_by"`
	OpenedAt    instant `json:"opened_at"`
	ClosedAt    instant `json:"closed_at"`
}

func (t *tool) disputes() *cobra.Command {
	return group("disputes", "Answer what buyers' banks dispute", `  ticketctl disputes list --state open
  ticketctl disputes evidence dp_1OaT8k
  ticketctl disputes submit dp_1OaT8k`, t.disputesList(), t.disputesShow(), t.disputesEvidence(), t.disputesSubmit())
}

func (t *tool) disputesList() *cobra.Command {
	var limit int
	var state string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List disputes",
		Long: `list shows disputes, the latest first. States are inquiry (no money is taken yet), open, review (the evidence is in and the bank
decides), won and lost.`,
		Example: `  ticketctl disputes list
  ticketctl disputes list --state open --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > 500 {
				return usagef("--limit must be from 1 to 500")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			query := url.Values{"limit": {fmt.Sprint(limit)}}
			if state != "" {
				query.Set("state", state)
			}
			answer, err := c.get(cmd.Context(), path("disputes"), query)
			if err != nil {
				return err
			}
			var found struct {
				Disputes []disputeView `json:"disputes"`
			}
			return t.show(cmd, answer, &found, func(out *table) {
				if len(found.Disputes) == 0 {
					out.line("no disputes")
					return
				}
				out.row("DISPUTE", "PROVIDER", "ORDER", "AMOUNT", "STATE", "REASON", "ANSWER BY", "SUBMITTED")
				for _, d := range found.Disputes {
					out.row(d.Ref, d.Provider, d.Order, d.Amount, d.State, dash(d.Reason), d.RespondBy, d.SubmittedAt)
				}
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "most disputes to show")
	cmd.Flags().StringVar(&state, "state", "", "only disputes in this state")
	return cmd
}

func printDispute(out *table, d disputeView) {
	out.row("dispute", d.Ref)
	out.row("provider", d.Provider)
	out.row("order", d.Order)
	out.row("state", d.State)
	out.row("amount", d.Amount)
	out.row("fee", d.Fee)
	out.row("reason", dash(d.Reason))
	out.row("opened", d.OpenedAt)
	out.row("answer by", d.RespondBy)
	out.row("drafted", d.DraftedAt)
	out.row("submitted", d.SubmittedAt)
	out.row("  by", dash(d.SubmittedBy))
	out.row("decided", d.ClosedAt)
}

func (t *tool) disputesShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show DISPUTE",
		Short:   "Show a dispute",
		Long:    `show tells where a dispute stands. It is named as the provider names it.`,
		Example: `  ticketctl disputes show dp_1OaT8k`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("disputes", args[0]), nil)
			if err != nil {
				return err
			}
			var d disputeView
			return t.show(cmd, answer, &d, func(out *table) { printDispute(out, d) })
		},
	}
}

func (t *tool) disputesEvidence() *cobra.Command {
	return &cobra.Command{
		Use:   "evidence DISPUTE",
		Short: "Show what we have to say of a dispute",
		Long: `evidence assembles, from what core knows now, what would be handed in: the order, how its buyer was drawn and admitted, its
history and its tickets. It is about this buyer only and names no card.`,
		Example: `  ticketctl disputes evidence dp_1OaT8k`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("disputes", args[0], "evidence"), nil)
			if err != nil {
				return err
			}
			var e struct {
				CustomerEmail string `json:"customer_email"`
				ServiceDate   string `json:"service_date"`
				Product       string `json:"product"`
				AccessLog     string `json:"access_log"`
				RefundPolicy  string `json:"refund_policy"`
				More          string `json:"more"`
			}
			return t.show(cmd, answer, &e, func(out *table) {
				out.row("buyer", dash(e.CustomerEmail))
				out.row("event on", dash(e.ServiceDate))
				out.row("sold", dash(e.Product))
				out.row("refunds", dash(e.RefundPolicy))
				for _, part := range []struct{ title, text string }{{"WHAT HAPPENED", e.AccessLog}, {"MORE", e.More}} {
					out.gap()
					out.line("%s", part.title)
					for _, line := range strings.Split(strings.TrimSpace(part.text), "\n") {
						out.line("%s", oneLine(line))
					}
				}
			})
		},
	}
}

func (t *tool) disputesSubmit() *cobra.Command {
	return &cobra.Command{
		Use:   "submit DISPUTE",
		Short: "Hand the evidence in",
		Long: `submit hands the evidence to the provider, which passes it on to the buyer's bank. That can be done once. A draft is at the provider
from the day the dispute was opened, where more can be added by hand before; see also disputes.submit_before in core.yaml.`,
		Example: `  ticketctl disputes submit dp_1OaT8k`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("disputes", args[0], "submit"), nil)
			if err != nil {
				return err
			}
			var d disputeView
			return t.show(cmd, answer, &d, func(out *table) { out.line("the evidence of dispute %s is on its way", oneLine(d.Ref)) })
		},
	}
}
