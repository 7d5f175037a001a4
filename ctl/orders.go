package ctl

import (
	"github.com/spf13/cobra"
)

type orderSummary struct {
	ID        string  `json:"id"`
	State     string  `json:"state"`
	Amount    money   `json:"amount"`
	Tickets   int     `json:"tickets"`
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
	History []struct {
		Seq    int64   `json:"seq"`
		Cause  string  `json:"cause"`
		From   string  `json:"from"`
		To     string  `json:"to"`
		Actor  string  `json:"actor"`
		Reason string  `json:"reason"`
		At     instant `json:"at"`
	} `json:"history"`
	Outbox []struct {
		Kind      string  `json:"kind"`
		State     string  `json:"state"`
		Attempts  int     `json:"attempts"`
		LastError string  `json:"last_error"`
		DueAt     instant `json:"due_at"`
	} `json:"outbox"`
}

func (t *tool) orders() *cobra.Command {
	return group("orders", "List and show orders", `  ticketctl orders list arena --state payment_failed
  ticketctl orders show 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11`, t.ordersList(), t.ordersShow())
}

func (t *tool) ordersList() *cobra.Command {
	var pages pageFlags
	var event, state string
	cmd := &cobra.Command{
		Use:   "list EVENT",
		Short: "List the orders of an event",
		Long: `list shows an event's orders, oldest first. States are reserved, payment_pending, payment_complete, ticket_issued,
payment_failed, capture_failed, expired, cancelled, refunded and disputed.`,
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
				out.row(o.ID, o.State, o.Amount, o.Tickets, o.CreatedAt, o.UpdatedAt)
			})
		},
	}
	cmd.Flags().StringVar(&event, "event", "", "the event, instead of the argument")
	cmd.Flags().StringVar(&state, "state", "", "only orders in this state")
	pages.add(cmd)
	return cmd
}

func (t *tool) ordersShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show ORDER",
		Short: "Show the whole story of an order",
		Long:  `show tells an order's lines, its payment, every step it went, and what the outside world still has to be told about it.`,
		Example: `  ticketctl orders show 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11
  ticketctl orders show 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("orders", args[0]), nil)
			if err != nil {
				return err
			}
			var o orderView
			return t.show(cmd, answer, &o, func(out *table) { printOrder(out, o) })
		},
	}
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
	out.row("STEP", "AT", "FROM", "TO", "CAUSE", "ACTOR", "REASON")
	for _, h := range o.History {
		out.row(h.Seq, h.At, dash(h.From), h.To, h.Cause, h.Actor, h.Reason)
	}
	if len(o.Outbox) == 0 {
		return
	}
	out.gap()
	out.row("OUTBOX", "STATE", "ATTEMPTS", "DUE", "LAST ERROR")
	for _, task := range o.Outbox {
		out.row(task.Kind, task.State, task.Attempts, task.DueAt, task.LastError)
	}
}
