package ledger

import (
	"fmt"

	"github.com/google/uuid"
)

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
// and all the rest for the seller. Both shares are of the price, rounded by whoever makes them; together they are at most the price.
func ResaleSplitTransfers(t Terms, seller string, price Amount, royaltyMinor, commissionMinor int64) ([]Transfer, error) {
	if royaltyMinor < 0 || commissionMinor < 0 || royaltyMinor > price.Minor || commissionMinor > price.Minor-royaltyMinor {
		return nil, fmt.Errorf("%w: shares of %d and %d in a price of %d", ErrTransferMalformed, royaltyMinor, commissionMinor, price.Minor)
	}
	c := t.Currency
	return compose(t.Order, "", Single,
		leg{"resale_royalty", ResaleEscrow(c), OrganizerPayable(t.Organizer, c), royaltyMinor},
		leg{"resale_commission", ResaleEscrow(c), PlatformFees(c), commissionMinor},
		leg{"resale_seller", ResaleEscrow(c), SellerPayable(seller, c), price.Minor - royaltyMinor - commissionMinor})
}

// ResaleUndoneTransfers take back what a resale has brought its seller and us, for the organizer, whom a refund or a lost dispute of the
// resale charges with the price. A seller who was paid keeps it (due is nothing then): the organizer bears that. Of one order it is
// done once.
func ResaleUndoneTransfers(t Terms, seller string, dueMinor, commissionMinor int64) ([]Transfer, error) {
	c := t.Currency
	return compose(t.Order, "", Single,
		leg{"resale_recalled", SellerPayable(seller, c), OrganizerPayable(t.Organizer, c), dueMinor},
		leg{"resale_commission_back", PlatformFees(c), OrganizerPayable(t.Organizer, c), commissionMinor})
}

// ResaleLostTransfers take back the part of what a resale has brought its seller and us that belongs to the part of its price which the
// organizer was charged with: by a dispute that was lost in part, or by a refund of what that left. loss is the dispute or the refund, and
// of each it is done once.
func ResaleLostTransfers(t Terms, loss uuid.UUID, seller string, dueMinor, commissionMinor int64) ([]Transfer, error) {
	c := t.Currency
	return compose(t.Order, instance(loss), Single,
		leg{"resale_recalled", SellerPayable(seller, c), OrganizerPayable(t.Organizer, c), dueMinor},
		leg{"resale_commission_back", PlatformFees(c), OrganizerPayable(t.Organizer, c), commissionMinor})
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
