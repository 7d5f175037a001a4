package ledger

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

var (
	// ErrOverflow means that a sum of money does not fit into 63 bits of minor units.
	ErrOverflow = errors.New("ledger: amount overflows")
	// ErrCurrency means that two currencies met, or that one is unknown.
	ErrCurrency = errors.New("ledger: currency mismatch")
	// ErrAmountMalformed means that a text is not an amount of its currency.
	ErrAmountMalformed = errors.New("ledger: malformed amount")
)

// Amount is a sum of money in the minor unit of its currency: cents for EUR, yen for JPY, fils for KWD.
type Amount struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

// ParseAmount reads a decimal such as "65", "65.5" or "65.50" without ever passing through a float. More decimals than the
// currency has are refused, as are signs, exponents and separators.
func ParseAmount(text, currency string) (Amount, error) {
	exponent, ok := Exponent(currency)
	if !ok {
		return Amount{}, fmt.Errorf("%w: %q is not an ISO 4217 code", ErrCurrency, currency)
	}
	whole, decimals, point := strings.Cut(text, ".")
	if !digits(whole) || point && !digits(decimals) {
		return Amount{}, fmt.Errorf("%w: %q is not a decimal number", ErrAmountMalformed, text)
	}
	if len(decimals) > exponent {
		return Amount{}, fmt.Errorf("%w: %s has %d decimals, %q has %d", ErrAmountMalformed, currency, exponent, text, len(decimals))
	}
	minor, err := strconv.ParseInt(whole+decimals+strings.Repeat("0", exponent-len(decimals)), 10, 64)
	if err != nil {
		return Amount{}, fmt.Errorf("%w: %q", ErrOverflow, text)
	}
	return Amount{Minor: minor, Currency: currency}, nil
}

func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// String is the decimal with the currency behind it: "65.50 EUR".
func (a Amount) String() string {
	exponent, ok := Exponent(a.Currency)
	if !ok {
		return strconv.FormatInt(a.Minor, 10) + " minor units of " + strconv.Quote(a.Currency)
	}
	sign := ""
	if a.Minor < 0 {
		sign = "-"
	}
	text := strconv.FormatUint(magnitude(a.Minor), 10)
	if exponent > 0 {
		if len(text) <= exponent {
			text = strings.Repeat("0", exponent-len(text)+1) + text
		}
		text = text[:len(text)-exponent] + "." + text[len(text)-exponent:]
	}
	return sign + text + " " + a.Currency
}

// Add is a + b.
func (a Amount) Add(b Amount) (Amount, error) {
	if a.Currency != b.Currency {
		return Amount{}, fmt.Errorf("%w: add %s to %s", ErrCurrency, b, a)
	}
	sum, ok := addInt64(a.Minor, b.Minor)
	if !ok {
		return Amount{}, fmt.Errorf("%w: %s + %s", ErrOverflow, a, b)
	}
	return Amount{Minor: sum, Currency: a.Currency}, nil
}

// Sub is a - b.
func (a Amount) Sub(b Amount) (Amount, error) {
	if b.Minor == math.MinInt64 {
		return Amount{}, fmt.Errorf("%w: %s - %s", ErrOverflow, a, b)
	}
	return a.Add(Amount{Minor: -b.Minor, Currency: b.Currency})
}

// Times is a × n.
func (a Amount) Times(n int64) (Amount, error) {
	return a.Portion(n, 1)
}

// Portion is a × numerator ÷ denominator, rounded to the nearest minor unit, halves away from zero. The product is 128 bits wide.
func (a Amount) Portion(numerator, denominator int64) (Amount, error) {
	if denominator <= 0 {
		return Amount{}, fmt.Errorf("%w: portion over %d", ErrAmountMalformed, denominator)
	}
	negative := (a.Minor < 0) != (numerator < 0)
	hi, lo := bits.Mul64(magnitude(a.Minor), magnitude(numerator))
	lo, carry := bits.Add64(lo, uint64(denominator)/2, 0)
	hi += carry
	if hi >= uint64(denominator) {
		return Amount{}, fmt.Errorf("%w: %s × %d ÷ %d", ErrOverflow, a, numerator, denominator)
	}
	quotient, _ := bits.Div64(hi, lo, uint64(denominator))
	if quotient > math.MaxInt64 {
		return Amount{}, fmt.Errorf("%w: %s × %d ÷ %d", ErrOverflow, a, numerator, denominator)
	}
	minor := int64(quotient)
	if negative {
		minor = -minor
	}
	return Amount{Minor: minor, Currency: a.Currency}, nil
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func addInt64(a, b int64) (int64, bool) {
	sum := a + b
	return sum, (sum > a) == (b > 0)
}

// Exponent is how many decimals an active ISO 4217 currency has.
func Exponent(currency string) (int, bool) {
	if len(currency) != 3 || strings.Contains(currency, " ") {
		return 0, false
	}
	switch {
	case strings.Contains(twoDecimals, currency+" "):
		return 2, true
	case strings.Contains(noDecimals, currency+" "):
		return 0, true
	case strings.Contains(threeDecimals, currency+" "):
		return 3, true
	}
	return 0, false
}

// The active ISO 4217 codes by number of decimals. Funds, metals and test codes are left out: nobody pays for a ticket in gold.
const (
	noDecimals    = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF "
	threeDecimals = "BHD IQD JOD KWD LYD OMR TND "
	twoDecimals   = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP " +
		"CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW " +
		"KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR " +
		"PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU " +
		"UZS VES WST XCD XCG YER ZAR ZMW ZWG "
)
