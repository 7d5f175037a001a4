package ledger

import (
	"fmt"

	"github.com/google/uuid"
)

// SaleTransfers makes the pending transfers of one sold order, as the table in the package comment lists them. Ids follow from
// the order, so an order is sold once however often this is recorded; PostAll and VoidAll of the result end the sale.
func SaleTransfers(order uuid.UUID, organizer, provider string, face, fee, tax Amount) ([]Transfer, error) {
	total, err := face.Add(fee)
	if err == nil {
		total, err = total.Add(tax)
	}
	if err != nil {
		return nil, fmt.Errorf("add up the sale of order %s: %w", order, err)
	}
	currency := total.Currency
	parts := []struct {
		code          string
		debit, credit Account
		amount        Amount
	}{
		{"sale_face", BuyerClearing(currency), OrganizerPayable(organizer, currency), face},
		{"sale_fee", BuyerClearing(currency), PlatformFees(currency), fee},
		{"sale_tax", BuyerClearing(currency), TaxesPayable(currency), tax},
		{"sale_payment", ProviderClearing(provider, currency), BuyerClearing(currency), total},
	}
	transfers := make([]Transfer, 0, len(parts))
	for _, p := range parts {
		if p.amount.Minor < 0 {
			return nil, fmt.Errorf("%w: %s of order %s is %s", ErrTransferMalformed, p.code, order, p.amount)
		}
		if p.amount.Minor == 0 {
			continue
		}
		transfers = append(transfers, Transfer{
			ID:        TransferID(order, p.code),
			Debit:     p.debit,
			Credit:    p.credit,
			Amount:    p.amount,
			Code:      p.code,
			Reference: order,
			Kind:      Pending,
		})
	}
	return transfers, nil
}
