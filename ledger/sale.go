package ledger

import (
	"fmt"

	"github.com/google/uuid"
)

// Terms say whom the money of an order concerns.
type Terms struct {
	Order     uuid.UUID
	Organizer string
	Provider  string
	Currency  string
}

// Parts are what a price is made of, in minor units.
type Parts struct {
	Face, Fee, Tax int64
}

func (p Parts) sum() (int64, error) {
	sum, ok := addInt64(p.Face, p.Fee)
	if ok {
		sum, ok = addInt64(sum, p.Tax)
	}
	if !ok {
		return 0, fmt.Errorf("%w: %d + %d + %d", ErrOverflow, p.Face, p.Fee, p.Tax)
	}
	return sum, nil
}

// leg is one row of the table of transfers in the package comment.
type leg struct {
	code          string
	debit, credit Account
	minor         int64
}

// compose makes the transfers of one event. name tells it apart among the events of the reference that may happen more than once;
// empty for those that happen once. Legs of nothing have no transfer.
func compose(reference uuid.UUID, name string, kind Kind, legs ...leg) ([]Transfer, error) {
	transfers := make([]Transfer, 0, len(legs))
	for _, l := range legs {
		if l.minor < 0 {
			return nil, fmt.Errorf("%w: %s of %s is %d", ErrTransferMalformed, l.code, reference, l.minor)
		}
		if l.minor == 0 {
			continue
		}
		transfers = append(transfers, Transfer{
			ID:        TransferID(reference, name+l.code),
			Debit:     l.debit,
			Credit:    l.credit,
			Amount:    Amount{Minor: l.minor, Currency: l.debit.Currency},
			Code:      l.code,
			Reference: reference,
			Kind:      kind,
		})
	}
	return transfers, nil
}

// instance is the name of an event of a reference that may happen more than once.
func instance(id uuid.UUID) string { return id.String() + "/" }

// roundingLeg balances parts that add up to sum against a total, through the rounding account.
func roundingLeg(code string, against Account, total, sum int64) leg {
	if total >= sum {
		return leg{code, Rounding(against.Currency), against, total - sum}
	}
	return leg{code, against, Rounding(against.Currency), sum - total}
}

// SaleTransfers makes the pending transfers of one sold order. Ids follow from the order, so an order is sold once however often this
// is recorded; PostAll of the result is the capture, VoidAll the end of a sale that could not be captured.
func SaleTransfers(order uuid.UUID, organizer, provider string, face, fee, tax Amount) ([]Transfer, error) {
	total, err := face.Add(fee)
	if err == nil {
		total, err = total.Add(tax)
	}
	if err != nil {
		return nil, fmt.Errorf("add up the sale of order %s: %w", order, err)
	}
	c := total.Currency
	return compose(order, "", Pending,
		leg{"sale_face", BuyerClearing(c), OrganizerPayable(organizer, c), face.Minor},
		leg{"sale_fee", BuyerClearing(c), PlatformFees(c), fee.Minor},
		leg{"sale_tax", BuyerClearing(c), TaxesPayable(c), tax.Minor},
		leg{"sale_payment", ProviderClearing(provider, c), BuyerClearing(c), total.Minor})
}

// LateMoneyTransfers book a payment that was captured when there was nothing left to sell it for.
func LateMoneyTransfers(t Terms, minor int64) ([]Transfer, error) {
	return compose(t.Order, "", Single, leg{"late_money", ProviderClearing(t.Provider, t.Currency), LateMoney(t.Currency), minor})
}

// MoreLateMoneyTransfers are LateMoneyTransfers of another payment of the order than its first.
func MoreLateMoneyTransfers(t Terms, payment uuid.UUID, minor int64) ([]Transfer, error) {
	return compose(t.Order, instance(payment), Single, leg{"late_money", ProviderClearing(t.Provider, t.Currency), LateMoney(t.Currency), minor})
}

// LateSaleTransfers sell an order for the late money that waits for it.
func LateSaleTransfers(t Terms, p Parts) ([]Transfer, error) {
	total, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := t.Currency
	return compose(t.Order, "", Single,
		leg{"sale_face", BuyerClearing(c), OrganizerPayable(t.Organizer, c), p.Face},
		leg{"sale_fee", BuyerClearing(c), PlatformFees(c), p.Fee},
		leg{"sale_tax", BuyerClearing(c), TaxesPayable(c), p.Tax},
		leg{"late_sale", LateMoney(c), BuyerClearing(c), total})
}

// LateRefundTransfers give late money back: pending until the provider says that it has (PostAll) or cannot (VoidAll).
// One that cannot is tried again as another refund.
func LateRefundTransfers(t Terms, refund uuid.UUID, minor int64) ([]Transfer, error) {
	return compose(t.Order, instance(refund), Pending, leg{"late_refund", LateMoney(t.Currency), ProviderClearing(t.Provider, t.Currency), minor})
}
