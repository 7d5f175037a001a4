package ctl

import (
	"github.com/spf13/cobra"
)

// bookingView is what core answers when something was booked.
type bookingView struct {
	Reference string  `json:"reference"`
	Name      string  `json:"name"`
	Amount    money   `json:"amount"`
	Actor     string  `json:"actor"`
	Reason    string  `json:"reason"`
	At        instant `json:"at"`
	Known     bool    `json:"known"`
}

// bookings makes a verb that books: its flags, by name with their help, are what it sends; those of them in needed must be there.
func (t *tool) bookings(cmd *cobra.Command, verb, done string, needed []string, flags map[string]string) *cobra.Command {
	values := map[string]*string{}
	for name, help := range flags {
		values[name] = cmd.Flags().String(name, "", help)
	}
	for _, name := range needed {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flags stand above
		}
	}
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		body := map[string]string{}
		for name, value := range values {
			body[name] = *value
		}
		c, err := t.client(cmd)
		if err != nil {
			return err
		}
		answer, err := c.post(cmd.Context(), path("ledger", "bookings", verb), body)
		if err != nil {
			return err
		}
		var b bookingView
		return t.show(cmd, answer, &b, func(out *table) {
			if b.Known {
				out.line("%s: known since %s, booked by %s: %s", b.Name, b.At, b.Actor, b.Amount)
				return
			}
			out.line("%s: %s %s, reference %s", b.Name, b.Amount, done, b.Reference)
		})
	}
	return cmd
}

const reasonHelp = "why, or the bank's reference, for whoever asks later"

func (t *tool) ledgerArrived() *cobra.Command {
	return t.bookings(&cobra.Command{
		Use:   "arrived",
		Short: "Book that a provider's payout has arrived at the bank",
		Long: `arrived closes what ledger clearing lists under provider_transit: all of the payout that is on its way becomes money in the bank. Give
the amount of the bank's statement and core refuses another. A payout is booked once, however often it is told.`,
		Example: `  ticketctl ledger arrived --provider stripe --payout po_1 --amount 6500.00 --currency EUR --reason "statement 12"
  ticketctl ledger arrived --provider stripe --payout 0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason "statement 12"`,
	}, "arrived", "is in the bank", []string{"provider", "payout", "reason"}, map[string]string{
		"provider": "the provider's name, such as stripe", "payout": "the payout, as the provider names it or ledger clearing shows it",
		"amount": "what the bank received, such as 6500.00; without it, whatever is on its way", "currency": "ISO 4217", "reason": reasonHelp,
	})
}

func (t *tool) ledgerTaxPaid() *cobra.Command {
	return t.bookings(&cobra.Command{
		Use:     "tax-paid",
		Short:   "Book that taxes were paid",
		Long:    `tax-paid takes a payment to the tax office out of taxes_payable, no more than is owed. A name is booked once.`,
		Example: `  ticketctl ledger tax-paid --name 2027-Q2 --amount 1234.50 --currency EUR --reason "return of July 10"`,
	}, "tax-paid", "of taxes is paid", []string{"name", "amount", "currency", "reason"}, map[string]string{
		"name": "of the payment, such as the return's", "amount": "such as 1234.50", "currency": "ISO 4217", "reason": reasonHelp,
	})
}

func (t *tool) ledgerCloseRounding() *cobra.Command {
	return t.bookings(&cobra.Command{
		Use:   "close-rounding",
		Short: "Book what is on the rounding account to our fees",
		Long: `close-rounding moves the cents between rounded parts and their rounded sum to platform_fees, or takes them from there. A name is
booked once.`,
		Example: `  ticketctl ledger close-rounding --name 2027-06 --currency EUR --reason "the books of June are closed"`,
	}, "close-rounding", "of rounding is booked to our fees", []string{"name", "currency", "reason"}, map[string]string{
		"name": "of the closing, such as a month", "currency": "ISO 4217", "reason": reasonHelp,
	})
}
