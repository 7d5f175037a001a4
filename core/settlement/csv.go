package settlement

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// ErrFile means that a settlement file cannot be read; its text names the line.
var ErrFile = errors.New("settlement: malformed file")

// Columns are the columns of a settlement file, in any order, named in its first line. The first five are needed. Amounts are decimals of
// their currency with a sign (-65.50), times are RFC 3339.
var Columns = []string{"id", "kind", "gross", "currency", "created_at", "source_ref", "payment_ref", "order_id", "payment_id", "refund_id", "fee",
	"presentment", "presentment_currency", "rate", "payout_ref", "description", "available_at"}

// needed is how many of Columns a file must have.
const needed = 5

// File is a settlement read from CSV: for banks, box offices and providers without an interface. It is read once.
type File struct{ r io.Reader }

// NewFile reads a settlement from r, as it is asked for.
func NewFile(r io.Reader) *File { return &File{r} }

// Settlement is payment.SettlementReader: rows outside of [from, until) are left out.
func (f *File) Settlement(ctx context.Context, from, until time.Time, each func(payment.SettlementRow) error) error {
	lines := csv.NewReader(f.r)
	lines.ReuseRecord = true
	head, err := lines.Read()
	if err != nil {
		return fmt.Errorf("%w: its first line names the columns: %w", ErrFile, err)
	}
	at := map[string]int{}
	for i, name := range head {
		at[strings.Clone(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))] = i
	}
	for _, name := range Columns[:needed] {
		if _, ok := at[name]; !ok {
			if len(head) == 1 && strings.Contains(head[0], ";") {
				return fmt.Errorf("%w: its columns are parted by semicolons; commas are expected, and the columns %s", ErrFile, strings.Join(Columns[:needed], ", "))
			}
			return fmt.Errorf("%w: it has no column %s; it needs %s", ErrFile, name, strings.Join(Columns[:needed], ", "))
		}
	}
	for rows := 0; ; rows++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			if rows == 0 {
				return fmt.Errorf("%w: it has no rows below the names of its columns", ErrFile)
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFile, err)
		}
		row, err := parseRow(func(name string) string {
			if i, ok := at[name]; ok {
				return strings.Clone(strings.TrimSpace(fields[i]))
			}
			return ""
		})
		if err != nil {
			line, _ := lines.FieldPos(0)
			return fmt.Errorf("%w: line %d: %w", ErrFile, line, err)
		}
		if row.CreatedAt.Before(from) || !row.CreatedAt.Before(until) {
			continue
		}
		if err := each(row); err != nil {
			return err
		}
	}
}

// parseRow reads one line's fields by name.
func parseRow(field func(string) string) (payment.SettlementRow, error) {
	row := payment.SettlementRow{ID: field("id"), Kind: payment.SettlementKind(field("kind")), SourceRef: field("source_ref"), PaymentRef: field("payment_ref"),
		Rate: field("rate"), PayoutRef: field("payout_ref"), Description: field("description")}
	var errs []error
	amount := func(name, currency string) ledger.Amount {
		text := field(name)
		if text == "" {
			return ledger.Amount{}
		}
		unsigned, negative := strings.CutPrefix(text, "-")
		a, err := ledger.ParseAmount(unsigned, currency)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		if negative {
			a.Minor = -a.Minor
		}
		return a
	}
	id := func(name string) uuid.UUID {
		text := field(name)
		if text == "" {
			return uuid.Nil
		}
		parsed, err := uuid.Parse(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %q is no UUID", name, text))
		}
		return parsed
	}
	moment := func(name string) time.Time {
		text := field(name)
		if text == "" {
			return time.Time{}
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %q is not a time such as 2026-11-25T19:00:00Z", name, text))
		}
		return t
	}
	currency := field("currency")
	row.Gross, row.Fee = amount("gross", currency), amount("fee", currency)
	if row.Gross.Currency == "" {
		errs = append(errs, errors.New("gross: it is missing"))
	}
	row.Presentment = amount("presentment", field("presentment_currency"))
	row.OrderID, row.PaymentID, row.RefundID = id("order_id"), id("payment_id"), id("refund_id")
	row.CreatedAt, row.AvailableAt = moment("created_at"), moment("available_at")
	if err := errors.Join(errs...); err != nil {
		return row, err
	}
	_, err := newRow(row)
	return row, err
}
