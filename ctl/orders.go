package ctl

import (
	"encoding/json"

	"github.com/spf13/cobra"
)

type orderSummary struct {
	ID        string  `json:"id"`
	State     string  `json:"state"`
	Amount    money   `json:"amount"`
	Tickets   *int    `json:"tickets"` // nil where core cannot read the order
	CreatedAt instant `json:"created_at"`
	UpdatedAt instant `json:"updated_at"`
}

// orderView is the whole story of one order.
type orderView struct {
	ID       string  `json:"id"`
	Event    string  `json:"event"`
	HoldID   string  `json:"hold_id"`
	State    string  `json:"state"`
	Amount   money   `json:"amount"`
	Email    string  `json:"email"`
	Entrant  string  `json:"entrant"`
	Deadline instant `json:"deadline"`
	Lines    []struct {
		Tier string `json:"tier"`
		Seat string `json:"seat"`
		Face money  `json:"face"`
		Fee  money  `json:"fee"`
		Tax  money  `json:"tax"`
	} `json:"lines"`
	Payment struct {
		Attempt     int    `json:"attempt"`
		Provider    string `json:"provider"`
		State       string `json:"state"`
		ProviderRef string `json:"provider_ref"`
		Failure     string `json:"failure"`
	} `json:"payment"`
	Tickets []string `json:"tickets"`
	Story   []struct {
		At    instant         `json:"at"`
		Kind  string          `json:"kind"`
		Who   string          `json:"who"`
		Text  string          `json:"text"`
		Lines []string        `json:"lines"`
		Raw   json.RawMessage `json:"raw"`
	} `json:"story"`
	Audit orderAudit `json:"audit"`
}

func (t *tool) orders() *cobra.Command {
	return group("orders", "List, show and verify orders", `  ticketctl orders list arena --state payment_failed
  ticketctl orders show 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11
  ticketctl orders verify`, t.ordersList(), t.ordersShow(), t.ordersVerify())
}

func (t *tool) ordersList() *cobra.Command {
	var pages pageFlags
	var event, state string
	cmd := &cobra.Command{
		Use:   "list EVENT",
		Short: "List the orders of an event",
		Long: `list shows an event's orders, oldest first. States are reserved, payment_pending, payment_complete, ticket_issued,
payment_failed, payment_review, capture_failed, expired, cancelled, refunded and disputed.`,
		Example: `  ticketctl orders list arena
  ticketctl orders list arena --state capture_failed --limit 500
  ticketctl orders list --event arena --json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if event != "" && event != args[0] {
					return usagef("two events are named: %s and %s", args[0], event)
				}
				event = args[0]
			}
			if event == "" {
				return usagef("name the event: ticketctl orders list EVENT")
			}
			query, err := pages.query()
			if err != nil {
				return err
			}
			query.Set("event", event)
			if state != "" {
				query.Set("state", state)
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			found, err := c.list(cmd.Context(), path("orders"), "orders", query, pages.limit)
			if err != nil {
				return err
			}
			head := []any{"ORDER", "STATE", "AMOUNT", "TICKETS", "CREATED", "UPDATED"}
			return showList(t, cmd, "orders", found, head, func(out *table, o orderSummary) {
				tickets := any("unreadable: see orders verify")
				if o.Tickets != nil {
					tickets = *o.Tickets
				}
				out.row(o.ID, o.State, o.Amount, tickets, o.CreatedAt, o.UpdatedAt)
			})
		},
	}
	cmd.Flags().StringVar(&event, "event", "", "the event, instead of the argument")
	cmd.Flags().StringVar(&state, "state", "", "only orders in this state")
	pages.add(cmd)
	return cmd
}
