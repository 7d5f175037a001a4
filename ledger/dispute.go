package ledger

import (
	"fmt"

	"github.com/google/uuid"
)

// DisputeOpenedTransfers book that the provider has taken an amount back for a buyer's bank, and its fee for that.
func DisputeOpenedTransfers(t Terms, dispute uuid.UUID, minor, feeMinor int64) ([]Transfer, error) {
	c := t.Currency
	return compose(t.Order, instance(dispute), Single,
		leg{"dispute_funds", Disputes(t.Provider, c), ProviderClearing(t.Provider, c), minor},
		leg{"dispute_fee", ProviderCosts(t.Provider, c), ProviderClearing(t.Provider, c), feeMinor})
}

// DisputeWonTransfers book that the provider has given the amount back, and its fee where it does that.
func DisputeWonTransfers(t Terms, dispute uuid.UUID, minor, feeMinor int64) ([]Transfer, error) {
	c := t.Currency
	return compose(t.Order, instance(dispute), Single,
		leg{"dispute_won", ProviderClearing(t.Provider, c), Disputes(t.Provider, c), minor},
		leg{"dispute_fee_back", ProviderClearing(t.Provider, c), ProviderCosts(t.Provider, c), feeMinor})
}

// DisputeLostTransfers charge a lost dispute to those who had earned the money. Parts are those of the order that are left, as far as
// the amount goes; what rounding left between them goes to the rounding account.
func DisputeLostTransfers(t Terms, dispute uuid.UUID, p Parts, minor int64) ([]Transfer, error) {
	sum, err := p.sum()
	if err != nil {
		return nil, err
	}
	if minor <= 0 || sum <= 0 {
		return nil, fmt.Errorf("%w: dispute %s of order %s is %d, its parts %d", ErrTransferMalformed, dispute, t.Order, minor, sum)
	}
	c := t.Currency
	// The decision itself goes from disputes to refunds, so that one transfer names the whole amount; the parts bring refunds to zero.
	return compose(t.Order, instance(dispute), Single,
		leg{"dispute_lost", Refunds(c), Disputes(t.Provider, c), minor},
		leg{"dispute_face", OrganizerPayable(t.Organizer, c), Refunds(c), p.Face},
		leg{"dispute_fee_part", PlatformFees(c), Refunds(c), p.Fee},
		leg{"dispute_tax", TaxesPayable(c), Refunds(c), p.Tax},
		roundingLeg("dispute_rounding", Refunds(c), minor, sum))
}
