package ctl

import (
	"github.com/spf13/cobra"
)

func (t *tool) refundsReview() *cobra.Command {
	var tickets []string
	var all, keep bool
	var reason string
	cmd := &cobra.Command{
		Use:   "review REFUND --ticket TICKET|--all|--keep --reason TEXT",
		Short: "Say what a refund made at the provider means for the tickets",
		Long: `review decides about the tickets of an order of which somebody gave a part of the money back in the provider's own pages: those named by
--ticket are void, or --all that are left, or with --keep none. Their places go back on sale as the event's file says; no money is moved, it has
gone already. ticketctl refunds list --review lists what waits for this. While an order is disputed it is not among them: that is decided first.
A refund that failed at the provider is not reviewed, since its money has come back.

The ticket of a resale is not made void while its buyer has only a part of the money back: ticketctl refunds create gives back the rest, makes
it void and undoes the resale.`,
		Example: `  ticketctl refunds review 7c9e6679-7425-50de-944b-e07fc1f90ae7 --keep --reason "a goodwill gesture"
  ticketctl refunds review 7c9e6679-7425-50de-944b-e07fc1f90ae7 --ticket 5d7c1f6e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason "one of the two"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usagef("say why: --reason TEXT")
			}
			given := 0
			for _, one := range []bool{len(tickets) > 0, all, keep} {
				if one {
					given++
				}
			}
			if given != 1 {
				return usagef("say what becomes of the tickets: one of --ticket, --all and --keep")
			}
			for _, id := range tickets {
				if id == "" {
					return usagef("--ticket is empty: name a ticket")
				}
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			body := map[string]any{"all": all, "keep": keep, "reason": reason}
			if len(tickets) > 0 {
				body["tickets"] = tickets
			}
			answer, err := c.post(cmd.Context(), path("refunds", args[0], "review"), body)
			if err != nil {
				return err
			}
			var r refundView
			return t.show(cmd, answer, &r, func(out *table) {
				if r.Reviewed == "kept" {
					out.line("the tickets of order %s stay", oneLine(r.Order))
					return
				}
				out.line("%d tickets of order %s are void", len(r.Items), oneLine(r.Order))
			})
		},
	}
	cmd.Flags().StringArrayVar(&tickets, "ticket", nil, "this ticket is void; may be repeated")
	cmd.Flags().BoolVar(&all, "all", false, "all tickets that are left are void")
	cmd.Flags().BoolVar(&keep, "keep", false, "all tickets stay")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the order's history")
	return cmd
}
