package ledger

import (
	"fmt"

	"github.com/google/uuid"
)

// PayoutReleasedTransfers make earnings of an organizer payable and hold a reserve back. Reference is the settlement run.
func PayoutReleasedTransfers(run uuid.UUID, organizer string, available, reserve Amount) ([]Transfer, error) {
	if available.Currency != reserve.Currency {
		return nil, fmt.Errorf("%w: %s available, %s in reserve", ErrCurrency, available, reserve)
	}
	c := available.Currency
	return compose(run, "", Single,
		leg{"payout_release", OrganizerPayable(organizer, c), OrganizerAvailable(organizer, c), available.Minor},
		leg{"payout_reserve", OrganizerPayable(organizer, c), OrganizerReserve(organizer, c), reserve.Minor})
}

// ReserveReleasedTransfers make a reserve payable. Reference is what released it, such as the run that does so.
func ReserveReleasedTransfers(run uuid.UUID, organizer string, a Amount) ([]Transfer, error) {
	return compose(run, "", Single, leg{"reserve_release", OrganizerReserve(organizer, a.Currency), OrganizerAvailable(organizer, a.Currency), a.Minor})
}

// ReserveUsedTransfers cover with the reserve what an organizer owes.
func ReserveUsedTransfers(run uuid.UUID, organizer string, a Amount) ([]Transfer, error) {
	return compose(run, "", Single, leg{"reserve_used", OrganizerReserve(organizer, a.Currency), OrganizerPayable(organizer, a.Currency), a.Minor})
}

// AvailableUsedTransfers cover what an organizer owes with what was to be paid out to them. Reference is the run that does so.
func AvailableUsedTransfers(run uuid.UUID, organizer string, a Amount) ([]Transfer, error) {
	return compose(run, "", Single, leg{"available_used", OrganizerAvailable(organizer, a.Currency), OrganizerPayable(organizer, a.Currency), a.Minor})
}

// PayoutSentTransfers book that money was sent to an organizer. More than is available is refused when they are recorded.
func PayoutSentTransfers(payout uuid.UUID, organizer string, a Amount) ([]Transfer, error) {
	return compose(payout, "", Single, leg{"payout_sent", OrganizerAvailable(organizer, a.Currency), PayoutClearing(a.Currency), a.Minor})
}

// SellerPaidTransfers book that money was sent to the seller of a resold ticket.
func SellerPaidTransfers(payout uuid.UUID, seller string, a Amount) ([]Transfer, error) {
	return compose(payout, "", Single, leg{"seller_sent", SellerPayable(seller, a.Currency), PayoutClearing(a.Currency), a.Minor})
}

// PayoutArrivedTransfers book that the bank has paid a payout.
func PayoutArrivedTransfers(payout uuid.UUID, a Amount) ([]Transfer, error) {
	return compose(payout, "", Single, leg{"payout_arrived", PayoutClearing(a.Currency), Bank(a.Currency), a.Minor})
}

// A payout that came back is reversed: ReverseAll of PayoutSentTransfers or SellerPaidTransfers.

// SettlementSentTransfers book a provider's payout to our bank and the fees it kept. Reference is the provider's payout.
func SettlementSentTransfers(settlement uuid.UUID, provider string, sent, fees Amount) ([]Transfer, error) {
	if sent.Currency != fees.Currency {
		return nil, fmt.Errorf("%w: %s sent, %s kept", ErrCurrency, sent, fees)
	}
	c := sent.Currency
	return compose(settlement, "", Single,
		leg{"settlement_sent", ProviderTransit(provider, c), ProviderClearing(provider, c), sent.Minor},
		leg{"settlement_fee", ProviderCosts(provider, c), ProviderClearing(provider, c), fees.Minor})
}

// ProviderCreditTransfers book that a provider has given fees back. Reference is the row or the run that says so.
func ProviderCreditTransfers(settlement uuid.UUID, provider string, a Amount) ([]Transfer, error) {
	return compose(settlement, "", Single, leg{"settlement_fee_back", ProviderClearing(provider, a.Currency), ProviderCosts(provider, a.Currency), a.Minor})
}

// SettlementArrivedTransfers book that our bank has received a provider's payout.
func SettlementArrivedTransfers(settlement uuid.UUID, provider string, a Amount) ([]Transfer, error) {
	return compose(settlement, "", Single, leg{"settlement_arrived", Bank(a.Currency), ProviderTransit(provider, a.Currency), a.Minor})
}

// ConversionTransfers book that a provider changed one amount into another. The two amounts are the rate.
func ConversionTransfers(conversion uuid.UUID, provider string, from, to Amount) ([]Transfer, error) {
	if from.Currency == to.Currency {
		return nil, fmt.Errorf("%w: a change of %s into %s", ErrCurrency, from, to)
	}
	return compose(conversion, "", Single,
		leg{"conversion_from", Exchange(from.Currency), ProviderClearing(provider, from.Currency), from.Minor},
		leg{"conversion_to", ProviderClearing(provider, to.Currency), Exchange(to.Currency), to.Minor})
}

// TaxPaidTransfers book a payment to the tax office.
func TaxPaidTransfers(payment uuid.UUID, a Amount) ([]Transfer, error) {
	return compose(payment, "", Single, leg{"tax_paid", TaxesPayable(a.Currency), Bank(a.Currency), a.Minor})
}

// RoundingClearedTransfers close the rounding account: what is on it becomes, or is taken from, our fees. Net is its balance, credits
// minus debits.
func RoundingClearedTransfers(run uuid.UUID, net Amount) ([]Transfer, error) {
	c := net.Currency
	if net.Minor < 0 {
		return compose(run, "", Single, leg{"rounding_cleared", PlatformFees(c), Rounding(c), -net.Minor})
	}
	return compose(run, "", Single, leg{"rounding_cleared", Rounding(c), PlatformFees(c), net.Minor})
}
