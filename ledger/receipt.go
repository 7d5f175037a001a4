package ledger

import "github.com/google/uuid"

// ReceiptHeldTransfers book what of a receipt no payment has taken: it is the buyer's until it is used or returned. The reference is
// the receipt.
func ReceiptHeldTransfers(receipt uuid.UUID, provider string, held Amount) ([]Transfer, error) {
	return compose(receipt, "", Single, leg{"receipt_held", ProviderClearing(provider, held.Currency), LateMoney(held.Currency), held.Minor})
}

// ReceiptUsedTransfers take held money away for a payment, whose capture books it again for its order. Once for each payment.
func ReceiptUsedTransfers(receipt, payment uuid.UUID, provider string, used Amount) ([]Transfer, error) {
	return compose(receipt, instance(payment), Single, leg{"receipt_used", LateMoney(used.Currency), ProviderClearing(provider, used.Currency), used.Minor})
}

// ReceiptReturnedTransfers say that the rest of a receipt was sent back, once.
func ReceiptReturnedTransfers(receipt uuid.UUID, provider string, rest Amount) ([]Transfer, error) {
	return compose(receipt, "", Single, leg{"receipt_returned", LateMoney(rest.Currency), ProviderClearing(provider, rest.Currency), rest.Minor})
}
