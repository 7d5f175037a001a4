package ctl

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// Bounds of a file of receipts.
const (
	maxReceiptFile = 16 << 20 // bytes
	maxReceiptRows = 100_000
)

// receiptColumns are the columns of a file of receipts, and how many characters a field of each may have, as core allows.
var receiptColumns = map[string]int{"id": 128, "reference": 140, "amount": 32, "currency": 3, "received_at": 64, "note": 500}

// readReceipts reads a CSV file with a head line.
func readReceipts(file string) ([]map[string]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, inputError{fmt.Errorf("open %s: %w", file, err)}
	}
	defer f.Close()
	rows, err := parseReceipts(f)
	if err != nil {
		return nil, inputError{fmt.Errorf("read %s: %w", file, err)}
	}
	return rows, nil
}

// parseReceipts reads what a bank exported: a head line, then one receipt a row. Every row it answers has an id, an amount and a
// currency, and core takes as many of them as fit into one request.
func parseReceipts(r io.Reader) ([]map[string]string, error) {
	limited := &io.LimitedReader{R: r, N: maxReceiptFile + 1}
	reader := csv.NewReader(limited)
	head, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("the head line: %w", err)
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff") // as spreadsheets begin their files
	seen := map[string]bool{}
	for _, name := range head {
		if receiptColumns[name] == 0 || seen[name] {
			return nil, fmt.Errorf("there is no column %q, or not twice; there are id, reference, amount, currency, received_at and note", name)
		}
		seen[name] = true
	}
	for _, name := range []string{"id", "reference", "amount", "currency"} {
		if !seen[name] {
			return nil, fmt.Errorf("the column %q is missing", name)
		}
	}
	var rows []map[string]string
	for {
		fields, err := reader.Read()
		switch {
		case limited.N <= 0:
			return nil, fmt.Errorf("it has more than %d bytes", maxReceiptFile)
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return nil, err
		case len(rows) == maxReceiptRows:
			return nil, fmt.Errorf("it has more than %d rows", maxReceiptRows)
		}
		line, _ := reader.FieldPos(0)
		row, err := receiptRow(head, fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		rows = append(rows, row)
	}
}

func receiptRow(head, fields []string) (map[string]string, error) {
	row := map[string]string{}
	for i, name := range head {
		field := strings.TrimSpace(fields[i])
		if !utf8.ValidString(field) || strings.ContainsRune(field, 0) || utf8.RuneCountInString(field) > receiptColumns[name] {
			return nil, fmt.Errorf("%s is no text of at most %d characters", name, receiptColumns[name])
		}
		if field != "" {
			row[name] = field
		}
	}
	for _, name := range []string{"id", "amount", "currency"} {
		if row[name] == "" {
			return nil, fmt.Errorf("%s is missing", name)
		}
	}
	return row, nil
}

func (t *tool) paymentsList() *cobra.Command {
	var limit int
	var review bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List money that came in",
		Long: `list shows what was recorded, the latest first, and what of it no payment has taken. With --review it shows what waits for a
person, the oldest first: assign it to an order, or return it.`,
		Example: `  ticketctl payments list --review`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query, err := limitQuery(limit)
			if err != nil {
				return err
			}
			if review {
				query.Set("review", "true")
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("payments", "receipts"), query)
			if err != nil {
				return err
			}
			var found struct {
				Receipts []struct {
					ID         string  `json:"id"`
					Reference  string  `json:"reference"`
					Amount     money   `json:"amount"`
					Rest       money   `json:"rest"`
					Review     string  `json:"review"`
					Note       string  `json:"note"`
					ReceivedAt instant `json:"received_at"`
				} `json:"receipts"`
			}
			return t.show(cmd, answer, &found, func(out *table) {
				if len(found.Receipts) == 0 {
					out.line("no receipts")
					return
				}
				out.row("RECEIPT", "RECEIVED", "REFERENCE", "AMOUNT", "LEFT", "TO REVIEW", "NOTE")
				for _, r := range found.Receipts {
					out.row(r.ID, r.ReceivedAt, dash(r.Reference), r.Amount, r.Rest, dash(r.Review), dash(r.Note))
				}
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "most receipts to show")
	cmd.Flags().BoolVar(&review, "review", false, "only what waits for a person")
	return cmd
}

func (t *tool) paymentsAssign() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "assign RECEIPT ORDER --reason WHY",
		Short: "Use what is left of a receipt for an order",
		Long: `assign says that what is left of a receipt was meant for an order. Together with what came in for the order before, it must complete
the amount; what is too much stays with the receipt. Who did it and why is kept.`,
		Example: `  ticketctl payments assign 2027-06-01/17 7b7f4f2c-6d0d-5a57-9d3c-3a0e3c9f2b11 --reason "the buyer called"`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.decideReceipt(cmd, "assign", map[string]string{"receipt": args[0], "order_id": args[1], "reason": reason}, "used for order "+args[1])
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func (t *tool) paymentsReturn() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     "return RECEIPT --reason WHY",
		Short:   "Say that what is left of a receipt was sent back",
		Long:    `return says that everything that is left of a receipt was transferred back. Transfer it first. Who said it and why is kept.`,
		Example: `  ticketctl payments return 2027-06-01/17 --reason "paid twice; sent back today"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.decideReceipt(cmd, "return", map[string]string{"receipt": args[0], "reason": reason}, "sent back")
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	_ = cmd.MarkFlagRequired("reason")
	return cmd
}

func (t *tool) decideReceipt(cmd *cobra.Command, verb string, body map[string]string, said string) error {
	c, err := t.client(cmd)
	if err != nil {
		return err
	}
	answer, err := c.post(cmd.Context(), path("payments", "receipts", verb), body)
	if err != nil {
		return err
	}
	var done struct {
		Receipt string `json:"receipt"`
		Amount  money  `json:"amount"`
		Known   bool   `json:"known"`
	}
	return t.show(cmd, answer, &done, func(out *table) {
		if done.Known {
			said += ", as before"
		}
		out.line(fmt.Sprintf("%s of receipt %s are %s", done.Amount, done.Receipt, said))
	})
}

func (t *tool) paymentsDue() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "due",
		Short:   "List refunds that wait for a transfer",
		Long:    `due shows the refunds that somebody has to transfer by hand, the oldest first. Say afterwards: ticketctl payments refunded REFUND.`,
		Example: `  ticketctl payments due`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query, err := limitQuery(limit)
			if err != nil {
				return err
			}
			c, err := t.client(cmd)
			if err != nil {
				return err
			}
			answer, err := c.get(cmd.Context(), path("payments", "due"), query)
			if err != nil {
				return err
			}
			var found struct {
				Refunds []struct {
					ID        string  `json:"id"`
					Order     string  `json:"order_id"`
					Reference string  `json:"reference"`
					Amount    money   `json:"amount"`
					Since     instant `json:"since"`
				} `json:"refunds"`
			}
			return t.show(cmd, answer, &found, func(out *table) {
				if len(found.Refunds) == 0 {
					out.line("no refunds are due")
					return
				}
				out.row("REFUND", "SINCE", "ORDER", "PAID UNDER", "AMOUNT")
				for _, f := range found.Refunds {
					out.row(f.ID, f.Since, f.Order, f.Reference, f.Amount)
				}
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "most refunds to show")
	return cmd
}

func limitQuery(limit int) (url.Values, error) {
	if limit < 1 || limit > 500 {
		return nil, usagef("--limit must be from 1 to 500")
	}
	return url.Values{"limit": {fmt.Sprint(limit)}}, nil
}
