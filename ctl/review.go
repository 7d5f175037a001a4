package ctl

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
)

// reviewView is an order that waits for an operator, or did.
type reviewView struct {
	Order    string  `json:"order_id"`
	Event    string  `json:"event"`
	Amount   money   `json:"amount"`
	Why      string  `json:"why"`
	OpenedAt instant `json:"opened_at"`
	Deadline instant `json:"deadline"`
	ClosedAt instant `json:"closed_at"`
	Decision string  `json:"decision"`
	Actor    string  `json:"actor"`
	Reason   string  `json:"reason"`
}

func (t *tool) review() *cobra.Command {
	return group("review", "Decide about payments that look like fraud", `  ticketctl review list
  ticketctl review show 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11
  ticketctl review approve 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason "a regular customer"`,
		t.reviewList(), t.reviewShow(), t.reviewDecide("approve", "Sell an order in review",
			`approve sells the order like any other: the money is captured and the tickets are issued. The limits on cards are checked now; a card
that has bought enough cancels the order.`, "is approved"),
		t.reviewDecide("deny", "Refuse an order in review",
			`deny cancels the order: the authorization is voided, and its tickets go back on sale. The buyer reads that the payment was refused.`, "is denied"))
}

func (t *tool) reviewList() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the orders that wait for a decision",
		Long: `list shows the orders whose money is authorized and that wait for an operator, the oldest first. An order about which nobody
decides before the deadline is cancelled and its authorization voided.`,
		Example: `  ticketctl review list
  ticketctl review list --limit 500 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > 500 {
				return usagef("--limit must be from 1 to 500")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("reviews"), url.Values{"limit": {fmt.Sprint(limit)}})
			if err != nil {
				return err
			}
			var found struct {
				Reviews []reviewView `json:"reviews"`
			}
			return t.show(cmd, answer, &found, func(out *table) {
				if len(found.Reviews) == 0 {
					out.line("no reviews")
					return
				}
				out.row("ORDER", "EVENT", "AMOUNT", "DEADLINE", "WHY")
				for _, r := range found.Reviews {
					out.row(r.Order, r.Event, r.Amount, r.Deadline, r.Why)
				}
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "most orders to show")
	return cmd
}

func (t *tool) reviewShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show ORDER",
		Short: "Show how the payments of an order were judged",
		Long: `show tells what was judged of each payment of an order, before it was begun and when it was authorized, by which rules and
signals, and what operators decided. Accounts, addresses and cards are known only as hashes and are not shown.`,
		Example: `  ticketctl review show 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("reviews", args[0]), nil)
			if err != nil {
				return err
			}
			var v struct {
				Order      string       `json:"order_id"`
				State      string       `json:"state"`
				Reviews    []reviewView `json:"reviews"`
				Judgements []struct {
					Stage   string `json:"stage"`
					Verdict string `json:"verdict"`
					Score   int    `json:"score"`
					Reasons []struct {
						Rule    string `json:"rule"`
						Verdict string `json:"verdict"`
						Weight  int    `json:"weight"`
						Said    string `json:"said"`
					} `json:"reasons"`
					At instant `json:"at"`
				} `json:"judgements"`
			}
			return t.show(cmd, answer, &v, func(out *table) {
				out.row("order", v.Order)
				out.row("state", v.State)
				out.gap()
				out.row("JUDGED", "AT", "VERDICT", "SCORE", "RULE", "BECAUSE")
				for _, j := range v.Judgements {
					out.row(j.Stage, j.At, j.Verdict, j.Score, "-", "-")
					for _, r := range j.Reasons {
						weight := dash(r.Verdict)
						if r.Weight > 0 {
							weight = fmt.Sprintf("+%d", r.Weight)
						}
						out.row("", "", weight, "-", r.Rule, r.Said)
					}
				}
				if len(v.Reviews) == 0 {
					return
				}
				out.gap()
				out.row("REVIEW", "DEADLINE", "DECISION", "AT", "BY", "REASON")
				for _, r := range v.Reviews {
					out.row(r.OpenedAt, r.Deadline, dash(r.Decision), r.ClosedAt, dash(r.Actor), r.Reason)
				}
			})
		},
	}
}

func (t *tool) reviewDecide(verb, short, long, done string) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     verb + " ORDER --reason TEXT",
		Short:   short,
		Long:    long + " Your name and the reason are kept. Of two operators who decide at once, one is told that it was done.",
		Example: `  ticketctl review ` + verb + ` 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason "called the buyer"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("reviews", args[0], verb), map[string]string{"reason": reason})
			if err != nil {
				return err
			}
			var v struct {
				Order string `json:"order_id"`
				State string `json:"state"`
			}
			return t.show(cmd, answer, &v, func(out *table) {
				out.line("order %s %s; it is %s now", oneLine(v.Order), done, oneLine(v.State))
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag stands above
	}
	return cmd
}
