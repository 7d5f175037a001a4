package ctl

import (
	"github.com/spf13/cobra"
)

type ledgerView struct {
	OK        bool  `json:"ok"`
	Transfers int64 `json:"transfers"`
	Accounts  int64 `json:"accounts"`
	Checks    []struct {
		Name    string `json:"name"`
		Checked int64  `json:"checked"`
		Failed  int64  `json:"failed"`
		Detail  string `json:"detail"`
	} `json:"checks"`
}

func (t *tool) ledger() *cobra.Command {
	return group("ledger", "Read and check the books, and book what the bank says", `  ticketctl ledger verify
  ticketctl ledger trial-balance
  ticketctl ledger clearing
  ticketctl ledger arrived --provider stripe --payout po_1 --amount 6500.00 --currency EUR --reason "statement 12"`,
		t.ledgerVerify(), t.ledgerBalances(), t.ledgerStatement(), t.ledgerTrial(), t.ledgerSettlement(), t.ledgerClearing(),
		t.ledgerArrived(), t.ledgerTaxPaid(), t.ledgerCloseRounding())
}

func (t *tool) ledgerVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Recompute the whole ledger and compare",
		Long: `verify has core read every transfer, recompute every balance and every link of the hash chains, and compare. It exits with 3
when anything does not agree. Each line says how many things it checked. A large ledger takes minutes: meanwhile a line on standard
error says so now and then, and core bounds it at half an hour; --timeout does not count.`,
		Example: `  ticketctl ledger verify
  ticketctl ledger verify --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.getLong(cmd.Context(), cmd.ErrOrStderr(), path("ledger", "verify"), nil)
			if err != nil {
				return err
			}
			var l ledgerView
			if err := readInto(answer, &l); err != nil {
				return err
			}
			if err := t.show(cmd, answer, &l, func(out *table) { printLedger(out, l) }); err != nil {
				return err
			}
			if !l.OK {
				return errNotVerified
			}
			return nil
		},
	}
}

func printLedger(out *table, l ledgerView) {
	out.row("CHECK", "CHECKED", "FAILED", "DETAIL")
	for _, c := range l.Checks {
		out.row(c.Name, c.Checked, c.Failed, c.Detail)
	}
	out.gap()
	verdict := "the ledger agrees with itself"
	switch {
	case !l.OK:
		verdict = "THE LEDGER DOES NOT AGREE WITH ITSELF"
	case l.Transfers == 0:
		verdict = "the ledger is empty, so nothing was compared"
	}
	out.line("%s: %d transfers, %d accounts", verdict, l.Transfers, l.Accounts)
}
