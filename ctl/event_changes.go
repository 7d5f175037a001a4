package ctl

import "github.com/spf13/cobra"

func (t *tool) eventChanges() *cobra.Command {
	return &cobra.Command{
		Use:   "changes EVENT",
		Short: "List when and where an event was moved",
		Long: `changes lists what became of an event's time and venue by applying its file while tickets were held or sold. The tickets stay valid;
everybody who had bought is told by mail (TOLD: when the last one was queued), and may give tickets back until then, the fee included,
see refunds.on_change in the event file.`,
		Example:           `  ticketctl event changes arena`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("events", args[0], "changes"), nil)
			if err != nil {
				return err
			}
			var found struct {
				Changes []struct {
					Revision    int64   `json:"revision"`
					WasStarts   string  `json:"was_starts_at"`
					StartsAt    string  `json:"starts_at"`
					WasVenue    string  `json:"was_venue"`
					Venue       string  `json:"venue"`
					ChangedAt   instant `json:"changed_at"`
					RefundUntil instant `json:"refund_until"`
					ToldAt      instant `json:"told_at"`
				} `json:"changes"`
			}
			return t.show(cmd, answer, &found, func(out *table) {
				if len(found.Changes) == 0 {
					out.line("it was never moved")
					return
				}
				out.row("REVISION", "WHEN", "FROM", "TO", "REFUNDS UNTIL", "TOLD")
				for _, c := range found.Changes {
					if c.WasStarts != c.StartsAt {
						out.row(c.Revision, c.ChangedAt, c.WasStarts, c.StartsAt, c.RefundUntil, c.ToldAt)
					}
					if c.WasVenue != c.Venue {
						out.row(c.Revision, c.ChangedAt, c.WasVenue, c.Venue, c.RefundUntil, c.ToldAt)
					}
				}
			})
		},
	}
}
