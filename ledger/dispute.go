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

// Loss says who bears a lost dispute. What was given back, or is being given back, before is nobody's any more: the provider has taken
// it twice, which is the platform's cost until the provider is talked into giving it back.
type Loss struct {
	Parts             // of what the order has left
	LateMinor   int64 // of money that came too late to buy anything
	ExcessMinor int64 // what the buyer has, or is being given, already
}

// DisputeLostTransfers charge a lost dispute to those who had earned the money. Parts are those of the order that are left, as far as
// the amount goes; what rounding left between them goes to the rounding account.
func DisputeLostTransfers(t Terms, dispute uuid.UUID, l Loss, minor int64) ([]Transfer, error) {
	sum, err := l.sum()
	if err != nil {
		return nil, err
	}
	if minor <= 0 || l.LateMinor < 0 || l.ExcessMinor < 0 || sum+l.LateMinor+l.ExcessMinor <= 0 {
		return nil, fmt.Errorf("%w: dispute %s of order %s is %d, its parts %+v", ErrTransferMalformed, dispute, t.Order, minor, l)
	}
	c := t.Currency
	// The decision itself goes from disputes to refunds, so that one transfer names the whole amount; the parts bring refunds to zero.
	legs := append([]leg{{"dispute_lost", Refunds(c), Disputes(t.Provider, c), minor}}, t.losers(l)...)
	return compose(t.Order, instance(dispute), Single, append(legs,
		leg{"dispute_excess", ProviderCosts(t.Provider, c), Refunds(c), l.ExcessMinor},
		roundingLeg("dispute_rounding", Refunds(c), minor-l.LateMinor-l.ExcessMinor, sum))...)
}

// DisputeChargedTransfers charge what a lost dispute took in excess, after all, to those who had earned it: a refund that was counted as
// given has failed. They are that refund's, of which each ends once.
func DisputeChargedTransfers(t Terms, refund uuid.UUID, l Loss, minor int64) ([]Transfer, error) {
	sum, err := l.sum()
	if err != nil {
		return nil, err
	}
	if minor <= 0 || l.LateMinor < 0 || l.ExcessMinor != 0 {
		return nil, fmt.Errorf("%w: %d of order %s charged for refund %s, parts %+v", ErrTransferMalformed, minor, t.Order, refund, l)
	}
	c := t.Currency
	legs := append([]leg{{"dispute_excess_back", Refunds(c), ProviderCosts(t.Provider, c), minor}}, t.losers(l)...)
	return compose(t.Order, instance(refund), Single, append(legs, roundingLeg("dispute_rounding", Refunds(c), minor-l.LateMinor, sum))...)
}

// losers are the accounts that a loss is charged to.
func (t Terms) losers(l Loss) []leg {
	c := t.Currency
	return []leg{
		{"dispute_face", OrganizerPayable(t.Organizer, c), Refunds(c), l.Face},
		{"dispute_fee_part", PlatformFees(c), Refunds(c), l.Fee},
		{"dispute_tax", TaxesPayable(c), Refunds(c), l.Tax},
		{"dispute_late", LateMoney(c), Refunds(c), l.LateMinor},
	}
}

// RecordedDispute finds a dispute of this id among an order's transfers: what was taken back for it.
func RecordedDispute(moves []Move, order, dispute uuid.UUID) (minor int64, ok bool) {
	return recorded(moves, TransferID(order, instance(dispute)+"dispute_funds"))
}

// RecordedLoss finds how a dispute of this id was lost among an order's transfers: what of it is the buyer's.
func RecordedLoss(moves []Move, order, dispute uuid.UUID) (minor int64, ok bool) {
	return recorded(moves, TransferID(order, instance(dispute)+"dispute_lost"))
}

// recorded finds the amount of a transfer.
func recorded(moves []Move, id uuid.UUID) (minor int64, ok bool) {
	for _, m := range moves {
		if m.ID == id {
			return m.Amount.Minor, true
		}
	}
	return 0, false
}
