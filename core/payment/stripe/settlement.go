package stripe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	stripego "github.com/stripe/stripe-go/v76"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// payoutHorizon is how long after a movement its payout is looked for. Money becomes available after 2 to 30 days, by
// country and risk, and is paid out once a month at the least.
const payoutHorizon = 62 * 24 * time.Hour

// A page of the settlement is asked for so often, with pauses that double up to the longest, before the reading is given up.
const (
	pageTries    = 8
	pagePause    = 100 * time.Millisecond
	pagePauseMax = 5 * time.Second
)

// Settlement reads the balance transactions of [from, until), newest first. Stripe's rows do not say in which payout they are;
// so the payouts that may hold them are asked for theirs before, which costs a map of their ids while it runs. Payouts that
// were made by hand do not tell what is in them.
func (p *Provider) Settlement(ctx context.Context, from, until time.Time, each func(payment.SettlementRow) error) error {
	if !from.Before(until) {
		return nil
	}
	span := created(from, until)
	paidOut, err := p.paidOut(ctx, from, until)
	if err != nil {
		return fmt.Errorf("read which payouts the settlement from %s is in: %w", from.UTC().Format(time.RFC3339), err)
	}
	ask := stripego.BalanceTransactionListParams{CreatedRange: span}
	ask.AddExpand("data.source")
	err = p.transactions(ctx, ask, func(t *stripego.BalanceTransaction) error {
		row := settlementRow(t)
		if row.PayoutRef == "" {
			row.PayoutRef = paidOut[row.ID]
		}
		return each(row)
	})
	if err != nil {
		return fmt.Errorf("read the settlement from %s: %w", from.UTC().Format(time.RFC3339), err)
	}
	return nil
}

// created is the range of Stripe's seconds that lie in [from, until): a fraction of a second rounds both up.
func created(from, until time.Time) *stripego.RangeQueryParams {
	up := func(t time.Time) int64 {
		if t.Nanosecond() > 0 {
			return t.Unix() + 1
		}
		return t.Unix()
	}
	return &stripego.RangeQueryParams{GreaterThanOrEqual: up(from), LesserThan: up(until)}
}

// paidOut maps the movements of [from, until) to the automatic payouts that they are in.
func (p *Provider) paidOut(ctx context.Context, from, until time.Time) (map[string]string, error) {
	payouts, err := p.payoutsOf(ctx, from, until.Add(payoutHorizon))
	if err != nil {
		return nil, err
	}
	paidOut := map[string]string{}
	for _, id := range payouts {
		ask := stripego.BalanceTransactionListParams{CreatedRange: created(from, until), Payout: stripego.String(id)}
		err := p.transactions(ctx, ask, func(t *stripego.BalanceTransaction) error {
			paidOut[t.ID] = id
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return paidOut, nil
}

// payoutsOf are the ids of the automatic payouts made in [from, until).
func (p *Provider) payoutsOf(ctx context.Context, from, until time.Time) (ids []string, err error) {
	after := ""
	for {
		var page []*stripego.Payout
		more := false
		err := p.patiently(ctx, func() error {
			params := &stripego.PayoutListParams{CreatedRange: created(from, until)}
			params.ListParams = listing(ctx, after)
			iter := p.payouts.List(params)
			page = page[:0]
			for iter.Next() {
				page = append(page, iter.Payout())
			}
			more = iter.Err() == nil && iter.Meta().HasMore
			return iter.Err()
		})
		if err != nil {
			return nil, err
		}
		for _, payout := range page {
			if after = payout.ID; payout.Automatic {
				ids = append(ids, payout.ID)
			}
		}
		if !more || len(page) == 0 {
			return ids, nil
		}
	}
}

// transactions calls each with every balance transaction that is asked for, a page at a time.
func (p *Provider) transactions(ctx context.Context, ask stripego.BalanceTransactionListParams, each func(*stripego.BalanceTransaction) error) error {
	after := ""
	for {
		var page []*stripego.BalanceTransaction
		more := false
		err := p.patiently(ctx, func() error {
			params := ask
			params.ListParams = listing(ctx, after)
			iter := p.balance.List(&params)
			page = page[:0]
			for iter.Next() {
				page = append(page, iter.BalanceTransaction())
			}
			more = iter.Err() == nil && iter.Meta().HasMore
			return iter.Err()
		})
		if err != nil {
			return err
		}
		for _, t := range page {
			after = t.ID
			if err := each(t); err != nil {
				return err
			}
		}
		if !more || len(page) == 0 {
			return nil
		}
	}
}

// patiently reads one page, again where that may help: a reading of ten thousand pages must not end because one was lost.
func (p *Provider) patiently(ctx context.Context, read func() error) error {
	for try, pause := 1, pagePause; ; try, pause = try+1, min(2*pause, pagePauseMax) {
		err := p.wait(ctx, endpointSettlement)
		if err == nil {
			if err = read(); err == nil {
				return nil
			}
			err = translate(err)
		}
		passing := errors.Is(err, payment.ErrTemporary) || errors.Is(err, payment.ErrUnknown)
		if !passing || try == pageTries || ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// settlementRow is a balance transaction in our words.
func settlementRow(t *stripego.BalanceTransaction) payment.SettlementRow {
	currency := strings.ToUpper(string(t.Currency))
	row := payment.SettlementRow{
		ID:          t.ID,
		Kind:        settlementKind(t),
		Gross:       ledger.Amount{Minor: t.Amount, Currency: currency},
		Fee:         ledger.Amount{Minor: t.Fee, Currency: currency},
		Description: t.Description,
		CreatedAt:   time.Unix(t.Created, 0).UTC(),
		AvailableAt: time.Unix(t.AvailableOn, 0).UTC(),
	}
	if t.ExchangeRate > 0 {
		row.Rate = strconv.FormatFloat(t.ExchangeRate, 'f', -1, 64)
	}
	if t.Source == nil {
		return row
	}
	row.SourceRef = t.Source.ID
	presented := ledger.Amount{}
	var metadata map[string]string
	switch s := t.Source; {
	case s.Charge != nil:
		metadata = s.Charge.Metadata
		row.PaymentRef = paymentRef(s.Charge.PaymentIntent, s.Charge)
		presented = ledger.Amount{Minor: charged(s.Charge), Currency: string(s.Charge.Currency)}
	case s.Refund != nil:
		metadata = s.Refund.Metadata
		row.PaymentRef = paymentRef(s.Refund.PaymentIntent, s.Refund.Charge)
		row.RefundID, _ = parseID(metadata[payment.MetadataRefund])
		presented = ledger.Amount{Minor: s.Refund.Amount, Currency: string(s.Refund.Currency)}
	case s.Dispute != nil:
		row.PaymentRef = paymentRef(s.Dispute.PaymentIntent, s.Dispute.Charge)
		presented = ledger.Amount{Minor: s.Dispute.Amount, Currency: string(s.Dispute.Currency)}
	case s.Payout != nil && row.Kind == payment.SettledPayout:
		row.PayoutRef = s.Payout.ID
	}
	if who, ok := bearer(metadata); ok {
		row.OrderID, row.PaymentID = who.order, who.payment
	}
	presented.Currency = strings.ToUpper(presented.Currency)
	if presented.Currency != "" && presented.Currency != currency {
		row.Presentment = signed(presented, t.Amount)
	}
	return row
}

// charged is what a charge took: what was captured of it, where it was authorized before.
func charged(c *stripego.Charge) int64 {
	if c.Captured && c.AmountCaptured > 0 {
		return c.AmountCaptured
	}
	return c.Amount
}

// signed gives an amount the sign of what it did to the balance.
func signed(a ledger.Amount, like int64) ledger.Amount {
	if like < 0 {
		a.Minor = -a.Minor
	}
	return a
}

// settlementKind sorts balance transactions. Stripe's reporting category says more than the type where an adjustment may be
// anything; what neither explains is other, with Stripe's own words in the description.
func settlementKind(t *stripego.BalanceTransaction) payment.SettlementKind {
	switch t.ReportingCategory {
	case "dispute":
		return payment.SettledDispute
	case "dispute_reversal":
		return payment.SettledDisputeReverse
	case "refund_failure":
		return payment.SettledRefundFailure
	case "fee", "network_cost", "tax":
		return payment.SettledFee
	case "currency_conversion", "conversion":
		return payment.SettledConversion
	case "payout_reversal":
		return payment.SettledPayoutFailure
	case "partial_capture_reversal", "charge_failure": // a sale that was less than its charge, which ours never are
		return payment.SettledOther
	}
	switch t.Type {
	case stripego.BalanceTransactionTypeCharge, stripego.BalanceTransactionTypePayment:
		return payment.SettledCharge
	case stripego.BalanceTransactionTypeRefund, stripego.BalanceTransactionTypePaymentRefund:
		return payment.SettledRefund
	case stripego.BalanceTransactionTypeRefundFailure:
		return payment.SettledRefundFailure
	case stripego.BalanceTransactionTypePayout:
		return payment.SettledPayout
	case stripego.BalanceTransactionTypePayoutCancel, stripego.BalanceTransactionTypePayoutFailure:
		return payment.SettledPayoutFailure
	case stripego.BalanceTransactionTypeStripeFee, stripego.BalanceTransactionTypeStripeFxFee, stripego.BalanceTransactionTypeTaxFee,
		"network_cost":
		return payment.SettledFee
	case stripego.BalanceTransactionTypeAdjustment:
		return adjustmentKind(t)
	default:
		return payment.SettledOther
	}
}

// adjustmentKind sorts an adjustment without a reporting category by what it is about.
func adjustmentKind(t *stripego.BalanceTransaction) payment.SettlementKind {
	if s := t.Source; s != nil {
		switch about := s.Dispute != nil || strings.HasPrefix(s.ID, "dp_") || strings.HasPrefix(s.ID, "du_"); {
		case about && t.Amount < 0:
			return payment.SettledDispute
		case about:
			return payment.SettledDisputeReverse
		case s.Refund != nil || strings.HasPrefix(s.ID, "re_"):
			return payment.SettledRefundFailure
		}
	}
	return payment.SettledOther
}
