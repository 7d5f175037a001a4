package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// ErrAccountMalformed means that an account's code is not one this ledger could have made.
var ErrAccountMalformed = errors.New("ledger: malformed account")

// maxAccountCode bounds an account's code in bytes; the longest real one is organizer_available/ and a 63-byte organizer.
const maxAccountCode = 96

// accountSpace is the name space of account ids. Changing it would orphan every account.
var accountSpace = uuid.MustParse("1d1c3f0e-54d0-5b0c-8d5e-4a3a7c0f9e21")

// Account is one place money can be, in one currency. Its id follows from code and currency.
type Account struct {
	Code        string `json:"code"`
	Currency    string `json:"currency"`
	NonNegative bool   `json:"non_negative"` // credits posted may not fall below debits posted and pending
}

// OrganizerPayable is what an organizer has earned. Refunds and lost disputes may take it below zero: then the organizer owes us.
func OrganizerPayable(organizer, currency string) Account {
	return Account{Code: "organizer_payable/" + organizer, Currency: currency}
}

// OrganizerReserve is what is held back of an organizer's earnings against refunds and disputes. It never goes negative.
func OrganizerReserve(organizer, currency string) Account {
	return Account{Code: "organizer_reserve/" + organizer, Currency: currency, NonNegative: true}
}

// OrganizerAvailable is what may be paid out to an organizer now. It never goes negative, so nothing is paid out twice.
func OrganizerAvailable(organizer, currency string) Account {
	return Account{Code: "organizer_available/" + organizer, Currency: currency, NonNegative: true}
}

// BuyerClearing is what buyers owe for what they were sold; every completed sale brings it back to where it was.
func BuyerClearing(currency string) Account {
	return Account{Code: "buyer_clearing", Currency: currency}
}

// ProviderClearing is what a payment provider has taken on our behalf and not paid out.
func ProviderClearing(provider, currency string) Account {
	return Account{Code: "provider_clearing/" + provider, Currency: currency}
}

// ProviderTransit is what a payment provider has sent to our bank and the bank has not received.
func ProviderTransit(provider, currency string) Account {
	return Account{Code: "provider_transit/" + provider, Currency: currency}
}

// ProviderCosts is what a payment provider has charged us.
func ProviderCosts(provider, currency string) Account {
	return Account{Code: "provider_costs/" + provider, Currency: currency}
}

// PlatformFees is what the platform has earned.
func PlatformFees(currency string) Account {
	return Account{Code: "platform_fees", Currency: currency}
}

// TaxesPayable is what is owed to the tax office.
func TaxesPayable(currency string) Account {
	return Account{Code: "taxes_payable", Currency: currency}
}

// Refunds is what buyers were promised back and have not got.
func Refunds(currency string) Account {
	return Account{Code: "refunds", Currency: currency}
}

// Disputes is what a provider has taken back for a buyer's bank until the dispute is decided.
func Disputes(provider, currency string) Account {
	return Account{Code: "disputes/" + provider, Currency: currency}
}

// LateMoney is what buyers paid after their hold had died: theirs until there is a sale or a refund.
func LateMoney(currency string) Account {
	return Account{Code: "late_money", Currency: currency}
}

// ResaleEscrow is a resale buyer's money until the ticket is theirs. It never goes negative.
func ResaleEscrow(currency string) Account {
	return Account{Code: "resale_escrow", Currency: currency, NonNegative: true}
}

// SellerPayable is what a resale has brought a ticket's seller. It never goes negative.
func SellerPayable(seller, currency string) Account {
	return Account{Code: "seller_payable/" + seller, Currency: currency, NonNegative: true}
}

// PayoutClearing is what was sent to organizers and sellers and has not arrived.
func PayoutClearing(currency string) Account {
	return Account{Code: "payout_clearing", Currency: currency}
}

// Bank is what is in our bank account.
func Bank(currency string) Account {
	return Account{Code: "bank", Currency: currency}
}

// Exchange is one side of a change of currencies; the account of the other currency has the other side.
func Exchange(currency string) Account {
	return Account{Code: "exchange", Currency: currency}
}

// Rounding is the cents that parts rounded by themselves and their rounded sum differ by.
func Rounding(currency string) Account {
	return Account{Code: "rounding", Currency: currency}
}

// ID is the UUIDv5 of code and currency.
func (a Account) ID() uuid.UUID {
	return uuid.NewSHA1(accountSpace, []byte(a.Code+"\x00"+a.Currency))
}

func (a Account) validate() error {
	if _, ok := Exponent(a.Currency); !ok {
		return fmt.Errorf("%w: account %q has currency %q", ErrCurrency, a.Code, a.Currency)
	}
	if a.Code == "" || len(a.Code) > maxAccountCode || !nameBytes(a.Code, "_-./") {
		return fmt.Errorf("%w: code %q", ErrAccountMalformed, a.Code)
	}
	return nil
}

// compareAccounts orders by code, then currency.
func compareAccounts(a, b Account) int {
	return cmp.Or(strings.Compare(a.Code, b.Code), strings.Compare(a.Currency, b.Currency))
}

// nameBytes reports whether s has only lower-case letters, digits and the bytes of extra.
func nameBytes(s, extra string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			continue
		}
		found := false
		for j := range len(extra) {
			found = found || extra[j] == c
		}
		if !found {
			return false
		}
	}
	return true
}
