package ctl

import (
	"net/url"

	"github.com/spf13/cobra"
)

// titleStep is what happened to a ticket.
type titleStep struct {
	How   string `json:"how"`
	From  string `json:"from"`
	To    string `json:"to"`
	Epoch uint32 `json:"epoch"`
	Price *money `json:"price"`
	Note  string `json:"note"`
	At    string `json:"at"`
	Hash  string `json:"hash"`
}

// titleView is a ticket's chain of title.
type titleView struct {
	Tickets []struct {
		ID       string      `json:"id"`
		OrderID  string      `json:"order_id"`
		Buyer    string      `json:"buyer"`
		Owner    string      `json:"owner"`
		Epoch    uint32      `json:"epoch"`
		State    string      `json:"state"`
		IssuedAt string      `json:"issued_at"`
		Steps    []titleStep `json:"steps"`
		Sold     []struct {
			Ticket string `json:"ticket"`
			titleStep
		} `json:"sold"`
	} `json:"tickets"`
	OK     bool   `json:"ok"`
	Broken string `json:"broken"`
}

func (t *tool) ticketsTitle() *cobra.Command {
	return &cobra.Command{
		Use:   "title TICKET",
		Short: "Show and verify whose a ticket was since its first issue",
		Long: `title prints a ticket's chain of title: to whom it was first issued, and every step since, over transfers, sales and other seats; of
a ticket that was bought from its owner it begins with the one before, and of one that was sold on it ends with the sale. Core recomputes the hashes, and compares what they come to with the tickets
and orders. It exits with 3 when the chain is broken.

Owners are entrants: pseudonyms of this event, which lead to nobody.`,
		Example: `  ticketctl tickets title 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("tickets", args[0], "title"), nil)
			if err != nil {
				return err
			}
			var chain titleView
			if err := readInto(answer, &chain); err != nil {
				return err
			}
			if err := t.show(cmd, answer, &chain, func(out *table) { printTitle(out, chain) }); err != nil {
				return err
			}
			if !chain.OK {
				return errNotVerified
			}
			return nil
		},
	}
}

func printTitle(out *table, chain titleView) {
	for _, l := range chain.Tickets {
		out.line("ticket %s  %s, epoch %d", oneLine(l.ID), oneLine(l.State), l.Epoch)
		out.line("  %s  issued to %s with order %s", oneLine(l.IssuedAt), oneLine(l.Buyer), oneLine(l.OrderID))
		for _, s := range l.Steps {
			text := oneLine(s.How) + " from " + oneLine(s.From) + " to " + oneLine(s.To)
			if s.How == "reseat" {
				text = "reseat of " + oneLine(s.To)
			}
			if s.Price != nil {
				text += " for " + s.Price.String()
			}
			if s.Note != "" {
				text += ": " + oneLine(s.Note)
			}
			out.line("  %s  epoch %d: %s", oneLine(s.At), s.Epoch, text)
		}
		for _, s := range l.Sold {
			text := "sold on to " + oneLine(s.To)
			if s.Price != nil {
				text += " for " + s.Price.String()
			}
			out.line("  %s  %s, as ticket %s", oneLine(s.At), text, oneLine(s.Ticket))
		}
	}
	if chain.OK {
		out.line("the chain of title is whole")
	} else {
		out.line("THE CHAIN OF TITLE IS BROKEN: %s", oneLine(chain.Broken))
	}
}

// transfersView is a list of transfers.
type transfersView struct {
	Transfers []struct {
		ID        string `json:"id"`
		TicketID  string `json:"ticket_id"`
		Event     string `json:"event"`
		Tier      string `json:"tier"`
		Seat      string `json:"seat"`
		State     string `json:"state"`
		Reason    string `json:"reason"`
		GivenBy   string `json:"given_by"`
		To        string `json:"to"`
		CreatedAt string `json:"created_at"`
		ExpiresAt string `json:"expires_at"`
	} `json:"transfers"`
}

func (t *tool) ticketsTransfers() *cobra.Command {
	var ticket string
	cmd := &cobra.Command{
		Use:   "transfers [EVENT]",
		Short: "List how tickets are handed on",
		Long: `transfers lists the newest hundred offers to hand on tickets of an event, or with --ticket of one ticket, and what became of them:
offered, accepted, declined, cancelled, expired, or ended because the ticket became void, entered or changed otherwise.`,
		Example: `  ticketctl tickets transfers arena
  ticketctl tickets transfers --ticket 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (ticket != "") {
				return usagef("name an event, or a ticket with --ticket")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			query := url.Values{}
			if ticket != "" {
				query.Set("ticket", ticket)
			} else {
				query.Set("event", args[0])
			}
			answer, err := c.get(cmd.Context(), path("transfers"), query)
			if err != nil {
				return err
			}
			var list transfersView
			return t.show(cmd, answer, &list, func(out *table) {
				if len(list.Transfers) == 0 {
					out.line("no transfers")
					return
				}
				out.row("TICKET", "PLACE", "STATE", "FROM", "TO", "OFFERED", "UNTIL")
				for _, x := range list.Transfers {
					place := x.Seat
					if place == "" {
						place = x.Tier
					}
					state := x.State
					if x.Reason != "" {
						state += " (" + x.Reason + ")"
					}
					out.row(oneLine(x.TicketID), oneLine(place), oneLine(state), dash(oneLine(x.GivenBy)), oneLine(x.To), oneLine(x.CreatedAt), oneLine(x.ExpiresAt))
				}
			})
		},
	}
	cmd.Flags().StringVar(&ticket, "ticket", "", "only this ticket's")
	return cmd
}
