package paypal

import (
	"fmt"
	"strings"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// currencies are those that PayPal takes, and how many decimals it takes them with: fewer than ISO 4217 has for the forint
// and the New Taiwan dollar.
var currencies = map[string]int{
	"AUD": 2, "BRL": 2, "CAD": 2, "CHF": 2, "CNY": 2, "CZK": 2, "DKK": 2, "EUR": 2, "GBP": 2, "HKD": 2, "HUF": 0, "ILS": 2,
	"JPY": 0, "MXN": 2, "MYR": 2, "NOK": 2, "NZD": 2, "PHP": 2, "PLN": 2, "SEK": 2, "SGD": 2, "THB": 2, "TWD": 0, "USD": 2,
}

// money is an amount as PayPal writes it.
type money struct {
	Currency string `json:"currency_code"`
	Value    string `json:"value"`
}

// moneyOf writes an amount exactly, or refuses one that PayPal cannot express.
func moneyOf(a ledger.Amount) (money, error) {
	decimals, ok := currencies[a.Currency]
	if !ok {
		return money{}, fmt.Errorf("%w: PayPal takes no %q", payment.ErrRejected, a.Currency)
	}
	value, _, _ := strings.Cut(a.String(), " ")
	whole, fraction, _ := strings.Cut(value, ".")
	if decimals == 0 && strings.Trim(fraction, "0") != "" {
		return money{}, fmt.Errorf("%w: PayPal takes %s without decimals", payment.ErrRejected, a.Currency)
	}
	if decimals == 0 {
		value = whole
	}
	return money{Currency: a.Currency, Value: value}, nil
}

// amount reads what PayPal wrote, which may have more zeros than the currency has decimals.
func (m money) amount() (ledger.Amount, error) {
	text, negative := strings.CutPrefix(m.Value, "-")
	exponent, ok := ledger.Exponent(m.Currency)
	if !ok || len(text) > 20 {
		return ledger.Amount{}, fmt.Errorf("%w: it is no amount of %q", payment.ErrMalformed, clean(m.Currency))
	}
	if whole, fraction, point := strings.Cut(text, "."); point && len(fraction) > exponent && strings.Trim(fraction[exponent:], "0") == "" {
		text = strings.TrimSuffix(whole+"."+fraction[:exponent], ".")
	}
	a, err := ledger.ParseAmount(text, m.Currency)
	if err != nil {
		return ledger.Amount{}, fmt.Errorf("%w: it is no amount of %s", payment.ErrMalformed, m.Currency)
	}
	if negative {
		a.Minor = -a.Minor
	}
	return a, nil
}

// amountOr reads an amount that may be missing or unreadable: zero of the currency then.
func (m *money) amountOr(currency string) ledger.Amount {
	if m != nil {
		if a, err := m.amount(); err == nil {
			return a
		}
	}
	return ledger.Amount{Currency: currency}
}
