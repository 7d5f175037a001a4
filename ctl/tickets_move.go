package ctl

import "github.com/spf13/cobra"

func (t *tool) ticketsMove() *cobra.Command {
	var other bool
	var reason string
	cmd := &cobra.Command{
		Use:   "move TICKET SEAT",
		Short: "Give a ticket another seat",
		Long: `move gives a ticket another seat, which must be free: on general sale, or set aside. The old seat goes back on sale, and the ticket
gets a new code; the one before opens no gate any more. It is refused for a ticket that is void, has been scanned in, or is offered or
listed for sale, and for a seat that is held, sold, or of another tier; with --any that one will do, whatever it costs: no money moves.
Asking again changes nothing.`,
		Example: `  ticketctl tickets move 6f1c7f0e-52a4-5a1f-9a5e-3c1f0b8f3f10 102/A/7 --reason "a pillar in front of 101/C/3"`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usagef("--reason is needed: it is kept in the order's history")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("tickets", args[0], "move"), map[string]any{"seat": args[1], "any": other, "reason": reason})
			if err != nil {
				return err
			}
			var moved struct {
				Ticket string `json:"ticket"`
				From   string `json:"from"`
				Seat   string `json:"seat"`
				Tier   string `json:"tier"`
				Epoch  int    `json:"epoch"`
			}
			return t.show(cmd, answer, &moved, func(out *table) {
				if moved.From == moved.Seat {
					out.line("ticket %s has seat %s", oneLine(moved.Ticket), oneLine(moved.Seat))
					return
				}
				out.line("ticket %s has seat %s (%s) instead of %s, and its code number %d", oneLine(moved.Ticket), oneLine(moved.Seat), oneLine(moved.Tier), oneLine(moved.From), moved.Epoch)
			})
		},
	}
	cmd.Flags().BoolVar(&other, "any", false, "a seat of another tier will do")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the order's history")
	return cmd
}
