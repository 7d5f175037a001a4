package ctl

import (
	"github.com/spf13/cobra"
)

// invitePage is how many invitations are made with one request.
const invitePage = 10_000

func (t *tool) onSaleInvite() *cobra.Command {
	var count int
	var presale string
	cmd := &cobra.Command{
		Use:   "invite EVENT [--count N] [--presale ID]",
		Short: "Make invitations to a sale of an event",
		Long: `invite makes signed codes and prints them, one a line: for general sale where the event's on_sale.identity is invitation, or with
--presale for a presale that is for who was invited. Each is one entry in the draw of that sale, whoever shows it and how often, and good in
no other. Core does not keep them: who wants them again makes others. ticketctl keys rotate --key invitation changes what signs them.`,
		Example:           `  ticketctl onsale invite arena --presale sponsors --count 500 > invitations.txt`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			if count < 1 || count > invitePage {
				return usagef("--count must be from 1 to %d", invitePage)
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("events", args[0], "invitations"), map[string]any{"count": count, "presale": presale})
			if err != nil {
				return err
			}
			var made struct {
				Invitations []string `json:"invitations"`
			}
			return t.show(cmd, answer, &made, func(out *table) {
				for _, code := range made.Invitations {
					out.line("%s", oneLine(code))
				}
			})
		},
	}
	cmd.Flags().IntVar(&count, "count", 1, "how many")
	cmd.Flags().StringVar(&presale, "presale", "", "the presale they are for; default general sale")
	return cmd
}
