package ctl

import (
	"github.com/spf13/cobra"
)

// maxReceipts is how many rows are sent to core at a time.
const maxReceipts = 500

func (t *tool) payments() *cobra.Command {
	return group("payments", "Record money that came in by bank transfer or at a box office", `  ticketctl payments record --file transfers.csv
  ticketctl payments list --review
  ticketctl payments assign 2027-06-01/17 7b7f4f2c-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason "the buyer called"
  ticketctl payments due
  ticketctl payments refunded 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11`, t.paymentsRecord(), t.paymentsList(), t.paymentsAssign(), t.paymentsReturn(), t.paymentsDue(), t.paymentsRefunded())
}

func (t *tool) paymentsRecord() *cobra.Command {
	row := map[string]*string{"id": new(string), "reference": new(string), "amount": new(string), "currency": new(string), "received_at": new(string), "note": new(string)}
	var file string
	cmd := &cobra.Command{
		Use:   "record (--id ID --reference REF --amount AMOUNT --currency CODE | --file CSV)",
		Short: "Record money that came in",
		Long: `record says that money came in under a reference. An order is paid when everything due is there; then its tickets are issued.
What is too much, too little when the hold is gone, or under no reference of ours waits for a person: see list --review.

A CSV file has a head line with the columns id, reference, amount, currency, and if wanted received_at (RFC 3339) and note. The id
is the bank's name of the row: a row counts once, however often it is recorded. At most 100,000 rows and 16 MiB.`,
		Example: `  ticketctl payments record --id box/17 --reference "RF18 5390 0754 7034" --amount 65.00 --currency EUR --note "cash"
  ticketctl payments record --file transfers.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var rows []map[string]string
			if file != "" {
				var err error
				if rows, err = readReceipts(file); err != nil {
					return err
				}
			} else {
				one := map[string]string{}
				for name, value := range row {
					if *value != "" {
						one[name] = *value
					}
				}
				if one["id"] == "" || one["reference"] == "" || one["amount"] == "" || one["currency"] == "" {
					return usagef("give --id, --reference, --amount and --currency, or --file")
				}
				rows = append(rows, one)
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			for len(rows) > 0 {
				n := min(len(rows), maxReceipts)
				answer, err := c.post(cmd.Context(), path("payments", "receipts"), map[string]any{"receipts": rows[:n]})
				if err != nil {
					return err
				}
				rows = rows[n:]
				var done struct {
					Results []struct {
						ID     string `json:"id"`
						Known  bool   `json:"known"`
						Paid   bool   `json:"paid"`
						Review string `json:"review"`
					} `json:"results"`
				}
				err = t.show(cmd, answer, &done, func(out *table) {
					for _, r := range done.Results {
						said := "recorded, more is due"
						switch {
						case r.Known:
							said = "known"
						case r.Paid:
							said = "paid"
						}
						switch {
						case r.Review != "" && !r.Known && !r.Paid:
							said = "to review: " + r.Review
						case r.Review != "":
							said += "; to review: " + r.Review
						}
						out.row(r.ID, said)
					}
				})
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "CSV `file` with one transfer a row")
	cmd.Flags().StringVar(row["id"], "id", "", "the bank's name of the transfer, or your receipt's")
	cmd.Flags().StringVar(row["reference"], "reference", "", "what the buyer quoted, RF…")
	cmd.Flags().StringVar(row["amount"], "amount", "", "such as 65.00")
	cmd.Flags().StringVar(row["currency"], "currency", "", "ISO 4217")
	cmd.Flags().StringVar(row["received_at"], "received-at", "", "RFC 3339; default now")
	cmd.Flags().StringVar(row["note"], "note", "", "anything worth keeping")
	return cmd
}

func (t *tool) paymentsRefunded() *cobra.Command {
	var failed bool
	var reason string
	cmd := &cobra.Command{
		Use:     "refunded REFUND",
		Short:   "Say that a refund was transferred by hand",
		Long:    `refunded says that the money of a refund by bank transfer was sent, or with --failed that it cannot be.`,
		Example: `  ticketctl payments refunded 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			verb := "confirm"
			if failed {
				verb = "fail"
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.post(cmd.Context(), path("payments", "refunds", args[0], verb), map[string]string{"reason": reason})
			if err != nil {
				return err
			}
			var done struct {
				ID string `json:"id"`
			}
			return t.show(cmd, answer, &done, func(out *table) { out.row("refund", done.ID+": noted") })
		},
	}
	cmd.Flags().BoolVar(&failed, "failed", false, "it cannot be sent")
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}
