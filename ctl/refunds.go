package ctl

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

// refundView is money that goes back.
type refundView struct {
	ID          string  `json:"id"`
	Order       string  `json:"order_id"`
	Kind        string  `json:"kind"`
	State       string  `json:"state"`
	Resolution  string  `json:"resolution"`
	Amount      money   `json:"amount"`
	Face        money   `json:"face"`
	Fee         money   `json:"fee"`
	Tax         money   `json:"tax"`
	Items       []int   `json:"items"`
	Provider    string  `json:"provider"`
	ProviderRef string  `json:"provider_ref"`
	RetryOf     string  `json:"retry_of"`
	Failure     string  `json:"failure"`
	Reason      string  `json:"reason"`
	Actor       string  `json:"actor"`
	CreatedAt   instant `json:"created_at"`
	DoneAt      instant `json:"done_at"`
	Reviewed    string  `json:"reviewed"`
}

// state is the refund's state, with how it was settled.
func (r refundView) state() string {
	if r.Resolution != "" {
		return r.State + ", " + strings.ReplaceAll(r.Resolution, "_", " ")
	}
	return r.State
}

func (t *tool) refunds() *cobra.Command {
	return group("refunds", "Give money back", `  ticketctl refunds create 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason "asked by phone"
  ticketctl refunds list --unsettled
  ticketctl refunds run arena --follow`, t.refundsCreate(), t.refundsList(), t.refundsShow(), t.refundsRetry(), t.refundsReview(), t.refundsRun())
}

func (t *tool) refundsCreate() *cobra.Command {
	var tickets []string
	var amount, reason, key string
	var keepFee, resell bool
	cmd := &cobra.Command{
		Use:   "create ORDER --reason TEXT",
		Short: "Refund an order, some of its tickets, or an amount",
		Long: `create gives back what was paid: for all tickets that are left, for those named by --ticket, or an amount with which the tickets stay.
The tickets are void at once and their places go back on sale; the money follows by the provider. Whether the fee is kept and the places are
sold again is as the event's file says, unless --keep-fee or --resell say otherwise. With the same --key asking again is the same refund.`,
		Example: `  ticketctl refunds create 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason "asked by phone"
  ticketctl refunds create 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --ticket 5d7c1f6e-6d0d-5a57-9d3c-3a0e3c9f2b11 --keep-fee=false --reason "broken seat"
  ticketctl refunds create 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --amount-minor 1500 --reason "late start"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usagef("say why: --reason TEXT")
			}
			body := map[string]any{"reason": reason}
			for _, id := range tickets {
				if id == "" { // a script whose variable is not set must not refund the whole order
					return usagef("--ticket is empty: name a ticket, or leave it out to refund all that are left")
				}
			}
			if len(tickets) > 0 {
				body["tickets"] = tickets
			}
			if cmd.Flags().Changed("amount-minor") {
				if amount == "" {
					return usagef("--amount-minor is empty: name an amount, or leave it out to refund the whole order")
				}
				minor, err := strconv.ParseInt(amount, 10, 64)
				if err != nil || minor < 1 || len(tickets) > 0 {
					return usagef("--amount-minor is a whole number of the smallest unit above 0, without --ticket")
				}
				body["amount_minor"] = minor
			}
			for name, value := range map[string]bool{"keep-fee": keepFee, "resell": resell} {
				if cmd.Flags().Changed(name) {
					body[strings.ReplaceAll(name, "-", "_")] = value
				}
			}
			if key == "" {
				key = uuid.NewString()
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.keyed(key).post(cmd.Context(), path("orders", args[0], "refunds"), body)
			if err != nil {
				return err
			}
			var r refundView
			return t.show(cmd, answer, &r, func(out *table) {
				out.line("refund %s of %s is on its way", oneLine(r.ID), r.Amount)
			})
		},
	}
	cmd.Flags().StringArrayVar(&tickets, "ticket", nil, "only this ticket; may be repeated")
	cmd.Flags().StringVar(&amount, "amount-minor", "", "so much, in the currency's smallest unit; the tickets stay valid")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the order's history")
	cmd.Flags().StringVar(&key, "key", "", "name of this request; the same one is the same refund (default: a new one)")
	cmd.Flags().BoolVar(&keepFee, "keep-fee", false, "keep the fee (default: as the event says)")
	cmd.Flags().BoolVar(&resell, "resell", true, "put the places back on sale (default: as the event says)")
	return cmd
}

func (t *tool) refundsList() *cobra.Command {
	var pages pageFlags
	var event, state, kind string
	var unsettled, review bool
	cmd := &cobra.Command{
		Use:   "list [EVENT]",
		Short: "List refunds",
		Long: `list shows refunds, oldest first. States are requested, pending, succeeded and failed; kinds are order, tickets, amount, late (a payment
that came too late) and found (somebody made it in the provider's own pages). One of those that gives back all that is left of an order makes its
tickets void by itself; the others are listed by --review until ticketctl refunds review has said what becomes of the tickets.`,
		Example: `  ticketctl refunds list arena
  ticketctl refunds list --unsettled
  ticketctl refunds list --review`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				event = args[0]
			}
			query, err := pages.query()
			if err != nil {
				return err
			}
			for name, value := range map[string]string{"event": event, "state": state, "kind": kind} {
				if value != "" {
					query.Set(name, value)
				}
			}
			if unsettled {
				query.Set("unsettled", "true")
			}
			if review {
				query.Set("review", "true")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			found, err := c.list(cmd.Context(), path("refunds"), "refunds", query, pages.limit)
			if err != nil {
				return err
			}
			head := []any{"REFUND", "ORDER", "KIND", "STATE", "AMOUNT", "CREATED", "FAILURE"}
			return showList(t, cmd, "refunds", found, head, func(out *table, r refundView) {
				out.row(r.ID, r.Order, r.Kind, r.state(), r.Amount, r.CreatedAt, dash(r.Failure))
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only refunds in this state")
	cmd.Flags().StringVar(&kind, "kind", "", "only refunds of this kind")
	cmd.Flags().BoolVar(&unsettled, "unsettled", false, "only those that failed and that nobody has seen to")
	cmd.Flags().BoolVar(&review, "review", false, "only those made at the provider of which nobody has said what becomes of the tickets")
	pages.add(cmd)
	return cmd
}

func (t *tool) refundsShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show REFUND",
		Short:   "Show a refund",
		Long:    `show tells where a refund stands, what it is made of and what the provider calls it.`,
		Example: `  ticketctl refunds show 7c9e6679-7425-50de-944b-e07fc1f90ae7`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("refunds", args[0]), nil)
			if err != nil {
				return err
			}
			var r refundView
			return t.show(cmd, answer, &r, func(out *table) {
				out.row("refund", r.ID)
				out.row("order", r.Order)
				out.row("kind", r.Kind)
				out.row("state", r.state())
				out.row("amount", r.Amount)
				out.row("  face", r.Face)
				out.row("  fee", r.Fee)
				out.row("  tax", r.Tax)
				out.row("tickets", len(r.Items))
				out.row("provider", r.Provider)
				out.row("reference", dash(r.ProviderRef))
				out.row("failure", dash(r.Failure))
				out.row("retry of", dash(r.RetryOf))
				out.row("reason", dash(r.Reason))
				out.row("by", r.Actor)
				out.row("created", r.CreatedAt)
				out.row("done", r.DoneAt)
				if r.Kind == "found" {
					out.row("tickets are", cmp.Or(r.Reviewed, "to be reviewed"))
				}
			})
		},
	}
}

func (t *tool) refundsRetry() *cobra.Command {
	var otherwise, key string
	cmd := &cobra.Command{
		Use:   "retry REFUND",
		Short: "Settle a refund that failed",
		Long: `retry makes another refund of the same amount in the place of one that failed, or of what is left if somebody has refunded a part by hand. With --paid-otherwise it makes none: it records that the buyer
got the money another way, and books it so. Of a refund that was given up the provider is asked first, either way. If it has made it, or has it
under way, that refund stands again and nothing else is made or recorded; while it does not say, nothing is done: ask again.`,
		Example: `  ticketctl refunds retry 7c9e6679-7425-50de-944b-e07fc1f90ae7
  ticketctl refunds retry 7c9e6679-7425-50de-944b-e07fc1f90ae7 --paid-otherwise "bank transfer 4711"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			if key == "" {
				key = uuid.NewString()
			}
			answer, err := c.keyed(key).post(cmd.Context(), path("refunds", args[0], "retry"), map[string]any{"paid_otherwise": otherwise})
			if err != nil {
				return err
			}
			var r refundView
			return t.show(cmd, answer, &r, func(out *table) {
				if otherwise != "" {
					out.line("refund %s of %s is recorded as paid otherwise", oneLine(r.ID), r.Amount)
					return
				}
				if strings.EqualFold(r.ID, args[0]) {
					out.line("the provider has refund %s of %s after all: it is %s, and no other takes its place", oneLine(r.ID), r.Amount, oneLine(r.state()))
					return
				}
				out.line("refund %s of %s takes its place", oneLine(r.ID), r.Amount)
			})
		},
	}
	cmd.Flags().StringVar(&otherwise, "paid-otherwise", "", "how the buyer was paid instead")
	cmd.Flags().StringVar(&key, "key", "", "name of this request; the same one is the same refund (default: a new one)")
	return cmd
}

// runView is how far the refund of a cancelled event has come.
type runView struct {
	Event    string `json:"event"`
	State    string `json:"state"`
	Orders   int64  `json:"orders"`
	Waiting  int64  `json:"waiting"`
	Open     int64  `json:"open"`
	Refunded int64  `json:"refunded"`
	Failed   int64  `json:"failed"`
	Skipped  int64  `json:"skipped"`
	Amount   money  `json:"amount"`
	Failures []struct {
		Order string `json:"order_id"`
		Error string `json:"error"`
	} `json:"failures"`
}

func (r runView) line() string {
	return fmt.Sprintf("%s: %d orders, %d refunded (%s), %d failed, %d skipped, %d open, %d waiting", oneLine(r.State), r.Orders, r.Refunded, r.Amount,
		r.Failed, r.Skipped, r.Open, r.Waiting)
}

// followEvery is the pause between two looks at a run.
const followEvery = time.Second

func (t *tool) refundsRun() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "run EVENT",
		Short: "Show how far the refund of a cancelled event has come",
		Long: `run tells how many orders of a cancelled event are refunded, failed, skipped (never paid, or refunded before), open (the provider has still to
answer) and waiting; they add up to its orders. It goes on by itself in core, see ticketctl event cancel. With --follow it is told until it is done.
Orders that it could not refund are listed with the reason; ticketctl event cancel, once more, has it try them again.`,
		Example: `  ticketctl refunds run arena
  ticketctl refunds run arena --follow`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			for last := ""; ; {
				answer, err := c.get(cmd.Context(), path("events", args[0], "refunds"), nil)
				if err != nil {
					return err
				}
				var r runView
				if err := readInto(answer, &r); err != nil {
					return err
				}
				if !follow || t.wantsJSON(cmd) && r.State == "done" {
					return t.show(cmd, answer, &r, func(out *table) {
						out.line("%s", r.line())
						for _, f := range r.Failures {
							out.line("not refunded: order %s: %s", oneLine(f.Order), oneLine(f.Error))
						}
					})
				}
				if line := r.line(); line != last && !t.wantsJSON(cmd) {
					fmt.Fprintln(t.env.Stdout, line)
					last = line
				}
				if r.State == "done" {
					return nil
				}
				if err := pause(cmd.Context(), followEvery); err != nil {
					return err
				}
			}
		},
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "tell until it is done")
	return cmd
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (t *tool) eventCancel() *cobra.Command {
	var reason string
	var yes bool
	cmd := &cobra.Command{
		Use:   "cancel EVENT --reason TEXT",
		Short: "Cancel an event and refund everything that was paid for it",
		Long: `cancel ends the sale of an event for good, gives back what is held, and refunds every paid order whole, the fee too. It cannot be taken back. It
asks before it does so, unless --yes is given. The refunds go on by themselves, see ticketctl refunds run.`,
		Example: `  ticketctl event cancel arena --reason "storm warning"
  ticketctl event cancel arena --reason "storm warning" --yes`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: t.completeEvents,
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usagef("say why: --reason TEXT")
			}
			if !yes {
				fmt.Fprintf(t.env.Stderr, "Cancel %s and refund everything that was paid for it? Type the event's name: ", args[0])
				typed, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
				if strings.TrimSpace(typed) != args[0] {
					return usagef("not cancelled: the name was not typed (or give --yes)")
				}
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			var answer json.RawMessage
			if answer, err = c.post(cmd.Context(), path("events", args[0], "cancel"), map[string]any{"reason": reason}); err != nil {
				return err
			}
			var r runView
			return t.show(cmd, answer, &r, func(out *table) {
				out.line("%s is cancelled; %d orders are looked through: ticketctl refunds run %s --follow", args[0], r.Orders, args[0])
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the orders' histories")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
