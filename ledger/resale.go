package ledger

import "fmt"

// ResaleTransfers make the pending transfers of a resold ticket; Terms.Order is the resale's order. The price waits in escrow until
// the ticket is the buyer's. PostAll is the capture, VoidAll the end of a resale that could not be captured.
func ResaleTransfers(t Terms, p Parts) ([]Transfer, error) {
	total, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := t.Currency
	return compose(t.Order, "", Pending,
		leg{"resale_price", BuyerClearing(c), ResaleEscrow(c), p.Face},
		leg{"resale_fee", BuyerClearing(c), PlatformFees(c), p.Fee},
		leg{"resale_tax", BuyerClearing(c), TaxesPayable(c), p.Tax},
		leg{"resale_payment", ProviderClearing(t.Provider, c), BuyerClearing(c), total})
}

// ResaleSplitTransfers divide the escrow once the ticket is handed over: a royalty for the organizer, a commission for the platform,
// both in basis points of the price and rounded, and all the rest for the seller.
func ResaleSplitTransfers(t Terms, seller string, price Amount, royaltyBasisPoints, commissionBasisPoints int64) ([]Transfer, error) {
	const whole = 10_000
	if royaltyBasisPoints < 0 || commissionBasisPoints < 0 || royaltyBasisPoints+commissionBasisPoints > whole {
		return nil, fmt.Errorf("%w: shares of %d and %d basis points", ErrTransferMalformed, royaltyBasisPoints, commissionBasisPoints)
	}
	royalty, err := price.Portion(royaltyBasisPoints, whole)
	if err != nil {
		return nil, err
	}
	commission, err := price.Portion(commissionBasisPoints, whole)
	if err != nil {
		return nil, err
	}
	commission.Minor = min(commission.Minor, price.Minor-royalty.Minor) // both were rounded up
	c := t.Currency
	return compose(t.Order, "", Single,
		leg{"resale_royalty", ResaleEscrow(c), OrganizerPayable(t.Organizer, c), royalty.Minor},
		leg{"resale_commission", ResaleEscrow(c), PlatformFees(c), commission.Minor},
		leg{"resale_seller", ResaleEscrow(c), SellerPayable(seller, c), price.Minor - royalty.Minor - commission.Minor})
}

// ResaleReturnedTransfers give a resale's buyer everything back where the ticket could not be handed over: pending until the provider
// says that the buyer has it (PostAll) or cannot (VoidAll).
func ResaleReturnedTransfers(t Terms, p Parts) ([]Transfer, error) {
	total, err := p.sum()
	if err != nil {
		return nil, err
	}
	c := t.Currency
	return compose(t.Order, "", Pending,
		leg{"resale_price_back", ResaleEscrow(c), Refunds(c), p.Face},
		leg{"resale_fee_back", PlatformFees(c), Refunds(c), p.Fee},
		leg{"resale_tax_back", TaxesPayable(c), Refunds(c), p.Tax},
		leg{"resale_payment_back", Refunds(c), ProviderClearing(t.Provider, c), total})
}
