package ctl

import (
	"github.com/spf13/cobra"
)

type outboxTask struct {
	ID        string  `json:"id"`
	Kind      string  `json:"kind"`
	OrderID   string  `json:"order_id"`
	PaymentID string  `json:"payment_id"`
	State     string  `json:"state"`
	Attempts  int     `json:"attempts"`
	LastError string  `json:"last_error"`
	DueAt     instant `json:"due_at"`
	CreatedAt instant `json:"created_at"`
	Running   bool    `json:"running"`
}

func (t *tool) outbox() *cobra.Command {
	return group("outbox", "See what providers still have to be told, and deal with what is dead", `  ticketctl outbox list --dead
  ticketctl outbox retry 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 capture --reason "the provider mended it"`,
		t.outboxList(), t.outboxShow(),
		t.outboxChange("retry", "Run a dead task again", `retry gives a dead task its attempts back and runs it at once. Who wanted it, and why, is noted in the order's history.`, false),
		t.outboxChange("discard", "End a dead task without running it", `discard ends a dead task for good: what it was to tell the provider is never told. See to it first that the money is where it
belongs. Who wanted it, and why, is noted in the order's history.`, true))
}

func (t *tool) outboxList() *cobra.Command {
	var pages pageFlags
	var dead bool
	var kind, order string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tasks that are not done",
		Long: `list shows what providers still have to be told, oldest first: tasks that are ready or running, and dead ones, which failed
too often or for good and wait for a person. TASK is begin, capture, void and the like.`,
		Example: `  ticketctl outbox list --dead
  ticketctl outbox list --kind capture --limit 500
  ticketctl outbox list --order 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query, err := pages.query()
			if err != nil {
				return err
			}
			if dead {
				query.Set("dead", "true")
			}
			if kind != "" {
				query.Set("kind", kind)
			}
			if order != "" {
				query.Set("order", order)
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			found, err := c.list(cmd.Context(), path("outbox"), "tasks", query, pages.limit)
			if err != nil {
				return err
			}
			head := []any{"ORDER", "TASK", "STATE", "ATTEMPTS", "DUE", "ERROR"}
			return showList(t, cmd, "tasks", found, head, func(out *table, o outboxTask) {
				out.row(o.OrderID, o.Kind, o.State, o.Attempts, o.DueAt, o.LastError)
			})
		},
	}
	cmd.Flags().BoolVar(&dead, "dead", false, "only tasks that nobody tries any more")
	cmd.Flags().StringVar(&kind, "kind", "", "only tasks of this kind")
	cmd.Flags().StringVar(&order, "order", "", "only tasks of this order")
	pages.add(cmd)
	return cmd
}

func (t *tool) outboxShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show ORDER TASK",
		Short:   "Show a task",
		Long:    `show tells how a task of an order stands. TASK is its kind, such as capture, or its id.`,
		Example: `  ticketctl outbox show 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 capture`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("outbox", args[0], args[1]), nil)
			if err != nil {
				return err
			}
			var o outboxTask
			return t.show(cmd, answer, &o, func(out *table) { printTask(out, o) })
		},
	}
}

func printTask(out *table, o outboxTask) {
	out.row("task", o.Kind+" "+o.ID)
	out.row("order", o.OrderID)
	out.row("payment", o.PaymentID)
	state := o.State
	if o.Running {
		state += ", running"
	}
	out.row("state", state)
	out.row("attempts", o.Attempts)
	out.row("due", o.DueAt)
	out.row("created", o.CreatedAt)
	if o.LastError != "" {
		out.row("error", o.LastError)
	}
}

func (t *tool) outboxChange(verb, short, long string, needsReason bool) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     verb + " ORDER TASK --reason WHY",
		Short:   short,
		Long:    long,
		Example: "  ticketctl outbox " + verb + ` 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 capture --reason "seen with the provider"`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if needsReason && reason == "" {
				return usagef("say why: --reason WHY")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("outbox", args[0], args[1], verb), map[string]string{"reason": reason})
			if err != nil {
				return err
			}
			var o outboxTask
			return t.show(cmd, answer, &o, func(out *table) { printTask(out, o) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the order's history")
	return cmd
}
