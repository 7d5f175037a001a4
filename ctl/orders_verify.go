package ctl

import (
	"net/url"

	"github.com/spf13/cobra"
)

// orderAudit is what verifying the audit trail found.
type orderAudit struct {
	OK        bool  `json:"ok"`
	Orders    int64 `json:"orders"`
	Steps     int64 `json:"steps"`
	Webhooks  int64 `json:"webhooks"`
	Heads     int64 `json:"heads"`
	Seals     int64 `json:"seals"`
	Unsealed  int64 `json:"unsealed"`
	Unchained int64 `json:"unchained"`
	Found     int64 `json:"found"`
	Findings  []struct {
		Order  string `json:"order"`
		Kind   string `json:"kind"`
		Detail string `json:"detail"`
	} `json:"findings"`
	Newest []string `json:"newest"`
}

func (t *tool) ordersVerify() *cobra.Command {
	var order string
	var seals []string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Recompute the audit trail of orders",
		Long: `verify recomputes the hash chain of every order's steps, compares the provider's events that steps came from with what
they were, and recomputes the seals that each core makes over the ends of the chains. It finds rows that were altered, taken
away, put in or moved, and tails that were cut off, as far as they were sealed: some seconds after the step. With --order it
looks at one order; the chain of the seals themselves is checked only with all of them. It exits with 3
when something is found. Many orders take minutes: meanwhile a line on standard error says so now and then, and core bounds it
at half an hour; --timeout does not count.

Who owns the database can rewrite the latest seals with everything they cover. So the newest seals are printed, and each is in
core's log: keep one elsewhere, and give it back with --seal later: it must still be there.`,
		Example: `  ticketctl orders verify
  ticketctl orders verify --order 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11
  ticketctl orders verify --seal "$(tail -n 1 seals.txt)"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			query := url.Values{}
			if order != "" {
				query.Set("order", order)
			}
			for _, seal := range seals {
				query.Add("seal", seal)
			}
			answer, err := c.getLong(cmd.Context(), cmd.ErrOrStderr(), path("orders", "verify"), query)
			if err != nil {
				return err
			}
			var a orderAudit
			if err := readInto(answer, &a); err != nil {
				return err
			}
			if err := t.show(cmd, answer, &a, func(out *table) { printAudit(out, a) }); err != nil {
				return err
			}
			if !a.OK {
				return errNotVerified
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&order, "order", "", "only this order")
	cmd.Flags().StringArrayVar(&seals, "seal", nil, "WRITER/SEQUENCE/HASH of a seal that was noted before; may be repeated")
	return cmd
}

func printAudit(out *table, a orderAudit) {
	for _, f := range a.Findings {
		out.line("%s  %s: %s", oneLine(dash(f.Order)), oneLine(f.Kind), oneLine(f.Detail))
	}
	if more := a.Found - int64(len(a.Findings)); more > 0 {
		out.line("and %d more", more)
	}
	word := "the audit trail is whole"
	if !a.OK {
		word = "THE AUDIT TRAIL IS NOT AS IT WAS WRITTEN"
	}
	text := word + ": " + count(int(a.Orders), "order") + ", " + count(int(a.Steps), "step") + ", " + count(int(a.Webhooks), "webhook")
	if a.Seals > 0 {
		text += ", " + count(int(a.Seals), "seal")
	}
	if a.Unsealed > 0 {
		text += "; " + count(int(a.Unsealed), "order") + " not sealed to the end yet"
	}
	if a.Unchained > 0 {
		text += "; " + count(int(a.Unchained), "step") + " from before there were chains"
	}
	out.line("%s", text)
	if len(a.Newest) > 0 {
		out.line("newest seal: %s", oneLine(a.Newest[0]))
	}
}
