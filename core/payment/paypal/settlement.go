package paypal

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// Bounds of one transaction search. PayPal says that a movement may take three hours to be found.
const (
	searchWindow = 31 * 24 * time.Hour
	searchPage   = 500
	// searchLeast is the shortest window that one with too many rows is split into.
	searchLeast = time.Second
)

// reportTime is how PayPal writes times in reports.
const reportTime = "2006-01-02T15:04:05Z0700"

type report struct {
	Pages int `json:"total_pages"`
	Rows  []struct {
		Info reportRow `json:"transaction_info"`
	} `json:"transaction_details"`
}

type reportRow struct {
	ID        string `json:"transaction_id"`
	Reference string `json:"paypal_reference_id"`
	RefType   string `json:"paypal_reference_id_type"`
	Code      string `json:"transaction_event_code"`
	Initiated string `json:"transaction_initiation_date"`
	Amount    money  `json:"transaction_amount"`
	Fee       *money `json:"fee_amount"`
	Status    string `json:"transaction_status"`
	Subject   string `json:"transaction_subject"`
	Note      string `json:"transaction_note"`
	Custom    string `json:"custom_field"`
	Available string `json:"available_date"`
}

// Settlement calls each with every movement of the balance initiated in [from, until). A day is complete three hours after
// it has ended. PayPal states no rates: a change of currencies is two rows of their own, and payouts name none of what they
// are made of.
func (p *Provider) Settlement(ctx context.Context, from, until time.Time, each func(payment.SettlementRow) error) error {
	for from.Before(until) {
		end := from.Add(searchWindow)
		if end.After(until) {
			end = until
		}
		if err := p.window(ctx, from, end, each); err != nil {
			return err
		}
		from = end
	}
	return nil
}

// window reads one window, split in halves while PayPal finds too much in it. Only the first page can say so.
func (p *Provider) window(ctx context.Context, from, until time.Time, each func(payment.SettlementRow) error) error {
	for page := 1; ; page++ {
		found, err := p.page(ctx, from, until, page)
		if half := until.Sub(from) / 2; err != nil && page == 1 && issueOf(err) == issueTooLarge && half >= searchLeast {
			middle := from.Add(half).Truncate(time.Second)
			if !middle.After(from) {
				middle = from.Add(half)
			}
			if err := p.window(ctx, from, middle, each); err != nil {
				return err
			}
			return p.window(ctx, middle, until, each)
		}
		if err != nil {
			return fmt.Errorf("read the settlement from %s, page %d: %w", from.UTC().Format(time.RFC3339), page, translate(err))
		}
		for n := range found.Rows {
			row, err := found.Rows[n].Info.row()
			if err != nil {
				return fmt.Errorf("read row %q of the settlement: %w", clean(found.Rows[n].Info.ID), err)
			}
			// PayPal counts both ends in.
			if row.CreatedAt.Before(from) || !row.CreatedAt.Before(until) || found.Rows[n].Info.Status == "D" {
				continue
			}
			if err := each(row); err != nil {
				return err
			}
		}
		if page >= found.Pages {
			return nil
		}
	}
}

func (p *Provider) page(ctx context.Context, from, until time.Time, page int) (*report, error) {
	q := url.Values{
		"start_date": {from.UTC().Format(time.RFC3339)}, "end_date": {until.UTC().Format(time.RFC3339)}, "fields": {"transaction_info"},
		"balance_affecting_records_only": {"Y"}, "page_size": {strconv.Itoa(searchPage)}, "page": {strconv.Itoa(page)},
	}
	var found report
	err := p.do(ctx, request{part: endpointReport, method: http.MethodGet, path: "/v1/reporting/transactions?" + q.Encode(), into: &found})
	return &found, err
}

// row says in our words what a movement is.
func (r reportRow) row() (payment.SettlementRow, error) {
	gross, err := r.Amount.amount()
	if err != nil {
		return payment.SettlementRow{}, err
	}
	created, err := reportDate(r.Initiated)
	if err != nil || r.ID == "" {
		return payment.SettlementRow{}, fmt.Errorf("%w: it has no id or time", payment.ErrMalformed)
	}
	row := payment.SettlementRow{
		ID: clean(r.ID), SourceRef: clean(r.ID), Kind: kindOf(r.Code, gross), Gross: gross, Fee: ledger.Amount{Currency: gross.Currency},
		Description: strings.TrimSpace(clean(r.Code) + " " + shortened(r.Subject, 100)), CreatedAt: created, AvailableAt: created,
	}
	if r.Fee != nil {
		if row.Fee, err = r.Fee.amount(); err != nil {
			return payment.SettlementRow{}, err
		}
		row.Fee.Minor = -row.Fee.Minor // PayPal's is what it adds to our balance
	}
	if available, err := reportDate(r.Available); err == nil {
		row.AvailableAt = available
	}
	switch row.Kind {
	case payment.SettledCharge:
		row.PaymentRef = row.ID
	case payment.SettledRefund, payment.SettledRefundFailure, payment.SettledDispute, payment.SettledDisputeReverse:
		row.PaymentRef = clean(r.Reference)
		if row.Kind == payment.SettledDispute || row.Kind == payment.SettledDisputeReverse {
			row.SourceRef = "" // the movement's name is not the dispute's
		}
	}
	if c, ok := parseCustom(r.Custom); ok {
		row.OrderID, row.PaymentID, row.RefundID = c.order, c.payment, c.refund
	}
	return row, nil
}

// reportDate reads a time with or without a colon in its offset.
func reportDate(text string) (time.Time, error) {
	at, err := time.Parse(reportTime, text)
	if err != nil {
		at, err = time.Parse(time.RFC3339, text)
	}
	return at.UTC(), err
}

// kindOf translates PayPal's transaction event codes.
func kindOf(code string, gross ledger.Amount) payment.SettlementKind {
	switch {
	case code == "T1107":
		if gross.Minor > 0 {
			return payment.SettledRefundFailure
		}
		return payment.SettledRefund
	case strings.HasPrefix(code, "T00") && gross.Minor > 0:
		return payment.SettledCharge
	case strings.HasPrefix(code, "T01"):
		return payment.SettledFee
	case strings.HasPrefix(code, "T02"):
		return payment.SettledConversion
	case strings.HasPrefix(code, "T04"):
		if gross.Minor > 0 {
			return payment.SettledPayoutFailure
		}
		return payment.SettledPayout
	case code == "T1106", code == "T1110", code == "T1111", code == "T1201", code == "T1202", code == "T1207", code == "T1208":
		if gross.Minor > 0 {
			return payment.SettledDisputeReverse
		}
		return payment.SettledDispute
	case code == "T1108", code == "T1109": // a fee given back
		return payment.SettledFee
	default:
		return payment.SettledOther
	}
}
