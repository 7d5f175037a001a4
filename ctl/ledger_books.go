package ctl

import (
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

type balanceView struct {
	Account        string `json:"account"`
	Currency       string `json:"currency"`
	DebitsPending  int64  `json:"debits_pending"`
	CreditsPending int64  `json:"credits_pending"`
	DebitsPosted   int64  `json:"debits_posted"`
	CreditsPosted  int64  `json:"credits_posted"`
}

func (b balanceView) in(minor int64) money { return money{minor, b.Currency} }

func (b balanceView) row(out *table) {
	out.row(b.Account, b.in(b.DebitsPosted), b.in(b.CreditsPosted), b.in(b.CreditsPosted-b.DebitsPosted), b.in(b.DebitsPending), b.in(b.CreditsPending))
}

// balanceHead names the columns of balanceView.row.
var balanceHead = []any{"ACCOUNT", "DEBITS", "CREDITS", "BALANCE", "PENDING DEBITS", "PENDING CREDITS"}

// moment adds --NAME and returns what puts it into a query.
func moment(cmd *cobra.Command, name, usage string) func(url.Values) error {
	text := cmd.Flags().String(name, "", usage+", such as 2027-06-12T19:00:00Z")
	return func(query url.Values) error {
		if *text == "" {
			return nil
		}
		at, err := time.Parse(time.RFC3339, *text)
		if err != nil {
			return usagef("--%s: %q is not a time such as 2027-06-12T19:00:00Z", name, *text)
		}
		query.Set(name, at.UTC().Format(time.RFC3339Nano))
		return nil
	}
}

// ask reads one answer of the ledger and shows it.
func (t *tool) askLedger(cmd *cobra.Command, what string, query url.Values, view any, people func(out *table)) error {
	c, err := t.client(cmd)
	if err != nil {
		return err
	}
	answer, err := c.get(cmd.Context(), path("ledger", what), query)
	if err != nil {
		return err
	}
	return t.show(cmd, answer, view, people)
}

func (t *tool) ledgerBalances() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "balances [ACCOUNT CURRENCY]",
		Short: "Show the balances of all accounts, or of one",
		Long: `balances lists every account, now or as of a time. A balance above zero is what we owe, one below it what we are owed. Pending is
what is reserved by sales and refunds under way. As of a time, all accounts means reading all transfers; one account is quick.`,
		Example: `  ticketctl ledger balances
  ticketctl ledger balances organizer_payable/lumen-live EUR --at 2027-06-30T23:59:59Z
  ticketctl ledger balances --json`,
		Args: cobra.MatchAll(cobra.MaximumNArgs(2), func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return usagef("name the account's currency too, such as EUR")
			}
			return nil
		}),
	}
	at := moment(cmd, "at", "as of this time")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		query := url.Values{}
		if err := at(query); err != nil {
			return err
		}
		if len(args) == 2 {
			query.Set("account", args[0])
			query.Set("currency", args[1])
		}
		var view struct {
			Balances []balanceView `json:"balances"`
		}
		return t.askLedger(cmd, "balances", query, &view, func(out *table) {
			out.row(balanceHead...)
			for _, b := range view.Balances {
				b.row(out)
			}
		})
	}
	return cmd
}

func (t *tool) ledgerTrial() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trial-balance",
		Short: "Add up all accounts, which must come to zero",
		Long: `trial-balance shows what all accounts of each currency add up to: debits must equal credits. It takes the kept balances; with --at
or --recompute it adds up the transfers themselves. It exits with 3 when it is not zero.`,
		Example: `  ticketctl ledger trial-balance
  ticketctl ledger trial-balance --recompute --timeout 5m
  ticketctl ledger trial-balance --at 2027-06-30T23:59:59Z --json`,
		Args: cobra.NoArgs,
	}
	at := moment(cmd, "at", "as of this time")
	recompute := cmd.Flags().Bool("recompute", false, "add up the transfers instead of the kept balances")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query := url.Values{}
		if err := at(query); err != nil {
			return err
		}
		if *recompute {
			query.Set("recompute", "true")
		}
		c, err := t.client(cmd)
		if err != nil {
			return err
		}
		answer, err := c.get(cmd.Context(), path("ledger", "trial-balance"), query)
		if err != nil {
			return err
		}
		var view struct {
			Zero       bool          `json:"zero"`
			Transfers  int64         `json:"transfers"`
			Currencies []balanceView `json:"currencies"`
		}
		if err := readInto(answer, &view); err != nil {
			return err
		}
		if err := t.show(cmd, answer, &view, func(out *table) {
			out.row("CURRENCY", "DEBITS", "CREDITS", "DIFFERENCE", "PENDING DEBITS", "PENDING CREDITS")
			for _, b := range view.Currencies {
				b.Account = b.Currency
				b.row(out)
			}
			out.gap()
			verdict := "debits equal credits"
			if !view.Zero {
				verdict = "DEBITS DO NOT EQUAL CREDITS"
			}
			if view.Transfers == 0 {
				out.line("%s, by the kept balances; --recompute adds up the transfers", verdict)
			} else {
				out.line("%s; %d transfers were added up", verdict, view.Transfers)
			}
		}); err != nil {
			return err
		}
		if !view.Zero {
			return errNotVerified
		}
		return nil
	}
	return cmd
}

type statementView struct {
	Opening balanceView `json:"opening"`
	Lines   []struct {
		At        instant `json:"at"`
		Kind      string  `json:"kind"`
		Code      string  `json:"code"`
		Other     string  `json:"other"`
		Reference string  `json:"reference"`
		Debit     int64   `json:"debit"`
		Credit    int64   `json:"credit"`
		Balance   int64   `json:"balance"`
	} `json:"lines"`
	Closing balanceView `json:"closing"`
	Next    string      `json:"next"`
}

func (t *tool) ledgerStatement() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "statement ACCOUNT CURRENCY",
		Short: "List an account's transfers with its balance after each",
		Long: `statement lists one page of an account's transfers in the order of time, between its opening and its closing balance. The balance
counts final transfers only: pending ones and voids leave it as it is.`,
		Example: `  ticketctl ledger statement organizer_payable/lumen-live EUR
  ticketctl ledger statement provider_clearing/stripe EUR --from 2027-06-01T00:00:00Z --at 2027-06-30T23:59:59Z --limit 500
  ticketctl ledger statement platform_fees EUR --after NEXT --json`,
		Args: cobra.ExactArgs(2),
	}
	at, from := moment(cmd, "at", "transfers until this time"), moment(cmd, "from", "transfers after this time")
	after := cmd.Flags().String("after", "", "go on where an earlier page ended")
	limit := cmd.Flags().Int("limit", 100, "lines of the page, at most 500")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		query := url.Values{"account": {args[0]}, "currency": {args[1]}, "limit": {fmt.Sprint(*limit)}}
		if err := at(query); err != nil {
			return err
		}
		if err := from(query); err != nil {
			return err
		}
		if *after != "" {
			query.Set("after", *after)
		}
		var s statementView
		return t.askLedger(cmd, "statement", query, &s, func(out *table) { printStatement(out, s) })
	}
	return cmd
}

func printStatement(out *table, s statementView) {
	in := s.Opening.in
	side := func(minor int64) any {
		if minor == 0 {
			return "-"
		}
		return in(minor)
	}
	out.line("opening balance %s", in(s.Opening.CreditsPosted-s.Opening.DebitsPosted))
	out.gap()
	out.row("AT", "KIND", "TRANSFER", "OTHER ACCOUNT", "DEBIT", "CREDIT", "BALANCE", "REFERENCE")
	for _, l := range s.Lines {
		out.row(l.At, l.Kind, l.Code, l.Other, side(l.Debit), side(l.Credit), in(l.Balance), l.Reference)
	}
	out.gap()
	out.line("closing balance %s", in(s.Closing.CreditsPosted-s.Closing.DebitsPosted))
	if s.Next != "" {
		out.line("there are more: --after %s", s.Next)
	}
}

func (t *tool) ledgerSettlement() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "settlement ORGANIZER CURRENCY",
		Short: "Show what an organizer sold, was paid and is due",
		Long: `settlement adds up an organizer's final transfers, now or as of a time: what was sold, given back and lost in disputes, our fees and
the taxes on it, what is held in reserve, what was paid out and what is due.`,
		Example: `  ticketctl ledger settlement lumen-live EUR
  ticketctl ledger settlement lumen-live EUR --at 2027-06-30T23:59:59Z --json`,
		Args: cobra.ExactArgs(2),
	}
	at := moment(cmd, "at", "as of this time")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		query := url.Values{"organizer": {args[0]}, "currency": {args[1]}}
		if err := at(query); err != nil {
			return err
		}
		var s struct {
			Currency  string `json:"currency"`
			Sold      int64  `json:"sold"`
			Royalties int64  `json:"royalties"`
			Refunded  int64  `json:"refunded"`
			Disputed  int64  `json:"disputed"`
			Fees      int64  `json:"fees"`
			Taxes     int64  `json:"taxes"`
			Payable   int64  `json:"payable"`
			Reserve   int64  `json:"reserve"`
			Available int64  `json:"available"`
			Sent      int64  `json:"sent"`
			InTransit int64  `json:"in_transit"`
			PaidOut   int64  `json:"paid_out"`
			Due       int64  `json:"due"`
		}
		return t.askLedger(cmd, "settlement", query, &s, func(out *table) {
			for _, figure := range []struct {
				name  string
				minor int64
			}{
				{"sold", s.Sold}, {"royalties of resales", s.Royalties}, {"refunded", -s.Refunded}, {"lost in disputes", -s.Disputed},
				{"paid out", -s.PaidOut}, {"on its way", -s.InTransit}, {"due", s.Due}, {"  not released yet", s.Payable},
				{"  in reserve", s.Reserve}, {"  available", s.Available}, {"our fees", s.Fees}, {"taxes", s.Taxes},
			} {
				out.row(figure.name, money{figure.minor, s.Currency})
			}
		})
	}
	return cmd
}

func (t *tool) ledgerClearing() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clearing",
		Short: "List money that is late in clearing accounts, and why",
		Long: `clearing lists what is in an account through which money only passes for longer than that account's deadline, the oldest first. The
reference is the order or payout to look at. Lines of seller_payable are of sellers of resold tickets who were to be paid by then, since when
that was due. Core's ledger.clearing_within sets the deadlines.`,
		Example: `  ticketctl ledger clearing
  ticketctl ledger clearing --at 2027-06-30T23:59:59Z --limit 500
  ticketctl ledger clearing --json`,
		Args: cobra.NoArgs,
	}
	at := moment(cmd, "at", "as of this time")
	limit := cmd.Flags().Int("limit", 100, "most items of each account, at most 500")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query := url.Values{"limit": {fmt.Sprint(*limit)}}
		if err := at(query); err != nil {
			return err
		}
		var view struct {
			Late []struct {
				Account   string  `json:"account"`
				Currency  string  `json:"currency"`
				Reference string  `json:"reference"`
				Net       int64   `json:"net"`
				Pending   int64   `json:"pending"`
				Since     instant `json:"since"`
				Age       int64   `json:"age_seconds"`
				Within    int64   `json:"within_seconds"`
				Why       string  `json:"why"`
			} `json:"late"`
			More bool `json:"more"`
		}
		return t.askLedger(cmd, "clearing", query, &view, func(out *table) {
			if len(view.Late) == 0 {
				out.line("nothing is late in any clearing account")
				return
			}
			out.row("SINCE", "AGE", "ALLOWED", "ACCOUNT", "REFERENCE", "BALANCE", "PENDING", "WHY")
			for _, l := range view.Late {
				out.row(l.Since, time.Duration(l.Age)*time.Second, time.Duration(l.Within)*time.Second, l.Account, l.Reference,
					money{l.Net, l.Currency}, money{l.Pending, l.Currency}, l.Why)
			}
			if view.More {
				out.gap()
				out.line("there are more: --limit")
			}
		})
	}
	return cmd
}
